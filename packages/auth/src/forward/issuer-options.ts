import { type Clock, ConfigError, type ConfigFault, faultsOf, systemClock } from '@postern/contracts'
import * as v from 'valibot'
import { clockOption, whole } from '../option-parts.ts'
import {
  generateSigningKey,
  type ReadySigningKey,
  readSigningKey,
  SIGNING_ALGORITHMS,
  type SigningAlgorithm,
  type SigningKey,
} from './signing-keys.ts'

/** Options of {@link internalIssuer}. */
export interface InternalIssuerOptions {
  /**
   * The gateway's own name in `iss`, 1 to 256 characters; by it services tell internal tokens from those of identity
   * providers. A URL as a rule: `https://gateway.internal`.
   */
  readonly issuer: string
  /**
   * The first signs, all are published. To rotate, publish the next key behind the first, put it first once every service has
   * fetched it ({@link InternalIssuerOptions.jwksMaxAgeMs}), and take the old one away when its last token has run out
   * ({@link InternalIssuerOptions.ttlMs}). 1 to 16 keys.
   * @default one ES256 key, made at start: for a single process, since another one has another key
   */
  readonly keys?: readonly SigningKey[]
  /**
   * Longest life of a token, in milliseconds, 2,000 to 3,600,000, counted in whole seconds. No token outlives the
   * credentials that it stands for.
   * @default 60_000
   */
  readonly ttlMs?: number
  /** How long services may keep the published keys, in milliseconds, 0 to 86,400,000: `max-age` of the JWKS. @default 300_000 */
  readonly jwksMaxAgeMs?: number
  /**
   * `typ` of the tokens (RFC 8725 §3.11). Some frameworks take no other than `JWT`; an issuer, keys and an audience of
   * their own keep the tokens from being taken for others.
   * @default 'JWT'
   */
  readonly type?: string
  /** Source of time; for tests. @default the process's clocks */
  readonly clock?: Clock
}

/** What {@link resolveInternalIssuerOptions} makes of the options. */
export interface ResolvedInternalIssuerOptions {
  readonly issuer: string
  readonly keys: readonly ReadySigningKey[]
  readonly ttlMs: number
  readonly jwksMaxAgeMs: number
  readonly type: string
  readonly clock: Clock
}

const ISSUER = 'not a text of 1 to 256 characters'
const KID = 'not a text of 1 to 256 visible ASCII characters'
const TYPE = 'not a media type of 1 to 64 characters, such as "JWT" or "at+jwt"'
const ALGORITHMS = Object.keys(SIGNING_ALGORITHMS) as SigningAlgorithm[]

const signingKey = v.strictObject(
  {
    kid: v.pipe(v.string(KID), v.regex(/^[\x21-\x7e]{1,256}$/, KID)),
    privateKey: v.custom<SigningKey['privateKey']>(
      (value) => typeof value === 'string' || (typeof value === 'object' && value !== null),
      'not a PEM text, a KeyObject or a JWK',
    ),
    algorithm: v.picklist(ALGORITHMS, `not one of ${ALGORITHMS.join(', ')}`),
  },
  'not an object with kid, privateKey and algorithm',
)
const keyList = v.pipe(v.array(signingKey, 'not a list'), v.minLength(1, 'empty'), v.maxLength(16, 'more than 16 keys'))

const schema = v.strictObject({
  issuer: v.pipe(v.string(ISSUER), v.nonEmpty(ISSUER), v.maxLength(256, ISSUER)),
  keys: v.optional(keyList),
  ttlMs: v.optional(whole(2_000, 3_600_000), 60_000),
  jwksMaxAgeMs: v.optional(whole(0, 86_400_000), 300_000),
  type: v.optional(v.pipe(v.string(TYPE), v.regex(/^[A-Za-z0-9!#$&^_.+/-]{1,64}$/, TYPE)), 'JWT'),
  clock: clockOption,
})
const replacement = v.strictObject({ keys: keyList })

/**
 * Checks the options and fills the defaults.
 *
 * @throws ConfigError with all faults
 */
export function resolveInternalIssuerOptions(input: InternalIssuerOptions): ResolvedInternalIssuerOptions {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    const cure = "write internalIssuer({ issuer: 'https://gateway.internal' })"
    throw new ConfigError('internalIssuer()', [{ path: '', message: 'not an options object', cure }])
  }
  const result = v.safeParse(schema, input)
  const faults: ConfigFault[] = result.success ? [] : keyFaultsOf(result.issues, Object.keys(schema.entries))
  const keys = input.keys === undefined ? [generateSigningKey()] : readKeys(input.keys, faults)
  if (faults.length > 0 || !result.success) throw new ConfigError('internalIssuer()', faults)
  const { issuer, ttlMs, jwksMaxAgeMs, type, clock = systemClock } = result.output
  return Object.freeze({ issuer, keys, ttlMs, jwksMaxAgeMs, type, clock })
}

/**
 * Checks the keys of `replaceKeys()`.
 *
 * @throws ConfigError with all faults
 */
export function resolveSigningKeys(input: readonly SigningKey[]): readonly ReadySigningKey[] {
  const result = v.safeParse(replacement, { keys: input })
  const faults: ConfigFault[] = result.success ? [] : keyFaultsOf(result.issues, ['keys'])
  const keys = readKeys(input, faults)
  if (faults.length > 0) throw new ConfigError('internalIssuer().replaceKeys()', faults)
  return keys
}

/** Reads those keys whose form is right, and notes what is wrong with them. */
function readKeys(input: unknown, faults: ConfigFault[]): readonly ReadySigningKey[] {
  const keys: ReadySigningKey[] = []
  const kids = new Set<string>()
  for (const [i, each] of (Array.isArray(input) ? input : []).slice(0, 16).entries()) {
    const result = v.safeParse(signingKey, each)
    if (!result.success) continue
    const { kid } = result.output
    if (kids.has(kid)) {
      const cure = 'give every key a kid of its own'
      faults.push({ path: `keys[${i}].kid`, message: 'another key has the same', received: kid, cure })
    }
    kids.add(kid)
    const key = readSigningKey(result.output)
    if (typeof key === 'string') faults.push({ path: `keys[${i}].privateKey`, message: key })
    else keys.push(key)
  }
  return Object.freeze(keys)
}

/** Whatever stands where keys are expected is not printed back, but for what is no secret. */
function keyFaultsOf(issues: Parameters<typeof faultsOf>[0], rootKeys: readonly string[]): ConfigFault[] {
  const known = (path: readonly (string | number)[]) => (path.length === 0 ? rootKeys : Object.keys(signingKey.entries))
  return faultsOf(issues, known).map((fault) => {
    if (!/^keys\b/.test(fault.path) || /\]\.(?:kid|algorithm)$/.test(fault.path)) return fault
    const { received: _, ...shown } = fault
    return shown
  })
}

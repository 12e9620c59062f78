import { KeyObject } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import {
  type Clock,
  ConfigError,
  type ConfigFault,
  faultsOf,
  type Identity,
  type SchemaIssue,
  systemClock,
} from '@postern/contracts'
import * as v from 'valibot'
import { type CertificateHeader, certificateHeaderOption } from '../client-certificate/certificate-header.ts'
import { type TokenSource, tokenSourcesOption } from '../credentials/token-sources.ts'
import { clockOption, functionOption, MAX_MS, milliseconds, nameOption, realmOption, whole } from '../option-parts.ts'
import type { ClaimRules } from './claims.ts'
import { keyFromJwk, keysFromJwks } from './json-web-keys.ts'
import { keyFromKeyObject, keyFromPem, keyFromSecret } from './key-material.ts'
import { JWT_ALGORITHMS, type JwtAlgorithm, type KeySet, type VerificationKey } from './key-set.ts'
import { RemoteKeys } from './remote-keys.ts'
import { REMOTE_KEYS_OPTION_NAMES, type RemoteKeysOptions, remoteKeysOption } from './remote-options.ts'
import type { ResolvedRevocation, RevocationCheck } from './revocation.ts'
import { StaticKeys } from './static-keys.ts'

/** An issuer of tokens: what its tokens must say, and the keys that sign them. Exactly one of `secret`, `publicKey`, `jwks` and `jwksUri`. */
export interface JwtIssuerOptions {
  /** The exact `iss`. `false`: not checked, so that any holder of a key may speak for any issuer; for a single issuer only. */
  readonly issuer: string | false
  /** One of them must be in `aud`. `false`: not checked, so that a token made for another service opens this one too (RFC 8725 §3.9). */
  readonly audience: string | readonly string[] | false
  /** What may have signed a token; nothing else is looked at. Symmetric and asymmetric ones do not go together (RFC 8725 §3.1). */
  readonly algorithms: readonly JwtAlgorithm[]
  /**
   * For HS256, HS384 and HS512: at least as long as the hash, 32 to 64 bytes (RFC 7518 §3.2). Of several each may have signed: the
   * old one and the new one while a secret is replaced.
   */
  readonly secret?: Secret | readonly Secret[]
  /** A public key or several: PEM (SPKI or X.509), JWK or KeyObject. */
  readonly publicKey?: PublicKeyInput | readonly PublicKeyInput[]
  /** A JSON Web Key Set that does not change (RFC 7517 §5). */
  readonly jwks?: { readonly keys: readonly JsonWebKey[] }
  /** Where the issuer publishes its JSON Web Key Set, or how it is fetched. */
  readonly jwksUri?: string | RemoteKeysOptions
  /** Accepted `typ` headers, such as `at+jwt` for access tokens alone (RFC 9068 §2.1). @default any */
  readonly typ?: string | readonly string[]
  /** `false` also takes tokens without `exp`, which hold for ever. @default true */
  readonly expRequired?: boolean
  /** Longest time since `iat`, in milliseconds, 1 to 2^31-1; `iat` is then required. @default any */
  readonly maxAgeMs?: number
  /** By how much clocks may differ, in milliseconds, 0 to 60,000; for all times of a token. @default 5_000 */
  readonly clockToleranceMs?: number
  /** The claim that names the caller; a path with dots where it lies deeper. A token without it is refused. @default 'sub' */
  readonly subject?: string
  /** The claim with the scopes, a list or a text with spaces. @default 'scope', and `scp` where there is none */
  readonly scopes?: string
  /** The claim with the roles: `realm_access.roles`. @default 'roles' */
  readonly roles?: string
}

/** A shared secret; a text stands for its UTF-8 bytes. */
export type Secret = string | Uint8Array

/** PEM, JWK or KeyObject. */
export type PublicKeyInput = string | KeyObject | JsonWebKey

/** A JSON Web Key (RFC 7517 §4). */
export interface JsonWebKey {
  readonly kty?: string | undefined
  readonly kid?: string | undefined
  readonly alg?: string | undefined
  readonly [member: string]: unknown
}

/** Options of {@link jwt}: those of one issuer, or several in `issuers`. */
export interface JwtOptions extends Partial<JwtIssuerOptions> {
  /** Several issuers, each with its own keys and rules; a token's `iss` says whose it is. */
  readonly issuers?: readonly (JwtIssuerOptions & { readonly issuer: string })[]
  /** Where the token is; when it is found in two places the request is refused. @default 'header', `Authorization: Bearer` */
  readonly from?: TokenSource | readonly TokenSource[]
  /** Longest token that is looked at, in bytes, 128 to 65,536. @default 8_192 */
  readonly maxTokenBytes?: number
  /** Memory for tokens that were verified, in bytes, until they expire; 0: each request is verified anew. @default 67_108_864 */
  readonly rememberBytes?: number
  /**
   * True for tokens that must not be used any longer; by `jti` or other claims, since one token may be written in more than one way
   * (an ECDSA signature has two forms). Asked once for a token within `revocation.cacheMs`. @default nobody is asked
   */
  readonly isRevoked?: RevocationCheck
  readonly revocation?: RevocationOptions
  /**
   * `'required'`: tokens that are not bound to the client's certificate are refused (RFC 8705 §3). A bound one always
   * needs its certificate. @default 'when-bound'
   */
  readonly certificateBound?: 'when-bound' | 'required'
  /**
   * The field in which a trusted proxy sends the client's certificate (RFC 9440), where TLS ends there; never read of a peer that
   * Express's `trust proxy` does not cover. `false`: only the certificate of the connection itself counts. @default false
   */
  readonly certificateHeader?: CertificateHeader
  /**
   * What `req.user` is, for handlers that know passport; undefined, null or false refuses the token. Called once for
   * each verification, not for tokens that are remembered. @default the identity
   */
  readonly user?: (identity: Identity, req: IncomingMessage) => unknown
  /** `realm` of the challenge. @default 'api' */
  readonly realm?: string
  /** `identity.scheme`. @default 'jwt' */
  readonly name?: string
  /** Source of time; for tests. @default the process's clocks */
  readonly clock?: Clock
}

/** How it is asked whether tokens are revoked. */
export interface RevocationOptions {
  /** How long an answer holds, in milliseconds, 0 to 2^31-1: a token is of use for so long after it was revoked. @default 30_000 */
  readonly cacheMs?: number
  /** Longest wait, in milliseconds, 1 to 60,000. @default 1_000 */
  readonly timeoutMs?: number
  /** `'refuse'`: 503 while it cannot be told. `'allow'`: tokens that are good otherwise pass, also those that were revoked since. @default 'refuse' */
  readonly onFailure?: 'refuse' | 'allow'
}

/** An issuer, checked, with its keys. */
export interface JwtIssuer {
  readonly algorithms: ReadonlySet<string>
  readonly keys: KeySet
  readonly rules: ClaimRules
  readonly subject: string
  readonly scopes: readonly string[]
  readonly roles: string
}

/** What {@link resolveJwtOptions} makes of the options. */
export interface ResolvedJwtOptions {
  /** By `iss`; empty when the only issuer is not checked. */
  readonly issuers: ReadonlyMap<string, JwtIssuer>
  /** The one whose `iss` is not checked. */
  readonly anyIssuer: JwtIssuer | undefined
  readonly from: readonly TokenSource[]
  readonly maxTokenBytes: number
  readonly rememberBytes: number
  readonly revocation: ResolvedRevocation | undefined
  readonly bindingRequired: boolean
  readonly certificateHeader: CertificateHeader
  readonly user: ((identity: Identity, req: IncomingMessage) => unknown) | undefined
  readonly realm: string
  readonly name: string
  readonly clock: Clock
}

const SYMMETRIC = /^HS/
const text = v.pipe(v.string('not a text'), v.nonEmpty('empty'), v.maxLength(1_024, 'more than 1,024 characters'))
const textList = v.pipe(v.array(text, 'not a text or a list of texts'), v.minLength(1, 'an empty list'))
const algorithms = v.pipe(
  v.array(v.picklist(JWT_ALGORITHMS, `not one of ${JWT_ALGORITHMS.join(', ')}`), 'not a list of algorithms'),
  v.minLength(1, 'an empty list'),
  v.check(
    (list) => list.every((each) => SYMMETRIC.test(each)) || !list.some((each) => SYMMETRIC.test(each)),
    'symmetric and asymmetric algorithms together: a public key could be taken for a secret',
  ),
)

const issuerEntries = {
  issuer: v.union([text, v.literal(false)], 'not a text or false'),
  audience: v.union([text, textList, v.literal(false)], 'not a text, a list of texts or false'),
  algorithms,
  secret: v.optional(
    v.custom<Secret | readonly Secret[]>(
      (value) =>
        Array.isArray(value) ? value.length > 0 && value.length <= 4 && value.every(isSecret) : isSecret(value),
      'not a text, bytes, or a list of 1 to 4 of them',
    ),
  ),
  publicKey: v.optional(v.unknown()),
  jwks: v.optional(v.unknown()),
  jwksUri: v.optional(remoteKeysOption),
  typ: v.optional(v.union([text, textList], 'not a text or a list of texts')),
  expRequired: v.optional(v.boolean('not a boolean'), true),
  maxAgeMs: v.optional(whole(1, MAX_MS)),
  clockToleranceMs: v.optional(whole(0, 60_000), 5_000),
  subject: v.optional(text, 'sub'),
  scopes: v.optional(text),
  roles: v.optional(text, 'roles'),
}
const issuerSchema = v.strictObject(issuerEntries, 'not an object of options')

const revocationEntries = {
  cacheMs: v.optional(milliseconds, 30_000),
  timeoutMs: v.optional(whole(1, 60_000), 1_000),
  onFailure: v.optional(v.picklist(['refuse', 'allow'], 'not "refuse" or "allow"'), 'refuse'),
}

const commonEntries = {
  from: tokenSourcesOption(['header', 'cookie', 'subprotocol', 'function'], 'header'),
  maxTokenBytes: v.optional(whole(128, 65_536), 8_192),
  rememberBytes: v.optional(whole(0, Number.MAX_SAFE_INTEGER), 64 * 1024 * 1024),
  isRevoked: v.optional(functionOption<RevocationCheck>()),
  revocation: v.optional(v.strictObject(revocationEntries, 'not an object of options'), {}),
  certificateBound: v.optional(v.picklist(['when-bound', 'required'], 'not "when-bound" or "required"'), 'when-bound'),
  certificateHeader: certificateHeaderOption,
  user: v.optional(functionOption<NonNullable<JwtOptions['user']>>()),
  realm: realmOption,
  name: nameOption('jwt'),
  clock: clockOption,
}
const commonSchema = v.strictObject(commonEntries)

const ISSUER_KEYS = Object.keys(issuerEntries)
const PARTS: Readonly<Record<string, readonly string[]>> = {
  revocation: Object.keys(revocationEntries),
  jwksUri: REMOTE_KEYS_OPTION_NAMES,
}

/**
 * Checks the options, reads the keys, fills the defaults.
 *
 * @throws ConfigError with all faults; key material is never shown
 */
export function resolveJwtOptions(input: JwtOptions): ResolvedJwtOptions {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    const cure = "write jwt({ issuer, audience, algorithms: ['RS256'], jwksUri })"
    throw new ConfigError('jwt()', [{ path: '', message: 'not an options object', received: input, cure }])
  }
  const faults: ConfigFault[] = []
  const { issuers: several, ...rest } = input
  const own = Object.fromEntries(Object.entries(rest).filter(([key]) => ISSUER_KEYS.includes(key)))
  const common = v.safeParse(
    commonSchema,
    Object.fromEntries(Object.entries(rest).filter(([key]) => !ISSUER_KEYS.includes(key))),
  )
  const known = (path: readonly (string | number)[]): readonly string[] =>
    PARTS[String(path[0])] ?? [...ISSUER_KEYS, ...Object.keys(commonEntries), 'issuers']
  if (!common.success) faults.push(...faultsOf(common.issues as readonly SchemaIssue[], known))
  const clock = (common.success ? common.output.clock : undefined) ?? systemClock
  const built = new Map<string, JwtIssuer>()
  let anyIssuer: JwtIssuer | undefined
  const add = (given: unknown, path: string): void => {
    const made = issuerOf(given, path, clock, faults)
    if (made === undefined) return
    const { issuer } = made.rules
    if (issuer === undefined) anyIssuer = made
    else if (built.has(issuer)) faults.push({ path: at(path, 'issuer'), message: 'is there already', received: issuer })
    else built.set(issuer, made)
  }
  if (several === undefined) add(own, '')
  else if (!Array.isArray(several) || several.length === 0) {
    faults.push({ path: 'issuers', message: 'not a list of issuers', received: several })
  } else {
    for (const key of Object.keys(own)) {
      faults.push({ path: key, message: 'stands beside issuers', cure: 'write it at each of the issuers' })
    }
    for (const [i, each] of several.entries()) {
      if ((each as Partial<JwtIssuerOptions> | null)?.issuer === false) {
        const message = 'must be known where there are several'
        faults.push({ path: `issuers[${i}].issuer`, message, received: false, cure: 'write the exact iss' })
      } else add(each, `issuers[${i}]`)
    }
  }
  if (faults.length > 0 || !common.success) {
    for (const each of [...built.values(), anyIssuer]) each?.keys.close()
    throw new ConfigError('jwt()', faults)
  }
  const { isRevoked, revocation, certificateBound, clock: _, ...others } = common.output
  return Object.freeze({
    ...others,
    issuers: built,
    anyIssuer,
    revocation: isRevoked === undefined ? undefined : Object.freeze({ check: isRevoked, ...revocation }),
    bindingRequired: certificateBound === 'required',
    user: common.output.user,
    clock,
  })
}

function isSecret(value: unknown): value is Secret {
  return typeof value === 'string' || value instanceof Uint8Array
}

function at(path: string, key: string): string {
  if (path === '' || key === '') return path + key
  return `${path}.${key}`
}

function issuerOf(given: unknown, path: string, clock: Clock, faults: ConfigFault[]): JwtIssuer | undefined {
  const result = v.safeParse(issuerSchema, given)
  if (!result.success) {
    const known = (keys: readonly (string | number)[]): readonly string[] => PARTS[String(keys[0])] ?? ISSUER_KEYS
    for (const fault of faultsOf(result.issues as readonly SchemaIssue[], known)) {
      const cure = CURES[fault.path]
      const told = cure !== undefined && fault.message === 'missing' ? { ...fault, cure } : fault
      faults.push({ ...told, path: at(path, fault.path) })
    }
    return undefined
  }
  const { issuer, audience, typ, expRequired, maxAgeMs, clockToleranceMs, subject, scopes, roles } = result.output
  const keys = keysOf(result.output, path, clock, faults)
  if (keys === undefined) return undefined
  return Object.freeze({
    algorithms: new Set<string>(result.output.algorithms),
    keys,
    rules: Object.freeze({
      issuer: issuer === false ? undefined : issuer,
      audiences: audience === false ? undefined : [audience].flat(),
      types: typ === undefined ? undefined : [typ].flat(),
      expRequired,
      maxAgeMs,
      toleranceMs: clockToleranceMs,
    }),
    subject,
    scopes: scopes === undefined ? STANDARD_SCOPES : [scopes],
    roles,
  })
}

/** RFC 8693 §4.2 and RFC 9068 §2.2.3; `scp` is what several providers say instead. */
const STANDARD_SCOPES: readonly string[] = ['scope', 'scp']

const CURES: Readonly<Record<string, string>> = {
  algorithms: "name what your issuer signs with: algorithms: ['RS256']",
  issuer: 'write the exact iss of the tokens, or false to take any',
  audience: 'write what aud must name, or false to take tokens that were made for others',
}

const KEY_SOURCES = ['secret', 'publicKey', 'jwks', 'jwksUri'] as const

function keysOf(
  given: v.InferOutput<typeof issuerSchema>,
  path: string,
  clock: Clock,
  faults: ConfigFault[],
): KeySet | undefined {
  const { secret, publicKey, jwks, jwksUri, algorithms: names } = given
  const sources = KEY_SOURCES.filter((key) => given[key] !== undefined)
  if (sources.length !== 1) {
    const message =
      sources.length === 0
        ? 'has no keys'
        : `has keys of several kinds (${sources.join(', ')}), and only one can be meant`
    faults.push({ path, message, cure: 'give it exactly one of secret, publicKey, jwks and jwksUri' })
    return undefined
  }
  const source = sources[0]!
  if ((source === 'secret') !== SYMMETRIC.test(names[0]!)) {
    const cure = source === 'secret' ? "use algorithms: ['HS256']" : 'a shared secret belongs into secret'
    faults.push({ path: at(path, 'algorithms'), message: `do not go with ${source}`, received: names, cure })
    return undefined
  }
  try {
    if (jwksUri !== undefined) return new RemoteKeys(jwksUri, names, clock)
    return new StaticKeys(staticKeysOf(secret, publicKey, jwks, names))
  } catch (error) {
    faults.push({ path: at(path, source), message: (error as Error).message })
    return undefined
  }
}

function staticKeysOf(
  secret: Secret | readonly Secret[] | undefined,
  publicKey: unknown,
  jwks: unknown,
  names: readonly JwtAlgorithm[],
): readonly VerificationKey[] {
  if (secret !== undefined) {
    const secrets = Array.isArray(secret) ? (secret as readonly Secret[]) : [secret as Secret]
    return secrets.map((each) => keyFromSecret(each, names))
  }
  if (jwks !== undefined) {
    const { keys, refused } = keysFromJwks(jwks, names, MAX_STATIC_KEYS)
    // What was written by hand is meant; what is published may hold keys for others.
    if (refused.length > 0) throw new Error(refused.join('; '))
    if (keys.length === 0) throw new Error(`has no key for ${names.join(', ')}`)
    return keys
  }
  const keys = [publicKey as PublicKeyInput | readonly PublicKeyInput[]].flat() as readonly PublicKeyInput[]
  if (keys.length === 0) throw new Error('an empty list')
  return keys.map((key) => publicKeyOf(key, names))
}

const MAX_STATIC_KEYS = 100

function publicKeyOf(key: PublicKeyInput, names: readonly JwtAlgorithm[]): VerificationKey {
  if (typeof key === 'string') return keyFromPem(key, names)
  if (key instanceof KeyObject) return keyFromKeyObject(key, names)
  return keyFromJwk(key, names)
}

import { type ConfigFault, faultsOf } from '@postern/contracts'
import * as v from 'valibot'

interface CommonAffinityOptions {
  /**
   * Keys that sign what the client is given, 1 to 10, of 32 to 1,024 characters each, out of a secure random source. The
   * first signs and all are accepted: put a new one in front, and take the old one out when clients have come back. The
   * same in all processes behind one address.
   */
  readonly secrets: readonly string[]
  /**
   * What happens when the target that a client is bound to cannot take the attempt (it has left, drains, is unhealthy,
   * was tried, its circuit is open): `'choose'` another one and bind the client to that; `'refuse'` with 503, for sessions
   * that are worth nothing elsewhere. @default 'choose'
   */
  readonly whenGone?: 'choose' | 'refuse'
}

/** Affinity by a cookie, which is `HttpOnly` and goes to this host alone (no `Domain`). */
export interface CookieAffinityOptions extends CommonAffinityOptions {
  readonly by: 'cookie'
  /**
   * Name of the cookie. Balancers under one host and path need names of their own, or each overwrites what the other has
   * set. @default '__Host-postern-affinity' where `secure` is true and `path` is '/', else 'postern-affinity'
   */
  readonly name?: string
  /**
   * How long the client keeps the cookie from when it was set, in milliseconds, 1,000 to 34,560,000,000 (400 days).
   * @default until the browser ends its session
   */
  readonly maxAgeMs?: number
  /** `'none'` sends it with requests from other sites, too, and needs `Secure`. @default 'lax' */
  readonly sameSite?: 'lax' | 'strict' | 'none'
  /** The paths that the cookie is sent for. @default '/' */
  readonly path?: string
  /**
   * `'auto'`: `Secure` where the client speaks HTTPS, as the app's `trust proxy` knows it; `true`: always; `false`: never,
   * which lets whoever sits on the wire of a plain request read the cookie and stand beside its owner. @default 'auto'
   */
  readonly secure?: 'auto' | boolean
}

/** Affinity by a header, for clients that are programs: they send back what the last answer said. */
export interface HeaderAffinityOptions extends CommonAffinityOptions {
  readonly by: 'header'
  /** Name of the header, in requests and answers: `X-Session-Target`. */
  readonly name: string
}

/** What the `affinity` option takes. */
export type AffinityOptions = CookieAffinityOptions | HeaderAffinityOptions

/** What {@link resolveAffinity} makes of the option. */
export type ResolvedAffinity = ResolvedCookieAffinity | ResolvedHeaderAffinity

interface ResolvedCommon {
  readonly secrets: readonly string[]
  readonly refuses: boolean
}

export interface ResolvedCookieAffinity extends ResolvedCommon {
  readonly by: 'cookie'
  readonly name: string
  readonly maxAgeMs: number | undefined
  readonly sameSite: 'lax' | 'strict' | 'none'
  readonly path: string
  readonly secure: 'auto' | boolean
}

export interface ResolvedHeaderAffinity extends ResolvedCommon {
  readonly by: 'header'
  /** Lower case. */
  readonly name: string
}

const TOKEN = /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$/
const COOKIE_PATH = /^\/[\x21-\x3a\x3c-\x7e]{0,1023}$/
/** Headers that mean something else to clients, upstreams or the gateway. */
const TAKEN = new Set([
  'authorization',
  'connection',
  'content-length',
  'content-type',
  'cookie',
  'date',
  'forwarded',
  'host',
  'location',
  'set-cookie',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'via',
])
const SECRETS = 'not a list of 1 to 10 secrets of 32 to 1024 characters'
const SECRET = 'not a secret of 32 to 1024 characters'
const AGE = 'not a whole number of milliseconds from 1000 to 34560000000'

const common = {
  secrets: v.pipe(
    v.array(v.pipe(v.string(SECRET), v.minLength(32, SECRET), v.maxLength(1_024, SECRET)), SECRETS),
    v.minLength(1, SECRETS),
    v.maxLength(10, SECRETS),
  ),
  whenGone: v.optional(v.picklist(['choose', 'refuse'], 'not "choose" or "refuse"'), 'choose'),
}
const cookie = v.strictObject({
  by: v.literal('cookie'),
  name: v.optional(v.pipe(v.string('not a cookie name'), v.regex(TOKEN, 'not a cookie name'))),
  maxAgeMs: v.optional(v.pipe(v.number(AGE), v.integer(AGE), v.minValue(1_000, AGE), v.maxValue(34_560_000_000, AGE))),
  sameSite: v.optional(v.picklist(['lax', 'strict', 'none'], 'not "lax", "strict" or "none"'), 'lax'),
  path: v.optional(v.pipe(v.string('not a path'), v.regex(COOKIE_PATH, 'not a path of a cookie')), '/'),
  secure: v.optional(v.union([v.literal('auto'), v.boolean()], 'not "auto", true or false'), 'auto'),
  ...common,
})
const header = v.strictObject({
  by: v.literal('header'),
  name: v.pipe(
    v.string('not a header name'),
    v.regex(TOKEN, 'not a header name'),
    v.check((name) => !TAKEN.has(name.toLowerCase()), 'a header that has a meaning of its own'),
  ),
  ...common,
})

/**
 * Checks the `affinity` option and fills the defaults.
 *
 * @param faults takes everything that is wrong
 * @returns undefined when something is wrong
 */
export function resolveAffinity(input: unknown, faults: ConfigFault[]): ResolvedAffinity | undefined {
  const by = typeof input === 'object' && input !== null ? (input as { by?: unknown }).by : undefined
  if (by !== 'cookie' && by !== 'header') {
    const cure = "write { by: 'cookie', secrets: […] } or { by: 'header', name: …, secrets: […] }"
    const isObject = typeof input === 'object' && input !== null && !Array.isArray(input)
    faults.push(
      isObject
        ? { path: 'affinity.by', message: 'not "cookie" or "header"', received: by, cure }
        : { path: 'affinity', message: 'not an object', received: input, cure },
    )
    return undefined
  }
  const schema = v.object({ affinity: by === 'cookie' ? cookie : header })
  const result = v.safeParse(schema, { affinity: input })
  if (!result.success) {
    faults.push(...faultsOf(result.issues, () => Object.keys((by === 'cookie' ? cookie : header).entries)))
    return undefined
  }
  const { affinity } = result.output
  const secrets = Object.freeze([...affinity.secrets])
  const refuses = affinity.whenGone === 'refuse'
  if (affinity.by === 'header') {
    return Object.freeze({ by: 'header', name: affinity.name.toLowerCase(), secrets, refuses })
  }
  const { path, secure, sameSite, maxAgeMs } = affinity
  const isHostOnly = secure === true && path === '/'
  const name = affinity.name ?? (isHostOnly ? '__Host-postern-affinity' : 'postern-affinity')
  const before = faults.length
  if (/^__Host-/i.test(name) && !isHostOnly) {
    const cure = "set secure: true and path: '/', or take another name"
    faults.push({ path: 'affinity.name', message: 'browsers drop such a cookie', received: name, cure })
  }
  if (/^__Secure-/i.test(name) && secure !== true) {
    const cure = 'set secure: true, or take another name'
    faults.push({ path: 'affinity.name', message: 'browsers drop such a cookie', received: name, cure })
  }
  if (sameSite === 'none' && secure === false) {
    const cure = "set secure: true, or sameSite: 'lax'"
    faults.push({ path: 'affinity.sameSite', message: 'browsers drop such a cookie', received: sameSite, cure })
  }
  if (faults.length > before) return undefined
  return Object.freeze({ by: 'cookie', name, maxAgeMs, sameSite, path, secure, secrets, refuses })
}

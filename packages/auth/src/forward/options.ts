import type { IncomingMessage } from 'node:http'
import {
  type Clock,
  ConfigError,
  type ConfigFault,
  type ErrorMode,
  faultsOf,
  type Identity,
  systemClock,
} from '@postern/contracts'
import * as v from 'valibot'
import { clockOption, errorsOption, fieldName, nameOption } from '../option-parts.ts'
import {
  endpointFault,
  exchangeKeysAt,
  type ResolvedTokenExchange,
  type TokenExchangeOptions,
  tokenExchangeOption,
} from './exchange-options.ts'
import { identityHeaderFault } from './header-names.ts'
import type { IdentityHeaderSource } from './identity-headers.ts'
import { ISSUER_CLAIMS } from './internal-claims.ts'
import type { InternalIssuer } from './internal-issuer.ts'

/** Options of {@link forwardIdentity}. */
export interface ForwardIdentityOptions {
  /**
   * Headers by name, each with what it says: `'subject'`, `'scopes'`, `'roles'`, `'scheme'`, the path of a claim, or a
   * function. Lists are written with commas between; controls, `%`, non-ASCII, and commas in elements are
   * percent-encoded, so that `decodeURIComponent()` gives a value back. What says nothing is not sent. Callers whose values
   * are longer than 4,096 characters together are refused (403), since half an identity may allow more than the whole;
   * a function that throws refuses the request with 503. A client's own headers of these names never go on.
   * @default none
   */
  readonly headers?: Readonly<Record<string, IdentityHeaderSource>>
  /**
   * A short-lived token of the gateway's own. Callers without an identity get none, and their own header of that name does
   * not go on either.
   * @default none
   */
  readonly token?: InternalTokenOptions
  /** A token that an authorization server gives for the client's. @default none */
  readonly exchange?: TokenExchangeOptions
  /**
   * What becomes of the client's own credentials: `'pass'` or `'drop'`, those of every scheme that `authenticate()` knows,
   * whichever was used. A header that one of the other options sets is the gateway's in either case.
   * @default 'drop' with `token` or `exchange`, else 'pass'
   */
  readonly credentials?: 'pass' | 'drop'
  /** `'next'` hands errors to the app's error handler. @default 'respond' */
  readonly errors?: ErrorMode
  /** Names the handler in warnings, 1 to 128 characters. @default 'forward-identity' */
  readonly name?: string
  /** Source of time; for tests. @default the process's clocks */
  readonly clock?: Clock
}

/** Options of {@link ForwardIdentityOptions.token}. */
export interface InternalTokenOptions {
  /** Made by `internalIssuer()`; one may serve many handlers. */
  readonly issuer: InternalIssuer
  /** The service that the token is for, in `aud`; 1 to 1,024 characters. No other service takes it. */
  readonly audience: string
  /** Header that it is sent in: `authorization` as `Bearer`, any other the token alone. @default 'authorization' */
  readonly header?: string
  /**
   * Further claims: paths into the identity's claims, each of which keeps its path as its name, or a function. Those that
   * the issuer writes itself (`iss`, `sub`, `exp`, …) cannot be chosen. Tokens of more than 16,384 characters are not sent
   * (403).
   * @default none
   */
  readonly claims?:
    | readonly string[]
    | ((identity: Identity, req: IncomingMessage) => Readonly<Record<string, unknown>>)
}

/** What {@link resolveForwardIdentityOptions} makes of the options. */
export interface ResolvedForwardIdentity {
  readonly headers: Readonly<Record<string, IdentityHeaderSource>>
  readonly token: ResolvedInternalToken | undefined
  readonly exchange: ResolvedTokenExchange | undefined
  readonly dropsCredentials: boolean
  /** Names of all headers that may be set, lower case. */
  readonly reserved: readonly string[]
  readonly errors: ErrorMode
  readonly name: string
  readonly clock: Clock
}

/** See {@link InternalTokenOptions}. */
export interface ResolvedInternalToken {
  readonly issuer: InternalIssuer
  readonly audience: string
  readonly header: string
  readonly claims: InternalTokenOptions['claims']
}

const AUDIENCE = 'not a text of 1 to 1024 characters'
const PATH = 'not a path of 1 to 256 characters'
const path = v.pipe(
  v.string(PATH),
  v.nonEmpty(PATH),
  v.maxLength(256, PATH),
  v.check((name) => !ISSUER_CLAIMS.has(name), 'a claim that the issuer writes itself'),
)

const token = v.strictObject(
  {
    issuer: v.custom<InternalIssuer>(
      (value) => typeof (value as Partial<InternalIssuer> | null)?.mint === 'function',
      'not an issuer that internalIssuer() has made',
    ),
    audience: v.pipe(v.string(AUDIENCE), v.nonEmpty(AUDIENCE), v.maxLength(1_024, AUDIENCE)),
    header: v.optional(fieldName, 'authorization'),
    claims: v.optional(
      v.union([v.array(path), v.custom<Exclude<InternalTokenOptions['claims'], readonly string[]>>(isFunction)]),
    ),
  },
  'not an object of options',
)

const SOURCE = "not 'subject', 'scopes', 'roles', 'scheme', the path of a claim, or a function"
const schema = v.strictObject({
  headers: v.optional(
    v.record(
      v.pipe(v.string(), fieldName),
      v.custom<IdentityHeaderSource>(
        (value) => isFunction(value) || (typeof value === 'string' && value !== '' && value.length <= 256),
        SOURCE,
      ),
      'not an object of header names',
    ),
    {},
  ),
  token: v.optional(token),
  exchange: v.optional(tokenExchangeOption),
  credentials: v.optional(v.picklist(['pass', 'drop'], 'not "pass" or "drop"')),
  errors: errorsOption,
  name: nameOption('forward-identity'),
  clock: clockOption,
})

/**
 * Checks the options and fills the defaults.
 *
 * @throws ConfigError with all faults
 */
export function resolveForwardIdentityOptions(input: ForwardIdentityOptions): ResolvedForwardIdentity {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    const cure = "write forwardIdentity({ headers: { 'x-user': 'subject' } })"
    throw new ConfigError('forwardIdentity()', [{ path: '', message: 'not an options object', received: input, cure }])
  }
  const result = v.safeParse(schema, input)
  const faults = result.success ? [] : faultsOf(result.issues, knownKeys).map(withoutSecrets)
  faults.push(...nameFaults(input))
  const message = isObject(input.exchange) ? endpointFault(input.exchange) : undefined
  if (message !== undefined) faults.push({ path: 'exchange.endpoint', message })
  if (
    ['headers', 'token', 'exchange', 'credentials'].every((name) => input[name as keyof typeof input] === undefined)
  ) {
    const cure = 'give it headers, a token or an exchange, or credentials'
    faults.push({ path: '', message: 'has nothing to forward', cure })
  }
  if (faults.length > 0 || !result.success) throw new ConfigError('forwardIdentity()', faults)
  const { headers, token, exchange, credentials, errors, name, clock = systemClock } = result.output
  const hasToken = token !== undefined || exchange !== undefined
  const reserved = Object.keys(headers)
  if (token !== undefined) reserved.push(token.header)
  if (exchange !== undefined) reserved.push(exchange.header)
  return Object.freeze({
    headers: Object.freeze(headers),
    token: token === undefined ? undefined : Object.freeze({ ...token, claims: token.claims }),
    exchange,
    dropsCredentials: (credentials ?? (hasToken ? 'drop' : 'pass')) === 'drop',
    reserved: Object.freeze(reserved),
    errors,
    name,
    clock,
  })
}

/** Names that must not be set, and such as are set twice. */
function nameFaults({ headers, token, exchange }: ForwardIdentityOptions): ConfigFault[] {
  const faults: ConfigFault[] = []
  const seen = new Map<string, string>()
  const check = (name: unknown, path: string): void => {
    if (typeof name !== 'string') return
    const lower = name.toLowerCase()
    const message = identityHeaderFault(lower)
    if (message !== undefined)
      faults.push({ path, message, received: name, cure: 'take another name, such as "x-user"' })
    const before = seen.get(lower)
    if (before !== undefined) faults.push({ path, message: `sets the header that ${before} sets`, received: name })
    seen.set(lower, path)
  }
  if (isObject(headers)) for (const name of Object.keys(headers)) check(name, `headers.${name}`)
  if (isObject(token)) check(token.header ?? 'authorization', 'token.header')
  if (isObject(exchange)) check(exchange.header ?? 'authorization', 'exchange.header')
  return faults
}

function knownKeys([first, ...rest]: readonly (string | number)[]): readonly string[] {
  if (first === undefined) return Object.keys(schema.entries)
  if (first === 'token') return rest.length === 0 ? Object.keys(token.entries) : []
  return first === 'exchange' ? exchangeKeysAt(rest) : []
}

/** Whatever stands where the client's credentials are expected is not printed back, but for what is no secret. */
function withoutSecrets(fault: ConfigFault): ConfigFault {
  if (!/^exchange\.(?:client|endpoint)\b/.test(fault.path) || /\.(?:id|method)$/.test(fault.path)) return fault
  const { received: _, ...shown } = fault
  return shown
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

function isFunction(value: unknown): boolean {
  return typeof value === 'function'
}

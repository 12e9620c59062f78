import {
  ConfigError,
  type ConfigFault,
  createTarget,
  type ErrorMode,
  faultsOf,
  type HeaderEdit,
  type Logger,
  type PathPolicy,
  type Target,
  type TargetOptions,
  type TargetTls,
} from '@postern/contracts'
import * as v from 'valibot'
import type { BodyTransforms, RequestHook, ResponseHook } from './hooks.ts'
import { type HeaderEdits, headerEditList } from './message/edits.ts'
import type { ForwardedStyle } from './message/forwarded.ts'
import type { CookieEdits, LocationPolicy } from './message/rewrite.ts'
import type { Transport } from './transport/transport.ts'
import { undiciTransport } from './transport/undici.ts'

/** The five timers, in milliseconds, 0 to 2^31-1; 0 switches one off. */
export interface ProxyTimeouts {
  /** Longest wait for a place among the target's connections; then 503 `queue_timeout`. @default 400 */
  readonly queueMs?: number
  /** Longest wait for a new connection, TLS included; then 504 `connection_timeout`. @default 5_000 */
  readonly connectMs?: number
  /** Longest wait for the response's head once the request is written; then 504 `http_response_timeout`. @default 30_000 */
  readonly headersMs?: number
  /**
   * Longest silence inside a body, either way: an upstream that stalls has its answer cut (`connection_read_timeout`), a
   * client that stops sending gets 408. Off for `text/event-stream`, gRPC and upgrades. @default 60_000
   */
  readonly bodyIdleMs?: number
  /** Longest time for the whole exchange, tunnels excepted; then 504 `deadline_exceeded`, or a cut. @default 0 */
  readonly totalMs?: number
}

/** Connections to each target. */
export interface ProxyConnections {
  /** Most requests in flight to one target, 1 to 100,000; streams that stay open count. @default 1_024 */
  readonly max?: number
  /** Most requests that wait for a place, 0 to 100,000; beyond them 503 at once. @default 1_024 */
  readonly maxQueued?: number
  /**
   * How long an idle connection is kept, in milliseconds, 1 to 600,000. Keep it below the target's own keep-alive, or
   * requests meet connections that are being closed. A `Keep-Alive` hint of the target shortens it. @default 4_000
   */
  readonly keepAliveMs?: number
}

export interface ProxyOptions {
  /**
   * Where to send requests: a URL or {@link TargetOptions}. Absent: the selection that `balancer()` has put on the
   * exchange.
   */
  readonly target?: string | URL | TargetOptions
  /** TLS towards the target of `target`; a target's own `tls` comes first. */
  readonly tls?: TargetTls
  readonly timeouts?: ProxyTimeouts
  readonly connections?: ProxyConnections
  /** Offer HTTP/2 to https targets; they choose by ALPN. @default false */
  readonly allowH2?: boolean
  /** What carries the requests. @default undici, one pool a target */
  readonly transport?: Transport
  /**
   * The `Host` that the upstream sees: `'target'` its own, `'preserve'` the client's. Preserved, the upstream must not
   * trust it for links or routing beyond what it would for any client. @default 'target'
   */
  readonly host?: 'target' | 'preserve'
  /**
   * Which fields tell the upstream who the client is; rebuilt under Express's `trust proxy`, whatever the style.
   * @default 'x-forwarded'
   */
  readonly forwarded?: ForwardedStyle
  /** Which odd spellings of a path are forwarded at all. */
  readonly paths?: PathPolicy
  /**
   * `'pass'` forwards `X-HTTP-Method-Override`, `X-Original-URL` and their like; the risk: the upstream then acts on
   * another method or path than the one that was authorised here. @default 'remove'
   */
  readonly overrideHeaders?: 'remove' | 'pass'
  /** Largest request body, in bytes, 0 to 2^53-1; more is answered 413. @default no limit: bodies are streamed */
  readonly maxRequestBodyBytes?: number
  /** Largest response head, in bytes, 1,024 to 1,048,576; more is a 502. @default 16_384 */
  readonly maxResponseHeaderBytes?: number
  readonly requestHeaders?: HeaderEdits
  readonly responseHeaders?: HeaderEdits
  /**
   * Changes the path (no query) before the target's base path is put in front: a table of prefixes to replace, longest
   * first, or a function. The path is encoded, as it came.
   */
  readonly rewritePath?: Readonly<Record<string, string>> | ((path: string) => string)
  /**
   * `'rewrite'` points redirects at the target back at the gateway; `'pass'` shows the client the target's address.
   * @default 'rewrite'
   */
  readonly location?: LocationPolicy
  /** Changes cookies on their way to the client. @default unchanged */
  readonly cookies?: CookieEdits
  readonly onRequest?: RequestHook
  readonly onResponse?: ResponseHook
  readonly transforms?: BodyTransforms
  /**
   * Statuses of the upstream at which the next handler of the app is tried instead; for requests without a body.
   * @default none
   */
  readonly fallthrough?: readonly number[]
  /** Times that a request may pass a Postern gateway, by its `Via`; then 508. 1 to 100. @default 8 */
  readonly maxHops?: number
  /** `'next'` hands errors to the app's own error handler. @default 'respond' */
  readonly errors?: ErrorMode
  /** Where failed attempts are told, for the operator. @default nowhere: `logger()` has them in each request's line */
  readonly log?: Pick<Logger, 'warn' | 'error'>
}

/** Options with every default filled in. Frozen. */
export interface ResolvedProxyOptions {
  readonly target: Target | undefined
  readonly timeouts: Required<ProxyTimeouts>
  readonly connections: Required<ProxyConnections>
  readonly allowH2: boolean
  readonly transport: Transport
  readonly preserveHost: boolean
  readonly forwarded: ForwardedStyle
  readonly paths: PathPolicy
  readonly overrideHeaders: 'remove' | 'pass'
  readonly maxRequestBodyBytes: number
  readonly maxResponseHeaderBytes: number
  readonly requestEdits: readonly HeaderEdit[] | undefined
  readonly responseEdits: readonly HeaderEdit[] | undefined
  readonly rewritePath: ((path: string) => string) | undefined
  readonly rewriteLocation: boolean
  readonly cookies: CookieEdits | undefined
  readonly onRequest: RequestHook | undefined
  readonly onResponse: ResponseHook | undefined
  readonly transformRequest: BodyTransforms['request']
  readonly transformResponse: BodyTransforms['response']
  readonly maxTransformBytes: number
  readonly fallthrough: ReadonlySet<number> | undefined
  readonly maxHops: number
  readonly errors: ErrorMode
  readonly log: Pick<Logger, 'warn' | 'error'> | undefined
}

const MAX_TIMER = 2 ** 31 - 1

function whole(min: number, max: number) {
  const wanted = `expected a whole number from ${min} to ${max}`
  return v.optional(v.pipe(v.number(wanted), v.integer(wanted), v.minValue(min, wanted), v.maxValue(max, wanted)))
}

function callable<T>(wanted: string) {
  return v.optional(v.custom<T>((value) => typeof value === 'function', `expected ${wanted}`))
}

const TOKEN = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/
const headerName = v.pipe(v.string('expected a header name'), v.regex(TOKEN, 'not a header name'))
const headerValue = v.pipe(
  v.string('expected a string'),
  v.regex(FIELD_VALUE, 'not a header value: control characters'),
)
const headerRecord = v.optional(v.record(headerName, headerValue, 'expected an object of header names to values'))
const headerEdits = v.optional(
  v.strictObject({
    set: headerRecord,
    append: headerRecord,
    remove: v.optional(v.array(headerName, 'expected a list of header names')),
  }),
)
const pem = v.custom<string | Buffer>(
  (value) => typeof value === 'string' || Buffer.isBuffer(value),
  'expected PEM text or a Buffer',
)

const tls = v.strictObject({
  ca: v.optional(v.union([pem, v.array(pem)], 'expected PEM text, a Buffer, or a list of them')),
  cert: v.optional(pem),
  key: v.optional(pem),
  passphrase: v.optional(v.string('expected a string')),
  servername: v.optional(v.string('expected a host name')),
  rejectUnauthorized: v.optional(v.boolean('expected true or false')),
})
const targetObject = v.strictObject(
  {
    url: v.union([v.string(), v.instance(URL)], 'expected a URL'),
    id: v.optional(v.string('expected a string')),
    // Its range is the target's own business.
    weight: v.optional(v.any()),
    socketPath: v.optional(v.string('expected the path of a socket')),
    tls: v.optional(tls),
    tags: v.optional(v.record(v.string(), v.string('expected a string'), 'expected an object of strings')),
  },
  'expected a URL or { url, … }',
)

const entries = {
  target: v.optional(v.lazy((input) => (typeof input === 'string' || input instanceof URL ? v.any() : targetObject))),
  tls: v.optional(tls),
  timeouts: v.optional(
    v.strictObject({
      queueMs: whole(0, MAX_TIMER),
      connectMs: whole(0, MAX_TIMER),
      headersMs: whole(0, MAX_TIMER),
      bodyIdleMs: whole(0, MAX_TIMER),
      totalMs: whole(0, MAX_TIMER),
    }),
  ),
  connections: v.optional(
    v.strictObject({ max: whole(1, 100_000), maxQueued: whole(0, 100_000), keepAliveMs: whole(1, 600_000) }),
  ),
  allowH2: v.optional(v.boolean('expected true or false')),
  transport: v.optional(
    v.custom<Transport>(
      (value) => typeof (value as Transport | null)?.connect === 'function' && 'features' in (value as object),
      'expected a transport, such as httpProxyMiddleware(options)',
    ),
  ),
  host: v.optional(v.picklist(['target', 'preserve'], 'expected "target" or "preserve"')),
  forwarded: v.optional(
    v.picklist(['x-forwarded', 'rfc7239', 'both', 'none'], 'expected "x-forwarded", "rfc7239", "both" or "none"'),
  ),
  paths: v.optional(
    v.strictObject({
      encodedSlashes: v.optional(v.picklist(['refuse', 'pass'], 'expected "refuse" or "pass"')),
      repeatedSlashes: v.optional(v.picklist(['refuse', 'pass'], 'expected "refuse" or "pass"')),
      encodedUnreserved: v.optional(v.picklist(['refuse', 'pass'], 'expected "refuse" or "pass"')),
      pathParameters: v.optional(v.picklist(['refuse', 'pass'], 'expected "refuse" or "pass"')),
    }),
  ),
  overrideHeaders: v.optional(v.picklist(['remove', 'pass'], 'expected "remove" or "pass"')),
  maxRequestBodyBytes: whole(0, Number.MAX_SAFE_INTEGER),
  maxResponseHeaderBytes: whole(1024, 1_048_576),
  requestHeaders: headerEdits,
  responseHeaders: headerEdits,
  rewritePath: v.optional(
    v.custom<Readonly<Record<string, string>> | ((path: string) => string)>(
      (value) =>
        typeof value === 'function' ||
        (typeof value === 'object' &&
          value !== null &&
          Object.entries(value).every(([from, to]) => from.startsWith('/') && typeof to === 'string')),
      'expected a function, or a table of prefixes that start with "/"',
    ),
  ),
  location: v.optional(v.picklist(['rewrite', 'pass'], 'expected "rewrite" or "pass"')),
  cookies: v.optional(
    v.strictObject({
      domain: v.optional(v.nullable(v.string('expected a domain or null'))),
      path: v.optional(
        v.union([v.string(), v.record(v.string(), v.string())], 'expected a path, or a table of old path to new'),
      ),
      secure: v.optional(v.boolean('expected true or false')),
      sameSite: v.optional(v.picklist(['strict', 'lax', 'none'], 'expected "strict", "lax" or "none"')),
    }),
  ),
  onRequest: callable<RequestHook>('a function (exchange, request) => void | Promise<void>'),
  onResponse: callable<ResponseHook>('a function (exchange, response) => void | Promise<void>'),
  transforms: v.optional(
    v.strictObject({
      request: callable<BodyTransforms['request']>('a function (exchange, request) => Transform | undefined'),
      response: callable<BodyTransforms['response']>('a function (exchange, response) => Transform | undefined'),
      maxBytes: whole(1, Number.MAX_SAFE_INTEGER),
    }),
  ),
  fallthrough: v.optional(
    v.array(
      v.pipe(
        v.number('expected a status'),
        v.integer('expected a status'),
        v.minValue(300, 'expected a status from 300'),
        v.maxValue(599, 'expected a status up to 599'),
      ),
      'expected a list of statuses',
    ),
  ),
  maxHops: whole(1, 100),
  errors: v.optional(v.picklist(['respond', 'next'], 'expected "respond" or "next"')),
  log: v.optional(
    v.custom<Pick<Logger, 'warn' | 'error'>>(
      (value) => typeof (value as Logger | null)?.warn === 'function' && typeof (value as Logger).error === 'function',
      'expected a logger with warn() and error()',
    ),
  ),
}

const schema = v.strictObject(entries)

/** Known keys at a path, for "did you mean". */
function knownKeys(path: readonly (string | number)[]): readonly string[] {
  if (path.length === 0) return Object.keys(entries)
  if (path.at(-1) === 'tls') return Object.keys(tls.entries)
  if (path[0] === 'target') return Object.keys(targetObject.entries)
  const nested = (entries as Record<string, { wrapped?: { entries?: object } }>)[String(path[0])]?.wrapped?.entries
  return path.length === 1 && nested !== undefined ? Object.keys(nested) : []
}

/**
 * Checks options and fills in the defaults.
 *
 * @throws ConfigError with every fault by path, received value and cure
 */
export function resolveOptions(input: string | URL | ProxyOptions = {}): ResolvedProxyOptions {
  const options: ProxyOptions = typeof input === 'string' || input instanceof URL ? { target: input } : input
  const parsed = v.safeParse(schema, options)
  const faults: ConfigFault[] = parsed.success ? [] : faultsOf(parsed.issues, knownKeys)
  let target: Target | undefined
  if (options.target !== undefined && !faults.some((fault) => fault.path.startsWith('target'))) {
    try {
      target = createTarget(options.target, 'target')
      if (options.tls !== undefined && target.tls === undefined) target = Object.freeze({ ...target, tls: options.tls })
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      faults.push(...error.faults)
    }
  }
  const transport = options.transport ?? undiciTransport()
  if (options.allowH2 === true && transport.features?.http2 === false) {
    faults.push({
      path: 'allowH2',
      message: `the transport ${transport.name} speaks HTTP/1.1 only`,
      received: true,
      cure: 'leave allowH2 out, or use the default transport',
    })
  }
  if (faults.length > 0) throw new ConfigError('proxy()', faults)
  const { timeouts = {}, connections = {}, transforms = {} } = options
  return Object.freeze({
    target,
    timeouts: Object.freeze({
      queueMs: timeouts.queueMs ?? 400,
      connectMs: timeouts.connectMs ?? 5_000,
      headersMs: timeouts.headersMs ?? 30_000,
      bodyIdleMs: timeouts.bodyIdleMs ?? 60_000,
      totalMs: timeouts.totalMs ?? 0,
    }),
    connections: Object.freeze({
      max: connections.max ?? 1_024,
      maxQueued: connections.maxQueued ?? 1_024,
      keepAliveMs: connections.keepAliveMs ?? 4_000,
    }),
    allowH2: options.allowH2 ?? false,
    transport,
    preserveHost: options.host === 'preserve',
    forwarded: options.forwarded ?? 'x-forwarded',
    paths: Object.freeze({ ...options.paths }),
    overrideHeaders: options.overrideHeaders ?? 'remove',
    maxRequestBodyBytes: options.maxRequestBodyBytes ?? Number.POSITIVE_INFINITY,
    maxResponseHeaderBytes: options.maxResponseHeaderBytes ?? 16_384,
    requestEdits: headerEditList(options.requestHeaders),
    responseEdits: headerEditList(options.responseHeaders),
    rewritePath: pathRewriter(options.rewritePath),
    rewriteLocation: (options.location ?? 'rewrite') === 'rewrite',
    cookies: options.cookies,
    onRequest: options.onRequest,
    onResponse: options.onResponse,
    transformRequest: transforms.request,
    transformResponse: transforms.response,
    maxTransformBytes: transforms.maxBytes ?? 10_485_760,
    fallthrough: options.fallthrough === undefined ? undefined : new Set(options.fallthrough),
    maxHops: options.maxHops ?? 8,
    errors: options.errors ?? 'respond',
    log: options.log,
  })
}

/** A table of prefixes as a function; a prefix ends at a segment. */
function pathRewriter(rule: ProxyOptions['rewritePath']): ((path: string) => string) | undefined {
  if (rule === undefined || typeof rule === 'function') return rule
  const rows = Object.entries(rule)
    .map(([from, to]) => [from.replace(/\/$/, ''), to.replace(/\/$/, '')] as const)
    .sort((a, b) => b[0].length - a[0].length)
  return (path) => {
    for (const [from, to] of rows) {
      if (path === from) return to === '' ? '/' : to
      if (path.startsWith(`${from}/`)) return to + path.slice(from.length)
    }
    return path
  }
}

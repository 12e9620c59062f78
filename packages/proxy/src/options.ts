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
import { type DeadlineOptions, type ResolvedDeadline, resolveDeadline } from './deadline.ts'
import type { BodyTransforms, RequestHook, ResponseHook } from './hooks.ts'
import { type HeaderEdits, headerEditList } from './message/edits.ts'
import type { ForwardedStyle } from './message/forwarded.ts'
import type { CookieEdits, LocationPolicy } from './message/rewrite.ts'
import { type MirrorOptions, type ResolvedMirrorOptions, resolveMirror } from './mirror/options.ts'
import { knownKeys, optionsSchema } from './options-schema.ts'
import {
  type HedgingOptions,
  type ResolvedHedging,
  type ResolvedRetries,
  type RetryBudgetOptions,
  type RetryOptions,
  resolveHedging,
  resolveRetries,
} from './retry/options.ts'
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
  /**
   * A header that carries the time an exchange has left: from the caller, whose word only shortens `timeouts.totalMs`, and
   * on to the upstream. For a limit that queues before the proxy share, mount `deadline()` there. @default none
   */
  readonly deadline?: Omit<DeadlineOptions, 'ms'>
  /**
   * Further tries of requests that failed. Requests that may not be carried out twice are only tried again where nothing of
   * them was sent. @default false: one try, but for a pooled connection that the upstream closed as it was used
   */
  readonly retries?: RetryOptions | false
  /** Bounds retries and hedges together, whatever their number a request. */
  readonly retryBudget?: RetryBudgetOptions
  /** `true` takes the defaults. Costs a further request for the slowest answers. @default false */
  readonly hedging?: HedgingOptions | boolean
  /** Sends copies of requests to another target, whose answers nobody gets. @default none */
  readonly mirror?: MirrorOptions
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
  readonly deadline: ResolvedDeadline | undefined
  readonly retries: ResolvedRetries | undefined
  readonly retryBudget: RetryBudgetOptions
  readonly hedging: ResolvedHedging | undefined
  readonly mirror: ResolvedMirrorOptions | undefined
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

/**
 * Checks options and fills in the defaults.
 *
 * @throws ConfigError with every fault by path, received value and cure
 */
export function resolveOptions(input: string | URL | ProxyOptions = {}): ResolvedProxyOptions {
  const options: ProxyOptions = typeof input === 'string' || input instanceof URL ? { target: input } : input
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new ConfigError('proxy()', [
      { path: '', message: 'expected a URL or an object of options', received: options, cure: 'write proxy(url)' },
    ])
  }
  const parsed = v.safeParse(optionsSchema, options)
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
  if (options.tls !== undefined && options.target === undefined) {
    faults.push({
      path: 'tls',
      message: 'no connection would use it: it belongs to the target of these options',
      cure: 'give a target here, or give tls to each target of balancer()',
    })
  }
  for (const op of ['set', 'append'] as const) {
    for (const name of Object.keys(options.requestHeaders?.[op] ?? {})) {
      if (name.toLowerCase() !== 'host') continue
      faults.push({
        path: `requestHeaders.${op}.${name}`,
        message: 'Host is not set by edits',
        cure: 'use the option host, or a target of that name',
      })
    }
  }
  const mirror = resolveMirror(options.mirror, faults)
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
  const totalMs = timeouts.totalMs ?? 0
  return Object.freeze({
    target,
    timeouts: Object.freeze({
      queueMs: timeouts.queueMs ?? 400,
      connectMs: timeouts.connectMs ?? 5_000,
      headersMs: timeouts.headersMs ?? 30_000,
      bodyIdleMs: timeouts.bodyIdleMs ?? 60_000,
      totalMs,
    }),
    deadline:
      totalMs === 0 && options.deadline === undefined
        ? undefined
        : resolveDeadline({ ...options.deadline, ...(totalMs === 0 ? null : { ms: totalMs }) }),
    retries: resolveRetries(options.retries),
    retryBudget: Object.freeze({ ...options.retryBudget }),
    hedging: resolveHedging(options.hedging),
    mirror,
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
    cookies: frozenCookies(options.cookies),
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

function frozenCookies(cookies: CookieEdits | undefined): CookieEdits | undefined {
  if (cookies === undefined) return undefined
  const { path } = cookies
  return Object.freeze(typeof path === 'object' ? { ...cookies, path: Object.freeze({ ...path }) } : { ...cookies })
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

import type { Client, Exchange, Failure } from '@postern/contracts'
import { bytesIn, bytesOut, decisiveAttempt, failureOf, responseHeader, timingsOf } from './facts.ts'
import type { LogLevel } from './level.ts'
import type { Redactor } from './redact/redactor.ts'
import { bounded } from './text.ts'
import { messageOf } from './warnings.ts'

/** The facts of one exchange, as they go into its line. Names are stable; what does not apply is undefined or absent. */
export interface LogEntry {
  /** When the line was made, at the end of the exchange; ISO 8601, UTC, milliseconds. */
  time: string
  level: LogLevel
  /** `GET /products 200`. */
  message: string
  /** The `name` option. */
  name: string | undefined
  /** The exchange's id, as the client and the upstream see it in `X-Request-Id`. */
  id: string
  method: string
  /** Path of the original URL, still encoded; secrets redacted. */
  path: string
  /** Without the `?`; secrets redacted; undefined when there is none. */
  query: string | undefined
  host: string | undefined
  /** Id of the matched route. */
  route: string | undefined
  /** Id of the target of the last attempt. */
  target: string | undefined
  /** `hit`, `collapsed`, or why the cache sent the request on, in the words of RFC 9211 (`uri-miss`, `stale`, …). */
  cache: string | undefined
  status: number
  /** Bytes of the request's body. */
  bytesIn: number | undefined
  /** Bytes of the answer's body; in a tunnel, those towards the client. */
  bytesOut: number | undefined
  /** Address of the client, under Express's `trust proxy`. */
  client: string
  protocol: 'http' | 'https'
  /** `1.1`. */
  httpVersion: string
  userAgent: string | undefined
  referer: string | undefined
  /** Number of tries at targets. */
  attempts: number
  /** Waited for a place among a target's connections; all attempts together. */
  queueMs: number | undefined
  /** Waited for new connections; all attempts together. */
  connectMs: number | undefined
  /** From the start of the last attempt to its response's head. */
  headersMs: number | undefined
  /** From the arrival of the request to the end of the exchange. */
  totalMs: number
  /** Type of the failure, as RFC 9209 names it. */
  failure: string | undefined
  failurePhase: string | undefined
  failureSide: string | undefined
  /** Code or message of the error underneath. */
  failureCause: string | undefined
  /** Code of the gateway's own error, as `docs/problems.md` lists them: `invalid_credentials`. */
  problem: string | undefined
  /** Why, for the operator, where there is more to say than what the client is told. */
  problemReason: string | undefined
  /** Subject of the verified identity. */
  subject: string | undefined
  /** Trace id of `traceparent`. */
  traceId: string | undefined
  /** Those that were asked for by name. */
  requestHeaders: Record<string, string> | undefined
  /** Those that were asked for by name. */
  responseHeaders: Record<string, string> | undefined
  /** What the `fields` option returned, as the JSON text of an object; spread into the line. */
  fields: string | undefined
}

/** Names that the app's own fields cannot take. */
export const ENTRY_NAMES: ReadonlySet<string> = new Set([
  'time',
  'level',
  'message',
  'name',
  'id',
  'method',
  'path',
  'query',
  'host',
  'route',
  'target',
  'cache',
  'status',
  'bytesIn',
  'bytesOut',
  'client',
  'protocol',
  'httpVersion',
  'userAgent',
  'referer',
  'attempts',
  'queueMs',
  'connectMs',
  'headersMs',
  'totalMs',
  'failure',
  'failurePhase',
  'failureSide',
  'failureCause',
  'problem',
  'problemReason',
  'subject',
  'traceId',
  'requestHeaders',
  'responseHeaders',
] satisfies (keyof LogEntry)[])

/** What is only known while the request is fresh: its socket may be gone when it is over. */
export interface RequestState {
  readonly client: Client
  readonly startedAtMs: number
  readonly isUpgrade: boolean
  readonly traceId: string | undefined
}

/** What an entry is made with; the same for all requests of a logger. */
export interface EntrySettings {
  readonly name: string | undefined
  readonly redactor: Redactor
  /** Lower-case names of the headers to log. */
  readonly headers: readonly string[]
}

/** The facts that the decisions about level and sampling have settled already. */
export interface Verdict {
  readonly status: number
  readonly level: LogLevel
  readonly time: string
  readonly totalMs: number
}

type MaybeExpressRequest = { readonly originalUrl?: unknown }

/** Collects the facts of a finished exchange; every value that a client chose is redacted and bounded. */
export function entryOf(exchange: Exchange, state: RequestState, verdict: Verdict, settings: EntrySettings): LogEntry {
  const { request, attempts, error } = exchange
  const { redactor } = settings
  const { originalUrl } = request as MaybeExpressRequest
  const { path, query } = redactor.target(typeof originalUrl === 'string' ? originalUrl : (request.url ?? ''))
  const timings = timingsOf(attempts)
  const failure = failureOf(exchange)
  const method = request.method ?? ''
  const { host } = state.client
  const shownPath = bounded(path)
  return {
    time: verdict.time,
    level: verdict.level,
    message: `${method} ${shownPath} ${verdict.status}`,
    name: settings.name,
    id: exchange.id,
    method,
    path: shownPath,
    query: query === undefined ? undefined : bounded(query),
    host: host === '' ? undefined : bounded(redactor.host(host)),
    route: exchange.route?.id,
    target: decisiveAttempt(attempts)?.target.id,
    cache: cacheText(exchange),
    status: verdict.status,
    bytesIn: bytesIn(exchange),
    bytesOut: bytesOut(exchange),
    client: bounded(state.client.address),
    protocol: state.client.protocol,
    httpVersion: request.httpVersion,
    userAgent: headerText(request.headers['user-agent'], redactor),
    referer: headerText(request.headers.referer, redactor),
    attempts: attempts.length,
    queueMs: rounded(timings?.queueMs),
    connectMs: rounded(timings?.connectMs),
    headersMs: rounded(timings?.headersMs),
    totalMs: rounded(verdict.totalMs) ?? 0,
    failure: failure?.type,
    failurePhase: failure?.phase,
    failureSide: failure?.side,
    failureCause: failure === undefined ? undefined : causeOf(failure, redactor),
    problem: error?.code,
    // An error without a message of its own says nothing that its code does not.
    problemReason: error === undefined || error.expose ? undefined : bounded(redactor.text(error.message)),
    subject: exchange.identity === undefined ? undefined : bounded(exchange.identity.subject),
    traceId: state.traceId,
    requestHeaders: settings.headers.length === 0 ? undefined : requestHeaders(exchange, settings),
    responseHeaders: settings.headers.length === 0 ? undefined : responseHeaders(exchange, settings),
    fields: undefined,
  }
}

function cacheText({ cache }: Exchange): string | undefined {
  if (cache === undefined) return undefined
  if (cache.hit) return 'hit'
  return cache.collapsed ? 'collapsed' : cache.fwd
}

function headerText(value: string | undefined, redactor: Redactor): string | undefined {
  return value === undefined ? undefined : bounded(redactor.text(value))
}

function requestHeaders(exchange: Exchange, { headers, redactor }: EntrySettings): Record<string, string> | undefined {
  let shown: Record<string, string> | undefined
  for (const name of headers) {
    const value = exchange.request.headers[name]
    if (value === undefined) continue
    shown ??= {}
    shown[name] = bounded(redactor.header(name, Array.isArray(value) ? value.join(', ') : value))
  }
  return shown
}

function responseHeaders(exchange: Exchange, { headers, redactor }: EntrySettings): Record<string, string> | undefined {
  let shown: Record<string, string> | undefined
  for (const name of headers) {
    const value = responseHeader(exchange.response, name)
    if (value === undefined) continue
    shown ??= {}
    shown[name] = bounded(redactor.header(name, value))
  }
  return shown
}

function causeOf(failure: Failure, redactor: Redactor): string | undefined {
  const { cause } = failure
  if (cause === undefined) return undefined
  const { code } = cause as { code?: unknown }
  return bounded(redactor.text(typeof code === 'string' ? code : messageOf(cause)))
}

/** Hundredths of a millisecond: finer digits are noise, and cost their bytes in every line. */
function rounded(ms: number | undefined): number | undefined {
  return ms === undefined || !Number.isFinite(ms) ? undefined : Math.round(ms * 100) / 100
}

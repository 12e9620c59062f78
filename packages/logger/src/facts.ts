import type { OutgoingHttpHeader, ServerResponse } from 'node:http'
import { type Attempt, type Exchange, type Failure, statusOf } from '@postern/contracts'

/** The client left before its answer was complete; known in logs only. */
export const CLIENT_LEFT = 499

/** Times of the attempts taken together, in milliseconds. */
export interface Timings {
  queueMs: number
  connectMs: number
  headersMs: number | undefined
}

/** The attempt that decided what the client got: the last that was not given up for another. */
export function decisiveAttempt(attempts: readonly Attempt[]): Attempt | undefined {
  for (let i = attempts.length - 1; i > 0; i--) {
    if (attempts[i]!.failure?.type !== 'superseded') return attempts[i]
  }
  return attempts[0]
}

/** The failure that ended the exchange, or that of the last attempt; undefined when the last one was answered. */
export function failureOf(exchange: Exchange): Failure | undefined {
  return exchange.failure ?? decisiveAttempt(exchange.attempts)?.failure
}

/**
 * The status of an exchange that is over: 101 for a tunnel, 499 for a client that left, what the client saw for
 * everything else; a failure of which the client saw nothing has the status it would have got.
 *
 * @param wasUpgrade the request came through `attachUpgrades()`
 */
export function finalStatus(exchange: Exchange, wasUpgrade: boolean): number {
  const { response, failure } = exchange
  if (decisiveAttempt(exchange.attempts)?.status === 101) return 101
  if (response.writableFinished) return response.statusCode
  // Whoever opens a tunnel takes the raw connection from the exchange; the response then says nothing.
  if (wasUpgrade && exchange.upgrade === undefined && !response.headersSent && failure === undefined) return 101
  if (failure === undefined || failure.type === 'client_aborted') return CLIENT_LEFT
  return response.headersSent ? response.statusCode : statusOf(failure.type)
}

/** Bytes of the request's body; undefined when nobody counted them and the client did not announce them. */
export function bytesIn(exchange: Exchange): number | undefined {
  if (exchange.requestBodyBytes > 0 || exchange.attempts.length > 0) return exchange.requestBodyBytes
  const { headers } = exchange.request
  const announced = headers['content-length']
  if (announced !== undefined) return byteCount(announced)
  return headers['transfer-encoding'] === undefined ? 0 : undefined
}

/** Bytes of the answer's body; undefined when nobody counted them and the answer did not announce them. */
export function bytesOut(exchange: Exchange): number | undefined {
  const { response, attempts } = exchange
  if (exchange.responseBodyBytes > 0) return exchange.responseBodyBytes
  if (!response.writableFinished) return attempts.length > 0 || !response.headersSent ? 0 : undefined
  const { statusCode } = response
  if (exchange.request.method === 'HEAD' || statusCode === 304 || statusCode === 204) return 0
  return byteCount(responseHeader(response, 'content-length')) ?? (attempts.length > 0 ? 0 : undefined)
}

/** Queueing and connecting summed over all attempts, time to the response's head of the last; none without attempts. */
export function timingsOf(attempts: readonly Attempt[]): Timings | undefined {
  const last = decisiveAttempt(attempts)
  if (last === undefined) return undefined
  if (attempts.length === 1) return last
  let queueMs = 0
  let connectMs = 0
  for (const attempt of attempts) {
    queueMs += attempt.queueMs
    connectMs += attempt.connectMs
  }
  return { queueMs, connectMs, headersMs: last.headersMs }
}

/** A header of the answer as it was sent, lists joined; undefined when there is none. */
export function responseHeader(response: ServerResponse, lowerCaseName: string): string | undefined {
  const value = response.getHeader(lowerCaseName) ?? sentHeader(response, lowerCaseName)
  return value === undefined ? undefined : textOf(value)
}

/**
 * What `writeHead(status, headers)` was given never becomes visible through `getHeader()`. The head that Node wrote is
 * the only record of it; read with care, since its field is Node's own.
 */
function sentHeader(response: ServerResponse, lowerCaseName: string): string | undefined {
  const head = (response as { _header?: unknown })._header
  if (typeof head !== 'string') return undefined
  let found: string | undefined
  for (const line of head.split('\r\n')) {
    const colon = line.indexOf(':')
    if (colon !== lowerCaseName.length || line.slice(0, colon).toLowerCase() !== lowerCaseName) continue
    const value = line.slice(colon + 1).trim()
    found = found === undefined ? value : `${found}, ${value}`
  }
  return found
}

function textOf(value: OutgoingHttpHeader): string {
  return Array.isArray(value) ? value.join(', ') : String(value)
}

function byteCount(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined
}

import type { Failure } from '@postern/contracts'
import type { ResponseHeaders } from '../transport/transport.ts'
import type { ResolvedRetries } from './options.ts'

/**
 * True when the request may be carried out twice: its method is idempotent, or it carries a key by which the upstream
 * tells the second from the first.
 *
 * @param headers name, value, name, value, …
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-9.2.2
 */
export function isRepeatable(method: string, headers: readonly string[], retries: ResolvedRetries): boolean {
  if (retries.methods.has(method)) return true
  if (!retries.idempotencyKey) return false
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!
    if (name.length === 15 && name.toLowerCase() === 'idempotency-key') return headers[i + 1] !== ''
  }
  return false
}

/**
 * True when nothing of the request can have reached a target: no connection was made, or no place was free. Any request
 * may go elsewhere then.
 */
export function wasNeverSent(failure: Failure): boolean {
  if (failure.phase === 'queue') return failure.type === 'connection_limit_reached' || failure.type === 'queue_timeout'
  return failure.phase === 'connect' && failure.side === 'upstream'
}

/** True when another try may follow on the failure. */
export function mayFollow(failure: Failure, retries: ResolvedRetries, repeatable: boolean): boolean {
  if (wasNeverSent(failure)) return retries.onConnect
  // Behind the head the answer may have begun for the client.
  if (failure.phase === 'body' || failure.phase === 'tunnel') return false
  return repeatable && failure.side === 'upstream' && retries.types.has(failure.type)
}

/**
 * How long to wait before the n-th further try, in milliseconds: a random part of a time that doubles (full jitter).
 *
 * @param further 1 for the first further try
 * @see https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
 */
export function backoffMs(further: number, retries: ResolvedRetries, random: () => number): number {
  return random() * Math.min(retries.maxMs, retries.baseMs * 2 ** (further - 1))
}

/**
 * `Retry-After` in milliseconds, as seconds or as a date; 0 when there is none, or none that can be read.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3
 */
export function retryAfterMs(headers: ResponseHeaders, wallNowMs: number): number {
  const value = headers['retry-after']
  if (typeof value !== 'string') return 0
  if (/^\d{1,10}$/.test(value)) return Number(value) * 1_000
  const date = /^[A-Z][a-z]{2}, /.test(value) ? Date.parse(value) : Number.NaN
  return Number.isNaN(date) ? 0 : Math.max(0, date - wallNowMs)
}

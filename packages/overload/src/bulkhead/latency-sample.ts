import type { Exchange } from '@postern/contracts'

/** Heads older than this say nothing about now: tunnels, event streams and long downloads end much later. */
const STALE_MS = 5_000

/**
 * How long the upstream took to begin the answer of an exchange that has just been closed: of its last answered attempt,
 * or the whole time where no proxy has noted attempts.
 *
 * @param heldMs time since the exchange was let through
 * @returns undefined when it says nothing about the load: failed, refused, not answered to the end, or long ago. An
 *   error is often made faster than an answer and would pass for a fast upstream.
 */
export function latencySample(exchange: Exchange, heldMs: number): number | undefined {
  if (exchange.failure !== undefined) return undefined
  const { attempts, response } = exchange
  for (let i = attempts.length - 1; i >= 0; i--) {
    const { status, headersMs, totalMs, failure } = attempts[i]!
    if (status === undefined || headersMs === undefined || failure !== undefined) continue
    if (status >= 500 || (totalMs !== undefined && totalMs - headersMs > STALE_MS)) return undefined
    return headersMs
  }
  if (attempts.length > 0 || !response.writableFinished || response.statusCode >= 500) return undefined
  return heldMs
}

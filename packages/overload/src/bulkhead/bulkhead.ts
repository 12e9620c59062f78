import type { IncomingMessage, ServerResponse } from 'node:http'
import { exchangeOf } from '@postern/contracts'
import { Admission } from './admission.ts'
import { BulkheadState } from './bulkhead-state.ts'
import type { BulkheadStats } from './limiter.ts'
import { type BulkheadOptions, MAX_LIMIT, resolveOptions } from './options.ts'

/** The handler that {@link bulkhead} returns, its handles, and what it holds, live. */
export interface BulkheadHandler {
  (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void): void
  /** Exchanges that may be in flight now. */
  readonly limit: number
  /** Exchanges that hold a place. Above `limit` for a while when the limit has become smaller. */
  readonly inFlight: number
  /** Exchanges that wait for a place. */
  readonly queued: number
  /** Counts since the start; a new object at each reading. */
  readonly stats: BulkheadStats
  /**
   * Sets the limit by hand; an adaptive one goes on from there.
   *
   * @param limit 1 to 1,000,000, for an adaptive one within its `minLimit` and `maxLimit`
   * @throws RangeError when it is out of range
   */
  setLimit(limit: number): void
  /**
   * Refuses everyone who waits, with 503, and ends all timers. From then on nobody waits: an exchange finds a place or is
   * refused. May be called twice.
   */
  close(): void
}

/**
 * Keeps what stands behind it inside its capacity: at most so many exchanges in flight, a short bounded queue in front,
 * and 503 with Retry-After for the rest, soon. Mount one for each upstream, in front of what leads there.
 *
 * ```ts
 * app.use('/payments', bulkhead({ maxInFlight: 20 }), balancer({ targets }), proxy())
 * ```
 *
 * @throws ConfigError when the options cannot be used, with all faults
 */
export function bulkhead(options: BulkheadOptions): BulkheadHandler {
  const resolved = resolveOptions(options)
  const state = new BulkheadState(resolved)
  const { limiter } = state
  const [least, most] =
    typeof resolved.limit === 'number' ? [1, MAX_LIMIT] : [resolved.limit.minLimit, resolved.limit.maxLimit]

  function bulkheadHandler(req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void): void {
    const exchange = exchangeOf(req, res)
    if (state.has(exchange)) next()
    else new Admission(state, exchange, next).begin()
  }

  Object.defineProperties(bulkheadHandler, {
    limit: { get: () => limiter.limit, enumerable: true },
    inFlight: { get: () => limiter.inFlight, enumerable: true },
    queued: { get: () => limiter.queued, enumerable: true },
    stats: { get: () => limiter.stats, enumerable: true },
  })
  const handles: Pick<BulkheadHandler, 'setLimit' | 'close'> = {
    setLimit: (limit) => {
      if (!(Number.isInteger(limit) && limit >= least && limit <= most)) {
        throw new RangeError(
          `${resolved.name}: the limit must be a whole number from ${least} to ${most}, got ${String(limit)}`,
        )
      }
      limiter.setLimit(limit, resolved.clock.now())
      state.noteLimit()
    },
    close: () => state.close(),
  }
  return Object.assign(bulkheadHandler, handles) as BulkheadHandler
}

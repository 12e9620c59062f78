import type { IncomingMessage, ServerResponse } from 'node:http'
import { ConfigError, exchangeOf, nearest } from '@postern/contracts'
import { type LoadShedderOptions, resolveOptions } from './options.ts'
import { isPriority, PRIORITIES, type Priority } from './priority.ts'
import { type PriorityStats, ShedderState } from './shedder-state.ts'

type Next = (error?: unknown) => void

/** An Express handler that sheds requests of one class. */
export type ShedderRouteHandler = (req: IncomingMessage, res: ServerResponse, next: Next) => void

/** The handler that {@link loadShedder} returns, its handles, and what it sees, live. */
export interface LoadShedderHandler {
  (req: IncomingMessage, res: ServerResponse, next: Next): void
  /**
   * A handler of this same shedder for requests of one class. The first of a shedder's handlers that a request meets
   * decides; mount it in front of the shedder itself.
   *
   * @throws ConfigError when there is no such class
   */
  as(priority: Priority): ShedderRouteHandler
  /** Exchanges that were let in and are not over. */
  readonly inFlight: number
  /** By how much the event loop is late, in milliseconds; 0 when it is not looked at. */
  readonly eventLoopDelayMs: number
  /** Counts since the start, by class; a new object at each reading. */
  readonly stats: Readonly<Record<Priority, PriorityStats>>
  /** Ends the measuring; from then on only `maxInFlight` counts. May be called twice. */
  close(): void
}

/**
 * Refuses what this process cannot serve in time, before any work is done for it: by the number of exchanges in flight
 * and by the delay of the event loop, the least important classes first. Mount it in front of everything but the log.
 *
 * ```ts
 * const shedder = loadShedder({ maxInFlight: 2_000 })
 * app.use('/payments', shedder.as('critical'))
 * app.use(shedder)
 * ```
 *
 * @throws ConfigError when the options cannot be used, with all faults
 */
export function loadShedder(options: LoadShedderOptions = {}): LoadShedderHandler {
  const state = new ShedderState(resolveOptions(options))

  function loadShedderHandler(req: IncomingMessage, res: ServerResponse, next: Next): void {
    const exchange = exchangeOf(req, res)
    if (state.has(exchange) || state.admit(exchange, state.classify(req), next)) next()
  }

  function as(priority: Priority): ShedderRouteHandler {
    if (!isPriority(priority)) throw unknownPriority(priority)
    return function loadShedderRouteHandler(req, res, next) {
      const exchange = exchangeOf(req, res)
      if (state.has(exchange) || state.admit(exchange, priority, next)) next()
    }
  }

  Object.defineProperties(loadShedderHandler, {
    inFlight: { get: () => state.inFlight, enumerable: true },
    eventLoopDelayMs: { get: () => state.delayMs, enumerable: true },
    stats: { get: () => state.stats, enumerable: true },
  })
  return Object.assign(loadShedderHandler, { as, close: () => state.close() }) as LoadShedderHandler
}

function unknownPriority(received: unknown): ConfigError {
  const near = nearest(String(received), PRIORITIES)
  const cure = near === undefined ? `write one of ${PRIORITIES.join(', ')}` : `did you mean "${near}"?`
  return new ConfigError('loadShedder.as()', [{ path: 'priority', message: 'no such class', received, cure }])
}

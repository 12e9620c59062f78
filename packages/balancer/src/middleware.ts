import type { IncomingMessage, ServerResponse } from 'node:http'
import { exchangeOf } from '@postern/contracts'
import { Affinity } from './affinity/affinity.ts'
import { Binding } from './affinity/binding.ts'
import { MAX_TIMER_MS } from './health/options.ts'
import type { ProbeResult } from './health/probe.ts'
import type { TargetState } from './member.ts'
import { type BalancerOptions, resolveOptions, resolveReplacement } from './options.ts'
import { Pool } from './pool.ts'
import { BalancerSelection } from './selection.ts'
import { LiveTargets } from './sources/live-targets.ts'
import type { TargetInput } from './target-list.ts'

/** Options of `drain()`. */
export interface DrainOptions {
  /**
   * Longest wait for the requests in flight, in milliseconds, 0 to 2^31-1. The target goes on draining when it runs
   * out. @default no limit
   */
  readonly timeoutMs?: number
}

/** The handler that {@link balancer} returns, and the handles to its targets. */
export interface BalancerHandler {
  (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void): void
  /** The targets in their order, live: what they show is as of the moment of reading. A new list after `replace()`. */
  readonly targets: readonly TargetState[]
  /**
   * Sends the target no new requests; those in flight go on.
   *
   * @returns true once nothing is in flight to it; false when the time ran out or `undrain()` or `close()` came first.
   * Rejects with a RangeError (`POSTERN_UNKNOWN_TARGET`) when there is no such target.
   */
  drain(id: string, options?: DrainOptions): Promise<boolean>
  /**
   * Takes a drain back.
   *
   * @throws RangeError (`POSTERN_UNKNOWN_TARGET`) when there is no such target
   */
  undrain(id: string): void
  /**
   * Gives a target another weight, until the next `replace()`.
   *
   * @param weight 0 to 1,000,000; 0 sends it nothing new
   * @throws RangeError when the weight is out of range, or (`POSTERN_UNKNOWN_TARGET`) there is no such target
   */
  setWeight(id: string, weight: number): void
  /**
   * Swaps all targets in one step. Those that are the same but for their weight and tier keep their {@link Target},
   * their counts, their health and a drain; those that leave finish what is in flight. Where `targets` is a source, its
   * next list takes over again.
   *
   * @throws ConfigError with all faults; then nothing has changed
   */
  replace(targets: readonly TargetInput[]): void
  /** Begins to probe; otherwise the first request does. Does nothing without `health`. */
  start(): void
  /**
   * Probes a target now, and learns from it as from any probe.
   *
   * @returns what the probe came to. Rejects with a RangeError (`POSTERN_UNKNOWN_TARGET`) when there is no such target, and
   * with a TypeError (`POSTERN_NO_PROBES`) without `health`.
   */
  check(id: string): Promise<ProbeResult>
  /**
   * Ends probes, the source of targets and all waiting for drains. Requests under way, and others, may still lease
   * targets. May be called twice.
   */
  close(): void
}

/**
 * Chooses a target for each request: a handler that puts a selection on the exchange, from which the proxy behind it
 * leases a target for each attempt. Answers nothing itself.
 *
 * ```ts
 * app.use('/products', balancer({ targets: ['http://10.0.0.1:3000', 'http://10.0.0.2:3000'] }), proxy())
 * ```
 *
 * @throws ConfigError when the options cannot be used, with all faults
 */
export function balancer(options: BalancerOptions): BalancerHandler {
  const resolved = resolveOptions(options)
  const pool = new Pool(resolved)
  const affinity = resolved.affinity === undefined ? undefined : new Affinity(resolved.affinity, pool)
  const live = resolved.source && new LiveTargets(resolved.source, resolved, pool)
  let isStarted = false

  function balancerHandler(req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void): void {
    const exchange = exchangeOf(req, res)
    const binding = affinity === undefined ? undefined : new Binding(affinity, exchange)
    exchange.selection = new BalancerSelection(pool, exchange, binding)
    if (!isStarted) start()
    if (live?.isAwaited === true) live.hold(exchange, next)
    else next()
  }

  function start(): void {
    isStarted = true
    pool.start()
  }

  const handles: Omit<BalancerHandler, 'targets'> = {
    // Async, so that a wrong id rejects as everything else about a drain does.
    drain: async (id, { timeoutMs } = {}) => {
      if (timeoutMs !== undefined) assertWithin('timeoutMs', timeoutMs, MAX_TIMER_MS)
      return pool.drain(id, timeoutMs)
    },
    undrain: (id) => pool.undrain(id),
    setWeight: (id, weight) => {
      assertWithin('weight', weight, 1_000_000)
      pool.setWeight(id, weight)
    },
    replace: (targets) => {
      if (live === undefined) pool.replace(resolveReplacement(targets))
      else live.replace(targets)
    },
    start,
    check: async (id) => pool.check(id),
    close: () => {
      live?.close()
      pool.close()
    },
  }
  Object.defineProperty(balancerHandler, 'targets', { get: () => pool.views, enumerable: true })
  return Object.assign(balancerHandler, handles) as BalancerHandler
}

function assertWithin(what: string, value: number, most: number): void {
  if (!(typeof value === 'number' && value >= 0 && value <= most)) {
    throw new RangeError(`balancer(): ${what} must be a number from 0 to ${most}, got ${String(value)}`)
  }
}

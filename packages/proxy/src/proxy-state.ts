import type { Lease, Selection, Target } from '@postern/contracts'
import { Mirror } from './mirror/mirror.ts'
import type { ResolvedProxyOptions } from './options.ts'
import type { RequestPlan } from './plan-request.ts'
import { RetryBudget } from './retry/budget.ts'
import { Latencies } from './retry/latencies.ts'
import { isRepeatable } from './retry/policy.ts'
import { TargetPools } from './target-pool.ts'
import { undiciTransport } from './transport/undici.ts'
import { Tunnels } from './tunnel.ts'

/** What the exchanges of one proxy share. */
export class ProxyState {
  readonly options: ResolvedProxyOptions
  readonly pools: TargetPools
  readonly tunnels = new Tunnels()
  /** The selection of one that a proxy with a target has; undefined: the exchange's is used. */
  readonly ownSelection: Selection | undefined
  readonly mirror: Mirror | undefined
  /** For retries and hedges together. */
  readonly budget: RetryBudget
  /** Times to the latest heads; only where the delay of a hedge is measured. */
  readonly latencies: Latencies | undefined
  /** Further attempts that were made. */
  readonly counts = { retry: 0, hedge: 0 }
  /** Exchanges under way, tunnels included. */
  active = 0
  closing = false
  /** The grace is over: nothing is sent any more, for exchanges that were under way either. */
  closed = false
  #idle: (() => void) | undefined = undefined

  constructor(options: ResolvedProxyOptions) {
    this.options = options
    this.ownSelection = options.target === undefined ? undefined : new SelectionOfOne(options.target)
    this.budget = new RetryBudget(options.retryBudget)
    this.latencies = options.hedging?.delayMs === 0 ? new Latencies() : undefined
    const settings = {
      maxConnections: options.connections.max,
      connectMs: options.timeouts.connectMs,
      keepAliveMs: options.connections.keepAliveMs,
      maxResponseHeaderBytes: options.maxResponseHeaderBytes,
      http2: options.allowH2,
    }
    this.pools = new TargetPools(options.transport, settings, options.connections.maxQueued)
    // Over the default transport: handlers and credentials of another one are for the target alone.
    this.mirror = options.mirror === undefined ? undefined : new Mirror(options.mirror, undiciTransport(), settings)
  }

  /** How much of a request's body is kept for another try: nothing, unless there may be one. */
  replayBytes(message: RequestPlan): number {
    const { retries } = this.options
    if (retries === undefined || message.upgrade !== undefined) return 0
    if ((message.contentLength ?? 0) > retries.maxReplayBytes) return 0
    return isRepeatable(message.method, message.headers, retries) ? retries.maxReplayBytes : 0
  }

  enter(): void {
    this.active++
  }

  leave(): void {
    this.active--
    if (this.active === 0) this.#idle?.()
  }

  /** Resolves when nothing is under way any more, or when the time is over. */
  async whenIdle(timeoutMs: number): Promise<void> {
    if (this.active === 0) return
    await new Promise<void>((resolve) => {
      // More than a timer can hold counts as for ever.
      const timer = setTimeout(resolve, Math.min(timeoutMs, 2 ** 31 - 1))
      this.#idle = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    this.#idle = undefined
  }
}

/** Always the same target; learns nothing, so that one lease serves all. */
class SelectionOfOne implements Selection, Lease {
  readonly target: Target
  readonly size = 1

  constructor(target: Target) {
    this.target = target
  }

  acquire(accept?: (target: Target) => boolean) {
    return accept === undefined || accept(this.target) ? this : REFUSED
  }

  settle(): void {}
}

const REFUSED = Object.freeze({ reason: 'no_targets' as const })

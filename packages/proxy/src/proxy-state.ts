import type { Lease, Selection, Target } from '@postern/contracts'
import type { ResolvedProxyOptions } from './options.ts'
import { TargetPools } from './target-pool.ts'
import { Tunnels } from './tunnel.ts'

/** What the exchanges of one proxy share. */
export class ProxyState {
  readonly options: ResolvedProxyOptions
  readonly pools: TargetPools
  readonly tunnels = new Tunnels()
  /** The selection of one that a proxy with a target has; undefined: the exchange's is used. */
  readonly ownSelection: Selection | undefined
  /** Exchanges under way, tunnels included. */
  active = 0
  closing = false
  /** The grace is over: nothing is sent any more, for exchanges that were under way either. */
  closed = false
  #idle: (() => void) | undefined = undefined

  constructor(options: ResolvedProxyOptions) {
    this.options = options
    this.ownSelection = options.target === undefined ? undefined : new SelectionOfOne(options.target)
    this.pools = new TargetPools(
      options.transport,
      {
        maxConnections: options.connections.max,
        connectMs: options.timeouts.connectMs,
        keepAliveMs: options.connections.keepAliveMs,
        maxResponseHeaderBytes: options.maxResponseHeaderBytes,
        http2: options.allowH2,
      },
      options.connections.maxQueued,
    )
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

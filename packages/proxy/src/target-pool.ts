import type { Target } from '@postern/contracts'
import type { ConnectionSettings, Transport, Upstream } from './transport/transport.ts'

/** Whoever waits for a place among a target's connections. */
export interface Waiter {
  /** A place has become free and is the waiter's now. */
  onPlace(): void
}

/** The connections to one target, with a bound on requests in flight and a bounded queue before it. */
export class TargetPool {
  readonly upstream: Upstream
  inFlight = 0
  /** True once its connections were cut by us. */
  destroyed = false
  /** When a request last entered or left, in monotonic milliseconds. */
  usedAtMs = performance.now()
  readonly #max: number
  readonly #maxQueued: number
  /** In order of arrival; a set, so that one who gives up leaves in constant time. */
  readonly #waiting = new Set<Waiter>()
  #admitting = false

  constructor(upstream: Upstream, max: number, maxQueued: number) {
    this.upstream = upstream
    this.#max = max
    this.#maxQueued = maxQueued
  }

  get queued(): number {
    return this.#waiting.size
  }

  /** Takes a place, or a place in the queue, or neither. */
  enter(waiter: Waiter): 'entered' | 'queued' | 'full' {
    if (this.inFlight < this.#max) {
      this.inFlight++
      return 'entered'
    }
    if (this.#waiting.size >= this.#maxQueued) return 'full'
    this.#waiting.add(waiter)
    return 'queued'
  }

  /** Leaves the queue without having had a place. */
  giveUp(waiter: Waiter): void {
    this.#waiting.delete(waiter)
  }

  /** Gives a place back; the longest waiting one has it at once. */
  leave(): void {
    this.inFlight--
    if (!this.#admitting) this.#admit()
    if (this.inFlight === 0) this.usedAtMs = performance.now()
  }

  /** A waiter that fails at once gives its place back from within: the loop goes on then, instead of one inside it. */
  #admit(): void {
    this.#admitting = true
    try {
      for (const waiter of this.#waiting) {
        if (this.inFlight >= this.#max) break
        this.#waiting.delete(waiter)
        this.inFlight++
        waiter.onPlace()
      }
    } finally {
      this.#admitting = false
    }
  }
}

/** How long the pool of a target that nobody asks for is kept, in milliseconds. */
const UNUSED_MS = 60_000

/** One pool a target, made on first use. Targets that have gone from the configuration take their pools with them. */
export class TargetPools {
  readonly #transport: Transport
  readonly #settings: ConnectionSettings
  readonly #maxQueued: number
  readonly #pools = new Map<Target, TargetPool>()
  #sweptAtMs = performance.now()

  constructor(transport: Transport, settings: ConnectionSettings, maxQueued: number) {
    this.#transport = transport
    this.#settings = settings
    this.#maxQueued = maxQueued
  }

  of(target: Target): TargetPool {
    const known = this.#pools.get(target)
    if (known !== undefined) return known
    this.#sweep()
    const upstream = this.#transport.connect(target, this.#settings)
    const pool = new TargetPool(upstream, this.#settings.maxConnections, this.#maxQueued)
    this.#pools.set(target, pool)
    return pool
  }

  /** For handles: what is open at this moment. */
  list(): { readonly target: Target; readonly inFlight: number; readonly queued: number }[] {
    return [...this.#pools].map(([target, { inFlight, queued }]) => ({ target, inFlight, queued }))
  }

  /** Ends all connections, gently or at once. */
  async close(how: 'close' | 'destroy'): Promise<void> {
    const pools = [...this.#pools.values()]
    if (how === 'destroy') for (const pool of pools) pool.destroyed = true
    await Promise.all(pools.map((pool) => pool.upstream[how]()))
  }

  /** Runs when a pool is made, so that no timer is needed: pools go stale only where targets change. */
  #sweep(): void {
    const now = performance.now()
    if (now - this.#sweptAtMs < UNUSED_MS) return
    this.#sweptAtMs = now
    for (const [target, pool] of this.#pools) {
      if (pool.inFlight > 0 || now - pool.usedAtMs < UNUSED_MS) continue
      this.#pools.delete(target)
      void pool.upstream.close()
    }
  }
}

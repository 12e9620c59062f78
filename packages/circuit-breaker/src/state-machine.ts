import { EventEmitter } from 'node:events'
import type { Clock } from '@postern/contracts'
import Opossum from 'opossum'
import type { CircuitCounts } from './channels.ts'

/** The window is as old as it should be but for one part in so many. */
const BUCKETS = 10

/** What we use of opossum's rolling statistics; its published types lack the writing side. */
interface RollingStatus {
  increment(property: 'fires' | 'failures' | 'timeouts' | 'rejects'): void
  /** Newest first. The list is a copy, the buckets are not. */
  readonly window: readonly Bucket[]
}

interface Bucket {
  readonly fires: number
  readonly failures: number
  readonly timeouts: number
  readonly rejects: number
  /** Ours: opossum has no word for it. */
  ignored?: number
}

/**
 * An opossum circuit, used for what it is: the state (closed, open, half-open after a time) and the rolling counts.
 *
 * Its `fire()` stays unused: a promise a request, a state of its own about probes, and an abort signal that all calls
 * share. So does its own rule for opening, which knows neither failures in a row nor a time that grows. Its window turns
 * with our clock, when somebody looks, and needs no interval.
 */
export class StateMachine {
  readonly #options: Opossum.Options
  readonly #opossum: Opossum
  readonly #status: RollingStatus
  readonly #controller = new EventEmitter()
  readonly #clock: Clock
  readonly #bucketMs: number
  #turnAtMs: number

  /** @param onHalfOpen told when the time is over that the circuit was to be open */
  constructor(name: string, windowMs: number, clock: Clock, onHalfOpen: () => void) {
    this.#clock = clock
    this.#bucketMs = windowMs / BUCKETS
    this.#turnAtMs = clock.now() + this.#bucketMs
    this.#options = {
      name,
      timeout: false,
      rollingCountTimeout: windowMs,
      rollingCountBuckets: BUCKETS,
      rollingPercentilesEnabled: false,
      enableSnapshots: false,
      rotateBucketController: this.#controller,
    }
    this.#opossum = new Opossum(neverFired, this.#options)
    this.#status = this.#opossum.status as unknown as RollingStatus
    this.#opossum.on('halfOpen', onHalfOpen)
  }

  get closed(): boolean {
    return this.#opossum.closed
  }

  get halfOpen(): boolean {
    return this.#opossum.halfOpen
  }

  /** Opens, and half-opens by itself after that time. The timer keeps no process alive. */
  open(forMs: number): void {
    // Opossum reads it whenever it opens.
    this.#options.resetTimeout = forMs
    this.#opossum.open()
  }

  /** Half-opens now. Opossum does that by its timer alone, so it gets one that is as good as over. */
  hasten(): void {
    this.#opossum.close()
    this.open(1)
  }

  /** Closes, and forgets what was counted. */
  close(): void {
    this.#opossum.close()
    for (let i = 0; i < BUCKETS; i++) this.#controller.emit('rotate')
  }

  shutdown(): void {
    this.#opossum.shutdown()
  }

  // `fires` are all calls that count and `failures` those that failed: opossum keeps a latency for each of its
  // `successes`, which nobody here asks for.
  countSuccess(): void {
    this.#turn()
    this.#status.increment('fires')
  }

  countFailure(slow: boolean): void {
    this.#turn()
    this.#status.increment('fires')
    this.#status.increment('failures')
    if (slow) this.#status.increment('timeouts')
  }

  countRejected(): void {
    this.#turn()
    this.#status.increment('rejects')
  }

  countIgnored(): void {
    this.#turn()
    const [newest] = this.#status.window
    if (newest !== undefined) newest.ignored = (newest.ignored ?? 0) + 1
  }

  get counts(): CircuitCounts {
    this.#turn()
    let [fires, failures, slow, rejected, ignored] = [0, 0, 0, 0, 0]
    for (const bucket of this.#status.window) {
      fires += bucket.fires
      failures += bucket.failures
      slow += bucket.timeouts
      rejected += bucket.rejects
      ignored += bucket.ignored ?? 0
    }
    return { successes: fires - failures, failures, slow, rejected, ignored }
  }

  /** Moves the window on to now. */
  #turn(): void {
    const now = this.#clock.now()
    if (now < this.#turnAtMs) return
    const turns = Math.floor((now - this.#turnAtMs) / this.#bucketMs) + 1
    this.#turnAtMs += turns * this.#bucketMs
    for (let i = Math.min(turns, BUCKETS); i > 0; i--) this.#controller.emit('rotate')
  }
}

function neverFired(): Promise<void> {
  return Promise.resolve()
}

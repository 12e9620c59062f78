import type { ConcurrencyLimit } from './concurrency-limit.ts'
import { type Queued, WaitQueue } from './wait-queue.ts'

/**
 * Why an exchange was refused: `full` (no place and no room in the queue), `timeout` (waited as long as it may),
 * `deadline` (its own deadline ran out while it waited), `closed` (the bulkhead was closed while it waited, or before
 * it could wait).
 */
export type RefusalReason = 'full' | 'timeout' | 'deadline' | 'closed'

/** An exchange in the queue. Told exactly one of the two, unless it leaves before. */
export interface Waiter extends Queued<Waiter> {
  /** When the wait must end, in monotonic milliseconds. */
  expiresAtMs: number
  /** A place is its own now, until {@link Limiter.release}. */
  onGranted(): void
  onRefused(reason: 'timeout' | 'closed'): void
}

/** Where every exchange that came has ended, or is waiting still. */
export interface BulkheadStats {
  /** Were let through, at once or from the queue. */
  readonly admitted: number
  /** Were refused at once, since the queue was full, or because the bulkhead was closed. */
  readonly rejected: number
  /** Were refused when their time in the queue, or their deadline, was over. */
  readonly timedOut: number
  /** Left the queue by themselves: the client is gone. */
  readonly left: number
}

/**
 * So many at once, a bounded queue in front, and nothing else: knows no HTTP and no timers. Times are monotonic
 * milliseconds and never run backwards.
 */
export class Limiter {
  readonly #limit: ConcurrencyLimit
  readonly #maxQueued: number | undefined
  readonly #queue = new WaitQueue<Waiter>()
  #inFlight = 0
  #closed = false
  #admitted = 0
  #rejected = 0
  #timedOut = 0
  #left = 0

  /** @param maxQueued undefined: by the limit, as it is from time to time */
  constructor(limit: ConcurrencyLimit, maxQueued: number | undefined) {
    this.#limit = limit
    this.#maxQueued = maxQueued
  }

  get limit(): number {
    return this.#limit.limit
  }
  get inFlight(): number {
    return this.#inFlight
  }
  get queued(): number {
    return this.#queue.length
  }
  get closed(): boolean {
    return this.#closed
  }
  get stats(): BulkheadStats {
    return { admitted: this.#admitted, rejected: this.#rejected, timedOut: this.#timedOut, left: this.#left }
  }
  /** When the first in the queue has waited long enough; undefined while nobody waits. */
  get nextExpiryMs(): number | undefined {
    return this.#queue.head?.expiresAtMs
  }

  /** Takes a place if one is free and nobody waits for it. */
  tryEnter(nowMs: number): boolean {
    if (this.#isBlocked()) {
      this.#limit.onBlocked(nowMs)
      this.#grant(nowMs)
      if (this.#isBlocked()) return false
    }
    this.#take(nowMs)
    return true
  }

  /**
   * Stands in line, if there is room.
   *
   * @returns why not; undefined: it waits
   */
  wait(waiter: Waiter, nowMs: number): 'full' | 'timeout' | 'closed' | undefined {
    if (this.#closed || this.#queue.length >= this.#queueLimit()) {
      this.#rejected++
      return this.#closed ? 'closed' : 'full'
    }
    if (waiter.expiresAtMs <= nowMs) {
      this.#timedOut++
      return 'timeout'
    }
    this.#queue.push(waiter)
    return undefined
  }

  /** Gives a place back. Once for each that was taken. */
  release(nowMs: number): void {
    this.#inFlight--
    this.#grant(nowMs)
  }

  /** Reports how long the answer took to begin for one that holds a place. Before its place is given back. */
  answered(latencyMs: number, startedAtMs: number, nowMs: number): void {
    this.#limit.onAnswered(latencyMs, startedAtMs, nowMs)
  }

  /** Goes out of the line, since its client is gone or never came. */
  leave(waiter: Waiter): void {
    if (this.#queue.remove(waiter)) this.#left++
  }

  /** Counts one whose client was gone before it could stand in line. */
  skip(): void {
    this.#left++
  }

  /** Ends the wait of one whose own deadline comes before that of those in front. */
  expireOne(waiter: Waiter): void {
    if (this.#queue.remove(waiter)) this.#expired(waiter)
  }

  /** Ends the wait of everyone at the front who has waited long enough. */
  expire(nowMs: number): void {
    for (let head = this.#queue.head; head !== undefined && head.expiresAtMs <= nowMs; head = this.#queue.head) {
      this.#queue.remove(head)
      this.#expired(head)
    }
  }

  setLimit(limit: number, nowMs: number): void {
    this.#limit.set(limit, nowMs)
    this.#grant(nowMs)
  }

  /** Refuses everyone who waits, and whoever would have to wait from now on. */
  close(): void {
    this.#closed = true
    for (let head = this.#queue.shift(); head !== undefined; head = this.#queue.shift()) {
      this.#rejected++
      head.onRefused('closed')
    }
  }

  #isBlocked(): boolean {
    return this.#inFlight >= this.#limit.limit || this.#queue.length > 0
  }

  #grant(nowMs: number): void {
    while (this.#inFlight < this.#limit.limit) {
      const waiter = this.#queue.shift()
      if (waiter === undefined) return
      // Its timer is late: nobody may be there any more to take the answer.
      if (waiter.expiresAtMs <= nowMs) this.#expired(waiter)
      else {
        this.#take(nowMs)
        waiter.onGranted()
      }
    }
  }

  #take(nowMs: number): void {
    this.#inFlight++
    this.#admitted++
    this.#limit.onAdmitted(this.#inFlight, nowMs)
  }

  #expired(waiter: Waiter): void {
    this.#timedOut++
    waiter.onRefused('timeout')
  }

  #queueLimit(): number {
    return this.#maxQueued ?? Math.max(LEAST_QUEUE, this.#limit.settledLimit)
  }
}

/** Room in a queue whose length goes by the limit: a small limit shall not refuse every small burst. */
const LEAST_QUEUE = 16

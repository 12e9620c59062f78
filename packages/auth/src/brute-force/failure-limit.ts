import { hash } from 'node:crypto'
import type { Clock } from '@postern/contracts'
import { LRUCache } from 'lru-cache'
import type { ResolvedFailureLimit } from './options.ts'

export { addressKey } from './address-key.ts'

/** What is remembered of one caller. */
interface Failures {
  count: number
  /** Since when the next failure is on its way to be forgotten; monotonic. */
  sinceMs: number
  blockedUntilMs: number
}

/** Longer keys are hashed: what a client sends as its name must not be kept at its length. */
const LONGEST_KEY = 64

/**
 * Counts failures by key – an address, a user's name – and tells how long a caller has to wait. From a number of failures
 * on there is a delay, and each further failure doubles it. Remembers a bounded number of callers.
 */
export class FailureLimit {
  readonly #options: ResolvedFailureLimit
  readonly #clock: Clock
  /** One failure is forgotten each time that this is over. */
  readonly #forgetOneMs: number
  /** The count that brings the longest delay; not counted beyond, so that it is forgotten again in a known time. */
  readonly #most: number
  /** Made at the first failure: its tables are laid out for `maxEntries`, which is memory that many never need. */
  #callers: LRUCache<string, Failures> | undefined = undefined

  constructor(options: ResolvedFailureLimit, clock: Clock) {
    this.#options = options
    this.#clock = clock
    this.#forgetOneMs = options.forgetAfterMs / options.afterFailures
    this.#most = options.afterFailures + Math.ceil(Math.log2(options.maxDelayMs / options.delayMs))
  }

  /** How many callers are remembered. */
  get size(): number {
    return this.#callers?.size ?? 0
  }

  /** True while there is nothing to look up. */
  get isEmpty(): boolean {
    return this.size === 0
  }

  /** How long the caller still has to wait, in milliseconds; 0 for who may try. Who asks is the last to be forgotten. */
  blockedForMs(key: string): number {
    const known = this.#callers?.get(short(key))
    return known === undefined ? 0 : Math.max(0, known.blockedUntilMs - this.#clock.now())
  }

  /** Notes a failure. */
  failed(key: string): void {
    const { maxEntries, afterFailures, delayMs, maxDelayMs } = this.#options
    this.#callers ??= new LRUCache({ max: maxEntries })
    const name = short(key)
    const now = this.#clock.now()
    let caller = this.#callers.get(name)
    if (caller === undefined) {
      caller = { count: 0, sinceMs: now, blockedUntilMs: 0 }
      this.#callers.set(ownCopy(name), caller)
    } else this.#forget(caller, now)
    caller.count = Math.min(caller.count + 1, this.#most)
    if (caller.count < afterFailures) return
    // At most maxDelayMs from now: failures that were under way at once do not add their delays up.
    caller.blockedUntilMs = now + Math.min(maxDelayMs, delayMs * 2 ** (caller.count - afterFailures))
  }

  /**
   * Forgets a caller's failures, since he has shown good credentials. For names, not for addresses: who has one good
   * account could clear the address again and again while trying out others from it.
   */
  succeeded(key: string): void {
    this.#callers?.delete(short(key))
  }

  #forget(caller: Failures, now: number): void {
    const forgotten = Math.floor((now - caller.sinceMs) / this.#forgetOneMs)
    caller.count = Math.max(0, caller.count - forgotten)
    caller.sinceMs = caller.count === 0 ? now : caller.sinceMs + forgotten * this.#forgetOneMs
  }
}

function short(key: string): string {
  return key.length <= LONGEST_KEY ? key : `#${hash('sha256', key, 'base64url')}`
}

/** V8 keeps a slice of a text together with the whole of it: here, with the line of a header that it was cut from. */
function ownCopy(text: string): string {
  return Buffer.from(text, 'utf16le').toString('utf16le')
}

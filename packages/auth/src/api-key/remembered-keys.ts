import type { Clock } from '@postern/contracts'
import { LRUCache } from 'lru-cache'
import { LookUp } from '../credentials/look-up.ts'
import { type Answer, isNow, type NoAnswer } from '../credentials/timed-call.ts'
import type { Soon } from '../scheme.ts'
import type { ResolvedKeyLookup } from './options.ts'
import { type ApiKeyEntry, readLookedUp } from './record.ts'

/** What was looked up last is used for so long before a look-up that failed is tried again, in milliseconds. */
const AFTER_FAILURE_MS = 1_000

interface Hit {
  readonly entry: ApiKeyEntry
  freshUntilMs: number
  /** Until when it stands in for a look-up that fails. */
  readonly staleUntilMs: number
}

/**
 * Keys that are looked up, remembered for a while by their hash. Known and unknown ones have their own tables, both
 * bounded: a flood of made-up keys never makes it forget a good one.
 */
export class RememberedKeys {
  readonly #options: ResolvedKeyLookup
  readonly #clock: Clock
  readonly #hits: LRUCache<string, Hit>
  /** Until when each is not asked for again. */
  readonly #misses: LRUCache<string, number>
  readonly #lookUp: LookUp<ApiKeyEntry | undefined>

  constructor(scheme: string, options: ResolvedKeyLookup, clock: Clock) {
    this.#options = options
    this.#clock = clock
    this.#hits = new LRUCache({ max: options.maxEntries })
    this.#misses = new LRUCache({ max: options.maxEntries })
    this.#lookUp = new LookUp({
      provider: 'api-key-lookup',
      timeoutMs: options.timeoutMs,
      ask: options.lookup,
      read: (returned, hash) => readLookedUp(scheme, returned, hash, this.#hits.peek(hash)?.entry),
      onAnswer: (hash, answer) => this.#remember(hash, answer),
    })
  }

  /** What is known of a key without asking; undefined when that is nothing. */
  recall(hash: string): ApiKeyEntry | undefined {
    const hit = this.#hits.get(hash)
    return hit !== undefined && this.#clock.now() < hit.freshUntilMs ? hit.entry : undefined
  }

  /** The entry of a key, undefined when there is none, or that it cannot be told. */
  find(hash: string): Soon<ApiKeyEntry | undefined | NoAnswer> {
    const known = this.recall(hash)
    if (known !== undefined) return known
    const missUntilMs = this.#misses.get(hash)
    if (missUntilMs !== undefined && this.#clock.now() < missUntilMs) return undefined
    const answer = this.#lookUp.find(hash)
    return isNow(answer) ? this.#resultOf(hash, answer) : answer.then((later) => this.#resultOf(hash, later))
  }

  /** Forgets what is known of a key, so that the next request asks. */
  forget(hash: string): void {
    this.#hits.delete(hash)
    this.#misses.delete(hash)
    this.#lookUp.forget(hash)
  }

  clear(): void {
    this.#hits.clear()
    this.#misses.clear()
  }

  #remember(hash: string, answer: Answer<ApiKeyEntry | undefined>): void {
    if (answer.failed) return
    const { cacheMs, missCacheMs, maxStaleMs } = this.#options
    const nowMs = this.#clock.now()
    if (answer.value === undefined) {
      this.#hits.delete(hash)
      if (missCacheMs > 0) this.#misses.set(hash, nowMs + missCacheMs)
      return
    }
    this.#misses.delete(hash)
    const freshUntilMs = nowMs + cacheMs
    this.#hits.set(hash, { entry: answer.value, freshUntilMs, staleUntilMs: freshUntilMs + maxStaleMs })
  }

  #resultOf(hash: string, answer: Answer<ApiKeyEntry | undefined>): ApiKeyEntry | undefined | NoAnswer {
    if (!answer.failed) return answer.value
    const hit = this.#hits.get(hash)
    const nowMs = this.#clock.now()
    if (hit === undefined || nowMs >= hit.staleUntilMs) return answer
    hit.freshUntilMs = Math.min(nowMs + AFTER_FAILURE_MS, hit.staleUntilMs)
    return hit.entry
  }
}

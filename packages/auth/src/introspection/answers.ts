import { LRUCache } from 'lru-cache'
import type { Refused, Verified } from '../scheme.ts'

/** A token that was found good. */
export interface GoodAnswer {
  readonly verified: Verified
  /** True when the token is bound to a client certificate, which every request has to show (RFC 8705 §3). */
  readonly bound: boolean
  /** The token's own end, in milliseconds since the Unix epoch; Infinity when it has none. */
  readonly expiresAtMs: number
  /** Until when, in monotonic milliseconds, nobody need be asked. */
  untilMs: number
  /** Until when, in monotonic milliseconds, it may be used while the server is down. */
  readonly staleUntilMs: number
}

interface BadAnswer {
  readonly refused: Refused
  readonly untilMs: number
}

/** An answer of this length counts as one entry. */
const ENTRY_BYTES = 2_048

/**
 * What a server has said of tokens, by a hash of each: nothing that a thief of memory could show. Bounded in number and in
 * bytes. Good answers and others have a table each, so that a flood of made-up tokens drives no good one out.
 */
export class Answers {
  readonly #good: LRUCache<string, GoodAnswer>
  readonly #bad: LRUCache<string, BadAnswer>

  constructor(maxEntries: number) {
    this.#good = new LRUCache({ max: maxEntries, maxSize: maxEntries * ENTRY_BYTES })
    this.#bad = new LRUCache({ max: maxEntries })
  }

  /** How many good answers are remembered. */
  get size(): number {
    return this.#good.size
  }

  /** The answer about a token that is good, and need not be asked for again. */
  good(id: string, nowMs: number, wallMs: number): GoodAnswer | undefined {
    const answer = this.#good.get(id)
    return answer !== undefined && nowMs < answer.untilMs && wallMs < answer.expiresAtMs ? answer : undefined
  }

  /** The same for a token that is not. */
  bad(id: string, nowMs: number): Refused | undefined {
    const answer = this.#bad.get(id)
    return answer !== undefined && nowMs < answer.untilMs ? answer.refused : undefined
  }

  /** The last answer about a token where that was good, and may be used while nobody answers. */
  stale(id: string, nowMs: number, wallMs: number): GoodAnswer | undefined {
    const answer = this.#good.get(id)
    return answer !== undefined && nowMs < answer.staleUntilMs && wallMs < answer.expiresAtMs ? answer : undefined
  }

  /** Whether the token was good once, as far back as is remembered. */
  wasGood(id: string): boolean {
    return this.#good.has(id)
  }

  /** @param bytes length of the answer */
  rememberGood(id: string, answer: GoodAnswer, bytes: number): void {
    this.#bad.delete(id)
    this.#good.set(id, answer, { size: Math.max(bytes, ENTRY_BYTES) })
  }

  rememberBad(id: string, refused: Refused, untilMs: number): void {
    this.#good.delete(id)
    this.#bad.set(id, { refused, untilMs })
  }

  forget(id: string): void {
    this.#good.delete(id)
    this.#bad.delete(id)
  }

  clear(): void {
    this.#good.clear()
    this.#bad.clear()
  }
}

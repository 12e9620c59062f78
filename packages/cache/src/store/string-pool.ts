import { flatCopy, stringBytes } from './flat-string.ts'
import type { Ledger } from './ledger.ts'
import { POOLED_BYTES } from './memory-costs.ts'
import { textHash } from './text-hash.ts'

const MOST_STRINGS = 4_096
const LONGEST = 1_024
const SIGHTINGS = 2_048

interface PooledString {
  readonly text: string
  holders: number
}

/**
 * Keeps one copy of the strings that many heads have in common: names, media types, policies. It counts who holds each,
 * so that it costs what is in use and nothing more. A string comes in when it is seen for the second time, so that those
 * that differ from response to response do not fill it.
 */
export class StringPool {
  readonly #ledger: Ledger
  readonly #strings = new Map<string, PooledString>()
  // Hashes of what was seen lately, each at the place that it leads to. Two strings that meet here do no harm.
  readonly #sightings = new Uint32Array(SIGHTINGS)

  constructor(ledger: Ledger) {
    this.#ledger = ledger
  }

  /**
   * The copy that is shared, to be given back with {@link release}; undefined: the caller keeps one of its own.
   */
  acquire(text: string): string | undefined {
    const pooled = this.#strings.get(text)
    if (pooled !== undefined) {
      pooled.holders++
      return pooled.text
    }
    if (text.length === 0 || text.length > LONGEST || this.#strings.size >= MOST_STRINGS) return undefined
    const hash = textHash(text, 0)
    const place = hash % SIGHTINGS
    if (this.#sightings[place] !== hash) {
      this.#sightings[place] = hash
      return undefined
    }
    const own = flatCopy(text)
    this.#strings.set(own, { text: own, holders: 1 })
    this.#ledger.bytes += POOLED_BYTES + stringBytes(own)
    return own
  }

  /** Gives back one hold on a string that {@link acquire} gave out. */
  release(text: string): void {
    const pooled = this.#strings.get(text)
    if (pooled === undefined || --pooled.holders > 0) return
    this.#strings.delete(text)
    this.#ledger.bytes -= POOLED_BYTES + stringBytes(text)
  }
}

import { flatCopy, stringBytes } from '../flat-string.ts'
import { TAG_MEMBER_BYTES, TAG_PLACE_BYTES, TAG_SET_BYTES } from '../memory-costs.ts'
import type { Ledger } from './ledger.ts'

/** The most that a response's tags can add to the account. */
export function mostTagBytes(tags: readonly string[]): number {
  let bytes = 0
  for (const tag of tags) bytes += TAG_PLACE_BYTES + stringBytes(tag) + TAG_SET_BYTES + 2 * TAG_MEMBER_BYTES
  return bytes
}

/** Where the responses of a shard are that carry a tag. */
export class TagIndex {
  readonly #ledger: Ledger
  // Many tags name one thing, and one response has them: that takes no set.
  readonly #locations = new Map<string, number | Set<number>>()

  constructor(ledger: Ledger) {
    this.#ledger = ledger
  }

  add(tags: readonly string[], location: number): void {
    for (const tag of tags) {
      const known = this.#locations.get(tag)
      if (known === undefined) {
        const own = flatCopy(tag)
        this.#locations.set(own, location)
        this.#ledger.bytes += TAG_PLACE_BYTES + stringBytes(own)
      } else if (typeof known !== 'number') {
        if (known.has(location)) continue
        known.add(location)
        this.#ledger.bytes += TAG_MEMBER_BYTES
      } else if (known !== location) {
        this.#locations.set(tag, new Set([known, location]))
        this.#ledger.bytes += TAG_SET_BYTES + 2 * TAG_MEMBER_BYTES
      }
    }
  }

  remove(tags: readonly string[], location: number): void {
    for (const tag of tags) {
      const known = this.#locations.get(tag)
      if (known === undefined) continue
      if (typeof known !== 'number') {
        if (!known.delete(location)) continue
        this.#ledger.bytes -= TAG_MEMBER_BYTES
        if (known.size > 0) continue
        this.#ledger.bytes -= TAG_SET_BYTES
      } else if (known !== location) {
        continue
      }
      this.#locations.delete(tag)
      this.#ledger.bytes -= TAG_PLACE_BYTES + stringBytes(tag)
    }
  }

  /** A list of its own. */
  locations(tag: string): readonly number[] {
    const known = this.#locations.get(tag)
    if (known === undefined) return []
    return typeof known === 'number' ? [known] : [...known]
  }

  /** How many responses carry a tag. */
  count(tag: string): number {
    const known = this.#locations.get(tag)
    return typeof known === 'object' ? known.size : known === undefined ? 0 : 1
  }

  /** Number of tags that somebody carries. */
  get size(): number {
    return this.#locations.size
  }
}

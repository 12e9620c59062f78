import { flatCopy } from './flat-string.ts'
import { KeyEntry } from './key-entry.ts'
import type { Ledger } from './ledger.ts'
import { Shard } from './shard.ts'
import { textHash } from './text-hash.ts'

// A table of a million places takes longer than 50 ms to grow, one of 16,384 about one. What a key takes at the least
// says how many there can be.
const SHARD_ENTRIES = 16_384
const LEAST_ENTRY_BYTES = 1_024
const MOST_SHARDS = 1_024

/**
 * The keys of a store, the least recently used of them known, in as many tables as it takes for none to become so large
 * that its growth would hold up the event loop.
 */
export class KeyTable {
  readonly shards: readonly Shard[]
  readonly #mask: number
  readonly #seed = Math.floor(Math.random() * 2 ** 32)
  // A count of writes, so that of uses between two of them none is the earlier. It wraps: what counts is how long ago a
  // use was, and nothing that was not used for 2^32 writes is still there to be asked. As a small integer it lies in the
  // entry itself; a larger number would be an object of its own, and one more miss of the processor's cache for each lookup.
  #tick = 0

  constructor(maxBytes: number, ledger: Ledger) {
    const wanted = maxBytes / LEAST_ENTRY_BYTES / SHARD_ENTRIES
    let count = 1
    while (count < wanted && count < MOST_SHARDS) count *= 2
    this.shards = Array.from({ length: count }, () => new Shard(ledger))
    this.#mask = count - 1
  }

  /** What is used from now on was used after all that was used before. */
  advance(): void {
    this.#tick = (this.#tick + 1) | 0
  }

  /** Counts as a use of the key. */
  get(key: string): KeyEntry | undefined {
    const entry = this.#shardOf(key).get(key)
    if (entry !== undefined) entry.lastUse = this.#tick
    return entry
  }

  peek(key: string): KeyEntry | undefined {
    return this.#shardOf(key).peek(key)
  }

  /** An entry for a key that has none, counted as a use of it. */
  create(key: string): KeyEntry {
    const shard = this.#shardOf(key)
    const entry = new KeyEntry(flatCopy(key), shard, this.#tick)
    shard.add(entry)
    return entry
  }

  delete(entry: KeyEntry): void {
    entry.shard.delete(entry)
  }

  /** The least recently used key of all; undefined when there is none. */
  oldest(): KeyEntry | undefined {
    for (;;) {
      let shard: Shard | undefined
      let ticksAgo = -1
      for (const other of this.shards) {
        if (other.size > 0 && this.#ticksSince(other.oldestUse) > ticksAgo) {
          shard = other
          ticksAgo = this.#ticksSince(other.oldestUse)
        }
      }
      if (shard === undefined) return undefined
      const entry = shard.oldest()
      if (entry !== undefined && this.#ticksSince(entry.lastUse) === ticksAgo) return entry
    }
  }

  #ticksSince(use: number): number {
    return (this.#tick - use) >>> 0
  }

  #shardOf(key: string): Shard {
    return this.#mask === 0 ? this.shards[0]! : this.shards[textHash(key, this.#seed) & this.#mask]!
  }
}

import { LRUCache } from 'lru-cache'
import type { KeyEntry } from './key-entry.ts'
import type { Ledger } from './ledger.ts'
import { TagIndex } from './tag-index.ts'

/** A part of the keys, with the tags of their responses. */
export class Shard {
  readonly tags: TagIndex
  /**
   * No key of the shard was last used before this tick. A bound: it lags behind when the least recently used key is used
   * or taken away, which only makes it lower than it could be.
   */
  oldestUse = 0
  // Room is kept by the store, over all shards; a bound on the number only satisfies lru-cache, which wants one.
  readonly #entries = new LRUCache<string, KeyEntry>({ maxSize: Number.MAX_SAFE_INTEGER, sizeCalculation: () => 1 })

  constructor(ledger: Ledger) {
    this.tags = new TagIndex(ledger)
  }

  get size(): number {
    return this.#entries.size
  }

  /** Counts as a use for the order of the shard. */
  get(key: string): KeyEntry | undefined {
    return this.#entries.get(key)
  }

  peek(key: string): KeyEntry | undefined {
    return this.#entries.peek(key)
  }

  add(entry: KeyEntry): void {
    if (this.#entries.size === 0) this.oldestUse = entry.lastUse
    this.#entries.set(entry.key, entry)
  }

  delete(entry: KeyEntry): void {
    this.#entries.delete(entry.key)
  }

  /** The least recently used; brings {@link oldestUse} up to date. */
  oldest(): KeyEntry | undefined {
    const [entry] = this.#entries.rvalues()
    if (entry !== undefined) this.oldestUse = entry.lastUse
    return entry
  }

  /** What is there now, as a list of its own: entries may come and go while it is walked. */
  entries(): readonly KeyEntry[] {
    return [...this.#entries.values()]
  }
}

import type { Arena } from './arena.ts'
import { IndexShard, shardCount } from './key-index.ts'
import type { Ledger } from './ledger.ts'
import { isText, KEY_TEXT, NEXT, PREVIOUS } from './record.ts'

// With a good hash and a secret seed two keys of one hash are rare, and three never seen. Who finds out how to make
// more of them must not make every lookup slow.
const MOST_OF_ONE_HASH = 8

/** The responses behind each key, newest first: the index leads to the first record, and each record to the next. */
export class KeyChains {
  readonly shards: readonly IndexShard[]
  readonly #arena: Arena

  constructor(arena: Arena, maxBytes: number, ledger: Ledger) {
    this.#arena = arena
    this.shards = Array.from({ length: shardCount(maxBytes) }, () => new IndexShard(ledger))
  }

  shardOf(hash: number): number {
    return hash & (this.shards.length - 1)
  }

  /** Location of the newest response behind a key; 0: none. */
  newest(key: string, hash: number): number {
    const shard = this.#shard(hash)
    for (let slot = shard.first(hash); slot >= 0; slot = shard.next(slot, hash)) {
      const location = shard.location(slot)
      const segment = this.#arena.segmentAt(location)
      if (isText(segment, this.#arena.offsetAt(location), KEY_TEXT, key)) return location
    }
    return 0
  }

  /** The newest response of each key that has this hash. */
  newestOf(hash: number): number[] {
    const shard = this.#shard(hash)
    const locations: number[] = []
    for (let slot = shard.first(hash); slot >= 0; slot = shard.next(slot, hash)) locations.push(shard.location(slot))
    return locations
  }

  /** The newest response of a key that must go before another key with this hash may come; 0: none must. */
  tooMany(hash: number): number {
    const shard = this.#shard(hash)
    const first = shard.first(hash)
    let count = 0
    for (let slot = first; slot >= 0; slot = shard.next(slot, hash)) count++
    return count < MOST_OF_ONE_HASH ? 0 : shard.location(first)
  }

  next(location: number): number {
    return this.#arena.word(location, NEXT)
  }

  /** Memory that one more key takes in the index. */
  growthBytes(hash: number): number {
    return this.#shard(hash).growthBytes
  }

  /** Puts a record in front of those of its key. */
  add(key: string, hash: number, location: number): void {
    const newest = this.newest(key, hash)
    if (newest === 0) {
      this.#shard(hash).add(hash, location)
      return
    }
    this.#arena.setWord(location, NEXT, newest)
    this.#pointTo(hash, 0, newest, location)
    this.#arena.setWord(newest, PREVIOUS, location)
  }

  /** Puts a record in the place of another. */
  replace(hash: number, old: number, location: number): void {
    this.#arena.setWord(location, NEXT, this.#arena.word(old, NEXT))
    this.#arena.setWord(location, PREVIOUS, this.#arena.word(old, PREVIOUS))
    this.moved(hash, old, location)
  }

  /** Lets what led to a record lead to where it is now. */
  moved(hash: number, from: number, to: number): void {
    const next = this.#arena.word(to, NEXT)
    this.#pointTo(hash, this.#arena.word(to, PREVIOUS), from, to)
    if (next !== 0) this.#arena.setWord(next, PREVIOUS, to)
  }

  remove(hash: number, location: number): void {
    const next = this.#arena.word(location, NEXT)
    const previous = this.#arena.word(location, PREVIOUS)
    this.#pointTo(hash, previous, location, next)
    if (next !== 0) this.#arena.setWord(next, PREVIOUS, previous)
  }

  #pointTo(hash: number, previous: number, from: number, to: number): void {
    if (previous !== 0) {
      this.#arena.setWord(previous, NEXT, to)
      return
    }
    const shard = this.#shard(hash)
    let slot = shard.first(hash)
    while (shard.location(slot) !== from) slot = shard.next(slot, hash)
    if (to === 0) shard.remove(slot)
    else shard.setLocation(slot, to)
  }

  #shard(hash: number): IndexShard {
    return this.shards[hash & (this.shards.length - 1)]!
  }
}

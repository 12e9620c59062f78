import type { Ledger } from './ledger.ts'

// A shard of 16,384 keys grows in well under a millisecond. What a key takes at the least says how many there can be.
const SHARD_KEYS = 16_384
const LEAST_KEY_BYTES = 1_024
const MOST_SHARDS = 1_024
const FIRST_SLOTS = 8
const SLOT_BYTES = 8
// The low bits of a hash choose the shard.
const SHARD_BITS = 10

const NO_SLOTS = new Uint32Array(0)

/** How many parts the tables of a store have, so that none becomes so large that its growth would hold up the event loop. */
export function shardCount(maxBytes: number): number {
  let count = 1
  while (count < maxBytes / LEAST_KEY_BYTES / SHARD_KEYS && count < MOST_SHARDS) count *= 2
  return count
}

/**
 * Part of a table from hashes to locations, with open addressing: two words a slot, the location 0 for an empty one. Of
 * two keys with one hash each has a slot; who asks looks at the records to tell them apart.
 */
export class IndexShard {
  readonly #ledger: Ledger
  #slots = NO_SLOTS
  #mask = 0
  #count = 0

  constructor(ledger: Ledger) {
    this.#ledger = ledger
  }

  get size(): number {
    return this.#count
  }

  /** The first slot with a hash; -1: none. It holds until the next change. */
  first(hash: number): number {
    return this.#count === 0 ? -1 : this.#from(this.#home(hash), hash)
  }

  /** The slot with the same hash behind one. */
  next(slot: number, hash: number): number {
    return this.#from((slot + 1) & this.#mask, hash)
  }

  location(slot: number): number {
    return this.#slots[slot * 2 + 1]!
  }

  setLocation(slot: number, location: number): void {
    this.#slots[slot * 2 + 1] = location
  }

  /** Memory that the next {@link add} takes. */
  get growthBytes(): number {
    const { length } = this.#slots
    if (length === 0) return FIRST_SLOTS * SLOT_BYTES
    return (this.#count + 1) * 8 > length * 3 ? length * 4 : 0
  }

  add(hash: number, location: number): void {
    if (this.growthBytes > 0) this.#grow()
    this.#insert(hash, location)
    this.#count++
  }

  remove(slot: number): void {
    const slots = this.#slots
    let hole = slot
    // What stands behind the hole moves up, unless that would bring it before the place where it is looked for.
    for (let probe = (slot + 1) & this.#mask; slots[probe * 2 + 1] !== 0; probe = (probe + 1) & this.#mask) {
      const home = this.#home(slots[probe * 2]!)
      if (((probe - home) & this.#mask) < ((probe - hole) & this.#mask)) continue
      slots[hole * 2] = slots[probe * 2]!
      slots[hole * 2 + 1] = slots[probe * 2 + 1]!
      hole = probe
    }
    slots[hole * 2 + 1] = 0
    this.#count--
  }

  /** The hashes of all keys, each once: a list that stays as it is. */
  hashes(): Uint32Array {
    const hashes = new Uint32Array(this.#count)
    let count = 0
    for (let at = 0; at < this.#slots.length; at += 2) {
      if (this.#slots[at + 1] !== 0) hashes[count++] = this.#slots[at]!
    }
    return uniqueHashes(hashes)
  }

  #home(hash: number): number {
    return (hash >>> SHARD_BITS) & this.#mask
  }

  #from(start: number, hash: number): number {
    const slots = this.#slots
    for (let slot = start; slots[slot * 2 + 1] !== 0; slot = (slot + 1) & this.#mask) {
      if (slots[slot * 2] === hash) return slot
    }
    return -1
  }

  #insert(hash: number, location: number): void {
    const slots = this.#slots
    let slot = this.#home(hash)
    while (slots[slot * 2 + 1] !== 0) slot = (slot + 1) & this.#mask
    slots[slot * 2] = hash
    slots[slot * 2 + 1] = location
  }

  #grow(): void {
    const old = this.#slots
    this.#slots = new Uint32Array(Math.max(FIRST_SLOTS * 2, old.length * 2))
    this.#mask = this.#slots.length / 2 - 1
    const grownBytes = this.#slots.byteLength - old.byteLength
    this.#ledger.bytes += grownBytes
    this.#ledger.indexBytes += grownBytes
    for (let at = 0; at < old.length; at += 2) if (old[at + 1] !== 0) this.#insert(old[at]!, old[at + 1]!)
  }
}

/** Sorts hashes and takes out those that are there twice. */
export function uniqueHashes(hashes: Uint32Array): Uint32Array {
  hashes.sort()
  let count = 0
  for (const [at, hash] of hashes.entries()) if (at === 0 || hash !== hashes[count - 1]) hashes[count++] = hash
  return hashes.subarray(0, count)
}

import type { StoredHead, StoredResponse } from '../../stored-response.ts'
import type { PurgeMode } from '../cache-store.ts'
import { contentBytes, keepContent } from '../content.ts'
import { DECODED_BYTES, DECODED_TEXT_BYTES } from '../memory-costs.ts'
import { textHash } from '../text-hash.ts'
import { Arena, type Segment } from './arena.ts'
import { type HotEntry, HotResponses } from './hot-responses.ts'
import { KeyChains } from './key-chains.ts'
import { uniqueHashes } from './key-index.ts'
import { LargeContents, largeContentBytes } from './large-contents.ts'
import { Ledger } from './ledger.ts'
import * as record from './record.ts'
import { RecordWriter } from './record-writer.ts'
import { type RecordOwner, Space } from './space.ts'
import { mostTagBytes, TagIndex } from './tag-index.ts'

export type Picks = (key: string, head: StoredHead) => boolean

const LONGEST_INLINE_BYTES = 65_536
const MOST_HOT_BYTES = 8 * 1_048_576
const NO_CONTENT: readonly Uint8Array[] = Object.freeze([])

/** What a store in memory holds, packed: nothing of a response is an object while nobody reads it. */
export class PackedResponses implements RecordOwner {
  readonly #ledger = new Ledger()
  readonly #maxVariants: number
  readonly #hash: (key: string) => number
  readonly #arena: Arena
  readonly #chains: KeyChains
  readonly #tags: readonly TagIndex[]
  readonly #large = new LargeContents(this.#ledger)
  readonly #writer = new RecordWriter()
  readonly #hot: HotResponses
  readonly #space: Space
  readonly #inlineBytes: number

  /** @param hash 0 to 2^32-1; for tests */
  constructor(maxBytes: number, maxVariants: number, hash?: (key: string) => number) {
    const seed = Math.floor(Math.random() * 2 ** 32)
    this.#hash = hash ?? ((key) => textHash(key, seed))
    this.#maxVariants = maxVariants
    this.#hot = new HotResponses(Math.min(MOST_HOT_BYTES, Math.floor(maxBytes / 16)), (entry) => this.#cooled(entry))
    this.#arena = new Arena(maxBytes, this.#ledger)
    this.#chains = new KeyChains(this.#arena, maxBytes, this.#ledger)
    this.#tags = this.#chains.shards.map(() => new TagIndex(this.#ledger))
    this.#space = new Space(this.#arena, this.#ledger, maxBytes - this.#hot.maxBytes, this)
    this.#inlineBytes = Math.min(LONGEST_INLINE_BYTES, this.#arena.segmentBytes / 4)
  }

  get stats() {
    const { bytes, untouchedBytes, responses, evictions } = this.#ledger
    return { responses, bytes: bytes - untouchedBytes + this.#hot.bytes, evictions }
  }

  /** How many parts the keys are in. */
  get shards(): number {
    return this.#chains.shards.length
  }

  get(key: string): readonly StoredResponse[] | undefined {
    return this.#hot.get(key) ?? this.#decoded(key)
  }

  content(key: string, id: string): readonly Uint8Array[] | undefined {
    const hot = this.#hot.peek(key)
    if (hot !== undefined) return hot.find((response) => response.id === id)?.body
    const location = this.#find(this.#chains.newest(key, this.#hash(key)), record.ID_TEXT, id)
    return location === 0 ? undefined : this.#contentAt(location)
  }

  /** @returns false when there is no room for it, even with nothing else stored */
  put(key: string, head: StoredHead, body: readonly Uint8Array[]): boolean {
    const hash = this.#hash(key)
    const inline = contentBytes(body) <= this.#inlineBytes
    const kept = inline ? NO_CONTENT : keepContent(body)
    const bytes = this.#writer.measure(key, head, inline ? head.bodyBytes : 0)
    const otherBytes = mostTagBytes(head.tags) + (inline ? 0 : largeContentBytes(kept))
    if (!this.#space.couldHold(bytes, otherBytes + this.#chains.growthBytes(hash))) return false
    this.#hot.delete(key)
    this.#makePlace(key, hash, head.variant)
    const location = this.#reserve(key, hash, bytes, otherBytes)
    if (location === 0) return false
    const large = inline ? 0 : this.#large.add(kept)
    this.#write(location, hash, head, body, large)
    this.#chains.add(key, hash, location)
    this.#count(location, hash, head.tags)
    return true
  }

  /** @returns false when the response is not there, or not any more for want of room */
  update(key: string, given: StoredHead): boolean {
    const hash = this.#hash(key)
    let old = this.#find(this.#chains.newest(key, hash), record.ID_TEXT, given.id)
    if (old === 0) return false
    this.#hot.delete(key)
    this.#setFlags(old, record.USED)
    const large = this.#arena.word(old, record.LARGE)
    const body = this.#contentAt(old)
    const head = { ...given, bodyBytes: contentBytes(body) }
    const bytes = this.#writer.measure(key, head, large === 0 ? head.bodyBytes : 0)
    const otherBytes = mostTagBytes(head.tags)
    const fits = this.#space.couldHold(bytes, otherBytes + (large === 0 ? 0 : largeContentBytes(body)))
    const location = fits ? this.#reserve(key, hash, bytes, otherBytes) : 0
    // It may have gone for the room, or be where it was not before.
    old = this.#find(this.#chains.newest(key, hash), record.ID_TEXT, given.id)
    if (location === 0 || old === 0) {
      if (location !== 0) this.#free(location)
      // What was said of it before does not hold any more.
      if (old !== 0) this.#evictAt(old)
      return false
    }
    this.#write(location, hash, head, body, large)
    this.#chains.replace(hash, old, location)
    this.#arena.setWord(old, record.LARGE, 0)
    this.#discount(old)
    // Of one variant there is one: what was just validated takes the place of another that it has become the same as.
    for (let other = this.#chains.newest(key, hash); other !== 0; ) {
      const next = this.#chains.next(other)
      if (other !== location && this.#isText(other, record.VARIANT_TEXT, head.variant)) this.#remove(other)
      other = next
    }
    this.#count(location, hash, head.tags)
    this.#setFlags(location, record.USED)
    return true
  }

  /** @returns true when it was there */
  remove(key: string, id: string): boolean {
    return this.#purge(key, this.#hash(key), 'delete', 0, new Set([id])) > 0
  }

  /** @returns how many */
  purge(key: string, mode: PurgeMode, nowMs: number): number {
    return this.#purge(key, this.#hash(key), mode, nowMs)
  }

  /**
   * Purges what is picked out of the responses of all keys that have a hash. All of a key are looked at before one is
   * touched: the function is a stranger's, and may throw or call the store itself.
   */
  purgeHash(hash: number, picks: Picks, mode: PurgeMode, now: () => number): { looked: number; purged: number } {
    let looked = 0
    let purged = 0
    for (const key of this.#chains.newestOf(hash).map((location) => this.#keyAt(location))) {
      const picked = new Set<string>()
      for (const head of this.#heads(key, hash)) {
        looked++
        if (picks(key, head)) picked.add(head.id)
      }
      if (picked.size > 0) purged += this.#purge(key, hash, mode, now(), picked)
    }
    return { looked, purged }
  }

  /** The hashes of the keys of a shard. */
  hashes(shard: number): Uint32Array {
    return this.#chains.shards[shard]!.hashes()
  }

  /** The hashes of the keys of a shard that have responses with a tag. */
  taggedHashes(shard: number, tag: string): Uint32Array {
    const locations = this.#tags[shard]!.locations(tag)
    return uniqueHashes(Uint32Array.from(locations, (location) => this.#arena.word(location, record.HASH)))
  }

  /** How many responses carry a tag. */
  tagged(tag: string): number {
    let count = 0
    for (const tags of this.#tags) count += tags.count(tag)
    return count
  }

  prepareMove(segment: Segment, offset: number): void {
    if (segment.words[(offset >> 2) + record.FLAGS]! & record.HOT) this.#hot.delete(record.readKey(segment, offset))
  }

  moved(segment: Segment, from: number, to: number): void {
    const hash = segment.words[(to >> 2) + record.HASH]!
    const old = this.#arena.locationOf(segment, from)
    const location = this.#arena.locationOf(segment, to)
    this.#chains.moved(hash, old, location)
    const tags = record.readTags(segment, to)
    if (tags.length === 0) return
    const index = this.#tags[this.#chains.shardOf(hash)]!
    index.remove(tags, old)
    index.add(tags, location)
  }

  takeUse(segment: Segment, offset: number): boolean {
    this.prepareMove(segment, offset)
    const at = (offset >> 2) + record.FLAGS
    const used = (segment.words[at]! & record.USED) !== 0
    segment.words[at] = segment.words[at]! & ~record.USED
    return used
  }

  evict(segment: Segment, offset: number): void {
    this.prepareMove(segment, offset)
    this.#evictAt(this.#arena.locationOf(segment, offset))
  }

  #decoded(key: string): readonly StoredResponse[] | undefined {
    const hash = this.#hash(key)
    const newest = this.#chains.newest(key, hash)
    if (newest === 0) return undefined
    const bytes = this.#hot.admits(hash) ? this.#decodedBytes(newest) : Number.POSITIVE_INFINITY
    const hot = bytes <= this.#hot.maxBytes
    const responses: StoredResponse[] = []
    for (let at = newest; at !== 0; at = this.#chains.next(at)) {
      const content = this.#contentAt(at, hot)
      responses.push(record.readResponse(this.#arena.segmentAt(at), this.#arena.offsetAt(at), content))
      this.#setFlags(at, hot ? record.USED | record.HOT : record.USED)
    }
    // The key of the record, since a key that is given may be part of something larger.
    if (hot) this.#hot.set(this.#keyAt(newest), responses, newest, bytes)
    return responses
  }

  /** Memory that the responses from one on take as objects. */
  #decodedBytes(newest: number): number {
    let bytes = 0
    for (let at = newest; at !== 0; at = this.#chains.next(at)) {
      const texts = record.countOf(this.#arena.segmentAt(at).words, this.#arena.offsetAt(at) >> 2)
      bytes += DECODED_BYTES + this.#arena.word(at, record.SIZE) + texts * DECODED_TEXT_BYTES
    }
    return bytes
  }

  #cooled(entry: HotEntry): void {
    for (let at = entry.newest; at !== 0; at = this.#chains.next(at)) this.#clearFlags(at, record.HOT)
  }

  #heads(key: string, hash: number): StoredHead[] {
    const heads: StoredHead[] = []
    for (let at = this.#chains.newest(key, hash); at !== 0; at = this.#chains.next(at)) {
      heads.push(record.readResponse(this.#arena.segmentAt(at), this.#arena.offsetAt(at), undefined))
    }
    return heads
  }

  #contentAt(location: number, lasting = false): readonly Uint8Array[] {
    const large = this.#arena.word(location, record.LARGE)
    if (large !== 0) return this.#large.get(large)
    return record.copyContent(this.#arena.segmentAt(location), this.#arena.offsetAt(location), lasting)
  }

  /** Takes away what a new response of a variant replaces, and the oldest ones when they are too many. */
  #makePlace(key: string, hash: number, variant: string): void {
    let kept = 0
    for (let at = this.#chains.newest(key, hash); at !== 0; ) {
      const next = this.#chains.next(at)
      if (this.#isText(at, record.VARIANT_TEXT, variant)) this.#remove(at)
      else if (++kept >= this.#maxVariants) this.#evictAt(at)
      at = next
    }
  }

  /** @returns the place of a record, with the room for what it has elsewhere; 0: there is none */
  #reserve(key: string, hash: number, bytes: number, otherBytes: number): number {
    const location = this.#space.reserve(bytes)
    if (location === 0) return 0
    let growthBytes = 0
    if (this.#chains.newest(key, hash) === 0) {
      for (let at = this.#chains.tooMany(hash); at !== 0; ) {
        const next = this.#chains.next(at)
        this.#hot.delete(this.#keyAt(at))
        this.#evictAt(at)
        at = next
      }
      growthBytes = this.#chains.growthBytes(hash)
    }
    if (this.#space.makeRoom(otherBytes + growthBytes)) return location
    this.#free(location)
    return 0
  }

  #write(location: number, hash: number, head: StoredHead, body: readonly Uint8Array[], large: number): void {
    this.#writer.write(this.#arena.segmentAt(location), this.#arena.offsetAt(location), hash, head, body, large)
  }

  /** Makes a record that was written one of those that are stored. */
  #count(location: number, hash: number, tags: readonly string[]): void {
    this.#clearFlags(location, record.DEAD)
    this.#ledger.responses++
    if (tags.length > 0) this.#tags[this.#chains.shardOf(hash)]!.add(tags, location)
  }

  #discount(location: number): void {
    const segment = this.#arena.segmentAt(location)
    const offset = this.#arena.offsetAt(location)
    const tags = record.readTags(segment, offset)
    if (tags.length > 0)
      this.#tags[this.#chains.shardOf(this.#arena.word(location, record.HASH))]!.remove(tags, location)
    const large = this.#arena.word(location, record.LARGE)
    if (large !== 0) this.#large.delete(large)
    this.#ledger.responses--
    this.#space.free(segment, offset)
  }

  /** Its key must not be hot. */
  #remove(location: number): void {
    this.#chains.remove(this.#arena.word(location, record.HASH), location)
    this.#discount(location)
  }

  #evictAt(location: number): void {
    this.#remove(location)
    this.#ledger.evictions++
  }

  #purge(key: string, hash: number, mode: PurgeMode, nowMs: number, ids?: ReadonlySet<string>): number {
    let at = this.#chains.newest(key, hash)
    if (at === 0) return 0
    this.#hot.delete(key)
    let purged = 0
    while (at !== 0) {
      const next = this.#chains.next(at)
      const segment = this.#arena.segmentAt(at)
      const offset = this.#arena.offsetAt(at)
      if (ids === undefined || ids.has(record.readId(segment, offset))) {
        purged++
        const stale = (offset >> 3) + record.STALE_SINCE
        if (mode === 'delete') this.#remove(at)
        else if (Number.isNaN(segment.doubles[stale])) segment.doubles[stale] = nowMs
      }
      at = next
    }
    return purged
  }

  #find(newest: number, text: number, wanted: string): number {
    let at = newest
    while (at !== 0 && !this.#isText(at, text, wanted)) at = this.#chains.next(at)
    return at
  }

  #isText(location: number, nth: number, text: string): boolean {
    return record.isText(this.#arena.segmentAt(location), this.#arena.offsetAt(location), nth, text)
  }

  #keyAt(location: number): string {
    return record.readKey(this.#arena.segmentAt(location), this.#arena.offsetAt(location))
  }

  #free(location: number): void {
    this.#space.free(this.#arena.segmentAt(location), this.#arena.offsetAt(location))
  }

  #setFlags(location: number, flags: number): void {
    this.#arena.setWord(location, record.FLAGS, this.#arena.word(location, record.FLAGS) | flags)
  }

  #clearFlags(location: number, flags: number): void {
    this.#arena.setWord(location, record.FLAGS, this.#arena.word(location, record.FLAGS) & ~flags)
  }
}

import { setImmediate as nextTurn } from 'node:timers/promises'
import type { StoredHead, StoredResponse } from '../stored-response.ts'
import type { CacheStore, CacheStoreStats, PurgeMode, Soon } from './cache-store.ts'
import { contentBytes } from './content.ts'
import { type MemoryStoreOptions, type ResolvedMemoryStoreOptions, resolveOptions } from './options.ts'
import { PackedResponses, type Picks } from './packed/packed-responses.ts'

// A purge in slices gives way after this time, and looks at the clock every so many responses.
const SLICE_MS = 5
const LOOK_EVERY = 32
// What a purge by tag does at once, in less than that time.
const MOST_AT_ONCE = 1_024

/**
 * Keeps responses in the memory of this process. `maxBytes` bounds what is stored: content, heads, keys and
 * tables, each counted with what it takes there. When there is no room, what was stored first goes, unless it was read
 * since.
 *
 * It answers at once, without promises, but for `purgeWhere()`, and for `purgeTag()` when thousands of responses carry the
 * tag: these let requests go on meanwhile.
 *
 * @throws ConfigError when an option cannot be used
 */
export function memoryStore(options: MemoryStoreOptions = {}): CacheStore {
  return new MemoryStore(resolveOptions(options))
}

class MemoryStore implements CacheStore {
  readonly maxObjectBytes: number
  readonly #options: ResolvedMemoryStoreOptions
  #responses: PackedResponses
  #closed = false

  constructor(options: ResolvedMemoryStoreOptions) {
    this.maxObjectBytes = options.maxObjectBytes
    this.#options = options
    this.#responses = new PackedResponses(options.maxBytes, options.maxVariants)
  }

  get stats(): CacheStoreStats {
    return this.#responses.stats
  }

  get(key: string): readonly StoredResponse[] | undefined {
    return this.#responses.get(key)
  }

  readBody(key: string, id: string): readonly Uint8Array[] | undefined {
    return this.#responses.content(key, id)
  }

  put(key: string, response: StoredResponse): boolean {
    const { body, bodyBytes } = response
    if (this.#closed || body === undefined || bodyBytes > this.maxObjectBytes) return false
    // Content that is shorter or longer than its head says was cut or mixed up on its way here.
    if (contentBytes(body) !== bodyBytes) return false
    return this.#responses.put(key, response, body)
  }

  update(key: string, head: StoredHead): boolean {
    return this.#responses.update(key, head)
  }

  purge(key: string, mode: PurgeMode): number {
    return this.#responses.purge(key, mode, this.#now())
  }

  remove(key: string, id: string): boolean {
    return this.#responses.remove(key, id)
  }

  purgeTag(tag: string, mode: PurgeMode): Soon<number> {
    const responses = this.#responses
    const picks: Picks = (_, head) => head.tags.includes(tag)
    const hashesOf = (shard: number) => responses.taggedHashes(shard, tag)
    if (responses.tagged(tag) > MOST_AT_ONCE) return this.#purgeInSlices(hashesOf, picks, mode)
    let purged = 0
    for (let shard = 0; shard < responses.shards; shard++) {
      for (const hash of hashesOf(shard)) purged += responses.purgeHash(hash, picks, mode, this.#now).purged
    }
    return purged
  }

  purgeWhere(picks: Picks, mode: PurgeMode): Promise<number> {
    return this.#purgeInSlices((shard) => this.#responses.hashes(shard), picks, mode)
  }

  close(): void {
    this.#closed = true
    this.#responses = new PackedResponses(0, 1)
  }

  readonly #now = (): number => this.#options.clock.wallNow()

  async #purgeInSlices(hashesOf: (shard: number) => Uint32Array, picks: Picks, mode: PurgeMode): Promise<number> {
    const responses = this.#responses
    let purged = 0
    let looked = 0
    let sliceEndMs = performance.now() + SLICE_MS
    for (let shard = 0; shard < responses.shards; shard++) {
      // A key that goes meanwhile is not found any more; what comes meanwhile was not there to be purged.
      for (const hash of hashesOf(shard)) {
        const result = responses.purgeHash(hash, picks, mode, this.#now)
        purged += result.purged
        looked += result.looked
        if (looked < LOOK_EVERY) continue
        looked = 0
        if (performance.now() < sliceEndMs) continue
        await nextTurn()
        if (this.#closed) return purged
        sliceEndMs = performance.now() + SLICE_MS
      }
    }
    return purged
  }
}

/** True for a store of {@link memoryStore}: what it gives out is what this process has put in. */
export function isMemoryStore(store: CacheStore): boolean {
  return store instanceof MemoryStore
}

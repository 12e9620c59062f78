import { setImmediate as nextTurn } from 'node:timers/promises'
import type { StoredHead, StoredResponse } from '../stored-response.ts'
import type { CacheStore, CacheStoreStats, PurgeMode, Soon } from './cache-store.ts'
import { contentBytes, keepContent } from './content.ts'
import { Holdings } from './holdings.ts'
import type { KeyEntry } from './key-entry.ts'
import { type MemoryStoreOptions, type ResolvedMemoryStoreOptions, resolveOptions } from './options.ts'
import type { Shard } from './shard.ts'

type Picks = (key: string, head: StoredHead) => boolean

// A purge in slices gives way after this time, and looks at the clock every so many responses.
const SLICE_MS = 5
const LOOK_EVERY = 32
// What a purge by tag does at once, in less than that time.
const MOST_AT_ONCE = 2_048

/**
 * Keeps responses in the memory of this process. `maxBytes` bounds what is stored: content, heads, keys and
 * tables, each counted with what it takes there. When there is no room, the least recently used key goes, with all that
 * stands behind it.
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
  #holdings: Holdings
  #closed = false

  constructor(options: ResolvedMemoryStoreOptions) {
    this.maxObjectBytes = options.maxObjectBytes
    this.#options = options
    this.#holdings = new Holdings(options.maxBytes, options.maxVariants)
  }

  get stats(): CacheStoreStats {
    const { responses, bytes, evictions } = this.#holdings.ledger
    return { responses, bytes, evictions }
  }

  get(key: string): readonly StoredResponse[] | undefined {
    return this.#holdings.keys.get(key)?.responses
  }

  readBody(key: string, id: string): readonly Uint8Array[] | undefined {
    return this.#holdings.keys.peek(key)?.responses.find((response) => response.id === id)?.body
  }

  put(key: string, response: StoredResponse): boolean {
    const { body, bodyBytes } = response
    if (this.#closed || body === undefined || bodyBytes > this.maxObjectBytes) return false
    // Content that is shorter or longer than its head says was cut or mixed up on its way here.
    if (contentBytes(body) !== bodyBytes) return false
    return this.#holdings.put(key, response, keepContent(body))
  }

  update(key: string, head: StoredHead): boolean {
    return this.#holdings.update(key, head)
  }

  purge(key: string, mode: PurgeMode): number {
    const entry = this.#holdings.keys.peek(key)
    return entry === undefined ? 0 : this.#purge(entry, everyResponse, mode)
  }

  remove(key: string, id: string): boolean {
    const entry = this.#holdings.keys.peek(key)
    return entry !== undefined && this.#purge(entry, (_, head) => head.id === id, 'delete') > 0
  }

  purgeTag(tag: string, mode: PurgeMode): Soon<number> {
    const { shards } = this.#holdings.keys
    const picks: Picks = (_, head) => head.tags.includes(tag)
    let carriers = 0
    for (const shard of shards) carriers += shard.tags.count(tag)
    if (carriers > MOST_AT_ONCE) return this.#purgeInSlices((shard) => shard.tags.entries(tag), picks, mode)
    let purged = 0
    for (const shard of shards) {
      for (const entry of shard.tags.entries(tag)) purged += this.#purge(entry, picks, mode)
    }
    return purged
  }

  purgeWhere(picks: Picks, mode: PurgeMode): Promise<number> {
    return this.#purgeInSlices((shard) => shard.entries(), picks, mode)
  }

  close(): void {
    this.#closed = true
    this.#holdings = new Holdings(0, 1)
  }

  #purge(entry: KeyEntry, picks: Picks, mode: PurgeMode): number {
    const holdings = this.#holdings
    // All are looked at before one is touched: the function is a stranger's, and may throw or call the store itself.
    const picked = new Set(entry.responses.filter((response) => picks(entry.key, response)))
    if (picked.size === 0) return 0
    const nowMs = this.#options.clock.wallNow()
    return holdings.purge(entry, (response) => picked.has(response), mode, nowMs)
  }

  async #purgeInSlices(
    entriesOf: (shard: Shard) => readonly KeyEntry[],
    picks: Picks,
    mode: PurgeMode,
  ): Promise<number> {
    let purged = 0
    let looked = 0
    let sliceEndMs = performance.now() + SLICE_MS
    for (const shard of this.#holdings.keys.shards) {
      // An entry that goes meanwhile has no responses any more; what comes meanwhile was not there to be purged.
      for (const entry of entriesOf(shard)) {
        looked += entry.responses.length
        purged += this.#purge(entry, picks, mode)
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

function everyResponse(): boolean {
  return true
}

/** True for a store of {@link memoryStore}: what it gives out is what this process has put in. */
export function isMemoryStore(store: CacheStore): boolean {
  return store instanceof MemoryStore
}

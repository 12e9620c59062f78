import type { StoredHead, StoredResponse } from '../stored-response.ts'

/** What a purge does: take it away, or only make it stale, so that it may serve while it is being revalidated. */
export type PurgeMode = 'delete' | 'stale'

/** At once for a store in this process, later for one elsewhere. */
export type Soon<Value> = Value | Promise<Value>

/** What a store holds at this moment. */
export interface CacheStoreStats {
  /** Stored responses, all variants counted. */
  readonly responses: number
  /** Bytes, as the store counts them. */
  readonly bytes: number
  /** Stored responses that were thrown out for room since the start. */
  readonly evictions: number
}

/**
 * Where responses are kept. A key names a resource (and whatever else the cache put into the key); behind it stand the
 * responses of that resource, one a variant.
 *
 * The cache asks with a time limit, takes whatever a store throws or does not say in time as a miss, and never shows it to
 * a client. A store need not be durable: it may forget anything at any time, but it must never give out content under a
 * head that it was not stored with.
 */
export interface CacheStore {
  /** All responses behind a key, the most recently stored first; undefined or empty when there are none. Counts as a use of the key. */
  get(key: string): Soon<readonly StoredResponse[] | undefined>
  /**
   * The content of a response that `get()` gave out without it; undefined when it is gone meanwhile.
   *
   * @param id the response's `id`
   */
  readBody(key: string, id: string): Soon<readonly Uint8Array[] | undefined>
  /**
   * Stores a response in place of the one with the same `variant`. The content is the store's from then on: nobody
   * writes to it any more.
   *
   * @returns false when it was not stored: too large, or no room
   */
  put(key: string, response: StoredResponse): Soon<boolean>
  /**
   * Replaces the head of a stored response whose content stays as it is; `head.id` names it. Nothing happens when it is
   * gone. Another response that has the variant of the new head gives way to it.
   *
   * @returns true when it was there
   */
  update(key: string, head: StoredHead): Soon<boolean>
  /**
   * Takes all responses behind a key away, or makes them stale.
   *
   * @returns how many
   */
  purge(key: string, mode: PurgeMode): Soon<number>
  /**
   * Takes one response away.
   *
   * @returns true when it was there
   */
  remove(key: string, id: string): Soon<boolean>
  /** The same as {@link purge} for all responses that carry a tag. */
  purgeTag(tag: string, mode: PurgeMode): Soon<number>
  /**
   * The same for all responses that a function picks out. Looks at everything that is stored, in slices, so that requests
   * go on meanwhile.
   */
  purgeWhere(picks: (key: string, head: StoredHead) => boolean, mode: PurgeMode): Promise<number>
  /** Longest content that it stores, in bytes. The cache does not collect more. */
  readonly maxObjectBytes: number
  readonly stats: CacheStoreStats
  /** Lets go of connections and timers. Idempotent. */
  close(): Soon<void>
}

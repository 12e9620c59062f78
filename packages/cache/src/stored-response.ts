/** Part of a representation: bytes `first` to `last`, both included, as in Content-Range. */
export interface BytePart {
  readonly first: number
  readonly last: number
}

/**
 * Everything a cache knows of a response but its content: plain data that could be written as JSON. What the response's
 * own header fields say was read once, when it was stored; reuse compares numbers. All times are wall-clock milliseconds.
 */
export interface StoredHead {
  /** Unlike that of any other stored response; names the content in a store. */
  readonly id: string
  /**
   * Which of the responses of one key this is: a new response replaces the stored one of the same variant. Made of the
   * partition, of the fields that `Vary` names with the values they had, and of the kind (HEAD responses and partial ones stand beside
   * complete ones).
   */
  readonly variant: string
  /** Method of the request that it answered. One to POST may answer GET later, one to HEAD only HEAD. */
  readonly method: 'GET' | 'HEAD' | 'POST'
  readonly status: number
  readonly statusText: string
  /** Name, value, …: lower-case names, lines in the order received, connection fields and what must not be stored left out. */
  readonly headers: readonly string[]
  /** Separates callers or tenants that must not see each other's responses; empty for what all may share. */
  readonly partition: string
  /** Lower-case names from `Vary`, sorted; empty when there is none. */
  readonly vary: readonly string[]
  /** The normalised values that the request had for {@link vary}, in its order; undefined: the field was absent. */
  readonly varyValues: readonly (string | undefined)[]
  /** `Date`, or when it was received (RFC 9110 §6.6.1). */
  readonly dateMs: number
  /** When the response was received or last validated. */
  readonly receivedAtMs: number
  /** Age that it had then: corrected_initial_age of RFC 9111 §4.2.3. */
  readonly initialAgeMs: number
  /** Freshness lifetime, counted on the age; 0 when it is never fresh. */
  readonly lifetimeMs: number
  /** True when the lifetime was estimated (RFC 9111 §4.2.2). */
  readonly heuristic: boolean
  /** `no-cache` without field names: never reused without validation, even while fresh. */
  readonly noCache: boolean
  /** Never reused stale: `must-revalidate`, `proxy-revalidate`, `s-maxage`, `no-cache` (RFC 9111 §4.2.4). */
  readonly mustRevalidate: boolean
  /** How long past its lifetime it may be served while it is being revalidated (RFC 5861 §3). */
  readonly staleWhileRevalidateMs: number
  /** How long past its lifetime it may be served when the origin fails (RFC 5861 §4). */
  readonly staleIfErrorMs: number
  /** `ETag`, as received. */
  readonly etag: string | undefined
  /** `Last-Modified`; undefined when there is none or it is no HTTP date. */
  readonly lastModifiedMs: number | undefined
  /** Tags by which it can be purged. */
  readonly tags: readonly string[]
  /** Made stale by hand (a soft purge) or by a failed update; undefined while it is not. */
  readonly staleSinceMs: number | undefined
  /** Length of the content that is stored, in bytes. */
  readonly bodyBytes: number
  /** What a partial response (206) has: its parts in ascending order, apart from each other; undefined: it is complete. */
  readonly parts: readonly BytePart[] | undefined
  /** Length of the whole representation; undefined for a partial response that does not say it. */
  readonly completeBytes: number | undefined
}

/** A stored response with its content, when that is at hand. */
export interface StoredResponse extends StoredHead {
  /**
   * The content in order, in pieces of any length; empty list: none. For a partial response the content of its parts one
   * behind the other. Undefined: the store has it and gives it out with `readBody()`.
   */
  readonly body: readonly Uint8Array[] | undefined
}

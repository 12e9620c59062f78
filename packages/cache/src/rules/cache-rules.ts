/** The options that decisions depend on, resolved. */
export interface CacheRules {
  /** Names of targeted fields that replace Cache-Control, most specific first, lower case (RFC 9213). */
  readonly targeted: readonly string[]
  /** Status codes that may be stored at all; undefined: all that RFC 9111 allows. */
  readonly statuses: ReadonlySet<number> | undefined
  /** Freshness lifetime where the origin says nothing and nothing is estimated, in milliseconds; undefined: none. */
  readonly defaultLifetimeMs: number | undefined
  /** Lifetime estimated from Last-Modified: its share of the age, and the most. A share of 0: none is estimated. */
  readonly heuristicShare: number
  readonly heuristicMaxMs: number
  /** What happens to responses with Set-Cookie: not stored unless they are `public` and then without it, or always stored without it. */
  readonly setCookie: 'refuse' | 'strip'
  /** Where a response says nothing itself (RFC 5861), in milliseconds. */
  readonly staleWhileRevalidateMs: number
  readonly staleIfErrorMs: number
  /** Tags of a response beside those of its `Cache-Tag` and `Surrogate-Key` fields. */
  readonly tagFields: readonly string[]
}

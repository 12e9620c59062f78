import type { CacheStoreStats } from '../cache-store.ts'

/** The account of one store: every part of it books here what it takes and gives back. */
export class Ledger implements CacheStoreStats {
  /** Memory that was asked for: segments, large contents, index and tags. */
  bytes = 0
  /** What the index takes of it; it never shrinks. */
  indexBytes = 0
  /** What of it no byte was ever written to, so that the operating system has not given it yet. */
  untouchedBytes = 0
  responses = 0
  evictions = 0
}

import type { CacheStoreStats } from './cache-store.ts'

/** The account of one store: every part of it books here what it takes and gives back. */
export class Ledger implements CacheStoreStats {
  bytes = 0
  responses = 0
  evictions = 0
}

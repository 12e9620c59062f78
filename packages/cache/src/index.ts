export {
  type CacheAnswer,
  type CachePurge,
  type CacheStoreFailure,
  cacheHit,
  cacheMissed,
  cachePurged,
  cacheStoreFailed,
  type ResponseStorage,
  responseStored,
} from './channels.ts'
export type { CachedHandler } from './engine/cache-parts.ts'
export type { PurgeOptions, PurgePredicate } from './engine/purge.ts'
export { type CacheHandler, type CacheOverrides, type CacheStats, cache } from './middleware.ts'
export type {
  CacheableMethod,
  CacheOptions,
  CoalescingOptions,
  HeuristicOptions,
  QueryOptions,
  ResponseFacts,
} from './options.ts'
export { CACHE_PROBLEMS, type CacheProblem } from './problems.ts'
export type { CacheStore, CacheStoreStats, PurgeMode, Soon } from './store/cache-store.ts'
export { memoryStore } from './store/memory-store.ts'
export type { MemoryStoreOptions } from './store/options.ts'
export type { BytePart, StoredHead, StoredResponse } from './stored-response.ts'

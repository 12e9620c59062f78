import { channel, type Exchange, type TypedChannel } from '@postern/contracts'
import type { StoredHead } from './stored-response.ts'

/** The message of {@link cacheHit} and {@link cacheMissed}; the decision is in `exchange.cache`. */
export interface CacheAnswer {
  /** The `name` option of the cache. */
  readonly cache: string
  readonly exchange: Exchange
}

/** Published when a request is answered from the store without asking anybody. */
export const cacheHit: TypedChannel<CacheAnswer> = channel<CacheAnswer>('postern:cache:hit')

/** Published when a request had to be sent on, once it is known what came of it; collapsed ones included. */
export const cacheMissed: TypedChannel<CacheAnswer> = channel<CacheAnswer>('postern:cache:missed')

/** The message of {@link responseStored}. */
export interface ResponseStorage {
  /** The `name` option of the cache. */
  readonly cache: string
  /** The effective URI. */
  readonly uri: string
  readonly response: StoredHead
  /** True when a stored response was brought up to date by a 304 or a HEAD, and its content is the same. */
  readonly updated: boolean
}

/** Published when a response was stored, or a stored one was brought up to date. */
export const responseStored: TypedChannel<ResponseStorage> = channel<ResponseStorage>('postern:response:stored')

/** The message of {@link cachePurged}. */
export interface CachePurge {
  /** The `name` option of the cache. */
  readonly cache: string
  /** `invalidated`: by an unsafe request (RFC 9111 §4.4). */
  readonly by: 'uri' | 'predicate' | 'tag' | 'invalidated'
  /** The URI, the path or the tag; empty for a predicate. */
  readonly what: string
  /** True when the responses were only made stale. */
  readonly soft: boolean
  readonly responses: number
}

/** Published when stored responses were purged or invalidated. */
export const cachePurged: TypedChannel<CachePurge> = channel<CachePurge>('postern:cache:purged')

/** The message of {@link cacheStoreFailed}. */
export interface CacheStoreFailure {
  /** The `name` option of the cache. */
  readonly cache: string
  readonly operation: 'get' | 'readBody' | 'put' | 'update' | 'remove' | 'purge'
  /** What the store threw; a time-out of the cache's own when it did not answer. */
  readonly error: unknown
}

/** Published when a store failed or did not answer in time; the request goes on as a miss. */
export const cacheStoreFailed: TypedChannel<CacheStoreFailure> = channel<CacheStoreFailure>('postern:store:failed')

import type { IncomingMessage, ServerResponse } from 'node:http'
import { ConfigError, exchangeOf } from '@postern/contracts'
import type { CachedHandler, CacheParts, Next } from './engine/cache-parts.ts'
import { CacheState } from './engine/cache-state.ts'
import { chain } from './engine/chain.ts'
import { GuardedStore } from './engine/guarded-store.ts'
import { PassBy } from './engine/pass-by.ts'
import { type PurgeOptions, type PurgePredicate, purge, purgeTag } from './engine/purge.ts'
import { takeRefresh } from './engine/refresh.ts'
import { Turn } from './engine/turn.ts'
import { type CacheOptions, resolveOptions } from './options.ts'
import { readRequest } from './request-facts.ts'
import { isSafeMethod } from './rules/invalidation.ts'
import type { CacheStoreStats } from './store/cache-store.ts'
import { memoryStore } from './store/memory-store.ts'

/** What a cache has done and holds. */
export interface CacheStats extends CacheStoreStats {
  /** Requests that were answered from the store without asking anybody; not those whose response was validated first. */
  readonly hits: number
  /** Requests that were sent on, or shared the answer to one; counted when it is known what came of them. */
  readonly misses: number
  /** Responses that were stored. */
  readonly stored: number
  /** Requests that waited for another one like them. */
  readonly collapsed: number
  /** Stored responses that are being revalidated in the background at this moment. */
  readonly revalidating: number
}

/** Options of {@link CacheHandler.with}: all but those that make a cache what it is. */
export type CacheOverrides = Omit<CacheOptions, FixedOption>

/** What all handlers of a cache have in common: where its responses are, and how they are found there. */
type FixedOption = 'store' | 'name' | 'clock' | 'storeTimeoutMs' | 'maxPendingBytes' | 'query'
const FIXED: readonly FixedOption[] = ['store', 'name', 'clock', 'storeTimeoutMs', 'maxPendingBytes', 'query']

/** The handler, with its handles. */
export interface CacheHandler {
  (req: IncomingMessage, res: ServerResponse, next?: (error?: unknown) => void): void
  /**
   * Takes stored responses away, all variants and all callers': of a URI, of a path (that of every host), or those that a
   * function picks out. What is on its way at this moment is not stored.
   *
   * @param what an absolute URL; a path with its query, from `/`; or a function of URI and head
   * @returns how many
   */
  purge(what: string | URL | PurgePredicate, options?: PurgeOptions): Promise<number>
  /** The same for all responses that carry a tag. */
  purgeTag(tag: string, options?: PurgeOptions): Promise<number>
  /**
   * A handler that has the cache in front of the given ones, and knows so what is behind it: a revalidation in the background
   * then goes to them alone. Without it, it goes through the whole app.
   */
  around(...handlers: readonly CachedHandler[]): CacheHandler
  /** A handler on the same cache with other rules: what it stores, all of them find and purge. */
  with(overrides: CacheOverrides): CacheHandler
  /**
   * A handler for routes whose answers are not cached: it only takes away what their unsafe requests have changed (RFC
   * 9111 §4.4).
   */
  readonly invalidator: CachedHandler
  /** Read at the moment of asking. */
  readonly stats: CacheStats
  /** Stores nothing more and closes the store. Idempotent. */
  close(): Promise<void>
}

/**
 * A shared HTTP cache (RFC 9111) in front of whatever handlers come after it: answers what it may from its store, stores
 * what it may of their answers, revalidates what is stale, and lets equal requests share one answer. Mount it behind
 * authentication.
 *
 * @throws ConfigError at once, with every fault of the options
 * @see https://www.rfc-editor.org/rfc/rfc9111
 */
export function cache(options: CacheOptions = {}): CacheHandler {
  const resolved = resolveOptions(options)
  const store = new GuardedStore(
    resolved.store ?? memoryStore({ clock: resolved.clock }),
    resolved.name,
    resolved.storeTimeoutMs,
  )
  return handlerOf({ options: resolved, state: new CacheState(store), behind: undefined }, options)
}

function handlerOf(parts: CacheParts, given: CacheOptions): CacheHandler {
  const { state } = parts

  function cacheHandler(req: IncomingMessage, res: ServerResponse, next?: Next): void {
    handle(parts, req, res, next)
  }

  return Object.assign(
    Object.defineProperty(cacheHandler, 'stats', {
      enumerable: true,
      get: (): CacheStats => {
        const { hits, misses, stored, collapsed } = state.counts
        return { ...state.store.store.stats, hits, misses, stored, collapsed, revalidating: state.refreshing.size }
      },
    }) as CacheHandler,
    {
      purge: (what: string | URL | PurgePredicate, options?: PurgeOptions) => purge(parts, what, options),
      purgeTag: (tag: string, options?: PurgeOptions) => purgeTag(parts, tag, options),
      around: (...handlers: readonly CachedHandler[]) => handlerOf({ ...parts, behind: chain(handlers) }, given),
      with: (overrides: CacheOverrides) => {
        checkOverrides(overrides)
        const options = { ...given, ...overrides }
        return handlerOf({ ...parts, options: resolveOptions(options) }, options)
      },
      invalidator: (req: IncomingMessage, res: ServerResponse, next: Next) => invalidateBy(parts, req, res, next),
      async close(): Promise<void> {
        if (state.closed) return
        state.closed = true
        await state.store.store.close()
      },
    },
  )
}

function checkOverrides(overrides: CacheOverrides): void {
  const faults = FIXED.filter((name) => name in overrides).map((path) => ({
    path,
    message: 'is the same for all handlers of a cache',
    received: (overrides as CacheOptions)[path],
    cure: 'give it to cache()',
  }))
  if (faults.length > 0) throw new ConfigError('cache().with()', faults)
}

function handle(parts: CacheParts, req: IncomingMessage, res: ServerResponse, next: Next | undefined): void {
  const exchange = exchangeOf(req, res)
  if (exchange.closed || res.headersSent) return
  if (exchange.isForkedBy(parts.state)) {
    goOn(parts, req, res, next)
    return
  }
  // A revalidation of this cache's own, or of one further on.
  if (exchange.background) {
    if (!takeRefresh(parts, req, next)) goOn(parts, req, res, next)
    return
  }
  const { options, state } = parts
  const { method = 'GET' } = req
  if (method !== 'GET' && method !== 'HEAD' && !(method === 'POST' && options.methods.has('POST'))) {
    PassBy.watch(parts, exchange, 'method', undefined)
    goOn(parts, req, res, next)
    return
  }
  const facts = state.closed ? 'closed' : readRequest(req, exchange, options)
  if (typeof facts === 'string') {
    if (facts !== 'upgrade') PassBy.watch(parts, exchange, 'bypass', facts === 'option' ? undefined : facts)
    goOn(parts, req, res, next)
    return
  }
  const turn = new Turn(parts, exchange, facts, next)
  if (method === 'POST') turn.sendOn('method')
  else turn.begin()
}

function invalidateBy(parts: CacheParts, req: IncomingMessage, res: ServerResponse, next: Next): void {
  const { method = 'GET' } = req
  if (!isSafeMethod(method)) PassBy.watch(parts, exchangeOf(req, res), 'method', undefined)
  next()
}

function goOn({ behind }: CacheParts, req: IncomingMessage, res: ServerResponse, next: Next = ignore): void {
  if (behind === undefined) next()
  else behind(req, res, next)
}

function ignore(): void {}

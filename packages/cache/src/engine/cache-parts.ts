import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ResolvedCacheOptions } from '../options.ts'
import type { CacheState } from './cache-state.ts'

export type Next = (error?: unknown) => void

/**
 * An Express or Connect handler. Its parameters compare bivariantly, so that handlers written for Express's own request
 * type fit as well as those written for `node:http`.
 */
export type CachedHandler = {
  bivarianceHack(req: IncomingMessage, res: ServerResponse, next: Next): unknown
}['bivarianceHack']

/** What the turns of one cache handler share. */
export interface CacheParts {
  readonly options: ResolvedCacheOptions
  readonly state: CacheState
  /** What is behind the cache, where it was told; else whatever `next()` leads to. */
  readonly behind: CachedHandler | undefined
}

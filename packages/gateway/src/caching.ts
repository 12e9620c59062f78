import { type CacheHandler, type CacheOverrides, cache } from '@postern/cache'
import type { ConfigFault } from '@postern/contracts'
import type { RouteHandler } from '@postern/router'
import type { GatewayConfig, RouteConfig } from './config.ts'
import { gather, isObject } from './faults.ts'
import type { Upstream } from './upstream.ts'

/** Builds the one cache of a gateway; undefined when no route has one, or it has faults. */
export function compileCache(config: GatewayConfig, faults: ConfigFault[]): CacheHandler | undefined {
  const { errors, cache: given } = config
  if (given !== undefined && !isObject(given)) {
    const cure = 'write cache: {}, and cache: true at the routes that are cached'
    faults.push({ path: 'cache', message: 'expected an object of options', received: given, cure })
    return undefined
  }
  const isUsed = Array.isArray(config.routes) && config.routes.some(isCached)
  if (!isUsed && given === undefined) return undefined
  return gather(faults, 'cache', () => cache({ ...given, ...(errors === undefined ? null : { errors }) }))
}

function isCached(row: RouteConfig): boolean {
  return isObject(row) && row.cache !== undefined && row.cache !== false
}

/** Finds what is wrong with a route's `cache`. */
export function checkRouteCache(row: RouteConfig, path: string, faults: ConfigFault[]): void {
  if (!isCached(row)) return
  const received = row.cache
  if (received !== true && !isObject(received)) {
    faults.push({ path: `${path}.cache`, message: 'expected true, false or an object of rules', received })
  } else if (row.upstream === undefined && row.split === undefined) {
    const cure = 'name an upstream, or mount cache() of @postern/cache before your handlers'
    faults.push({ path: `${path}.cache`, message: 'has no upstream behind it', received, cure })
  } else if (isObject(received)) {
    // On a cache of its own, so that all faults are told at once, also where the gateway's has some.
    gather(
      faults,
      `${path}.cache`,
      () =>
        void cache()
          .with(received as CacheOverrides)
          .close(),
    )
  }
}

/** The handlers that lead to an upstream, with the cache in its place. */
export function cachedChain(
  row: RouteConfig,
  name: string,
  { front, back }: Upstream,
  store: CacheHandler | undefined,
  faults: readonly ConfigFault[],
): readonly RouteHandler[] {
  // With faults nothing comes of it, and rules that have some cannot be applied.
  if (store === undefined || faults.length > 0) return [...front, ...back]
  // What is not cached may still change what is (RFC 9111 §4.4).
  if (!isCached(row)) return [...front, store.invalidator, ...back]
  const rules = isObject(row.cache) ? row.cache : {}
  return [...front, store.with({ ...rules, space: name }).around(...back)]
}

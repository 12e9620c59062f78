import type { CacheStore } from './cache-store.ts'
import { type ConformanceCase, runsOn } from './conformance/conformance-case.ts'
import { contentCases } from './conformance/content-cases.ts'
import { keyCases } from './conformance/key-cases.ts'
import { lifeCases } from './conformance/life-cases.ts'
import { purgeCases } from './conformance/purge-cases.ts'
import { tagCases } from './conformance/tag-cases.ts'
import { updateCases } from './conformance/update-cases.ts'
import { variantCases } from './conformance/variant-cases.ts'

export type { ConformanceCase } from './conformance/conformance-case.ts'

/**
 * What every {@link CacheStore} must do, as a list of cases for any test framework:
 *
 * ```ts
 * import { cacheStoreConformance } from '@postern/cache/conformance'
 * import { describe, it } from 'vitest'
 * import { redisStore } from '../src/redis-store.ts'
 *
 * describe('redisStore()', () => {
 *   for (const { name, run } of cacheStoreConformance(() => redisStore({ prefix: crypto.randomUUID() }))) it(name, run)
 * })
 * ```
 *
 * Each case opens a store of its own and closes it, whatever comes of it. A case that fails rejects with an `AssertionError`
 * that says what was seen. Takes a second or so for a store in this process; nothing waits for time to pass.
 *
 * @param open makes a store that is empty, shares nothing with those made before, and has room for 4 MiB in 500 responses
 */
export function cacheStoreConformance(open: () => CacheStore | Promise<CacheStore>): readonly ConformanceCase[] {
  return [...contentCases, ...keyCases, ...variantCases, ...updateCases, ...purgeCases, ...tagCases, ...lifeCases].map(
    (promise) => runsOn(open, promise),
  )
}

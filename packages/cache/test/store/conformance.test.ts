import { describe, it } from 'vitest'
import { cacheStoreConformance } from '../../src/store/conformance.ts'
import { memoryStore } from '../../src/store/memory-store.ts'

describe('memoryStore() does what every store must', () => {
  for (const { name, run } of cacheStoreConformance(() => memoryStore())) it(name, run)
})

import type { CacheStore } from '../cache-store.ts'

/** One thing that a store must do. */
export interface ConformanceCase {
  /** What is shown: `an update keeps the content`. */
  readonly name: string
  /** Opens a store, tries it, closes it. Rejects when it does not do what it must. */
  run(): Promise<void>
}

/** A case that still needs a store. */
export interface StoreCase {
  readonly name: string
  run(store: CacheStore): Promise<void>
}

export function runsOn(open: () => CacheStore | Promise<CacheStore>, { name, run }: StoreCase): ConformanceCase {
  return {
    name,
    async run() {
      const store = await open()
      try {
        await run(store)
      } finally {
        await store.close()
      }
    },
  }
}

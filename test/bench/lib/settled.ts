import { constants, PerformanceObserver } from 'node:perf_hooks'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { statusBytes } from './proc.ts'

let longestMs = 0

/** Watches how long collections of garbage take from now on, those that are asked for left out. */
export function watchCollections(): void {
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const { duration, detail } = entry as typeof entry & { detail: { flags: number } }
      const forced = (detail.flags & constants.NODE_PERFORMANCE_GC_FLAGS_FORCED) !== 0
      if (!forced) longestMs = Math.max(longestMs, duration)
    }
  }).observe({ entryTypes: ['gc'] })
}

/** The longest one since the last call, in milliseconds. */
export async function longestCollectionMs(): Promise<number> {
  // The observer is told later.
  await nextTurn()
  const longest = longestMs
  longestMs = 0
  return longest
}

/** Resident memory after forced collections; needs `--expose-gc`. */
export async function settledBytes(): Promise<number> {
  for (let i = 0; i < 2; i += 1) {
    globalThis.gc?.()
    await nextTurn()
  }
  return statusBytes('self', 'VmRSS')
}

/**
 * The same after a collection that also gives back what V8 keeps for objects to come: many short-lived and surviving ones make
 * its young generation grow to 128 MiB, and it stays so, whoever held them. Needs `--expose-gc`.
 */
export async function heldBytes(): Promise<number> {
  globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' })
  return await settledBytes()
}

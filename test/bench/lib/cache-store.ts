import { Child } from './child.ts'
import { GATEWAY_CORE } from './measure.ts'
import type { FillResult, LookupResult } from './protocol.ts'
import { median } from './stats.ts'
import type { Verdict } from './verdict.ts'

const MIB = 1024 * 1024
const OBJECTS = 1_000_000
/** How far memory may be from `maxBytes`, either way. */
const MAX_DEVIATION = 0.15
const MAX_STALL_MS = 50
const SIZES = [1_000, 100_000, 1_000_000]
/** The same steps, but a thousand entries fit into the CPU's caches and a million do not. */
const MAX_LOOKUP_RATIO = 3
const LOOKUP_ROUNDS = 5
const PATIENCE_MS = 300_000
/** About half of such small objects lies on V8's heap. */
const NODE_OPTIONS = ['--expose-gc', '--max-old-space-size=8192']

/** A million objects of 1 KB in a memory store: what they take, how long the event loop stands still, what a lookup costs. */
export async function checkCacheStore(print: (line: string) => void): Promise<readonly Verdict[]> {
  return [
    ...(await filled('all fit', 1, print)),
    ...(await filled('half evicted', 0.5, print)),
    ...(await lookups(print)),
  ]
}

async function filled(how: string, share: number, print: (line: string) => void): Promise<readonly Verdict[]> {
  const result = await withStore((child) =>
    child.ask<FillResult>({ ask: 'fill', objects: OBJECTS, share }, PATIENCE_MS),
  )
  const { maxBytes, growthBytes, peakGrowthBytes, longestTurnMs, longestCollectionMs, evictions } = result
  print(
    `cache-memory ${how}: ${result.responses} objects, ${evictions} evicted, maxBytes ${mib(maxBytes)}, ` +
      `the store counts ${mib(result.storedBytes)}, memory grew by ${mib(growthBytes)}, at its peak by ` +
      `${mib(peakGrowthBytes)}; ${result.nanosPerPut.toFixed(0)} ns a put`,
  )
  const ratio = growthBytes / maxBytes
  const row = (what: string, asked: string, measured: string, ok: boolean): Verdict => ({
    scenario: 'cache-memory',
    what: `a million objects of 1 KB, ${how}: ${what}`,
    asked,
    measured,
    ok,
  })
  const stored = share === 1 ? OBJECTS : Math.round(OBJECTS * share * 0.95)
  return [
    row('objects stored', `>= ${stored}`, `${result.responses}`, result.responses >= stored),
    row(
      'growth of memory, of maxBytes',
      `${1 - MAX_DEVIATION} to ${1 + MAX_DEVIATION}`,
      `${ratio.toFixed(2)} of ${mib(maxBytes)}, ${(peakGrowthBytes / maxBytes).toFixed(2)} at the peak`,
      Math.abs(ratio - 1) <= MAX_DEVIATION,
    ),
    row(
      'longest stall of the event loop',
      `<= ${MAX_STALL_MS} ms`,
      `${longestTurnMs.toFixed(1)} ms (longest collection of garbage: ${longestCollectionMs.toFixed(1)} ms)`,
      longestTurnMs <= MAX_STALL_MS,
    ),
  ]
}

async function lookups(print: (line: string) => void): Promise<readonly Verdict[]> {
  const samples = new Map<number, LookupResult[]>(SIZES.map((entries) => [entries, []]))
  await withStore(async (child) => {
    // Interleaved, in one process: all sizes meet the same machine code in the same minute. The first round fills and warms.
    for (let round = 0; round <= LOOKUP_ROUNDS; round += 1) {
      for (const [entries, of] of samples) {
        const result = await child.ask<LookupResult>({ ask: 'lookup', entries }, PATIENCE_MS)
        if (round > 0) of.push(result)
      }
    }
  })
  const store = SIZES.map((entries) => median(samples.get(entries)!.map(({ nanos }) => nanos))!)
  const map = SIZES.map((entries) => median(samples.get(entries)!.map(({ mapNanos }) => mapNanos))!)
  const figures = SIZES.map((entries, i) => `${store[i]!.toFixed(0)} ns of ${entries}`).join(', ')
  const mapFigures = map.map((nanos) => nanos.toFixed(0)).join(', ')
  print(`cache-memory lookup: ${figures}; in a plain Map ${mapFigures}`)
  const ratio = store.at(-1)! / store[0]!
  const mapRatio = map.at(-1)! / map[0]!
  return [
    {
      scenario: 'cache-memory',
      what: 'lookup of one of a million objects against one of a thousand',
      asked: `<= ${MAX_LOOKUP_RATIO}`,
      measured: `${ratio.toFixed(2)} (${figures}; a plain Map: ${mapRatio.toFixed(2)}, ${mapFigures})`,
      ok: ratio <= MAX_LOOKUP_RATIO,
    },
  ]
}

async function withStore<Result>(work: (child: Child) => Promise<Result>): Promise<Result> {
  const child = new Child('cache-store', { core: GATEWAY_CORE, nodeOptions: NODE_OPTIONS })
  try {
    await child.ask()
    return await work(child)
  } finally {
    await child.stop()
  }
}

function mib(bytes: number): string {
  return `${(bytes / MIB).toFixed(0)} MiB`
}

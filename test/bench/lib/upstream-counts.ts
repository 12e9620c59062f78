import type { UpstreamCounts } from './protocol.ts'

/** What a cache is to make of the requests of a scenario. It shows in what is left for the upstream. */
export type CacheOutcome = 'hit' | 'miss' | 'uncacheable' | 'revalidated'

/** Requests that may meet an entry that is not there yet, or not any more. */
const FEW = 8

/** What the upstream saw of two requests for one resource, one after the other. */
const OF_TWO: Readonly<Record<CacheOutcome, UpstreamCounts>> = {
  hit: { requests: 1, notModified: 0 },
  // Stored, so that the second one is a hit.
  miss: { requests: 1, notModified: 0 },
  uncacheable: { requests: 2, notModified: 0 },
  revalidated: { requests: 2, notModified: 1 },
}

/**
 * Compares what the upstream saw of requests for `resources` new resources, each asked for twice, with what the scenario is
 * about: a cache that stores nothing, or does not ask where it should, would be measured at something else.
 *
 * @throws Error with what was seen
 */
export function checkPairs(outcome: CacheOutcome, seen: UpstreamCounts, resources: number): void {
  const { requests, notModified } = OF_TWO[outcome]
  if (seen.requests === resources * requests && seen.notModified === resources * notModified) return
  throw new Error(
    `not ${outcome}: of ${2 * resources} requests for ${resources} resources the upstream saw ${tell(seen)}`,
  )
}

/** The same for a load of `answered` requests, over `resources` or, for misses, over as many as there are requests. */
export function checkLoad(outcome: CacheOutcome, seen: UpstreamCounts, answered: number, resources: number): void {
  let ok = seen.requests >= answered && seen.notModified === 0
  if (outcome === 'hit') ok = seen.requests <= FEW
  if (outcome === 'revalidated') ok = seen.notModified >= answered - resources - FEW
  if (!ok) throw new Error(`not ${outcome}: of ${answered} requests the upstream saw ${tell(seen)}`)
}

function tell({ requests, notModified }: UpstreamCounts): string {
  return `${requests}, ${notModified} of them answered 304`
}

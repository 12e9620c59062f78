import type { PathView } from '../pattern/path-view.ts'
import { compareVariants, type Variant } from '../pattern/pattern.ts'
import { fits } from '../pattern/segment.ts'
import { matchTail } from '../pattern/tail.ts'
import { hostRank } from '../predicates/hosts.ts'
import type { RequestFacts } from '../request-facts.ts'
import { type CompiledRoute, comparePredicates, lossOf, methodRank } from './compiled-route.ts'
import type { Loss } from './loss.ts'

/** What became of a route; without a loss it matches. */
export interface Verdict {
  readonly route: CompiledRoute
  readonly loss: Loss | undefined
}

interface Candidate {
  readonly route: CompiledRoute
  readonly host: number
  readonly variant: Variant
}

/**
 * Asks every route in turn, for explanations: the rules that the trie follows by its form, written out.
 *
 * @returns routes of the request's host and path by precedence, then the others in the table's order
 */
export function judge(routes: readonly CompiledRoute[], facts: RequestFacts): Verdict[] {
  const candidates: Candidate[] = []
  const others: Verdict[] = []
  for (const route of routes) {
    const variant = bestVariant(route, facts.view)
    const host = bestHost(route, facts.host)
    if (variant === undefined) others.push({ route, loss: LOST_BY_PATH })
    else if (host === undefined) others.push({ route, loss: LOST_BY_HOST })
    else candidates.push({ route, host, variant })
  }
  candidates.sort((a, b) => {
    if (a.host !== b.host) return a.host > b.host ? -1 : 1
    return compareVariants(a.variant, b.variant) || comparePredicates(a.route, b.route, facts.method)
  })
  return [
    ...candidates.map(({ route }) => ({ route, loss: methodLoss(route, facts) ?? lossOf(route, facts) })),
    ...others,
  ]
}

const LOST_BY_PATH: Loss = Object.freeze({ kind: 'path' })
const LOST_BY_HOST: Loss = Object.freeze({ kind: 'host' })
const LOST_BY_METHOD: Loss = Object.freeze({ kind: 'method' })

function methodLoss(route: CompiledRoute, facts: RequestFacts): Loss | undefined {
  return methodRank(route, facts.method) < 0 ? LOST_BY_METHOD : undefined
}

/** Rank of the best host condition that fits; 0 for any host; undefined when none does. */
function bestHost(route: CompiledRoute, host: string): number | undefined {
  if (route.hosts.length === 0) return 0
  let best = -1
  if (host !== '') for (const pattern of route.hosts) best = Math.max(best, hostRank(pattern, host))
  return best < 0 ? undefined : best
}

function bestVariant(route: CompiledRoute, view: PathView): Variant | undefined {
  let best: Variant | undefined
  for (const variant of route.pattern.variants) {
    if (!variantFits(variant, view)) continue
    if (best === undefined || compareVariants(variant, best) < 0) best = variant
  }
  return best
}

function variantFits(variant: Variant, view: PathView): boolean {
  const { segments, tail, open } = variant
  if (view.count < segments.length) return false
  for (let i = 0; i < segments.length; i++) if (!fits(segments[i]!, view, i)) return false
  if (tail !== undefined) return matchTail(tail, view, segments.length) !== undefined
  return open || view.count === segments.length
}

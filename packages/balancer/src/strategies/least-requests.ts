import type { Candidate, ChoiceContext, Strategy } from './strategy.ts'
import { haveEqualWeights } from './weighted-draw.ts'

/**
 * The least busy of all candidates. Looks at each of them: for pools of some dozens.
 *
 * Equal weights: the fewest in flight, in turn among those that are even. Different weights: smooth round-robin with
 * the weight `weight / (inFlight + 1) ^ bias`, as Envoy schedules it, so that an idle pool shares by weight and a busy
 * target gets the less the busier it is.
 */
export class LeastRequests implements Strategy {
  readonly #bias: number
  #built: readonly Candidate[] | undefined = undefined
  /** What each candidate is owed; undefined while the weights are equal. */
  #credits: Float64Array | undefined = undefined
  #cursor = 0

  /** @param bias how much the requests in flight count; 0 not at all, which leaves plain weighted round-robin */
  constructor(bias = 1) {
    this.#bias = bias
  }

  choose(candidates: readonly Candidate[], context: ChoiceContext): Candidate | undefined {
    if (candidates !== this.#built) this.#build(candidates)
    return this.#credits === undefined
      ? this.#fewest(candidates, context)
      : this.#mostOwed(candidates, context, this.#credits)
  }

  #fewest(candidates: readonly Candidate[], context: ChoiceContext): Candidate | undefined {
    const length = candidates.length
    const start = this.#cursor % length
    let best = -1
    for (let step = 0; step < length; step++) {
      const index = start + step < length ? start + step : start + step - length
      const candidate = candidates[index]!
      if (best !== -1 && candidate.inFlight >= candidates[best]!.inFlight) continue
      if (!context.accepts(candidate)) continue
      best = index
      if (candidate.inFlight === 0) break
    }
    if (best === -1) return candidates[0]
    this.#cursor = best + 1
    return candidates[best]
  }

  #mostOwed(candidates: readonly Candidate[], context: ChoiceContext, credits: Float64Array): Candidate | undefined {
    let total = 0
    let best = -1
    for (let i = 0; i < candidates.length; i++) {
      const candidate = candidates[i]!
      if (!context.accepts(candidate)) continue
      const weight = candidate.effectiveWeight / busyness(candidate.inFlight, this.#bias)
      total += weight
      credits[i]! += weight
      if (best === -1 || credits[i]! > credits[best]!) best = i
    }
    if (best === -1) return candidates[0]
    credits[best]! -= total
    return candidates[best]
  }

  #build(candidates: readonly Candidate[]): void {
    const owed = new Map<Candidate, number>()
    this.#built?.forEach((candidate, i) => {
      owed.set(candidate, this.#credits?.[i] ?? 0)
    })
    this.#built = candidates
    this.#credits = haveEqualWeights(candidates)
      ? undefined
      : Float64Array.from(candidates, (candidate) => owed.get(candidate) ?? 0)
  }
}

function busyness(inFlight: number, bias: number): number {
  return bias === 1 ? inFlight + 1 : (inFlight + 1) ** bias
}

import type { Candidate, ChoiceContext, Strategy } from './strategy.ts'
import { WeightedDraw } from './weighted-draw.ts'

/**
 * Draws two different candidates and takes the one with less in flight, the first drawn when they are even. Constant
 * time, and no herd: two gateways that see the same state do not choose the same target.
 *
 * Both are drawn in proportion to weight, so that an idle pool, too, shares by weight.
 *
 * @see Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001
 */
export class PowerOfTwoChoices implements Strategy {
  readonly #draw = new WeightedDraw()

  choose(candidates: readonly Candidate[], context: ChoiceContext): Candidate | undefined {
    const i = this.#draw.first(candidates, context)
    const first = candidates[i]!
    if (candidates.length === 1) return first
    const second = candidates[this.#draw.second(candidates, context, i)]!
    return isFuller(first, second) ? second : first
  }
}

/**
 * True when `a` has more in flight than `b` relative to weight, counted in whole requests of the lighter of the two.
 *
 * Fractions would be unjust: of 99:1, a single request at the heavy target is 0.01 more than none at the light one,
 * which would then get every second request of a pool that is hardly busy.
 */
export function isFuller(a: Candidate, b: Candidate): boolean {
  const weightA = a.effectiveWeight
  const weightB = b.effectiveWeight
  if (weightA === weightB) return a.inFlight > b.inFlight
  if (weightA > weightB) return Math.floor((a.inFlight * weightB) / weightA) > b.inFlight
  return a.inFlight > Math.floor((b.inFlight * weightA) / weightB)
}

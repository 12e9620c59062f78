import type { Outcome } from '@postern/contracts'
import type { Candidate, ChoiceContext, Strategy } from './strategy.ts'

/** A candidate and the priority tier that it is in now, which `replace()` may have changed since its target was made. */
export interface TieredCandidate extends Candidate {
  readonly tier: number
}

/**
 * A strategy for each priority tier, made when the tier is first used. Each sees the lists of one tier only and so keeps
 * its tables and turns while attempts go back and forth between tiers. An object of the user's own serves all tiers.
 */
export class PerTier {
  readonly #create: () => Strategy
  readonly #byTier = new Map<number, Strategy>()

  constructor(create: () => Strategy) {
    this.#create = create
    // Made at the start and not for the first request.
    this.#of(0)
  }

  choose(candidates: readonly TieredCandidate[], context: ChoiceContext): Candidate | undefined {
    return this.#of(candidates[0]!.tier).choose(candidates, context)
  }

  settled(candidate: TieredCandidate, outcome: Outcome, context: ChoiceContext): void {
    this.#of(candidate.tier).settled?.(candidate, outcome, context)
  }

  #of(tier: number): Strategy {
    let strategy = this.#byTier.get(tier)
    if (strategy === undefined) {
      strategy = this.#create()
      this.#byTier.set(tier, strategy)
    }
    return strategy
  }
}

import type { Candidate, ChoiceContext, Strategy } from './strategy.ts'
import { WeightedDraw } from './weighted-draw.ts'

/** Any candidate, in proportion to weight. Constant time. */
export class Random implements Strategy {
  readonly #draw = new WeightedDraw()

  choose(candidates: readonly Candidate[], context: ChoiceContext): Candidate | undefined {
    return candidates[this.#draw.first(candidates, context)]
  }
}

import type { Candidate, ChoiceContext, Strategy } from './strategy.ts'

/**
 * The first candidate that is accepted, in the order of the configuration: the others are there for when it is not.
 * Weights say nothing but whether a target may be used at all. Looks at one target after the other, as a rule at one.
 */
export class First implements Strategy {
  choose(candidates: readonly Candidate[], context: ChoiceContext): Candidate | undefined {
    for (const candidate of candidates) if (context.accepts(candidate)) return candidate
    return candidates[0]
  }
}

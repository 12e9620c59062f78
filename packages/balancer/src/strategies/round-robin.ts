import { DeadlineQueue } from './deadline-queue.ts'
import { smoothSequence } from './smooth-sequence.ts'
import type { Candidate, ChoiceContext, Strategy } from './strategy.ts'
import { drawByScan, haveEqualWeights } from './weighted-draw.ts'

/** Turns that are passed over, at least, before the turns of refused candidates are given up. */
const MIN_PATIENCE = 256

/**
 * One after the other, the heavier ones more often and spread evenly: 5:1:1 gives a a b a c a a.
 *
 * nginx looks at every target for every request; here the round is computed once and walked, so that a thousand
 * targets cost what three do. Weights that make no round of 10,000 or less take turns from a {@link DeadlineQueue}.
 * A candidate that is refused loses its turn.
 */
export class RoundRobin implements Strategy {
  #built: readonly Candidate[] | undefined = undefined
  /** The round, as indices; undefined when it is the list itself or when the queue is used. */
  #sequence: Uint32Array | undefined = undefined
  #queue: DeadlineQueue | undefined = undefined
  #cursor = 0

  choose(candidates: readonly Candidate[], context: ChoiceContext): Candidate | undefined {
    // Hardly anything is accepted: a turn would be long in coming.
    if (context.narrowed) return candidates[drawByScan(candidates, context)]
    if (candidates !== this.#built) this.#build(candidates)
    const patience = Math.max(candidates.length, MIN_PATIENCE)
    let candidate = candidates[this.#next(candidates.length)]!
    for (let passed = 1; passed < patience && !context.accepts(candidate); passed++) {
      candidate = candidates[this.#next(candidates.length)]!
    }
    return candidate
  }

  #next(length: number): number {
    if (this.#queue !== undefined) return this.#queue.next()
    const sequence = this.#sequence
    const round = sequence === undefined ? length : sequence.length
    // The cursor outlives a change of the list, so that frequent changes do not favour whoever comes first.
    const at = this.#cursor < round ? this.#cursor : this.#cursor % round
    this.#cursor = at + 1
    return sequence === undefined ? at : sequence[at]!
  }

  #build(candidates: readonly Candidate[]): void {
    const waits = this.#waits()
    this.#built = candidates
    this.#sequence = undefined
    this.#queue = undefined
    if (haveEqualWeights(candidates)) return
    const weights = candidates.map((candidate) => candidate.effectiveWeight)
    this.#sequence = smoothSequence(weights)
    if (this.#sequence !== undefined) return
    this.#queue = new DeadlineQueue(
      weights,
      candidates.map((candidate) => waits?.get(candidate) ?? 1),
    )
  }

  #waits(): Map<Candidate, number> | undefined {
    const queue = this.#queue
    if (queue === undefined || this.#built === undefined) return undefined
    return new Map(this.#built.map((candidate, i) => [candidate, queue.waitOf(i)]))
  }
}

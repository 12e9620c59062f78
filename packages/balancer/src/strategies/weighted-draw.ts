import type { Candidate, ChoiceContext } from './strategy.ts'

/** Redraws of the second of two before any other will do; only a target with nearly all the weight needs as many. */
const REDRAWS = 8

/**
 * Draws candidates at random in proportion to their weights, in constant time: an alias table (Vose 1991), built anew
 * when the list is another. Equal weights need no table.
 */
export class WeightedDraw {
  #built: readonly Candidate[] | undefined = undefined
  #keep: Float64Array | undefined = undefined
  #alias: Uint32Array | undefined = undefined

  /** Index of one candidate. */
  first(candidates: readonly Candidate[], context: ChoiceContext): number {
    if (context.narrowed) return drawByScan(candidates, context)
    if (candidates !== this.#built) this.#build(candidates)
    const length = candidates.length
    const at = context.random() * length
    const index = Math.min(Math.floor(at), length - 1)
    if (this.#keep === undefined) return index
    return at - index < this.#keep[index]! ? index : this.#alias![index]!
  }

  /** Index of a candidate other than `first`; there must be two at least. */
  second(candidates: readonly Candidate[], context: ChoiceContext, first: number): number {
    const length = candidates.length
    if (length === 2) return 1 - first
    if (context.narrowed || this.#keep !== undefined) {
      for (let i = 0; i < REDRAWS; i++) {
        const index = this.first(candidates, context)
        if (index !== first) return index
      }
    }
    const index = Math.min(Math.floor(context.random() * (length - 1)), length - 2)
    return index < first ? index : index + 1
  }

  #build(candidates: readonly Candidate[]): void {
    this.#built = candidates
    this.#keep = undefined
    this.#alias = undefined
    if (haveEqualWeights(candidates)) return
    const length = candidates.length
    const mean = candidates.reduce((sum, candidate) => sum + candidate.effectiveWeight, 0) / length
    const keep = Float64Array.from(candidates, (candidate) => candidate.effectiveWeight / mean)
    const alias = Uint32Array.from(candidates, (_, index) => index)
    const below: number[] = []
    const above: number[] = []
    for (let i = 0; i < length; i++) (keep[i]! < 1 ? below : above).push(i)
    while (below.length > 0 && above.length > 0) {
      const poor = below.pop()!
      const rich = above.at(-1)!
      alias[poor] = rich
      keep[rich]! -= 1 - keep[poor]!
      if (keep[rich]! < 1) below.push(above.pop()!)
    }
    // What is left owes its distance from 1 to rounding alone.
    for (const index of below) keep[index] = 1
    this.#keep = keep
    this.#alias = alias
  }
}

/** Index of a candidate drawn in proportion to weight, in one pass and without a table. */
export function drawByScan(candidates: readonly Candidate[], context: ChoiceContext): number {
  let total = 0
  for (const candidate of candidates) total += candidate.effectiveWeight
  let at = context.random() * total
  const last = candidates.length - 1
  for (let i = 0; i < last; i++) {
    at -= candidates[i]!.effectiveWeight
    if (at < 0) return i
  }
  return last
}

/** True when every candidate has the weight of the first. */
export function haveEqualWeights(candidates: readonly Candidate[]): boolean {
  const weight = candidates[0]?.effectiveWeight
  return candidates.every((candidate) => candidate.effectiveWeight === weight)
}

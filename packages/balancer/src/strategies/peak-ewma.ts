import { isFailure, type Outcome } from '@postern/contracts'
import * as v from 'valibot'
import { PeakAverage } from './peak-average.ts'
import type { Candidate, ChoiceContext, Strategy } from './strategy.ts'
import { WeightedDraw } from './weighted-draw.ts'

/** Options of the strategy `peak-ewma`. */
export interface PeakEwmaOptions {
  readonly name: 'peak-ewma'
  /**
   * How fast a latency is forgotten, in milliseconds, 1 to 3,600,000: after so long, about a third of it is left.
   * @default 10_000
   */
  readonly decayMs?: number
  /**
   * The latency that a failure of the target, a 5xx or a 429 counts as at least, in milliseconds, 0 to 3,600,000.
   * Without it a target that fails fast would look like the best. @default 5_000
   */
  readonly failurePenaltyMs?: number
}

const DECAY = 'not a number of milliseconds from 1 to 3600000'
const PENALTY = 'not a number of milliseconds from 0 to 3600000'

/** What may stand beside `name: 'peak-ewma'`. */
export const PEAK_EWMA_ENTRIES: v.ObjectEntries = {
  decayMs: v.optional(v.pipe(v.number(DECAY), v.minValue(1, DECAY), v.maxValue(3_600_000, DECAY))),
  failurePenaltyMs: v.optional(v.pipe(v.number(PENALTY), v.minValue(0, PENALTY), v.maxValue(3_600_000, PENALTY))),
}

/** Stands for the latency of a target that has been asked and has not answered yet. */
const UNANSWERED_MS = 1e7
/** No latency counts as less: times nothing, any number of requests in flight would be no load. */
const LEAST_MS = 0.001

/**
 * Draws two different candidates, as the power of two choices does, and takes the one where an answer is to be expected
 * sooner: the smaller `cost × (inFlight + 1)`, the first drawn when they are even. `cost` is a {@link PeakAverage} of the
 * time to the head of the response; bodies and streams say nothing about how fast a target is. Constant time.
 *
 * - A target that was never measured is taken at once while nothing is in flight to it, and then hardly until it answers.
 * - The cost of an idle target fades. With something in flight it is what was measured last: otherwise a target that has
 *   stopped answering would look better and better for as long as it does not.
 * - Different weights: both are drawn in proportion to weight. A lighter one takes the place of a heavier one only when
 *   its load is less in relation to weight, so that a slow moment of the others does not flood a canary; a heavier one
 *   takes the place of a lighter one when its load is less in whole requests of that, so that the lighter one is not
 *   starved while the pool is idle.
 *
 * @see Finagle's `PeakEwma` and Linkerd's failure accrual of 429 and 5xx as latency
 */
export class PeakEwma implements Strategy {
  readonly #decayMs: number
  readonly #failurePenaltyMs: number
  readonly #draw = new WeightedDraw()

  constructor({ decayMs = 10_000, failurePenaltyMs = 5_000 }: Omit<PeakEwmaOptions, 'name'> = {}) {
    this.#decayMs = decayMs
    this.#failurePenaltyMs = failurePenaltyMs
  }

  choose(candidates: readonly Candidate[], context: ChoiceContext): Candidate | undefined {
    const i = this.#draw.first(candidates, context)
    const first = candidates[i]!
    if (candidates.length === 1) return first
    const second = candidates[this.#draw.second(candidates, context, i)]!
    return this.#isSooner(second, first, context.clock.now()) ? second : first
  }

  settled(candidate: Candidate, outcome: Outcome, context: ChoiceContext): void {
    const latencyMs = latencyOf(outcome, this.#failurePenaltyMs)
    if (latencyMs === undefined) return
    const nowMs = context.clock.now()
    candidate.slot ??= new PeakAverage(nowMs)
    const average = candidate.slot as PeakAverage
    if (isFailure(outcome) && outcome.type === 'superseded') average.observeAtLeast(latencyMs, nowMs)
    else average.observe(latencyMs, nowMs, this.#decayMs)
  }

  /** True when `second` is to be taken in place of `first`. */
  #isSooner(second: Candidate, first: Candidate, nowMs: number): boolean {
    const costOfFirst = this.#costOf(first, nowMs)
    const costOfSecond = this.#costOf(second, nowMs)
    const share = first.effectiveWeight / second.effectiveWeight
    const limit = costOfFirst * (first.inFlight + 1)
    if (share === 1) return costOfSecond * (second.inFlight + 1) < limit
    if (share > 1) return costOfSecond * (second.inFlight + 1) * share < limit
    return costOfSecond * (Math.floor(second.inFlight * share) + 1) < limit
  }

  #costOf({ slot, inFlight }: Candidate, nowMs: number): number {
    const average = slot as PeakAverage | undefined
    if (average === undefined) return inFlight === 0 ? 0 : UNANSWERED_MS
    return inFlight === 0 ? average.fadedMs(nowMs, this.#decayMs) : average.costMs
  }
}

/** What an outcome says about the speed of its target; undefined when it says nothing. */
function latencyOf(outcome: Outcome, penaltyMs: number): number | undefined {
  if (isFailure(outcome)) {
    if (outcome.type === 'superseded') return Math.max(outcome.totalMs, LEAST_MS)
    return outcome.side === 'upstream' ? Math.max(outcome.totalMs, penaltyMs, LEAST_MS) : undefined
  }
  const { status, headersMs } = outcome
  return Math.max(headersMs, status >= 500 || status === 429 ? penaltyMs : LEAST_MS, LEAST_MS)
}

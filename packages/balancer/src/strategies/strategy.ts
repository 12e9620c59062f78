import type { Clock, Exchange, Outcome, Target } from '@postern/contracts'

/** A target that may be chosen now, with its live state. The same object for as long as the target is in the pool. */
export interface Candidate {
  readonly target: Target
  /** Leases that are not settled yet, this process only. */
  readonly inFlight: number
  /** Share against the other candidates; more than 0. A list of candidates keeps the weights it was made with. */
  readonly effectiveWeight: number
  /** The strategy's own memory of this target; undefined at first, kept while the target stays in the pool. */
  slot: unknown
}

/** For whom a target is chosen, and with what. Valid during the call it is passed to. */
export interface ChoiceContext {
  /** The request: its headers, cookies, client and route parameters. */
  readonly exchange: Exchange
  readonly clock: Clock
  /** Uniform in [0, 1). */
  random(): number
  /** False for a candidate that must not be used for this attempt: tried already, circuit open. */
  accepts(candidate: Candidate): boolean
  /**
   * True when the list was narrowed to what `accepts` allows, for this call only, because a first draw was refused.
   * A strategy that keeps tables of the list keeps those it has.
   */
  readonly narrowed: boolean
}

/**
 * A rule for choosing one of many targets. One object serves one balancer, with all its priority tiers. A plain object
 * will do:
 *
 * ```ts
 * const cheapest: Strategy = {
 *   choose: (candidates) => candidates.toSorted((a, b) => price(a.target) - price(b.target))[0],
 * }
 * ```
 */
export interface Strategy {
  /**
   * Chooses one of the candidates; called once for an attempt, twice when the first choice is not accepted.
   *
   * The list is never empty and must not be changed. It holds only targets that may be used (not drained, weight above
   * 0), all of one priority tier, and is another array whenever a target came, went or changed its effective weight; so
   * a table made from it is good for as long as the same array is passed, and `context.narrowed` is false. A balancer
   * with several tiers calls for the next tier when nothing in this one is accepted.
   *
   * A choice that `context.accepts` refuses is not used: the balancer calls again with the accepted candidates alone.
   * So a strategy need not ask `accepts` itself; it may, when that saves the second call.
   *
   * @returns undefined to take none now; the attempt is then refused as `saturated`
   */
  choose(candidates: readonly Candidate[], context: ChoiceContext): Candidate | undefined
  /** Told of every attempt that is over, after `inFlight` went down; also for targets that have left meanwhile. */
  settled?(candidate: Candidate, outcome: Outcome, context: ChoiceContext): void
}

import { isFailure, type Outcome, warnOnce } from '@postern/contracts'

/** When a circuit opens, and for how long. */
export interface OpeningPolicy {
  /** 0 when the ratio does not count. */
  readonly failureRatio: number
  readonly minimumRequests: number
  /** 0 when failures in a row do not count. */
  readonly consecutiveFailures: number
  readonly openMs: number
  readonly maxOpenMs: number
  readonly jitter: number
}

/** What one outcome says about the target. `slow` is a failure, too. */
export type Verdict = 'success' | 'failure' | 'slow' | 'ignored'

/**
 * Why a closed circuit should open now, or undefined when it should not.
 *
 * @param requests calls in the window that count, `failures` among them
 * @param inARow failures since the last success
 */
export function openingReason(
  policy: OpeningPolicy,
  requests: number,
  failures: number,
  inARow: number,
): 'failure_ratio' | 'consecutive_failures' | undefined {
  const { failureRatio, minimumRequests, consecutiveFailures } = policy
  if (consecutiveFailures > 0 && inARow >= consecutiveFailures) return 'consecutive_failures'
  if (failureRatio > 0 && requests >= minimumRequests && failures >= failureRatio * requests) return 'failure_ratio'
  return undefined
}

/** How long a circuit stays open before jitter: doubled with every opening since it was last closed, up to the most. */
export function nominalOpenMs(policy: OpeningPolicy, openings: number): number {
  return Math.min(policy.maxOpenMs, policy.openMs * 2 ** Math.min(openings, 40))
}

/**
 * How long a circuit stays open. Jitter only shortens, so that the most is never passed and instances that opened
 * together stay apart there, too.
 *
 * @param random uniform in [0, 1)
 */
export function openTimeMs(policy: OpeningPolicy, openings: number, random: number): number {
  return Math.max(1, Math.round(nominalOpenMs(policy, openings) * (1 - policy.jitter * random)))
}

/** How outcomes are judged. */
export interface VerdictPolicy {
  /** The user's own rule; undefined: the default of whoever judges. */
  readonly isFailure: ((outcome: Outcome) => boolean) | undefined
  /** 0 when slowness does not count. */
  readonly slowMs: number
}

/** The default at a target: what it did, never what the client or the gateway did. A 4xx is a healthy answer. */
export function isTargetsFailure(outcome: Outcome): boolean {
  return isFailure(outcome) ? outcome.side === 'upstream' : outcome.status >= 500
}

/** The default on a route: everything behind it counts, the gateway's own stages, too. */
export function isRoutesFailure(outcome: Outcome): boolean {
  return isFailure(outcome) ? outcome.side !== 'client' : outcome.status >= 500
}

/**
 * What an outcome says. A client that left and an attempt that was given up for a better one say nothing, whatever the
 * rule; a failure of the gateway itself (its queue, its deadline) says nothing unless the rule counts it.
 */
export function verdictOf(outcome: Outcome, policy: VerdictPolicy, byDefault: (outcome: Outcome) => boolean): Verdict {
  if (!isFailure(outcome)) {
    if (asks(policy.isFailure, outcome, byDefault)) return 'failure'
    return policy.slowMs > 0 && outcome.headersMs > policy.slowMs ? 'slow' : 'success'
  }
  if (outcome.side === 'client' || outcome.type === 'superseded') return 'ignored'
  if (asks(policy.isFailure, outcome, byDefault)) return 'failure'
  return outcome.side === 'gateway' ? 'ignored' : 'success'
}

/** A rule that throws fails no request: the default decides instead. */
export function asks<Subject>(
  rule: ((subject: Subject) => boolean) | undefined,
  subject: Subject,
  byDefault: (subject: Subject) => boolean,
): boolean {
  if (rule === undefined) return byDefault(subject)
  try {
    return rule(subject)
  } catch (error) {
    const told = error instanceof Error ? (error.stack ?? error.message) : String(error)
    warnOnce('POSTERN_IS_FAILURE_THREW', `The isFailure of a circuit threw: ${told}. The default rule was used.`)
    return byDefault(subject)
  }
}

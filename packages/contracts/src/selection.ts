import type { Outcome } from './failure.ts'
import type { Target } from './target.ts'

/**
 * How a target is chosen without anyone calling anyone: `balancer()` puts a selection on the exchange, others may wrap
 * it to narrow it (a circuit that is open, a bulkhead that is full), and `proxy()` at the end acquires, sends and
 * settles.
 */
export interface Selection {
  /**
   * Leases one target for one attempt.
   *
   * @param accept narrows further (already tried, circuit open, …); absent: every target is fine
   * @returns a lease that must be settled exactly once, or the reason why there is none
   */
  acquire(accept?: (target: Target) => boolean): Lease | Refusal
  /** Number of targets that could take an attempt at all; tells a retry loop whether another target is left. */
  readonly size: number
}

/** One target for one attempt. */
export interface Lease {
  readonly target: Target
  /**
   * Reports what the attempt came to. Called exactly once, when the response has ended or failed; health, latency
   * averages, breakers and in-flight counts learn from it.
   */
  settle(outcome: Outcome): void
}

/** Why no target could be leased. */
export interface Refusal {
  readonly reason:
    | 'no_targets'
    | 'all_unhealthy'
    | 'circuit_open'
    | 'saturated'
    /** The one target that the client is bound to cannot take it, and no other may. */
    | 'target_gone'
  /** When it may be worth trying again, in milliseconds; becomes Retry-After. */
  readonly retryAfterMs?: number
}

/** Tells a refusal from a lease. */
export function isRefusal(result: Lease | Refusal): result is Refusal {
  return (result as Refusal).reason !== undefined
}

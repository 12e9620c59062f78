import type { HealthChange, MemberHealth } from './member-health.ts'
import type { ResolvedOutliers, SuccessRate } from './options.ts'

/** Fewer failures in an interval say nothing, however evenly the others succeed. */
const LEAST_FAILURES = 5

/** A member as the rules of ejection see it. */
export interface Judged {
  readonly health: MemberHealth
}

/**
 * Passive outlier ejection over a pool, after Envoy: by failures in a row, and by success rates far below the mean. Time
 * is looked at when something fails, and at no other time: while nothing fails there is nothing to eject.
 *
 * @see https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/outlier
 */
export class Outliers<Member extends Judged> {
  readonly #options: ResolvedOutliers
  readonly #random: () => number
  /** End of the interval whose successes and failures are counted; it begins with a failure. */
  #intervalEndsAtMs = Number.NEGATIVE_INFINITY

  constructor(options: ResolvedOutliers, random: () => number) {
    this.#options = options
    this.#random = random
  }

  /**
   * Counts a failure of a member.
   *
   * @returns those that are ejected by it
   */
  failed(member: Member, members: readonly Member[], now: number): readonly Member[] {
    const ejected = this.#endInterval(members, now)
    const health = member.health
    health.failed++
    if (health.ejected) return ejected
    health.consecutiveFailures++
    if (health.consecutiveFailures < this.#options.consecutiveFailures) return ejected
    return this.#eject(member, members, now) ? [...ejected, member] : ejected
  }

  /** Takes back what goes beyond the largest share since members have left; those that are out longest come first. */
  pardon(members: readonly Member[], now: number): readonly (readonly [Member, HealthChange])[] {
    const ejected = members.filter(({ health }) => health.ejected)
    const surplus = ejected.length - this.#most(members)
    if (surplus <= 0) return []
    ejected.sort((a, b) => a.health.ejectedUntilMs - b.health.ejectedUntilMs)
    return ejected.slice(0, surplus).map((member) => [member, member.health.pardon(now)!] as const)
  }

  #most(members: readonly Member[]): number {
    return Math.max(1, Math.floor(members.length * this.#options.maxShare))
  }

  #eject(member: Member, members: readonly Member[], now: number): boolean {
    let out = 0
    for (const { health } of members) if (health.ejected) out++
    if (out >= this.#most(members)) return false
    const { decayMs, baseMs, maxMs } = this.#options
    member.health.decay(now, decayMs)
    member.health.eject(now, baseMs, maxMs, this.#random)
    return true
  }

  #endInterval(members: readonly Member[], now: number): Member[] {
    const options = this.#options.successRate
    if (options === undefined || now < this.#intervalEndsAtMs) return []
    // Long over: nothing failed meanwhile, and what was counted is old.
    const isFresh = now < this.#intervalEndsAtMs + options.intervalMs
    const ejected = isFresh ? outliersAmong(members, options).filter((member) => this.#eject(member, members, now)) : []
    this.#intervalEndsAtMs = now + options.intervalMs
    for (const { health } of members) {
      health.succeeded = 0
      health.failed = 0
    }
    return ejected
  }
}

/** Those whose success rate lies more than so many standard deviations below the mean; the worst first. */
export function outliersAmong<Member extends Judged>(members: readonly Member[], options: SuccessRate): Member[] {
  const counted = members.filter(
    ({ health }) => !health.ejected && health.succeeded + health.failed >= options.minRequests,
  )
  if (counted.length < options.minTargets) return []
  const rates = counted.map(({ health }) => health.succeeded / (health.succeeded + health.failed))
  const mean = rates.reduce((sum, rate) => sum + rate, 0) / rates.length
  const variance = rates.reduce((sum, rate) => sum + (rate - mean) ** 2, 0) / rates.length
  const least = mean - options.stdevFactor * Math.sqrt(variance)
  return counted
    .map((member, i) => ({ member, rate: rates[i]! }))
    .filter(({ member, rate }) => rate < least && member.health.failed >= LEAST_FAILURES)
    .sort((a, b) => a.rate - b.rate)
    .map(({ member }) => member)
}

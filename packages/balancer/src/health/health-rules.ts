import { type Clock, isFailure, type Outcome } from '@postern/contracts'
import type { HealthChange, MemberHealth } from './member-health.ts'
import type { ConnectFailure, ResolvedHealth, ResolvedOutliers } from './options.ts'
import { Outliers } from './outliers.ts'
import type { ProbeResult } from './probe.ts'

/** A change of health, and whose it is. */
export type HealthEvent<Member> = readonly [member: Member, change: HealthChange]

/** What the rules need of a member. */
export interface Patient {
  readonly health: MemberHealth
}

/** Nothing to tell of; but times have changed, and with them perhaps who may be chosen. */
const SILENT: readonly never[] = Object.freeze([])

/** What the health of a pool's members learns from attempts and from probes. Asks the clock only when something fails. */
export class HealthRules<Member extends Patient> {
  readonly #clock: Clock
  readonly #random: () => number
  readonly #connectFailure: ConnectFailure | undefined
  readonly #outliers: Outliers<Member> | undefined

  constructor(options: ResolvedOutliers | undefined, clock: Clock, random: () => number) {
    this.#clock = clock
    this.#random = random
    this.#connectFailure = options?.connectFailure
    this.#outliers = options && new Outliers(options, random)
  }

  /** An attempt goes out to a member that may still be unreachable. */
  tried(member: Member): void {
    if (this.#connectFailure !== undefined) member.health.tried(this.#clock.now(), this.#connectFailure)
  }

  /**
   * Learns from an attempt. What a client or the gateway did is no news of the target, and a 4xx is none either: a client
   * can bring it about.
   *
   * @returns undefined when nothing has changed who may be chosen
   */
  settled(member: Member, outcome: Outcome, members: readonly Member[]): readonly HealthEvent<Member>[] | undefined {
    const health = member.health
    if (isFailure(outcome)) {
      if (outcome.side !== 'upstream') return undefined
      if (outcome.phase === 'connect' && this.#connectFailure !== undefined) {
        return this.#connectFailed(member, this.#clock.now(), this.#connectFailure)
      }
      return this.#failed(member, members)
    }
    const reached = health.unreachable ? eventsOf(member, health.reached(this.#clock.now())) : undefined
    if (outcome.status >= 500) {
      const events = this.#failed(member, members)
      return reached === undefined ? events : [...reached, ...(events ?? [])]
    }
    if (outcome.status < 400) {
      health.consecutiveFailures = 0
      health.succeeded++
      health.proven = true
    }
    return reached
  }

  /** Learns from a probe. */
  probed(member: Member, result: ProbeResult, options: ResolvedHealth): readonly HealthEvent<Member>[] {
    const now = this.#clock.now()
    const events: HealthEvent<Member>[] = []
    // Another port says nothing of connections to the one that takes requests.
    if (!result.connected && options.port === undefined && this.#connectFailure !== undefined) {
      events.push(...(this.#connectFailed(member, now, this.#connectFailure) ?? SILENT))
    }
    for (const change of member.health.probeEnded(now, result, options)) events.push([member, change])
    return events
  }

  /** Some members have left: no larger share may be ejected than before. */
  left(members: readonly Member[]): readonly HealthEvent<Member>[] {
    return this.#outliers?.pardon(members, this.#clock.now()) ?? SILENT
  }

  #connectFailed(member: Member, now: number, options: ConnectFailure): readonly HealthEvent<Member>[] | undefined {
    if (member.health.isResting(now)) return undefined
    return eventsOf(member, member.health.connectFailed(now, options, this.#random))
  }

  #failed(member: Member, members: readonly Member[]): readonly HealthEvent<Member>[] | undefined {
    const ejected = this.#outliers?.failed(member, members, this.#clock.now())
    if (ejected === undefined || ejected.length === 0) return undefined
    return ejected.map((one) => [one, 'ejected'] as const)
  }
}

function eventsOf<Member>(member: Member, change: HealthChange | undefined): readonly HealthEvent<Member>[] {
  return change === undefined ? SILENT : [[member, change]]
}

import { type Clock, isFailure, nearest, type Outcome, type Refusal, type Target, warnOnce } from '@postern/contracts'
import { poolPanicked, type TargetChangeKind, targetChanged } from './channels.ts'
import { type HealthEvent, HealthRules } from './health/health-rules.ts'
import type { Verdict } from './health/member-health.ts'
import type { ResolvedSlowStart } from './health/options.ts'
import type { ProbeResult } from './health/probe.ts'
import { Prober } from './health/prober.ts'
import { arrange } from './health/tiers.ts'
import { isSameTarget, Member, type MemberPool, type TargetState } from './member.ts'
import type { ResolvedBalancerOptions } from './options.ts'
import { PerTier } from './strategies/per-tier.ts'
import type { Candidate, ChoiceContext } from './strategies/strategy.ts'

/**
 * The targets of one balancer: who is in, who may be chosen, and what is in flight. Who may be chosen is worked out
 * when something changes, never for a request. What time alone changes (an ejection that is over, the next step of a slow
 * start) is worked out by whoever comes next; the clock is asked for it only while such a thing is pending.
 */
export class Pool implements MemberPool {
  readonly clock: Clock
  readonly random: () => number
  readonly #name: string
  readonly #strategy: PerTier
  readonly #rules: HealthRules<Member>
  readonly #slowStart: ResolvedSlowStart | undefined
  readonly #panicThreshold: number
  readonly #prober: Prober<Member> | undefined
  #members = new Map<string, Member>()
  /** The same members. */
  #list: readonly Member[] = []
  #candidates: readonly Member[] = []
  #tiers: readonly (readonly Member[])[] = []
  #views: readonly TargetState[] = Object.freeze([])
  /** When time alone changes something; Infinity when it does not. */
  #nextChangeAtMs = Number.POSITIVE_INFINITY
  #panicking = false
  /** True from the first lease on. */
  #served = false
  /** Members that someone waits for, those that were removed meanwhile among them. */
  readonly #awaited = new Set<Member>()

  constructor(options: ResolvedBalancerOptions) {
    this.clock = options.clock
    this.random = options.random
    this.#name = options.name
    this.#strategy = new PerTier(options.createStrategy)
    this.#rules = new HealthRules(options.outliers, this.clock, this.random)
    this.#slowStart = options.slowStart
    this.#panicThreshold = options.panicThreshold
    this.#prober =
      options.health && new Prober(options.health, this.random, (member: Member, result) => this.probed(member, result))
    this.replace(options.targets)
  }

  /** Members that may be chosen; another array whenever one came, went or changed its effective weight. */
  get candidates(): readonly Member[] {
    this.catchUp()
    return this.#candidates
  }

  /**
   * The candidates by priority tier, in the order in which the tiers are to be tried; never an empty one. The same array
   * for as long as nothing about it changed, and so is each tier's.
   */
  get tiers(): readonly (readonly Member[])[] {
    this.catchUp()
    return this.#tiers
  }

  /** Why there is no candidate at all. */
  refusal(): Refusal {
    const now = this.clock.now()
    const usable = this.#list.filter((member) => !member.leaving && member.weight > 0)
    if (usable.length === 0) return NO_TARGETS
    // A probe may find one well before its time is over.
    let soonestMs = this.#prober?.options.unhealthyIntervalMs ?? Number.POSITIVE_INFINITY
    for (const { health } of usable) soonestMs = Math.min(soonestMs, health.backAtMs(now) - now)
    return { reason: 'all_unhealthy', retryAfterMs: Math.max(1, Math.ceil(soonestMs)) }
  }

  get views(): readonly TargetState[] {
    return this.#views
  }

  /** The member of that id, whether it may be chosen or not. */
  memberOf(id: string): Member | undefined {
    return this.#members.get(id)
  }

  /** True while targets are used that are out, since too few are left. */
  get panicking(): boolean {
    this.catchUp()
    return this.#panicking
  }

  catchUp(): void {
    if (this.#nextChangeAtMs === Number.POSITIVE_INFINITY) return
    if (this.clock.now() >= this.#nextChangeAtMs) this.#refresh()
  }

  /** Asks the strategy. A strategy that fails does not fail the request: any accepted candidate serves instead. */
  choose(candidates: readonly Member[], context: ChoiceContext): Member | undefined {
    let choice: Candidate | undefined
    try {
      choice = this.#strategy.choose(candidates, context)
    } catch (error) {
      this.#warnOfStrategy(`threw in choose(): ${messageOf(error)}`)
      return anyAccepted(candidates, context)
    }
    if (choice === undefined) return undefined
    if (choice instanceof Member && choice.pool === this && choice.eligible) return choice
    this.#warnOfStrategy(
      'chose what is not one of the candidates; return an element of the list that choose() was given',
    )
    return anyAccepted(candidates, context)
  }

  leased(member: Member): void {
    member.inFlight++
    member.requests++
    this.#served = true
    if (!member.health.unreachable) return
    this.#rules.tried(member)
    this.#refresh()
  }

  settled(member: Member, outcome: Outcome, context: ChoiceContext): void {
    member.inFlight--
    if (isTargetsFault(outcome)) member.failures++
    if (member.inFlight === 0 && member.leaving) this.#drained(member)
    if (!member.removed) {
      const events = this.#rules.settled(member, outcome, this.#list)
      if (events !== undefined) this.#refresh(events)
    }
    try {
      this.#strategy.settled(member, outcome, context)
    } catch (error) {
      this.#warnOfStrategy(`threw in settled(): ${messageOf(error)}`)
    }
  }

  /** Stops leasing the target; true once nothing is in flight to it, false when that was not waited for to the end. */
  drain(id: string, timeoutMs: number | undefined): Promise<boolean> {
    const member = this.#find(id)
    if (!member.draining) {
      member.draining = true
      this.#refresh()
      this.#publish(member, 'draining')
      // A listener may have taken it back already.
      if (member.inFlight === 0 && member.leaving) this.#drained(member)
    }
    if (member.inFlight === 0) return Promise.resolve(member.leaving)
    this.#awaited.add(member)
    return member.waits.wait(timeoutMs)
  }

  undrain(id: string): void {
    const member = this.#find(id)
    if (!member.draining) return
    member.draining = false
    this.#refresh()
    this.#endWaits(member, false)
    this.#publish(member, 'undrained')
  }

  setWeight(id: string, weight: number): void {
    const member = this.#find(id)
    if (member.weight === weight) return
    member.weight = weight
    this.#refresh()
    this.#publish(member, 'weight')
  }

  /** Swaps the targets in one step; those that stay keep their state and their {@link Target}. */
  replace(targets: readonly Target[]): void {
    const before = this.#members
    const after = new Map<string, Member>()
    const added: Member[] = []
    const changed: [Member, 'weight' | 'tier'][] = []
    for (const target of targets) {
      let member = before.get(target.id)
      if (member === undefined || !isSameTarget(member.target, target)) {
        member = new Member(this, target)
        if (this.#served) member.health.warm(this.clock.now())
        added.push(member)
      } else {
        if (member.weight !== target.weight) changed.push([member, 'weight'])
        if (member.tier !== target.tier) changed.push([member, 'tier'])
        member.weight = target.weight
        member.tier = target.tier
      }
      after.set(target.id, member)
    }
    const removed = [...before.values()].filter((member) => after.get(member.target.id) !== member)
    // Everything takes effect before anyone is told: a listener may call back in.
    const drained = removed.filter((member) => !member.draining && member.inFlight === 0)
    for (const member of removed) {
      member.removed = true
      member.eligible = false
      member.effectiveWeight = 0
    }
    this.#members = after
    this.#list = [...after.values()]
    this.#views = Object.freeze(this.#list.map((member) => member.view))
    this.#prober?.replace(this.#list)
    this.#refresh(removed.length === 0 ? [] : this.#rules.left(this.#list))
    for (const member of removed) this.#publish(member, 'removed')
    for (const member of drained) this.#drained(member)
    for (const member of added) this.#publish(member, 'added')
    for (const [member, change] of changed) this.#publish(member, change)
  }

  /** Begins to probe; nothing when there are no probes, or they have begun. */
  start(): void {
    this.#prober?.start()
  }

  /** Probes a target now. */
  async check(id: string): Promise<ProbeResult> {
    const member = this.#find(id)
    if (this.#prober !== undefined) return this.#prober.check(member)
    throw Object.assign(new TypeError(`${this.#name}: check() needs the option "health": what to ask a target`), {
      code: 'POSTERN_NO_PROBES',
    })
  }

  /** Learns from a probe. */
  probed(member: Member, result: ProbeResult): void {
    const prober = this.#prober
    if (prober !== undefined) this.#refresh(this.#rules.probed(member, result, prober.options))
  }

  /** Ends all waiting for drains, and all probes. */
  close(): void {
    this.#prober?.close()
    for (const member of this.#awaited) this.#endWaits(member, false)
  }

  /**
   * Works out who may be chosen; keeps each list about which nothing changed, and with it every strategy's tables.
   *
   * @param events what has changed of somebody's health; told once the change has taken effect
   */
  #refresh(events: readonly HealthEvent<Member>[] = []): void {
    const now = this.clock.now()
    const returned: HealthEvent<Member>[] = []
    const usable: [Member, Verdict][] = []
    let nextChangeAtMs = Number.POSITIVE_INFINITY
    for (const member of this.#list) {
      const change = member.health.advance(now)
      if (change !== undefined) returned.push([member, change])
      nextChangeAtMs = Math.min(nextChangeAtMs, member.health.nextChangeAtMs(now, this.#slowStart))
      member.eligible = false
      if (!member.leaving && member.weight > 0) usable.push([member, member.health.verdictAt(now)])
    }
    const { tiers, panic } = arrange(usable, this.#panicThreshold)
    this.#weigh(tiers, now)
    this.#nextChangeAtMs = nextChangeAtMs
    const panicked = panic !== this.#panicking
    this.#panicking = panic
    for (const [member, change] of [...events, ...returned]) {
      if (change === 'ejected' || change === 'unreachable') this.#prober?.hasten(member)
      this.#publish(member, change)
    }
    if (panicked && poolPanicked.hasSubscribers) {
      const { length: eligible } = this.#candidates
      poolPanicked.publish({ balancer: this.#name, panicking: panic, eligible, targets: this.#list.length })
    }
  }

  /** Gives the candidates their weights, and keeps the arrays of those tiers in which nobody's changed. */
  #weigh(tiers: readonly Member[][], now: number): void {
    const reweighted = new Set<Member>()
    for (const member of tiers.flat()) {
      const weight = member.weight * member.health.shareAt(now, this.#slowStart)
      if (weight !== member.effectiveWeight) reweighted.add(member)
      member.effectiveWeight = weight
      member.eligible = true
    }
    for (const member of this.#list) if (!member.eligible) member.effectiveWeight = 0
    const kept = tiers.map(
      (tier) =>
        this.#tiers.find(
          (before) =>
            before.length === tier.length && before.every((member, i) => member === tier[i] && !reweighted.has(member)),
        ) ?? tier,
    )
    if (kept.length === this.#tiers.length && kept.every((tier, i) => tier === this.#tiers[i])) return
    this.#tiers = kept
    this.#candidates = kept.length === 1 ? kept[0]! : kept.flat()
  }

  #drained(member: Member): void {
    this.#endWaits(member, true)
    this.#publish(member, 'drained')
  }

  #endWaits(member: Member, drained: boolean): void {
    this.#awaited.delete(member)
    member.waits.end(drained)
  }

  #find(id: string): Member {
    const member = this.#members.get(id)
    if (member !== undefined) return member
    const ids = [...this.#members.keys()]
    const near = nearest(id, ids)
    const known = ids.length === 0 ? 'there are no targets' : `the targets are: ${ids.slice(0, 10).join(', ')}`
    const cure = near === undefined ? `${known}${ids.length > 10 ? ', …' : ''}` : `did you mean "${near}"?`
    throw Object.assign(new RangeError(`${this.#name}: no target has the id ${JSON.stringify(id)}; ${cure}`), {
      code: 'POSTERN_UNKNOWN_TARGET',
    })
  }

  #publish(member: Member, change: TargetChangeKind): void {
    if (!targetChanged.hasSubscribers) return
    targetChanged.publish({ balancer: this.#name, target: member.target, change, weight: member.weight })
  }

  #warnOfStrategy(fault: string): void {
    warnOnce(
      'POSTERN_STRATEGY_FAILED',
      `The strategy of ${this.#name} ${fault}. Some other target was used.`,
      this.#name,
    )
  }
}

const NO_TARGETS: Refusal = Object.freeze({ reason: 'no_targets' })

/** Passive health counts what the target did, never what the client did: a 4xx is a healthy answer. */
function isTargetsFault(outcome: Outcome): boolean {
  return isFailure(outcome) ? outcome.side === 'upstream' : outcome.status >= 500
}

/** From a random place on, so that a broken strategy does not send everything to one target. */
function anyAccepted(candidates: readonly Member[], context: ChoiceContext): Member | undefined {
  const start = Math.floor(context.random() * candidates.length)
  for (let i = 0; i < candidates.length; i++) {
    const candidate = candidates[(start + i) % candidates.length]!
    if (context.accepts(candidate)) return candidate
  }
  return candidates[0]
}

function messageOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

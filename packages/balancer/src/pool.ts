import { type Clock, isFailure, nearest, type Outcome, type Target, warnOnce } from '@postern/contracts'
import { type TargetChangeKind, targetChanged } from './channels.ts'
import { isSameTarget, Member, type TargetState } from './member.ts'
import type { ResolvedBalancerOptions } from './options.ts'
import type { Candidate, ChoiceContext, Strategy } from './strategies/strategy.ts'

/**
 * The targets of one balancer: who is in, who may be chosen, and what is in flight. Who may be chosen is worked out
 * when something changes, never for a request.
 */
export class Pool {
  readonly clock: Clock
  readonly random: () => number
  readonly #name: string
  readonly #strategy: Strategy
  #members = new Map<string, Member>()
  #candidates: readonly Member[] = []
  #views: readonly TargetState[] = Object.freeze([])
  /** Members that someone waits for, those that were removed meanwhile among them. */
  readonly #awaited = new Set<Member>()

  constructor(options: ResolvedBalancerOptions) {
    this.clock = options.clock
    this.random = options.random
    this.#name = options.name
    this.#strategy = options.createStrategy()
    this.replace(options.targets)
  }

  /** Members that may be chosen; another array whenever one came, went or changed its effective weight. */
  get candidates(): readonly Member[] {
    return this.#candidates
  }

  get views(): readonly TargetState[] {
    return this.#views
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
  }

  settled(member: Member, outcome: Outcome, context: ChoiceContext): void {
    member.inFlight--
    if (isTargetsFault(outcome)) member.failures++
    if (member.inFlight === 0 && member.leaving) this.#drained(member)
    if (this.#strategy.settled === undefined) return
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
    const reweighted: Member[] = []
    for (const target of targets) {
      let member = before.get(target.id)
      if (member === undefined || !isSameTarget(member.target, target)) {
        member = new Member(this, target)
        added.push(member)
      } else if (member.weight !== target.weight) {
        member.weight = target.weight
        reweighted.push(member)
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
    this.#views = Object.freeze([...after.values()].map((member) => member.view))
    this.#refresh()
    for (const member of removed) this.#publish(member, 'removed')
    for (const member of drained) this.#drained(member)
    for (const member of added) this.#publish(member, 'added')
    for (const member of reweighted) this.#publish(member, 'weight')
  }

  /** Ends all waiting for drains. */
  close(): void {
    for (const member of this.#awaited) this.#endWaits(member, false)
  }

  /** Works out who may be chosen; keeps the list when nothing about it changed, and with it every strategy's tables. */
  #refresh(): void {
    const candidates: Member[] = []
    let changed = false
    for (const member of this.#members.values()) {
      const weight = member.leaving ? 0 : member.weight
      if (weight !== member.effectiveWeight) changed = true
      member.effectiveWeight = weight
      member.eligible = weight > 0
      if (!member.eligible) continue
      if (member !== this.#candidates[candidates.length]) changed = true
      candidates.push(member)
    }
    if (changed || candidates.length !== this.#candidates.length) this.#candidates = candidates
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

import {
  type Clock,
  type Exchange,
  type Lease,
  type Outcome,
  type Refusal,
  type Selection,
  type Target,
  warnOnce,
} from '@postern/contracts'
import type { Binding } from './affinity/binding.ts'
import type { Member } from './member.ts'
import type { Pool } from './pool.ts'
import type { Candidate, ChoiceContext } from './strategies/strategy.ts'

/** The selection of one request, and at the same time the context its choices are made in: one object a request. */
export class BalancerSelection implements Selection, ChoiceContext {
  readonly exchange: Exchange
  readonly #pool: Pool
  /** Ties the client to a target, where the balancer has affinity. */
  readonly #binding: Binding | undefined
  #accept: ((target: Target) => boolean) | undefined = undefined
  #narrowed = false

  constructor(pool: Pool, exchange: Exchange, binding?: Binding) {
    this.#pool = pool
    this.exchange = exchange
    this.#binding = binding
  }

  /** Targets of all tiers; one when the client may have no other than its own. */
  get size(): number {
    const { length } = this.#pool.candidates
    return length > 1 && this.#binding?.isExclusive === true ? 1 : length
  }

  get clock(): Clock {
    return this.#pool.clock
  }

  get narrowed(): boolean {
    return this.#narrowed
  }

  random(): number {
    return this.#pool.random()
  }

  accepts(candidate: Candidate): boolean {
    return this.#accept === undefined || this.#accept(candidate.target)
  }

  acquire(accept?: (target: Target) => boolean): Lease | Refusal {
    const { tiers } = this.#pool
    if (tiers.length === 0) return this.#pool.refusal()
    this.#accept = accept
    const binding = this.#binding
    if (binding !== undefined) {
      const bound = this.#boundMember(binding)
      if (bound !== undefined) return this.#lease(bound)
      if (binding.isExclusive) return binding.refuse()
    }
    for (let i = 0; i < tiers.length; i++) {
      const choice = this.#chooseIn(tiers[i]!)
      if (choice === undefined) return SATURATED
      if (choice !== 'none accepted') return this.#lease(choice)
    }
    return NO_TARGETS
  }

  /** The client's own target, when it can take this attempt. */
  #boundMember(binding: Binding): Member | undefined {
    const id = binding.targetId
    const member = id === undefined ? undefined : this.#pool.memberOf(id)
    return member?.eligible === true && this.accepts(member) ? member : undefined
  }

  /** Asks the strategy for a target of one tier. */
  #chooseIn(candidates: readonly Member[]): Member | 'none accepted' | undefined {
    const pool = this.#pool
    this.#narrowed = false
    const choice = pool.choose(candidates, this)
    if (choice === undefined || this.accepts(choice)) return choice
    const accepted = candidates.filter((candidate) => this.accepts(candidate))
    if (accepted.length === 0) return 'none accepted'
    this.#narrowed = true
    return pool.choose(accepted, this)
  }

  #lease(member: Member): Lease {
    this.#pool.leased(member)
    this.#binding?.chosen(member.target)
    return new BalancerLease(this.#pool, member, this)
  }
}

class BalancerLease implements Lease {
  readonly target: Target
  readonly #pool: Pool
  readonly #member: Member
  readonly #context: ChoiceContext
  #settled = false

  constructor(pool: Pool, member: Member, context: ChoiceContext) {
    this.target = member.target
    this.#pool = pool
    this.#member = member
    this.#context = context
  }

  settle(outcome: Outcome): void {
    if (this.#settled) {
      warnOnce(
        'POSTERN_LEASE_SETTLED_TWICE',
        'A lease of balancer() was settled twice; the second outcome is ignored. Settle each lease once, when its attempt is over.',
      )
      return
    }
    this.#settled = true
    this.#pool.settled(this.#member, outcome, this.#context)
  }
}

const NO_TARGETS: Refusal = Object.freeze({ reason: 'no_targets' })
const SATURATED: Refusal = Object.freeze({ reason: 'saturated' })

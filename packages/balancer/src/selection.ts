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
import type { Member } from './member.ts'
import type { Pool } from './pool.ts'
import type { Candidate, ChoiceContext } from './strategies/strategy.ts'

/** The selection of one request, and at the same time the context its choices are made in: one object a request. */
export class BalancerSelection implements Selection, ChoiceContext {
  readonly exchange: Exchange
  readonly #pool: Pool
  #accept: ((target: Target) => boolean) | undefined = undefined
  #narrowed = false

  constructor(pool: Pool, exchange: Exchange) {
    this.#pool = pool
    this.exchange = exchange
  }

  get size(): number {
    return this.#pool.candidates.length
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
    const pool = this.#pool
    const candidates = pool.candidates
    if (candidates.length === 0) return NO_TARGETS
    this.#accept = accept
    this.#narrowed = false
    let choice = pool.choose(candidates, this)
    if (choice !== undefined && !this.accepts(choice)) {
      const accepted = candidates.filter((candidate) => this.accepts(candidate))
      if (accepted.length === 0) return NO_TARGETS
      this.#narrowed = true
      choice = pool.choose(accepted, this)
    }
    if (choice === undefined) return SATURATED
    pool.leased(choice)
    return new BalancerLease(pool, choice, this)
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

import { isDeepStrictEqual } from 'node:util'
import type { Target } from '@postern/contracts'
import { DrainWaits } from './drain-waits.ts'
import type { Candidate } from './strategies/strategy.ts'

/** A target in a balancer, as `handler.targets` shows it: read-only, and always as it is at the moment of reading. */
export interface TargetState {
  readonly target: Target
  readonly id: string
  /** Leases that are not settled yet. */
  readonly inFlight: number
  /** Leases since the target came into the pool. */
  readonly requests: number
  /** Attempts that the target failed: failures of its side, and answers of 500 to 599. */
  readonly failures: number
  /** Configured weight, as `setWeight()` or `replace()` left it. */
  readonly weight: number
  /** The weight that choices are made with; 0 while it takes no requests. */
  readonly effectiveWeight: number
  /** `draining`: takes no new requests and has some in flight; `drained`: has none left. A removed one drains, too. */
  readonly state: 'active' | 'draining' | 'drained'
  /** True when it may be chosen now. */
  readonly eligible: boolean
}

/** A target's place in a pool, and all its live state. Written by the pool alone; `slot` by the strategy. */
export class Member implements Candidate {
  /** The pool it belongs to, so that a strategy that serves two by mistake cannot mix them up. */
  readonly pool: object
  readonly target: Target
  readonly view: TargetState
  /** Kept beside the target, whose identity connection pools are keyed by and which therefore outlives a new weight. */
  weight: number
  effectiveWeight = 0
  eligible = false
  inFlight = 0
  requests = 0
  failures = 0
  draining = false
  removed = false
  slot: unknown = undefined
  readonly waits: DrainWaits = new DrainWaits()

  constructor(pool: object, target: Target) {
    this.pool = pool
    this.target = target
    this.weight = target.weight
    this.view = new MemberView(this)
  }

  /** True when it takes no more requests: drained by hand, or no longer in the pool. */
  get leaving(): boolean {
    return this.draining || this.removed
  }
}

class MemberView implements TargetState {
  readonly #member: Member

  constructor(member: Member) {
    this.#member = member
  }
  get target(): Target {
    return this.#member.target
  }
  get id(): string {
    return this.#member.target.id
  }
  get inFlight(): number {
    return this.#member.inFlight
  }
  get requests(): number {
    return this.#member.requests
  }
  get failures(): number {
    return this.#member.failures
  }
  get weight(): number {
    return this.#member.weight
  }
  get effectiveWeight(): number {
    return this.#member.effectiveWeight
  }
  get state(): 'active' | 'draining' | 'drained' {
    if (!this.#member.leaving) return 'active'
    return this.#member.inFlight === 0 ? 'drained' : 'draining'
  }
  get eligible(): boolean {
    return this.#member.eligible
  }
  /** Without the target itself, which may hold a private key. */
  toJSON(): Omit<TargetState, 'target'> {
    const { id, inFlight, requests, failures, weight, effectiveWeight, state, eligible } = this
    return { id, inFlight, requests, failures, weight, effectiveWeight, state, eligible }
  }
}

/** True when two targets differ in their weight at most: same name, same connections, same labels. */
export function isSameTarget(a: Target, b: Target): boolean {
  return (
    a.id === b.id &&
    a.origin === b.origin &&
    a.basePath === b.basePath &&
    a.socketPath === b.socketPath &&
    isDeepStrictEqual(a.tls, b.tls) &&
    isDeepStrictEqual(a.tags, b.tags)
  )
}

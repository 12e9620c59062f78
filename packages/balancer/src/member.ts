import { isDeepStrictEqual } from 'node:util'
import type { Target } from '@postern/contracts'
import { DrainWaits } from './drain-waits.ts'
import { MemberHealth } from './health/member-health.ts'
import type { ProbeResult } from './health/probe.ts'
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
  /** The weight that choices are made with: less while it starts slowly, 0 while it takes no requests. */
  readonly effectiveWeight: number
  /** Priority tier, as `replace()` left it. */
  readonly tier: number
  /** `draining`: takes no new requests and has some in flight; `drained`: has none left. A removed one drains, too. */
  readonly state: 'active' | 'draining' | 'drained'
  /** True when it may be chosen now. */
  readonly eligible: boolean
  /** `unhealthy`: by its probes, ejected, or unreachable; `unknown`: nothing was heard of it yet, and it may be used. */
  readonly health: 'healthy' | 'unhealthy' | 'unknown'
  /** True from a connection that could not be made until something shows that one can. */
  readonly unreachable: boolean
  /** How long it is still left out for what its attempts came to, in milliseconds; 0 when it is not. */
  readonly ejectedForMs: number
  /** Failures and answers of 500 to 599 in a row. */
  readonly consecutiveFailures: number
  /** What the last probe came to; undefined when there was none. */
  readonly lastProbe: ProbeResult | undefined
}

/** What a member needs of its pool. */
export interface MemberPool {
  readonly clock: { now(): number }
  /** Does what time alone has brought about. */
  catchUp(): void
}

/** A target's place in a pool, and all its live state. Written by the pool alone; `slot` by the strategy. */
export class Member implements Candidate {
  /** The pool it belongs to, so that a strategy that serves two by mistake cannot mix them up. */
  readonly pool: MemberPool
  readonly target: Target
  readonly view: TargetState
  /** Kept beside the target, whose identity connection pools are keyed by and which therefore outlives a new weight. */
  weight: number
  /** Beside the target for the same reason. */
  tier: number
  effectiveWeight = 0
  eligible = false
  inFlight = 0
  requests = 0
  failures = 0
  draining = false
  removed = false
  slot: unknown = undefined
  readonly waits: DrainWaits = new DrainWaits()
  readonly health: MemberHealth = new MemberHealth()

  constructor(pool: MemberPool, target: Target) {
    this.pool = pool
    this.target = target
    this.weight = target.weight
    this.tier = target.tier
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
    return this.#now().effectiveWeight
  }
  get tier(): number {
    return this.#member.tier
  }
  get state(): 'active' | 'draining' | 'drained' {
    if (!this.#member.leaving) return 'active'
    return this.#member.inFlight === 0 ? 'drained' : 'draining'
  }
  get eligible(): boolean {
    return this.#now().eligible
  }
  get health(): 'healthy' | 'unhealthy' | 'unknown' {
    return this.#now().health.verdict
  }
  get unreachable(): boolean {
    return this.#member.health.unreachable
  }
  get ejectedForMs(): number {
    const { ejected, ejectedUntilMs } = this.#now().health
    return ejected ? Math.max(0, Math.ceil(ejectedUntilMs - this.#member.pool.clock.now())) : 0
  }
  get consecutiveFailures(): number {
    return this.#member.health.consecutiveFailures
  }
  get lastProbe(): ProbeResult | undefined {
    return this.#member.health.lastProbe
  }
  /** Without the target itself, which may hold a private key. */
  toJSON(): Omit<TargetState, 'target'> {
    const { id, inFlight, requests, failures, weight, effectiveWeight, tier, state, eligible } = this
    const { health, unreachable, ejectedForMs, consecutiveFailures, lastProbe } = this
    const use = { id, inFlight, requests, failures, weight, effectiveWeight, tier, state, eligible }
    return { ...use, health, unreachable, ejectedForMs, consecutiveFailures, lastProbe }
  }

  #now(): Member {
    this.#member.pool.catchUp()
    return this.#member
  }
}

/** True when two targets differ in their weight and tier at most: same name, same connections, same labels. */
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

import { channel, type Target, type TypedChannel } from '@postern/contracts'
import type { HealthChange } from './health/member-health.ts'

/**
 * What happened to a target of a balancer.
 *
 * - `added`, `removed`: it came into the pool or left it, at the start or with another list
 * - `draining`: it takes no new requests; `drained`: nothing is in flight to it any more, while it drains or after it
 *   was removed; `undrained`: it takes requests again
 * - `weight`, `tier`: its configured weight or its tier is another
 * - `unhealthy`, `healthy`: its probes say so
 * - `ejected`, `returned`: its attempts went badly and it is left out for a time; the time is over
 * - `unreachable`, `reachable`: no connection to it could be made; one could
 *
 * What time alone brings about (`returned`) is told when the next request, or a reader of `targets`, comes upon it.
 */
export type TargetChangeKind =
  | 'added'
  | 'removed'
  | 'draining'
  | 'drained'
  | 'undrained'
  | 'weight'
  | 'tier'
  | HealthChange

/** The message of {@link targetChanged}. */
export interface TargetChange {
  /** The `name` option of the balancer. */
  readonly balancer: string
  readonly target: Target
  readonly change: TargetChangeKind
  /** The configured weight as it is now; `target.weight` is what the target was first given. */
  readonly weight: number
}

/** Published when a target comes, goes, drains or changes its weight or its health; after the change has taken effect. */
export const targetChanged: TypedChannel<TargetChange> = channel<TargetChange>('postern:target:changed')

/** The message of {@link poolPanicked}. */
export interface PoolPanic {
  /** The `name` option of the balancer. */
  readonly balancer: string
  /** True when a panic begins, false when it is over. */
  readonly panicking: boolean
  /** Targets that may be chosen now. */
  readonly eligible: number
  /** All targets of the pool. */
  readonly targets: number
}

/** Published when a pool begins to use targets that are out, since too few are left; and when it ends. */
export const poolPanicked: TypedChannel<PoolPanic> = channel<PoolPanic>('postern:pool:panicked')

/** The message of {@link targetsRefused}. */
export interface TargetsRefusal {
  /** The `name` option of the balancer. */
  readonly balancer: string
  /** What is wrong with the list, or what the source failed with. */
  readonly error: unknown
}

/** Published when a source of targets fails or gives a list that cannot be used; the last good list stays. */
export const targetsRefused: TypedChannel<TargetsRefusal> = channel<TargetsRefusal>('postern:targets:refused')

import { channel, type Target, type TypedChannel } from '@postern/contracts'

/**
 * What happened to a target of a balancer.
 *
 * - `added`, `removed`: it came into the pool or left it, at the start or by `replace()`
 * - `draining`: it takes no new requests; `drained`: nothing is in flight to it any more, while it drains or after it
 *   was removed; `undrained`: it takes requests again
 * - `weight`: its configured weight is another
 */
export type TargetChangeKind = 'added' | 'removed' | 'draining' | 'drained' | 'undrained' | 'weight'

/** The message of {@link targetChanged}. */
export interface TargetChange {
  /** The `name` option of the balancer. */
  readonly balancer: string
  readonly target: Target
  readonly change: TargetChangeKind
  /** The configured weight as it is now; `target.weight` is what the target was first given. */
  readonly weight: number
}

/** Published when a target comes, goes, drains or changes its weight; after the change has taken effect. */
export const targetChanged: TypedChannel<TargetChange> = channel<TargetChange>('postern:target:changed')

import { type Clock, ConfigError, type ConfigFault, faultsOf, systemClock, type Target } from '@postern/contracts'
import * as v from 'valibot'
import { type AffinityOptions, type ResolvedAffinity, resolveAffinity } from './affinity/options.ts'
import {
  type HealthOptions,
  MAX_TIMER_MS,
  type OutlierOptions,
  type ResolvedHealth,
  type ResolvedOutliers,
  type ResolvedSlowStart,
  resolveHealth,
  resolveOutliers,
  resolveSlowStart,
  type SlowStartOptions,
  whole,
} from './health/options.ts'
import { isLiveSource, type LiveSource, type TargetSource } from './sources/target-feed.ts'
import type { Strategy } from './strategies/strategy.ts'
import { resolveStrategy, type StrategyOption } from './strategies/strategy-option.ts'
import { resolveTargets, type TargetInput } from './target-list.ts'

/** Options of {@link balancer}. */
export interface BalancerOptions {
  /**
   * Where requests may go; ids are unique. May be empty when `replace()` is to fill it: until then there is nothing to
   * lease, and the proxy answers 503. A function or an async iterable goes on giving lists, each of which replaces the
   * one before; one that cannot be used changes nothing.
   */
  readonly targets: TargetSource
  /**
   * How often a function of `targets` is asked, in milliseconds, 1 to 2^31-1, each time 20 % sooner or later by chance;
   * and the longest wait for its answer. @default 10_000
   */
  readonly refreshMs?: number
  /**
   * How long requests wait for the first list of a function or iterable, in milliseconds from the start, 0 to 2^31-1;
   * then they go on without a target, and the proxy answers 503. @default 5_000
   */
  readonly firstTargetsMs?: number
  /** How one is chosen. @default 'power-of-two-choices' */
  readonly strategy?: StrategyOption
  /**
   * Keeps a client at the target that it was first given, by a signed cookie or a header. It comes before the strategy,
   * and before priority tiers: a client of a backup stays there. A target that drains takes none of its clients' requests
   * either. @default none
   */
  readonly affinity?: AffinityOptions
  /** Probes of each target; a text is their path. @default no probes */
  readonly health?: string | HealthOptions
  /** Leaves targets out for what attempts at them come to; `false`: never. @default on, see {@link OutlierOptions} */
  readonly outliers?: OutlierOptions | false
  /**
   * Share of a tier that must be usable, 0 to 1. A tier with less left is passed over for the next one. When no tier has
   * so much, all targets are used that are neither drained nor unreachable. 0: never; a tier is used to its last target.
   * @default 0.5
   */
  readonly panicThreshold?: number
  /**
   * Lets a target that was down, or is new in a running pool, come to its weight little by little; a number is the
   * window in milliseconds. @default off
   */
  readonly slowStart?: number | SlowStartOptions
  /** Tells balancers apart in events, warnings and errors, 1 to 128 characters. @default 'balancer' */
  readonly name?: string
  /** Source of time; for tests. @default the process's clocks */
  readonly clock?: Clock
  /** Source of chance, uniform in [0, 1); for tests. @default Math.random */
  readonly random?: () => number
}

/** What {@link resolveOptions} makes of the options. */
export interface ResolvedBalancerOptions {
  /** Empty when there is a source. */
  readonly targets: readonly Target[]
  readonly source: LiveSource | undefined
  readonly refreshMs: number
  readonly firstTargetsMs: number
  readonly health: ResolvedHealth | undefined
  /** Undefined when it is off. */
  readonly outliers: ResolvedOutliers | undefined
  readonly panicThreshold: number
  readonly slowStart: ResolvedSlowStart | undefined
  /** Called once a balancer and priority tier: a strategy has state. */
  readonly createStrategy: () => Strategy
  readonly affinity: ResolvedAffinity | undefined
  readonly name: string
  readonly clock: Clock
  readonly random: () => number
}

const NAME = 'not a name of 1 to 128 characters'
const SHARE = 'not a number from 0 to 1'
const schema = v.strictObject({
  // Looked at below: each target, strategy and kind of affinity has rules of its own.
  targets: v.unknown(),
  strategy: v.optional(v.unknown()),
  refreshMs: v.optional(whole(1, MAX_TIMER_MS), 10_000),
  firstTargetsMs: v.optional(whole(0, MAX_TIMER_MS), 5_000),
  health: v.optional(v.unknown()),
  outliers: v.optional(v.unknown()),
  panicThreshold: v.optional(v.pipe(v.number(SHARE), v.minValue(0, SHARE), v.maxValue(1, SHARE)), 0.5),
  slowStart: v.optional(v.unknown()),
  affinity: v.optional(v.unknown()),
  name: v.optional(v.pipe(v.string(NAME), v.nonEmpty(NAME), v.maxLength(128, NAME)), 'balancer'),
  clock: v.optional(v.custom<Clock>(isClock, 'not a clock with now() and wallNow()')),
  random: v.optional(v.custom<() => number>((value) => typeof value === 'function', 'not a function')),
})

/**
 * Checks the options and fills the defaults.
 *
 * @throws ConfigError with all faults
 */
export function resolveOptions(input: BalancerOptions): ResolvedBalancerOptions {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    throw new ConfigError('balancer()', [
      { path: '', message: 'not an options object', received: input, cure: 'write balancer({ targets: […] })' },
    ])
  }
  const faults: ConfigFault[] = []
  const result = v.safeParse(schema, input)
  if (!result.success) faults.push(...faultsOf(result.issues, () => Object.keys(schema.entries)))
  const source = isLiveSource(input.targets) ? input.targets : undefined
  const targets = 'targets' in input && source === undefined ? resolveTargets(input.targets, faults) : []
  const health = resolveHealth(input.health, faults)
  const outliers = resolveOutliers(input.outliers, faults)
  const slowStart = resolveSlowStart(input.slowStart, faults)
  const createStrategy = resolveStrategy(input.strategy ?? 'power-of-two-choices', faults)
  const affinity = input.affinity === undefined ? undefined : resolveAffinity(input.affinity, faults)
  if (faults.length > 0 || !result.success || createStrategy === undefined) throw new ConfigError('balancer()', faults)
  const { clock = systemClock, random = Math.random, name, refreshMs, firstTargetsMs, panicThreshold } = result.output
  return Object.freeze({
    targets,
    source,
    refreshMs,
    firstTargetsMs,
    createStrategy,
    affinity,
    health,
    outliers,
    panicThreshold,
    slowStart,
    name,
    clock,
    random,
  })
}

/**
 * Checks targets that are to replace others.
 *
 * @param subject where they come from, for the error
 * @throws ConfigError with all faults
 */
export function resolveReplacement(
  input: readonly TargetInput[],
  subject: string = 'balancer.replace()',
): readonly Target[] {
  const faults: ConfigFault[] = []
  const targets = resolveTargets(input, faults)
  if (faults.length > 0) throw new ConfigError(subject, faults)
  return targets
}

function isClock(value: unknown): boolean {
  const clock = value as Partial<Clock> | null
  return typeof clock === 'object' && typeof clock?.now === 'function' && typeof clock.wallNow === 'function'
}

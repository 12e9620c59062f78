import { type Clock, ConfigError, type ConfigFault, faultsOf, systemClock, type Target } from '@postern/contracts'
import * as v from 'valibot'
import type { Strategy } from './strategies/strategy.ts'
import { resolveStrategy, type StrategyOption } from './strategies/strategy-option.ts'
import { resolveTargets, type TargetInput } from './target-list.ts'

/** Options of {@link balancer}. */
export interface BalancerOptions {
  /**
   * Where requests may go; ids are unique. May be empty when `replace()` is to fill it: until then there is nothing to
   * lease, and the proxy answers 503.
   */
  readonly targets: readonly TargetInput[]
  /** How one is chosen. @default 'power-of-two-choices' */
  readonly strategy?: StrategyOption
  /** Tells balancers apart in events, warnings and errors, 1 to 128 characters. @default 'balancer' */
  readonly name?: string
  /** Source of time; for tests. @default the process's clocks */
  readonly clock?: Clock
  /** Source of chance, uniform in [0, 1); for tests. @default Math.random */
  readonly random?: () => number
}

/** What {@link resolveOptions} makes of the options. */
export interface ResolvedBalancerOptions {
  readonly targets: readonly Target[]
  /** Called once a balancer: a strategy has state. */
  readonly createStrategy: () => Strategy
  readonly name: string
  readonly clock: Clock
  readonly random: () => number
}

const NAME = 'not a name of 1 to 128 characters'

const schema = v.strictObject({
  // Looked at below: each target and each strategy has rules of its own.
  targets: v.unknown(),
  strategy: v.optional(v.unknown()),
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
  const targets = 'targets' in input ? resolveTargets(input.targets, faults) : []
  const createStrategy = resolveStrategy(input.strategy ?? 'power-of-two-choices', faults)
  if (faults.length > 0 || !result.success || createStrategy === undefined) throw new ConfigError('balancer()', faults)
  const { name, clock = systemClock, random = Math.random } = result.output
  return Object.freeze({ targets, createStrategy, name, clock, random })
}

/**
 * Checks targets that are to replace others.
 *
 * @throws ConfigError with all faults
 */
export function resolveReplacement(input: readonly TargetInput[]): readonly Target[] {
  const faults: ConfigFault[] = []
  const targets = resolveTargets(input, faults)
  if (faults.length > 0) throw new ConfigError('balancer.replace()', faults)
  return targets
}

function isClock(value: unknown): boolean {
  const clock = value as Partial<Clock> | null
  return typeof clock === 'object' && typeof clock?.now === 'function' && typeof clock.wallNow === 'function'
}

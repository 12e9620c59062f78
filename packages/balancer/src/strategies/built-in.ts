import * as v from 'valibot'
import { First } from './first.ts'
import { HASH_ENTRIES, Hash, type HashOptions } from './hash.ts'
import { LeastRequests } from './least-requests.ts'
import { PEAK_EWMA_ENTRIES, PeakEwma, type PeakEwmaOptions } from './peak-ewma.ts'
import { PowerOfTwoChoices } from './power-of-two-choices.ts'
import { Random } from './random.ts'
import { RoundRobin } from './round-robin.ts'
import type { Strategy } from './strategy.ts'

/** Options of the strategy `least-requests`. */
export interface LeastRequestsOptions {
  readonly name: 'least-requests'
  /**
   * How much requests in flight count against the weight, 0 to 10: the weight is `weight / (inFlight + 1) ^ bias`.
   * Only targets of different weight are told apart by it; among equal ones the fewest in flight always wins. @default 1
   */
  readonly bias?: number
}

/** The names of the strategies that come with the package. */
export type StrategyName =
  | 'round-robin'
  | 'random'
  | 'least-requests'
  | 'power-of-two-choices'
  | 'peak-ewma'
  | 'hash'
  | 'first'

/** A strategy by name, with its options where it has any. */
export type NamedStrategy =
  | { readonly name: Exclude<StrategyName, 'least-requests' | 'peak-ewma' | 'hash'> }
  | LeastRequestsOptions
  | PeakEwmaOptions
  | HashOptions

interface BuiltIn {
  /** What may stand beside `name`. */
  readonly options: v.ObjectEntries
  /** Called once a balancer and priority tier, with options that were checked. */
  create(options: Readonly<Record<string, unknown>>): Strategy
}

const BIAS = 'not a number from 0 to 10'

/** Every built-in strategy: a new one is a file and a line here. */
export const BUILT_IN: Readonly<Record<StrategyName, BuiltIn>> = {
  'round-robin': { options: {}, create: () => new RoundRobin() },
  random: { options: {}, create: () => new Random() },
  'least-requests': {
    options: { bias: v.optional(v.pipe(v.number(BIAS), v.minValue(0, BIAS), v.maxValue(10, BIAS))) },
    create: (options) => new LeastRequests((options as { bias?: number }).bias),
  },
  'power-of-two-choices': { options: {}, create: () => new PowerOfTwoChoices() },
  'peak-ewma': { options: PEAK_EWMA_ENTRIES, create: (options) => new PeakEwma(options) },
  hash: { options: HASH_ENTRIES, create: (options) => new Hash(options) },
  first: { options: {}, create: () => new First() },
}

/** Names of the built-in strategies. */
export const STRATEGY_NAMES: readonly StrategyName[] = Object.freeze(Object.keys(BUILT_IN) as StrategyName[])

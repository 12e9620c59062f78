import { type ConfigFault, faultsOf, nearest } from '@postern/contracts'
import * as v from 'valibot'
import { BUILT_IN, type NamedStrategy, STRATEGY_NAMES, type StrategyName } from './built-in.ts'
import type { Strategy } from './strategy.ts'

/** What the `strategy` option takes: a name, a name with options, or an object of one's own. */
export type StrategyOption = StrategyName | NamedStrategy | Strategy

/**
 * Checks a `strategy` option.
 *
 * @param faults takes what is wrong
 * @returns makes the strategy, once a balancer and priority tier; undefined when something is wrong
 */
export function resolveStrategy(input: unknown, faults: ConfigFault[]): (() => Strategy) | undefined {
  if (typeof input === 'string') return byName(input, 'strategy', {}, faults)
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    faults.push({ path: 'strategy', message: 'not a strategy', received: input, cure: HOW })
    return undefined
  }
  if ('choose' in input) return ownStrategy(input as Strategy, faults)
  const { name, ...options } = input as { name?: unknown }
  if (typeof name !== 'string') {
    faults.push({ path: 'strategy', message: 'has neither a name nor a choose()', received: input, cure: HOW })
    return undefined
  }
  return byName(name, 'strategy.name', options, faults)
}

const HOW = `write one of ${STRATEGY_NAMES.map((name) => `'${name}'`).join(', ')}, or give an object with choose(candidates, context)`

function byName(
  name: string,
  path: string,
  options: Readonly<Record<string, unknown>>,
  faults: ConfigFault[],
): (() => Strategy) | undefined {
  const builtIn = Object.hasOwn(BUILT_IN, name) ? BUILT_IN[name as StrategyName] : undefined
  if (builtIn === undefined) {
    const near = nearest(name, STRATEGY_NAMES)
    const cure = near === undefined ? HOW : `did you mean "${near}"?`
    faults.push({ path, message: 'no such strategy', received: name, cure })
    return undefined
  }
  const result = v.safeParse(v.object({ strategy: v.strictObject(builtIn.options) }), { strategy: options })
  // The checked copy: what the caller does to his object later changes nothing.
  if (result.success) return () => builtIn.create(result.output.strategy)
  faults.push(...faultsOf(result.issues, () => ['name', ...Object.keys(builtIn.options)]))
  return undefined
}

function ownStrategy(strategy: Strategy, faults: ConfigFault[]): (() => Strategy) | undefined {
  const before = faults.length
  if (typeof strategy.choose !== 'function') {
    faults.push({ path: 'strategy.choose', message: 'not a function', received: strategy.choose })
  }
  if (strategy.settled !== undefined && typeof strategy.settled !== 'function') {
    faults.push({ path: 'strategy.settled', message: 'not a function', received: strategy.settled })
  }
  return faults.length === before ? () => strategy : undefined
}

import { ConfigError, type ConfigFault, systemClock } from '@postern/contracts'
import { describe, expect, it } from 'vitest'
import { type CircuitBreakerOptions, circuitBreaker } from '../src/index.ts'
import { resolveOptions } from '../src/options.ts'

function faultsOf(make: () => unknown): readonly ConfigFault[] {
  try {
    make()
  } catch (error) {
    if (error instanceof ConfigError) return error.faults
    throw error
  }
  return []
}
const faults = (input: unknown) => faultsOf(() => resolveOptions(input as CircuitBreakerOptions))

describe('circuitBreaker options', () => {
  it('fills the defaults and freezes the result', () => {
    const options = resolveOptions({})
    expect(options).toEqual({
      failureRatio: 0.5,
      minimumRequests: 20,
      windowMs: 10_000,
      consecutiveFailures: 7,
      slowMs: 0,
      openMs: 1_000,
      maxOpenMs: 60_000,
      jitter: 0.5,
      probeTimeoutMs: 5_000,
      isFailure: undefined,
      fallback: undefined,
      fallbackOn: 'open',
      errors: 'respond',
      name: 'circuit-breaker',
      clock: systemClock,
      random: Math.random,
    })
    expect(Object.isFrozen(options)).toBe(true)
  })

  it('needs none', () => {
    expect(circuitBreaker().name).toBe('circuitBreakerHandler')
  })

  it('raises the longest open time to an open time beyond it, when only that is given', () => {
    expect(resolveOptions({ openMs: 90_000 }).maxOpenMs).toBe(90_000)
  })

  it('takes false for what shall not count', () => {
    expect(resolveOptions({ failureRatio: false, slowMs: false })).toMatchObject({ failureRatio: 0, slowMs: 0 })
    expect(resolveOptions({ consecutiveFailures: false }).consecutiveFailures).toBe(0)
    expect(resolveOptions({ consecutiveFailures: 0 }).consecutiveFailures).toBe(0)
  })

  it.each([
    ['failureRatio', 0],
    ['failureRatio', 1.1],
    ['failureRatio', '50%'],
    ['failureRatio', Number.NaN],
    ['minimumRequests', 1],
    ['minimumRequests', 2.5],
    ['consecutiveFailures', 1],
    ['consecutiveFailures', true],
    ['windowMs', 99],
    ['windowMs', 3_600_001],
    ['slowMs', 0],
    ['openMs', 0],
    ['openMs', 2 ** 31],
    ['maxOpenMs', 999],
    ['jitter', -0.1],
    ['jitter', 1.1],
    ['probeTimeoutMs', 0],
    ['isFailure', true],
    ['fallback', 'sorry'],
    ['errors', 'throw'],
    ['name', ''],
    ['name', 'x'.repeat(129)],
    ['clock', { now: 1 }],
    ['random', 0.5],
  ])('refuses %s: %j', (key, value) => {
    expect(faults({ [key]: value }).map(({ path }) => path)).toEqual([key])
  })

  it('never lets one failure open a circuit', () => {
    expect(faults({ consecutiveFailures: 1, minimumRequests: 1 })).toHaveLength(2)
  })

  it('tells of all faults at once, with the cure', () => {
    const found = faults({ failureratio: 0.5, openMs: -1, jitter: 2, fallbackOn: 'failure' })
    expect(Object.fromEntries(found.map(({ path, cure, message }) => [path, cure ?? message]))).toEqual({
      failureratio: 'did you mean "failureRatio"?',
      openMs: 'not a whole number from 1 to 2147483647',
      jitter: 'not a number from 0 to 1',
      fallbackOn: 'give a fallback, or leave it out',
    })
  })

  it('refuses a breaker that could never open', () => {
    expect(faults({ failureRatio: false, consecutiveFailures: 0 })).toEqual([
      expect.objectContaining({ path: 'failureRatio', cure: 'leave one of them on' }),
    ])
  })

  it.each([['text'], [null], [[]], [7]])('refuses %j in place of options', (input) => {
    expect(faults(input)).toEqual([expect.objectContaining({ path: '', message: 'not an options object' })])
  })
})

describe('wrap options', () => {
  const breaker = circuitBreaker()

  it('are checked when the function is wrapped', () => {
    const options = { nmae: 'x', timeoutMs: 0, isFailure: 1 }
    expect(faultsOf(() => breaker.wrap(() => 1, options as object)).map(({ path }) => path)).toEqual([
      'isFailure',
      'timeoutMs',
      'nmae',
    ])
  })

  it('ask for a function, and not for what it returned', () => {
    expect(faultsOf(() => breaker.wrap(Promise.resolve(1) as never))).toEqual([
      expect.objectContaining({ message: 'not a function', cure: 'write wrap(fetchRates), without calling it' }),
    ])
  })
})

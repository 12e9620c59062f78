import { describe, expect, it } from 'vitest'
import { type LoadShedderOptions, resolveOptions } from '../../src/shedder/options.ts'
import { faultsOf } from '../support.ts'

const faults = (input: unknown) => faultsOf(() => resolveOptions(input as LoadShedderOptions))

describe('load shedder options', () => {
  it('fills the defaults and freezes the result', () => {
    const options = resolveOptions({})
    expect(options).toEqual({
      maxInFlight: Number.POSITIVE_INFINITY,
      eventLoopDelayMs: 100,
      shares: { low: 0.6, normal: 0.8, high: 0.9, critical: 1 },
      classify: undefined,
      errors: 'respond',
      name: 'load-shedder',
      random: Math.random,
      delaySource: undefined,
    })
    expect(Object.isFrozen(options)).toBe(true)
  })

  it('takes some of the shares', () => {
    expect(resolveOptions({ shares: { low: 0.2 } }).shares).toEqual({ low: 0.2, normal: 0.8, high: 0.9, critical: 1 })
  })

  it('takes false for a delay that is not looked at', () => {
    expect(resolveOptions({ maxInFlight: 10, eventLoopDelayMs: false }).eventLoopDelayMs).toBe(Number.POSITIVE_INFINITY)
  })

  it.each([
    ['maxInFlight', { maxInFlight: 0 }],
    ['eventLoopDelayMs', { eventLoopDelayMs: 0 }],
    ['eventLoopDelayMs', { eventLoopDelayMs: true }],
    ['shares', { shares: 0.5 }],
    ['shares', { shares: { low: 0.9 } }],
    ['shares.low', { shares: { low: 1.5 } }],
    ['shares.critical', { shares: { critical: 0.5 } }],
    ['classify', { classify: 'high' }],
    ['errors', { errors: 'throw' }],
    ['name', { name: '' }],
    ['random', { random: 1 }],
    ['delaySource', { delaySource: () => 0 }],
    ['', { eventLoopDelayMs: false }],
    ['', 100],
  ])('refuses a wrong %s: %j', (path, input) => {
    expect(faults(input).map((fault) => fault.path)).toEqual([path])
  })

  it('tells of all faults at once, and what was meant', () => {
    const found = faults({ maxInflight: 5, name: '', shares: { hihg: 1 } })
    expect(Object.fromEntries(found.map(({ path, cure }) => [path, cure]))).toMatchObject({
      maxInflight: 'did you mean "maxInFlight"?',
      'shares.hihg': 'did you mean "high"?',
      name: undefined,
    })
  })
})

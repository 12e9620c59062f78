import { systemClock } from '@postern/contracts'
import { describe, expect, it } from 'vitest'
import { type BulkheadOptions, resolveOptions } from '../../src/bulkhead/options.ts'
import { faultsOf } from '../support.ts'

const faults = (input: unknown) => faultsOf(() => resolveOptions(input as BulkheadOptions))

describe('bulkhead options', () => {
  it('fills the defaults and freezes the result', () => {
    const options = resolveOptions({ maxInFlight: 20 })
    expect(options).toEqual({
      limit: 20,
      maxQueued: undefined,
      queueMs: 400,
      fallback: undefined,
      errors: 'respond',
      name: 'bulkhead',
      clock: systemClock,
      random: Math.random,
    })
    expect(Object.isFrozen(options)).toBe(true)
  })

  it('fills the defaults of an adaptive limit, with true and with an object', () => {
    const defaults = {
      minLimit: 3,
      maxLimit: 1_000,
      initialLimit: 20,
      percentile: 0.5,
      buffer: 0.25,
      sampleMs: 250,
      remeasureMs: 60_000,
      measureRequests: 50,
    }
    expect(resolveOptions({ adaptive: true }).limit).toEqual(defaults)
    expect(resolveOptions({ adaptive: {} }).limit).toEqual(defaults)
    expect(resolveOptions({ adaptive: { maxLimit: 10 } }).limit).toEqual({
      ...defaults,
      maxLimit: 10,
      initialLimit: 10,
    })
  })

  it('leaves the object it was given alone', () => {
    const input = Object.freeze({ adaptive: true } as const)
    resolveOptions(input)
    expect(input).toEqual({ adaptive: true })
  })

  it.each([
    ['none', {}, 'has no limit'],
    ['two', { maxInFlight: 1, adaptive: true }, 'has two limits'],
  ])('wants one limit, not %s', (_, input, message) => {
    expect(faults(input)).toEqual([expect.objectContaining({ path: '', message })])
  })

  it.each([
    ['maxInFlight', { maxInFlight: 0 }],
    ['maxInFlight', { maxInFlight: 1.5 }],
    ['maxInFlight', { maxInFlight: '20' }],
    ['maxQueued', { maxInFlight: 1, maxQueued: -1 }],
    ['queueMs', { maxInFlight: 1, queueMs: 0 }],
    ['queueMs', { maxInFlight: 1, queueMs: 2 ** 31 }],
    ['fallback', { maxInFlight: 1, fallback: 'no' }],
    ['errors', { maxInFlight: 1, errors: 'throw' }],
    ['name', { maxInFlight: 1, name: '' }],
    ['clock', { maxInFlight: 1, clock: {} }],
    ['random', { maxInFlight: 1, random: 0.5 }],
    ['adaptive', { adaptive: false }],
    ['adaptive.percentile', { adaptive: { percentile: 90 } }],
    ['adaptive.minLimit', { adaptive: { minLimit: 20, maxLimit: 10 } }],
    ['adaptive.initialLimit', { adaptive: { initialLimit: 2 } }],
  ])('refuses a wrong %s', (path, input) => {
    expect(faults(input).map((fault) => fault.path)).toEqual([path])
  })

  it('tells of all faults at once, and what was meant', () => {
    const found = faults({ maxInflight: 5, queueMs: -1, adaptive: { bufer: 0.1 } })
    expect(Object.fromEntries(found.map(({ path, cure }) => [path, cure]))).toMatchObject({
      maxInflight: 'did you mean "maxInFlight"?',
      'adaptive.bufer': 'did you mean "buffer"?',
      queueMs: undefined,
    })
  })

  it.each([[undefined], [20], [[]]])('refuses %j in place of options, with the cure', (input) => {
    expect(faults(input)).toEqual([expect.objectContaining({ path: '', cure: 'write bulkhead({ maxInFlight: 20 })' })])
  })
})

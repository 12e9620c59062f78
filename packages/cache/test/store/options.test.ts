import { ConfigError, systemClock } from '@postern/contracts'
import { describe, expect, it } from 'vitest'
import { memoryStore } from '../../src/store/memory-store.ts'
import { type MemoryStoreOptions, resolveOptions } from '../../src/store/options.ts'

const MEBIBYTE = 1_048_576

function faults(input: unknown) {
  try {
    resolveOptions(input as MemoryStoreOptions)
  } catch (error) {
    if (error instanceof ConfigError) return error.faults
    throw error
  }
  return []
}

describe('memoryStore() options', () => {
  it('fills the defaults and freezes the result', () => {
    const options = resolveOptions({})
    expect(options).toEqual({
      maxBytes: 64 * MEBIBYTE,
      maxObjectBytes: 8 * MEBIBYTE,
      maxVariants: 64,
      clock: systemClock,
    })
    expect(Object.isFrozen(options)).toBe(true)
  })

  it('lets an object be no larger than the store', () => {
    expect(resolveOptions({ maxBytes: MEBIBYTE }).maxObjectBytes).toBe(MEBIBYTE)
    expect(faults({ maxBytes: MEBIBYTE, maxObjectBytes: MEBIBYTE + 1 })).toEqual([
      expect.objectContaining({ path: 'maxObjectBytes', message: 'more than maxBytes', received: MEBIBYTE + 1 }),
    ])
  })

  it('leaves the object it was given alone', () => {
    const input = Object.freeze({ maxBytes: MEBIBYTE })
    resolveOptions(input)
    expect(input).toEqual({ maxBytes: MEBIBYTE })
  })

  it.each([
    ['maxBytes', { maxBytes: 1_023 }],
    ['maxBytes', { maxBytes: Number.POSITIVE_INFINITY }],
    ['maxBytes', { maxBytes: '64mb' }],
    ['maxObjectBytes', { maxObjectBytes: -1 }],
    ['maxObjectBytes', { maxObjectBytes: 1.5 }],
    ['maxVariants', { maxVariants: 0 }],
    ['maxVariants', { maxVariants: 10_001 }],
    ['clock', { clock: { now: () => 0 } }],
    ['clock', { clock: null }],
  ])('refuses what cannot be used: %s in %o', (path, input) => {
    expect(faults(input)).toEqual([expect.objectContaining({ path })])
  })

  it('tells all faults at once, and the option that was meant', () => {
    const found = faults({ maxbytes: 1, maxVariants: 0 })
    expect(found.map(({ path }) => path).toSorted()).toEqual(['maxVariants', 'maxbytes'])
    expect(found).toContainEqual(expect.objectContaining({ path: 'maxbytes', cure: 'did you mean "maxBytes"?' }))
  })

  it.each([[null], [[]], ['64mb']])('refuses %o in place of options', (input) => {
    expect(() => memoryStore(input as MemoryStoreOptions)).toThrow(ConfigError)
  })
})

import { ConfigError, type ConfigFault, systemClock } from '@postern/contracts'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type CacheOptions, cache, memoryStore } from '../src/index.ts'
import { resolveOptions } from '../src/options.ts'

/** The faults of options that are no options. */
function faultsOf(options: unknown): readonly ConfigFault[] {
  try {
    cache(options as CacheOptions)
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    return (error as ConfigError).faults
  }
  return []
}

describe('defaults', () => {
  test('are those that the documentation of the options gives', () => {
    expect(resolveOptions({})).toEqual({
      store: undefined,
      methods: new Set(['GET', 'HEAD']),
      statuses: undefined,
      defaultLifetimeMs: undefined,
      heuristicShare: 0.1,
      heuristicMaxMs: 86_400_000,
      targeted: ['postern-cache-control', 'cdn-cache-control'],
      setCookie: 'refuse',
      ignoreClientCacheControl: false,
      bypass: undefined,
      key: undefined,
      editsQuery: false,
      ignoredParameters: new Set(),
      sortQuery: false,
      partition: undefined,
      tags: undefined,
      tagFields: ['cache-tag', 'surrogate-key'],
      exposeTags: false,
      staleWhileRevalidateMs: 0,
      staleIfErrorMs: 0,
      maxWaitMs: 10_000,
      maxObjectBytes: Number.MAX_SAFE_INTEGER,
      maxPendingBytes: 67_108_864,
      storeTimeoutMs: 100,
      cacheStatus: 'Postern',
      space: '',
      errors: 'respond',
      name: 'cache',
      clock: systemClock,
    })
  })

  test('hold for what is left out beside what is given', () => {
    expect(resolveOptions({ heuristics: { share: 0.5 } })).toMatchObject({
      heuristicShare: 0.5,
      heuristicMaxMs: 86_400_000,
    })
    expect(resolveOptions({ coalescing: {} })).toMatchObject({ maxWaitMs: 10_000 })
    expect(resolveOptions({ query: { sort: true } })).toMatchObject({ editsQuery: true, ignoredParameters: new Set() })
  })

  test('cache() needs no options at all', async () => {
    const handler = cache()
    expect(handler.name).toBe('cacheHandler')
    await handler.close()
  })
})

describe('what is given', () => {
  test('is taken', () => {
    const store = memoryStore()
    const functions = { bypass: () => true, key: () => 'k', tags: () => ['t'], partition: () => 'p' }
    expect(
      resolveOptions({
        ...functions,
        store,
        methods: ['GET', 'POST'],
        statuses: [200, 404],
        defaultTtlMs: 1_000,
        heuristics: false,
        targeted: ['Edge-Control'],
        setCookie: 'strip',
        ignoreClientCacheControl: true,
        query: { ignore: ['utm_*'], sort: true },
        exposeTags: true,
        staleWhileRevalidateMs: 1,
        staleIfErrorMs: 2,
        coalescing: { maxWaitMs: 5 },
        maxObjectBytes: 9,
        maxPendingBytes: 10,
        storeTimeoutMs: 11,
        cacheStatus: 'edge',
        space: 's',
        errors: 'next',
        name: 'n',
      }),
    ).toMatchObject({
      ...functions,
      store,
      methods: new Set(['GET', 'POST']),
      statuses: new Set([200, 404]),
      defaultLifetimeMs: 1_000,
      heuristicShare: 0,
      targeted: ['edge-control'],
      setCookie: 'strip',
      ignoreClientCacheControl: true,
      editsQuery: true,
      ignoredParameters: new Set(['utm_*']),
      sortQuery: true,
      exposeTags: true,
      staleWhileRevalidateMs: 1,
      staleIfErrorMs: 2,
      maxWaitMs: 5,
      maxObjectBytes: 9,
      maxPendingBytes: 10,
      storeTimeoutMs: 11,
      cacheStatus: 'edge',
      space: 's',
      errors: 'next',
      name: 'n',
    })
  })

  test.each([
    [true, 10_000],
    [false, 0],
  ])('coalescing: %s', (coalescing, maxWaitMs) => {
    expect(resolveOptions({ coalescing }).maxWaitMs).toBe(maxWaitMs)
  })

  test('cacheStatus: false leaves the field out', () => {
    expect(resolveOptions({ cacheStatus: false }).cacheStatus).toBeUndefined()
  })

  test('is left alone, and what becomes of it cannot be changed', () => {
    const given = Object.freeze({
      query: Object.freeze({ ignore: Object.freeze(['a']) }),
      targeted: Object.freeze(['X-Y']),
    })
    const resolved = resolveOptions(given)
    expect(given).toEqual({ query: { ignore: ['a'] }, targeted: ['X-Y'] })
    expect(Object.isFrozen(resolved)).toBe(true)
  })

  test('as undefined is the same as left out', () => {
    const nothing = Object.fromEntries(Object.keys(VALUES).map((key) => [key, undefined]))
    expect(resolveOptions(nothing as CacheOptions)).toEqual(resolveOptions({}))
  })
})

/** Values that each option refuses, with the path of the fault and a part of what is said. */
const VALUES: Record<string, [value: unknown, message: string, path?: string][]> = {
  store: [
    [{}, 'not a cache store'],
    ['redis', 'not a cache store'],
    [null, 'not a cache store'],
    [{ get() {}, put() {} }, 'not a cache store'],
  ],
  methods: [
    ['GET', 'not a list'],
    [['PUT'], 'not "GET", "HEAD" or "POST"', 'methods[0]'],
    [['GET', 'get'], 'not "GET", "HEAD" or "POST"', 'methods[1]'],
  ],
  statuses: [
    [200, 'not a list'],
    [[200, 99], 'not a whole number from 200 to 599', 'statuses[1]'],
    [['200'], 'not a whole number from 200 to 599', 'statuses[0]'],
    [[200.5], 'not a whole number from 200 to 599', 'statuses[0]'],
  ],
  defaultTtlMs: [
    [-1, 'not a whole number from 0 to 2147483647'],
    [1.5, 'not a whole number'],
    ['60', 'not a whole number'],
    [2 ** 31, 'not a whole number'],
    [Number.NaN, 'not a whole number'],
    [Number.POSITIVE_INFINITY, 'not a whole number'],
  ],
  heuristics: [
    [true, 'not false or an object of options'],
    [{ share: 2 }, 'not a number from 0 to 1', 'heuristics.share'],
    [{ share: -0.1 }, 'not a number from 0 to 1', 'heuristics.share'],
    [{ maxMs: -1 }, 'not a whole number', 'heuristics.maxMs'],
    [{ shares: 1 }, 'unknown option', 'heuristics.shares'],
  ],
  targeted: [
    ['X', 'not a list'],
    [['bad name'], 'not a field name', 'targeted[0]'],
    [[''], 'not a field name', 'targeted[0]'],
    [['a\r\nb'], 'not a field name', 'targeted[0]'],
  ],
  setCookie: [[true, 'not "refuse" or "strip"']],
  ignoreClientCacheControl: [['yes', 'not a boolean']],
  bypass: [[true, 'not a function']],
  key: [['x', 'not a function']],
  query: [
    [true, 'not an object of options'],
    [{ ignore: 'utm_*' }, 'not a list', 'query.ignore'],
    [{ ignore: [1] }, 'not a text', 'query.ignore[0]'],
    [{ sort: 1 }, 'not a boolean', 'query.sort'],
    [{ ignores: [] }, 'unknown option', 'query.ignores'],
  ],
  partition: [
    ['user', 'not "identity" or a function'],
    [true, 'not "identity" or a function'],
  ],
  tags: [[['a'], 'not a function']],
  exposeTags: [[1, 'not a boolean']],
  staleWhileRevalidateMs: [[-1, 'not a whole number']],
  staleIfErrorMs: [['1', 'not a whole number']],
  coalescing: [
    ['on', 'not a boolean or an object of options'],
    [{ maxWaitMs: 0 }, 'not a whole number from 1 to', 'coalescing.maxWaitMs'],
    [{ maxWait: 1 }, 'unknown option', 'coalescing.maxWait'],
  ],
  maxObjectBytes: [
    [-1, 'not a whole number'],
    ['1MB', 'not a whole number'],
  ],
  maxPendingBytes: [[0.5, 'not a whole number']],
  storeTimeoutMs: [
    [0, 'not a whole number from 1 to 60000'],
    [60_001, 'not a whole number from 1 to 60000'],
  ],
  cacheStatus: [
    [true, 'name of 1 to 128 characters'],
    ['', 'name of 1 to 128 characters'],
    ['a\r\nb', 'name of 1 to 128 characters'],
    ['x'.repeat(129), 'name of 1 to 128 characters'],
  ],
  space: [
    [1, 'not a text'],
    ['x'.repeat(129), 'more than 128 characters'],
  ],
  errors: [['throw', 'not "respond" or "next"']],
  name: [
    ['', 'not a name of 1 to 128 characters'],
    ['x'.repeat(129), 'not a name of 1 to 128 characters'],
    [7, 'not a name'],
  ],
  clock: [
    [Date, 'not a clock with now() and wallNow()'],
    [{ now: () => 1 }, 'not a clock'],
  ],
}

describe.each(Object.entries(VALUES))('%s', (option, refused) => {
  test.each(refused)('refuses %o: by its path, with the value that was given', (value, message, path = option) => {
    const faults = faultsOf({ [option]: value })
    expect(faults).toHaveLength(1)
    expect(faults[0]!.path).toBe(path)
    expect(faults[0]!.message).toContain(message)
    expect(faults[0]).toHaveProperty('received')
  })
})

test('every option has values that are tried here', () => {
  const known = faultsOf({ zzzzzzzzzzzzzzzzzzzz: 1 })[0]!.cure!
  expect(known).toMatch(/^known here: /)
  expect(known.slice('known here: '.length).split(', ').sort()).toEqual(Object.keys(VALUES).sort())
})

test.each([
  ['ttlMs', undefined],
  ['defaultTtl', 'did you mean "defaultTtlMs"?'],
  ['staleIfError', 'did you mean "staleIfErrorMs"?'],
  ['coalesing', 'did you mean "coalescing"?'],
  ['Store', 'did you mean "store"?'],
  ['setcookie', 'did you mean "setCookie"?'],
])('an unknown option (%s) is refused, with the nearest known one', (option, cure) => {
  const [fault] = faultsOf({ [option]: 1 })
  expect(fault).toMatchObject({ path: option, message: 'unknown option', received: 1 })
  if (cure !== undefined) expect(fault!.cure).toBe(cure)
})

test('all faults are told at once, in one message', () => {
  const options = { defaultTtlMs: -1, methods: ['PUT'], coalescing: { maxWaitMs: 0 }, nam: 'x' }
  expect(
    faultsOf(options)
      .map((fault) => fault.path)
      .sort(),
  ).toEqual(['coalescing.maxWaitMs', 'defaultTtlMs', 'methods[0]', 'nam'])
  expect(() => cache(options as unknown as CacheOptions)).toThrow(/^cache\(\): 4 faults in the options\n/)
})

test.each([[null], ['x'], [7], [[]], [true]])('cache(%o) says what to write', (options) => {
  const [fault] = faultsOf(options)
  expect(fault).toMatchObject({ path: '', message: 'not an options object', received: options })
  expect(fault!.cure).toContain('cache()')
})

test('whatever is given, it is taken or refused with faults, and nothing else is thrown', () => {
  const keys = fc.constantFrom(...Object.keys(VALUES), '__proto__', 'constructor', 'toString')
  fc.assert(
    fc.property(fc.dictionary(keys, fc.anything()), (options) => {
      try {
        resolveOptions(options as CacheOptions)
      } catch (error) {
        expect(error).toBeInstanceOf(ConfigError)
        expect((error as ConfigError).faults.length).toBeGreaterThan(0)
      }
    }),
  )
})

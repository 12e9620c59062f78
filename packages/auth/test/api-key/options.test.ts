import { systemClock } from '@postern/contracts'
import { describe, expect, test } from 'vitest'
import { generateApiKey } from '../../src/api-key/generate.ts'
import { type ApiKeyOptions, resolveApiKeyOptions } from '../../src/api-key/options.ts'
import { refusalOf } from '../support/scheme-server.ts'
import { keyOf } from './support.ts'

function refusal(options: unknown) {
  return refusalOf(() => resolveApiKeyOptions(options as ApiKeyOptions))
}

function paths(options: unknown): readonly string[] {
  return refusal(options).faults.map((fault) => fault.path)
}

describe('defaults', () => {
  test('of a table are those that the documentation gives', () => {
    expect(resolveApiKeyOptions({ keys: [] })).toEqual({
      entries: [],
      lookup: undefined,
      from: [{ header: 'x-api-key' }],
      prefixes: [],
      maxKeyBytes: 512,
      timeoutMs: 3_000,
      lastUsedIntervalMs: 60_000,
      user: undefined,
      realm: 'api',
      name: 'api-key',
      clock: systemClock,
    })
  })

  test('of a look-up are those that the documentation gives', () => {
    const lookup = () => undefined
    expect(resolveApiKeyOptions({ lookup }).lookup).toEqual({
      lookup,
      cacheMs: 60_000,
      missCacheMs: 10_000,
      maxEntries: 10_000,
      maxStaleMs: 0,
      timeoutMs: 3_000,
    })
  })
})

describe('what is refused', () => {
  test('neither keys nor lookup, or both', () => {
    expect(refusal({}).message).toContain('exactly one of keys and lookup')
    expect(refusal({ keys: [], lookup: () => undefined }).message).toContain('only one can be meant')
    expect(refusal([]).message).toContain('not an options object')
  })

  test('all faults at once, each at its path', () => {
    const { record } = keyOf('a')
    const keys = [
      record,
      { ...record, id: '' },
      { ...record, id: 'b' },
      { id: 'c' },
      'key',
      { ...record, scopes: ['a b'] },
    ]
    expect(paths({ keys, maxKeyBytes: 1, prefix: 'a b', from: { heeder: 'x' }, realm: '"' })).toEqual([
      'from',
      'prefix',
      'maxKeyBytes',
      'realm',
      'keys[1].id',
      'keys[2].hash',
      'keys[3].hash',
      'keys[3].subject',
      'keys[4]',
      'keys[5].scopes[0]',
    ])
  })

  test('two records of one id or one hash', () => {
    const [a, b] = [keyOf('a').record, keyOf('b').record]
    expect(refusal({ keys: [a, { ...b, id: a.id }] }).message).toContain('keys[1].id: the same as keys[0].id')
    expect(refusal({ keys: [a, b, { ...a, id: 'c', hash: a.hash.toUpperCase() }] }).message).toContain(
      'keys[2].hash: the same as keys[0].hash',
    )
  })

  test('dates that cannot be read, and a key that would never hold', () => {
    const { record } = keyOf('a')
    const keys = [
      { ...record, expiresAt: 'soon' },
      { ...keyOf('b').record, notBefore: 1_700_000_000 },
      { ...keyOf('c').record, notBefore: '2027-01-02', expiresAt: '2027-01-01' },
      { ...keyOf('d').record, notBefore: '2027-01-01', expiresAt: new Date('2028-01-01') },
    ]
    expect(paths({ keys })).toEqual(['keys[0].expiresAt', 'keys[1].notBefore', 'keys[2].expiresAt'])
  })

  test('options of look-ups without one, and unknown ones with the nearest known', () => {
    expect(paths({ keys: [], cacheMs: 1, maxStaleMs: 1 })).toEqual(['cacheMs', 'maxStaleMs'])
    expect(refusal({ keys: [], prefixes: 'a_' }).message).toContain('did you mean "prefix"?')
    expect(refusal({ keys: [{ ...keyOf('a').record, expires: 1 }] }).message).toContain('did you mean "expiresAt"?')
  })

  test('is never told with a key or a hash', () => {
    const { key } = generateApiKey({ prefix: 'acme_' })
    const wrong: unknown[] = [
      { keys: [{ id: 'a', hash: key, subject: 'a' }] },
      { keys: [{ id: 'a', key, subject: 'a' }] },
      { keys: [key] },
      { keys: key },
      { keys: { a: key } },
      { kees: [key] },
      { apiKey: key },
      { prefix: [`${key}!`] },
      { lookup: key },
      key,
    ]
    for (const options of wrong) {
      const { faults, message } = refusal(options)
      expect(faults.length).toBeGreaterThan(0)
      expect(message).not.toContain(key)
      expect(JSON.stringify(faults)).not.toContain(key)
    }
  })
})

test('the records that were handed in are left alone, and later changes to them do nothing', () => {
  const scopes = ['read']
  const { record } = keyOf('a', { scopes })
  const [entry] = resolveApiKeyOptions({ keys: [Object.freeze(record)] }).entries!
  scopes.push('admin')
  expect(entry?.identity.scopes).toEqual(['read'])
  expect(Object.isFrozen(entry?.identity.claims)).toBe(true)
})

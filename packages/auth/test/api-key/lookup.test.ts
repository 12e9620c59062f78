import { setImmediate as turn } from 'node:timers/promises'
import { eventually } from '@postern/test-kit'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { hashApiKey } from '../../src/api-key/generate.ts'
import type { ApiKeyLookup, ApiKeyOptions } from '../../src/api-key/options.ts'
import type { ApiKeyRecord } from '../../src/api-key/record.ts'
import { type ApiKeyUse, apiKeyUsed, type ProviderFailure, providerFailed } from '../../src/channels.ts'
import { MAX_IN_FLIGHT } from '../../src/credentials/look-up.ts'
import { askedOf } from '../support/scheme-server.ts'
import { apiKeys, keyOf, NOON } from './support.ts'

const failures: ProviderFailure[] = []
const uses: ApiKeyUse[] = []
const onFailure = (failure: ProviderFailure) => void failures.push(failure)
const onUse = (use: ApiKeyUse) => void uses.push(use)

beforeEach(() => {
  providerFailed.subscribe(onFailure)
  apiKeyUsed.subscribe(onUse)
})
afterEach(() => {
  providerFailed.unsubscribe(onFailure)
  apiKeyUsed.unsubscribe(onUse)
  failures.length = 0
  uses.length = 0
})

/** A store of keys that counts what it is asked, and answers as it is told. */
function storeOf(...records: ApiKeyRecord[]) {
  const table = new Map(records.map((record) => [record.hash, record]))
  const asked: string[] = []
  const store = {
    table,
    asked,
    lookup: (async (hash) => {
      asked.push(hash)
      return table.get(hash)
    }) as ApiKeyLookup,
  }
  return store
}

async function asking(options: ApiKeyOptions) {
  const held = apiKeys(options)
  const { ask } = await askedOf(held.scheme)
  return { ...held, ask: (key: string) => ask(['x-api-key', key]) }
}

describe('a look-up', () => {
  test('gets the hash, never the key, and is spared while the answer is fresh', async () => {
    const { key, record } = keyOf('a')
    const { lookup, asked } = storeOf(record)
    const { ask, clock } = await asking({ lookup })
    expect(await ask(key)).toMatchObject({ outcome: 'verified', subject: 'a', remembered: false })
    clock.advance(59_999)
    expect(await ask(key)).toMatchObject({ outcome: 'verified', remembered: true })
    expect(asked).toEqual([hashApiKey(key)])
    clock.advance(1)
    expect(await ask(key)).toMatchObject({ outcome: 'verified', remembered: false })
    expect(asked).toHaveLength(2)
  })

  test('that answers at once is answered at once', () => {
    const { key, record } = keyOf('a')
    const { scheme } = apiKeys({ lookup: () => record })
    expect(scheme.verify(key, {} as never)).toMatchObject({ outcome: 'verified' })
  })

  test('is made once for all who show the same key at the same time', async () => {
    const { key, record } = keyOf('a')
    let asked = 0
    let answer: (record: ApiKeyRecord) => void = () => {}
    const lookup = () => {
      asked += 1
      return new Promise<ApiKeyRecord>((resolve) => {
        answer = resolve
      })
    }
    const { scheme } = apiKeys({ lookup, cacheMs: 0 })
    const verdicts = Array.from({ length: 50 }, () => scheme.verify(key, {} as never))
    answer(record)
    for (const verdict of await Promise.all(verdicts)) expect(verdict).toMatchObject({ outcome: 'verified' })
    expect(asked).toBe(1)
  })

  test('may return a row as a database has it', async () => {
    const { key, record } = keyOf('a')
    const row = { ...record, scopes: null, roles: null, claims: null, notBefore: null, expiresAt: null, created_by: 7 }
    const { ask } = await asking({ lookup: async () => row })
    expect(await ask(key)).toMatchObject({ outcome: 'verified', scopes: [], roles: [] })
  })

  test('finds keys whose time is over, which are refused though they are remembered', async () => {
    const { key, record } = keyOf('a', { expiresAt: NOON + 1_000 })
    const { ask, clock } = await asking({ lookup: storeOf(record).lookup })
    expect(await ask(key)).toMatchObject({ outcome: 'verified' })
    clock.advance(1_000)
    expect(await ask(key)).toMatchObject({ outcome: 'refused', reason: 'expired' })
  })

  test('tells the use of a key once an interval, though it is looked up each time', async () => {
    const { key, record } = keyOf('a')
    const { ask } = await asking({ lookup: storeOf(record).lookup, cacheMs: 0 })
    for (let i = 0; i < 3; i++) expect(await ask(key)).toMatchObject({ outcome: 'verified', remembered: false })
    expect(uses).toHaveLength(1)
  })
})

describe('an unknown key', () => {
  test('is asked for once, and again when its time is over', async () => {
    const { lookup, asked, table } = storeOf()
    const { key, record } = keyOf('a')
    const { ask, clock } = await asking({ lookup })
    for (let i = 0; i < 5; i++) expect(await ask(key)).toMatchObject({ reason: 'unknown-key', isGuess: true })
    expect(asked).toHaveLength(1)
    table.set(record.hash, record)
    clock.advance(10_000)
    expect(await ask(key)).toMatchObject({ outcome: 'verified' })
  })

  test('null says it as well', async () => {
    const { ask } = await asking({ lookup: async () => null })
    expect(await ask('no-such-key-at-all')).toMatchObject({ reason: 'unknown-key' })
    expect(failures).toEqual([])
  })

  test('a flood of them does not make it forget a good one', async () => {
    const { key, record } = keyOf('a')
    const { lookup, asked } = storeOf(record)
    const { scheme } = apiKeys({ lookup, maxEntries: 10 })
    await scheme.verify(key, {} as never)
    for (let i = 0; i < 200; i++) await scheme.verify(`made-up-${i}`, {} as never)
    expect(scheme.recall(key, {} as never)).toMatchObject({ outcome: 'verified' })
    expect(asked.filter((hash) => hash === record.hash)).toHaveLength(1)
  })

  test('with the wrong prefix is not asked for at all', async () => {
    const { lookup, asked } = storeOf()
    const { ask } = await asking({ lookup, prefix: 'acme_' })
    expect(await ask('other_key')).toMatchObject({ reason: 'prefix' })
    expect(asked).toEqual([])
  })

  test('so many that the store does not keep up are turned away, and good ones pass', async () => {
    const { key, record } = keyOf('a')
    const answers: (() => void)[] = []
    const lookup: ApiKeyLookup = (hash) => {
      if (hash === record.hash) return record
      return new Promise((resolve) => {
        answers.push(() => resolve(undefined))
      })
    }
    const { scheme } = apiKeys({ lookup })
    expect(scheme.verify(key, {} as never)).toMatchObject({ outcome: 'verified' })
    const waiting = Array.from({ length: MAX_IN_FLIGHT }, (_, i) => scheme.verify(`made-up-${i}`, {} as never))
    expect(scheme.verify('one-too-many', {} as never)).toMatchObject({ outcome: 'unavailable', reason: 'lookup-busy' })
    expect(answers).toHaveLength(MAX_IN_FLIGHT)
    expect(scheme.recall(key, {} as never)).toMatchObject({ outcome: 'verified' })
    for (const answer of answers) answer()
    for (const verdict of await Promise.all(waiting)) expect(verdict).toMatchObject({ reason: 'unknown-key' })
    expect(scheme.verify('now-there-is-room', {} as never)).toBeInstanceOf(Promise)
    for (const answer of answers) answer()
  })
})

describe('a look-up that fails', () => {
  const { key, record } = keyOf('a')
  const ways: readonly (readonly [string, () => unknown])[] = [
    [
      'throws',
      () => {
        throw new Error('down')
      },
    ],
    ['rejects', () => Promise.reject(new Error('down'))],
    ['rejects with nothing', () => Promise.reject(undefined)],
    ['hangs', () => new Promise(() => {})],
    ['returns true', () => true],
    ['returns a text', () => 'alice'],
    ['returns no record', () => ({ id: 'a' })],
    ['returns a list', () => [record]],
    ['returns a date that is none', () => ({ ...record, expiresAt: 'soon' })],
    ['returns the record of another key', () => keyOf('admin').record],
    ['returns a thenable that throws', () => Object.defineProperty({}, 'then', { get: () => { throw new Error('no') } })],
    ['returns a record whose members throw', () => ({ get id() { throw new Error('no') } })],
  ] // biome-ignore format: one way a line

  test.each(ways)('%s: it cannot be told, and nobody is let in', async (_, answer) => {
    const { ask } = await asking({ lookup: answer as ApiKeyLookup, timeoutMs: 20 })
    expect(await ask(key)).toMatchObject({
      outcome: 'unavailable',
      reason: expect.stringMatching(/^lookup-(failed|timeout)$/),
    })
    expect(failures).toMatchObject([{ provider: 'api-key-lookup', url: undefined }])
    expect(String(failures[0]?.error)).not.toContain(record.hash)
  })

  test('hears that the time is over, and may answer too late', async () => {
    const { key, record } = keyOf('a')
    let signal: AbortSignal | undefined
    let answer: (record: ApiKeyRecord) => void = () => {}
    const lookup: ApiKeyLookup = (_, given) => {
      signal = given
      return new Promise((resolve) => {
        answer = resolve
      })
    }
    const { ask } = await asking({ lookup, timeoutMs: 20 })
    expect(await ask(key)).toMatchObject({ outcome: 'unavailable', reason: 'lookup-timeout' })
    expect(signal?.aborted).toBe(true)
    answer(record)
    await turn()
    expect(failures).toHaveLength(1)
  })

  test('may fail once more when its time is over, and nobody hears of it', async () => {
    let fail: (error: Error) => void = () => {}
    const lookup: ApiKeyLookup = () => {
      return new Promise((_, reject) => {
        fail = reject
      })
    }
    const { ask } = await asking({ lookup, timeoutMs: 20 })
    expect(await ask(key)).toMatchObject({ outcome: 'unavailable', reason: 'lookup-timeout' })
    fail(new Error('too late'))
    await turn()
    expect(failures).toHaveLength(1)
  })

  test('is not remembered: the next request asks again', async () => {
    const { key, record } = keyOf('a')
    let isDown = true
    const lookup = async () => {
      if (isDown) throw new Error('down')
      return record
    }
    const { ask } = await asking({ lookup })
    expect(await ask(key)).toMatchObject({ outcome: 'unavailable' })
    isDown = false
    expect(await ask(key)).toMatchObject({ outcome: 'verified' })
  })

  test('leaves known keys what they were for maxStaleMs, asks once a second, and recovers', async () => {
    const { key, record } = keyOf('a')
    let asked = 0
    let isDown = false
    const lookup = async () => {
      asked += 1
      if (isDown) throw new Error('down')
      return record
    }
    const { ask, clock } = await asking({ lookup, cacheMs: 1_000, maxStaleMs: 5_000 })
    await ask(key)
    isDown = true
    clock.advance(1_000)
    for (let i = 0; i < 20; i++) expect(await ask(key)).toMatchObject({ outcome: 'verified' })
    expect(asked).toBe(2)
    expect(await ask('a-key-that-is-not-known')).toMatchObject({ outcome: 'unavailable' })
    clock.advance(4_999)
    expect(await ask(key)).toMatchObject({ outcome: 'verified' })
    clock.advance(1)
    expect(await ask(key)).toMatchObject({ outcome: 'unavailable' })
    isDown = false
    expect(await ask(key)).toMatchObject({ outcome: 'verified' })
  })

  test('by default leaves nobody in when the answer is no longer fresh', async () => {
    const { key, record } = keyOf('a')
    let isDown = false
    const lookup = () => {
      if (isDown) throw new Error('down')
      return record
    }
    const { ask, clock } = await asking({ lookup })
    await ask(key)
    isDown = true
    clock.advance(59_999)
    expect(await ask(key)).toMatchObject({ outcome: 'verified' })
    clock.advance(1)
    expect(await ask(key)).toMatchObject({ outcome: 'unavailable' })
  })

  test('does not bring back a key that the store has said is gone', async () => {
    const { key, record } = keyOf('a')
    let answer: () => ApiKeyRecord | undefined = () => record
    const { ask, clock } = await asking({ lookup: () => answer(), cacheMs: 1_000, missCacheMs: 0, maxStaleMs: 60_000 })
    await ask(key)
    answer = () => undefined
    clock.advance(1_000)
    expect(await ask(key)).toMatchObject({ outcome: 'refused' })
    answer = () => {
      throw new Error('down')
    }
    expect(await ask(key)).toMatchObject({ outcome: 'unavailable' })
  })
})

describe('forget()', () => {
  test('has a revoked key asked for at once', async () => {
    const { key, record } = keyOf('a')
    const { lookup, table } = storeOf(record)
    const { ask, scheme } = await asking({ lookup })
    await ask(key)
    table.delete(record.hash)
    expect(await ask(key)).toMatchObject({ outcome: 'verified' })
    scheme.forget(record.hash.toUpperCase())
    expect(await ask(key)).toMatchObject({ outcome: 'refused' })
  })

  test('has a key that was made just now asked for at once', async () => {
    const { key, record } = keyOf('a')
    const { lookup, table } = storeOf()
    const { ask, scheme } = await asking({ lookup })
    await ask(key)
    table.set(record.hash, record)
    scheme.forget(record.hash)
    expect(await ask(key)).toMatchObject({ outcome: 'verified' })
  })

  test('is not undone by a look-up that was on its way', async () => {
    const { key, record } = keyOf('a')
    const answers: ((record: ApiKeyRecord | undefined) => void)[] = []
    const lookup = () => new Promise<ApiKeyRecord | undefined>((resolve) => void answers.push(resolve))
    const { scheme } = apiKeys({ lookup })
    const before = scheme.verify(key, {} as never)
    scheme.forget(record.hash)
    const after = scheme.verify(key, {} as never)
    await eventually(() => answers.length === 2)
    answers[1]?.(undefined)
    expect(await after).toMatchObject({ outcome: 'refused' })
    answers[0]?.(record)
    await before
    expect(scheme.recall(key, {} as never)).toBeUndefined()
  })
})

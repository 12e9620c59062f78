import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { hashApiKey } from '../../src/api-key/generate.ts'
import { type ApiKeyUse, apiKeyUsed, type ProviderFailure, providerFailed } from '../../src/channels.ts'
import { askedOf, refusalOf } from '../support/scheme-server.ts'
import { apiKeys, keyOf, NOON } from './support.ts'

const REFUSED = { outcome: 'refused', error: 'invalid_token', remembered: false }

const undo: (() => void)[] = []
afterEach(() => {
  for (const each of undo.splice(0)) each()
})

function usesOf(): ApiKeyUse[] {
  const uses: ApiKeyUse[] = []
  const listener = (use: ApiKeyUse) => void uses.push(use)
  apiKeyUsed.subscribe(listener)
  undo.push(() => apiKeyUsed.unsubscribe(listener))
  return uses
}

describe('a key of the table', () => {
  test('lets its holder in, with scopes, roles and claims, and from then on without work', async () => {
    const { key, record } = keyOf('billing', { scopes: ['read'], roles: ['batch'], claims: { tenant: 'acme' } })
    const { ask } = await askedOf(apiKeys({ keys: [record] }).scheme)
    const told = {
      outcome: 'verified',
      subject: 'billing',
      scopes: ['read'],
      roles: ['batch'],
      claims: { key_id: record.id, tenant: 'acme' },
    }
    expect(await ask(['x-api-key', key])).toMatchObject({ ...told, remembered: false })
    expect(await ask(['X-API-Key', key])).toMatchObject({ ...told, remembered: true })
  })

  test('is answered by one and the same object each time, and at once', async () => {
    const { key, record } = keyOf('billing')
    const { scheme } = apiKeys({ keys: [record] })
    const first = scheme.verify(key, {} as never)
    expect(first).not.toBeInstanceOf(Promise)
    expect(scheme.recall(key, {} as never)).toBe(first)
    expect(scheme.recall(key, {} as never)).toBe(first)
  })

  test('is no key with one character changed, added or taken away', () => {
    const { key, record } = keyOf('billing')
    const { scheme } = apiKeys({ keys: [record] })
    expect(scheme.verify(key, {} as never)).toMatchObject({ outcome: 'verified' })
    const changed = fc.tuple(fc.nat(key.length), fc.nat(1), fc.string({ maxLength: 2 })).map(([at, gone, added]) => {
      return key.slice(0, at) + added + key.slice(at + gone)
    })
    fc.assert(
      fc.property(changed, (other) => {
        fc.pre(other !== key)
        expect(scheme.recall(other, {} as never)).toBeUndefined()
        expect(scheme.verify(other, {} as never)).toMatchObject({ outcome: 'refused', isGuess: true })
      }),
    )
  })

  test('is not let in by its hash, nor is it its id', () => {
    const { record } = keyOf('billing')
    const { scheme } = apiKeys({ keys: [record] })
    for (const text of [record.hash, record.id, record.hash.toUpperCase(), '']) {
      expect(scheme.verify(text, {} as never)).toMatchObject({ outcome: 'refused', reason: 'unknown-key' })
    }
  })
})

describe('the time of a key', () => {
  test('begins and ends to the millisecond, also for a key that is known', async () => {
    const { key, record } = keyOf('a', { notBefore: new Date(NOON + 1_000), expiresAt: NOON + 3_000 })
    const { scheme, clock } = apiKeys({ keys: [record] })
    const { ask } = await askedOf(scheme)
    expect(await ask(['x-api-key', key])).toEqual({ ...REFUSED, reason: 'not-yet-valid', isGuess: false })
    clock.advance(1_000)
    expect(await ask(['x-api-key', key])).toMatchObject({ outcome: 'verified' })
    clock.advance(1_999)
    expect(await ask(['x-api-key', key])).toMatchObject({ outcome: 'verified', remembered: true })
    clock.advance(1)
    expect(await ask(['x-api-key', key])).toEqual({ ...REFUSED, reason: 'expired', isGuess: false })
  })

  test('of two keys of one subject may overlap: that is rotation', async () => {
    const old = keyOf('billing', { expiresAt: NOON + 2_000 })
    const fresh = keyOf('billing', { notBefore: NOON + 1_000 })
    const { scheme, clock } = apiKeys({ keys: [old.record, fresh.record] })
    const { ask } = await askedOf(scheme)
    const outcomes = async () => [
      (await ask(['x-api-key', old.key])).outcome,
      (await ask(['x-api-key', fresh.key])).outcome,
    ]
    expect(await outcomes()).toEqual(['verified', 'refused'])
    clock.advance(1_000)
    expect(await outcomes()).toEqual(['verified', 'verified'])
    clock.advance(1_000)
    expect(await outcomes()).toEqual(['refused', 'verified'])
  })
})

describe('where the key is', () => {
  test('a request without one has none, and one with two lines of it is refused', async () => {
    const { key, record } = keyOf('a')
    const { ask } = await askedOf(apiKeys({ keys: [record] }).scheme)
    expect(await ask()).toMatchObject({ outcome: 'nothing' })
    expect(await ask([], `/?api_key=${key}`)).toMatchObject({ outcome: 'nothing' })
    expect(await ask(['authorization', `ApiKey ${key}`])).toMatchObject({ outcome: 'nothing' })
    expect(await ask(['x-api-key', key, 'X-Api-Key', key])).toMatchObject({ error: 'invalid_request' })
  })

  test('Authorization with a scheme of its own, which the challenge names', async () => {
    const { key, record } = keyOf('a')
    const { scheme } = apiKeys({ keys: [record], from: { header: 'authorization', scheme: 'ApiKey' } })
    const { ask } = await askedOf(scheme)
    expect(await ask(['authorization', `apikey ${key}`])).toMatchObject({ outcome: 'verified' })
    expect(await ask(['authorization', `Bearer ${key}`])).toMatchObject({ outcome: 'nothing' })
    expect(scheme.challenge()).toBe('ApiKey realm="api"')
  })

  test('the query when asked for, and not in two places at once', async () => {
    const { key, record } = keyOf('a')
    const from = [{ header: 'x-api-key' }, { query: 'api_key' }]
    const asked = await askedOf(apiKeys({ keys: [record], from }).scheme)
    expect(await asked.ask([], `/?a=1&api_key=${key}`)).toMatchObject({ outcome: 'verified' })
    expect(asked.outgoing?.query).toContainEqual({ op: 'remove', name: 'api_key' })
    expect(await asked.ask(['x-api-key', key], `/?api_key=${key}`)).toMatchObject({ error: 'invalid_request' })
  })

  test('is not where it is sent on to: strip() takes it out', async () => {
    const { key, record } = keyOf('a')
    const asked = await askedOf(apiKeys({ keys: [record] }).scheme)
    await asked.ask(['x-api-key', key])
    expect(asked.outgoing?.requestHeaders).toContainEqual({ op: 'remove', name: 'x-api-key' })
  })

  test('a key that is too long is not looked at', async () => {
    const { ask } = await askedOf(apiKeys({ keys: [], maxKeyBytes: 16 }).scheme)
    expect(await ask(['x-api-key', 'a'.repeat(16)])).toMatchObject({ reason: 'unknown-key' })
    expect(await ask(['x-api-key', 'a'.repeat(17)])).toMatchObject({ reason: 'too-long', isGuess: false })
  })
})

describe('what a client is told', () => {
  test('is the same for unknown, expired, early and misprefixed keys', async () => {
    const [expired, early] = [keyOf('a', { expiresAt: NOON }), keyOf('b', { notBefore: NOON + 1 })]
    const { scheme } = apiKeys({ keys: [expired.record, early.record], prefix: 'acme_' })
    const { ask } = await askedOf(scheme)
    for (const key of [keyOf('c').key, expired.key, early.key, 'other_key']) {
      expect(await ask(['x-api-key', key])).toMatchObject(REFUSED)
    }
    expect(scheme.challenge('invalid_token')).toBe(
      'ApiKey realm="api", error="invalid_token", error_description="The credentials do not hold"',
    )
  })
})

describe('prefix', () => {
  test('others are refused, and any of several will do', async () => {
    const key = 'live_0123456789abcdef'
    const record = { id: 'a', hash: hashApiKey(key), subject: 'a' }
    const asked = async (prefix: string | string[]) => (await askedOf(apiKeys({ keys: [record], prefix }).scheme)).ask
    expect(await (await asked('live_'))(['x-api-key', key])).toMatchObject({ outcome: 'verified' })
    expect(await (await asked(['test_', 'live_']))(['x-api-key', key])).toMatchObject({ outcome: 'verified' })
    expect(await (await asked('test_'))(['x-api-key', key])).toMatchObject({ reason: 'prefix', isGuess: true })
  })

  test('is part of what is hashed', () => {
    const { scheme } = apiKeys({ keys: [{ id: 'a', hash: hashApiKey('rest'), subject: 'a' }], prefix: 'acme_' })
    expect(scheme.verify('acme_rest', {} as never)).toMatchObject({ reason: 'unknown-key' })
  })
})

describe('replaceKeys()', () => {
  test('lets in whom the new table knows, and nobody else, at once', async () => {
    const [a, b] = [keyOf('a'), keyOf('b')]
    const { scheme } = apiKeys({ keys: [a.record] })
    const { ask } = await askedOf(scheme)
    expect(await ask(['x-api-key', a.key])).toMatchObject({ outcome: 'verified' })
    scheme.replaceKeys([b.record])
    expect(await ask(['x-api-key', a.key])).toMatchObject({ reason: 'unknown-key' })
    expect(await ask(['x-api-key', b.key])).toMatchObject({ outcome: 'verified' })
  })

  test('changes what a key may do, though the key is known', async () => {
    const { key, record } = keyOf('a', { scopes: ['read', 'write'] })
    const { scheme } = apiKeys({ keys: [record] })
    const { ask } = await askedOf(scheme)
    await ask(['x-api-key', key])
    scheme.replaceKeys([{ ...record, scopes: ['read'] }])
    expect(await ask(['x-api-key', key])).toMatchObject({ scopes: ['read'] })
  })

  test('with any fault changes nothing', async () => {
    const [a, b] = [keyOf('a'), keyOf('b')]
    const { scheme } = apiKeys({ keys: [a.record] })
    const { ask } = await askedOf(scheme)
    const { faults } = refusalOf(() => scheme.replaceKeys([b.record, { ...b.record, id: 'c', hash: 'short' }]))
    expect(faults.map((fault) => fault.path)).toEqual(['keys[1].hash'])
    expect(await ask(['x-api-key', a.key])).toMatchObject({ outcome: 'verified' })
    expect(await ask(['x-api-key', b.key])).toMatchObject({ outcome: 'refused' })
  })

  test('has nothing to do where keys are looked up', () => {
    const { scheme } = apiKeys({ lookup: () => undefined })
    expect(refusalOf(() => scheme.replaceKeys([])).message).toContain('forget(hash)')
  })
})

describe('the use of a key', () => {
  test('is told with its id, never the key, once an interval', async () => {
    const uses = usesOf()
    const [a, b] = [keyOf('a'), keyOf('b')]
    const { scheme, clock } = apiKeys({ keys: [a.record, b.record], lastUsedIntervalMs: 1_000 })
    const { ask } = await askedOf(scheme)
    for (const key of [a.key, a.key, b.key, a.key, 'no-such-key-at-all']) await ask(['x-api-key', key])
    const used = { scheme: 'api-key', atMs: NOON }
    expect(uses).toEqual([
      { ...used, id: a.record.id, subject: 'a' },
      { ...used, id: b.record.id, subject: 'b' },
    ])
    clock.advance(999)
    await ask(['x-api-key', a.key])
    expect(uses).toHaveLength(2)
    clock.advance(1)
    await ask(['x-api-key', a.key])
    expect(uses[2]).toEqual({ ...used, id: a.record.id, subject: 'a', atMs: NOON + 1_000 })
  })

  test('is told once an interval also when the table is replaced meanwhile, or the clock is set back', async () => {
    const uses = usesOf()
    const { key, record } = keyOf('a')
    const { scheme, clock } = apiKeys({ keys: [record] })
    const { ask } = await askedOf(scheme)
    await ask(['x-api-key', key])
    scheme.replaceKeys([record])
    await ask(['x-api-key', key])
    expect(uses).toHaveLength(1)
    clock.advance(-86_400_000)
    await ask(['x-api-key', key])
    expect(uses).toHaveLength(2)
  })

  test('is not told of a key that does not hold', async () => {
    const uses = usesOf()
    const { key, record } = keyOf('a', { expiresAt: NOON })
    const { ask } = await askedOf(apiKeys({ keys: [record] }).scheme)
    await ask(['x-api-key', key])
    expect(uses).toEqual([])
  })
})

describe('user', () => {
  test('is what the application makes of the identity, asked once for a key', async () => {
    let asked = 0
    const { key, record } = keyOf('a')
    const user = async ({ subject }: { subject: string }) => ({ id: subject, nth: ++asked })
    const { ask } = await askedOf(apiKeys({ keys: [record], user }).scheme)
    expect(await ask(['x-api-key', key])).toMatchObject({ user: { id: 'a', nth: 1 }, remembered: false })
    expect(await ask(['x-api-key', key])).toMatchObject({ user: { id: 'a', nth: 1 }, remembered: true })
  })

  test('that there is none refuses the key, and is asked again', async () => {
    const answers: unknown[] = [undefined, null, false, { id: 1 }]
    const { key, record } = keyOf('a')
    const { ask } = await askedOf(apiKeys({ keys: [record], user: () => answers.shift() }).scheme)
    for (let i = 0; i < 3; i++) expect(await ask(['x-api-key', key])).toMatchObject({ ...REFUSED, reason: 'no-user' })
    expect(await ask(['x-api-key', key])).toMatchObject({ outcome: 'verified', user: { id: 1 } })
  })

  test('that throws, rejects or hangs costs the request and no other', async () => {
    const failures: ProviderFailure[] = []
    const listener = (failure: ProviderFailure) => void failures.push(failure)
    providerFailed.subscribe(listener)
    undo.push(() => providerFailed.unsubscribe(listener))
    const answers = [
      () => {
        throw new Error('boom')
      },
      () => Promise.reject(new Error('boom')),
      () => new Promise(() => {}),
      () => ({ id: 1 }),
    ]
    const { key, record } = keyOf('a')
    const { ask } = await askedOf(apiKeys({ keys: [record], timeoutMs: 20, user: () => answers.shift()!() }).scheme)
    for (let i = 0; i < 3; i++) {
      expect(await ask(['x-api-key', key])).toMatchObject({ outcome: 'unavailable', reason: 'user' })
    }
    expect(await ask(['x-api-key', key])).toMatchObject({ outcome: 'verified' })
    expect(failures.map((failure) => failure.provider)).toEqual(['user', 'user', 'user'])
  })
})

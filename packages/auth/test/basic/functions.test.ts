import { setImmediate as turn } from 'node:timers/promises'
import { hash as bcryptHash } from '@node-rs/bcrypt'
import { eventually } from '@postern/test-kit'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { PasswordCheck, PasswordCheckResult, UserLookup } from '../../src/basic/options.ts'
import type { UserRecord } from '../../src/basic/users.ts'
import { type ProviderFailure, providerFailed } from '../../src/channels.ts'
import { askedOf } from '../support/scheme-server.ts'
import { asUser, BCRYPT_UXU, basics, SCRYPT_PASSWORD, tokenOf } from './support.ts'

const REFUSED = { outcome: 'refused', error: 'invalid_token', remembered: false, isGuess: true }

const failures: ProviderFailure[] = []
const onFailure = (failure: ProviderFailure) => void failures.push(failure)

beforeEach(() => providerFailed.subscribe(onFailure))
afterEach(() => {
  providerFailed.unsubscribe(onFailure)
  failures.length = 0
})

/** The ways in which a function of the application's own can go wrong. */
const BROKEN: readonly (readonly [string, () => unknown])[] = [
  [
    'throws',
    () => {
      throw new Error('down')
    },
  ],
  ['rejects', () => Promise.reject(new Error('down'))],
  ['rejects with nothing', () => Promise.reject(undefined)],
  ['hangs', () => new Promise(() => {})],
  ['returns a number', () => 1],
  ['returns a text', () => 'alice'],
  ['returns a list', () => [BCRYPT_UXU]],
  ['returns wrong parts', () => ({ hash: BCRYPT_UXU, roles: 'admin' })],
  ['returns something later that is nothing', async () => Symbol('nothing')],
]

describe('lookup', () => {
  test('finds the hash, what the user may do, and columns that nobody asked for', async () => {
    const row = { hash: BCRYPT_UXU, subject: 'u1', roles: ['admin'], scopes: null, claims: null, created_by: 7 }
    const lookup: UserLookup = async (username) => (username === 'alice' ? row : null)
    const { ask } = await askedOf(basics({ lookup }).scheme)
    expect(await ask(asUser('alice', 'U*U'))).toMatchObject({ outcome: 'verified', subject: 'u1', roles: ['admin'] })
    expect(await ask(asUser('alice', 'x'))).toMatchObject({ ...REFUSED, reason: 'password' })
    expect(await ask(asUser('bob', 'U*U'))).toMatchObject({ ...REFUSED, reason: 'unknown-user' })
    expect(failures).toEqual([])
  })

  test('is asked each time, so that a change of password and of roles holds at once', async () => {
    const record: { hash: string; roles: string[] } = { hash: BCRYPT_UXU, roles: ['admin'] }
    const { ask } = await askedOf(basics({ lookup: async () => ({ ...record }) }).scheme)
    expect(await ask(asUser('alice', 'U*U'))).toMatchObject({ outcome: 'verified', roles: ['admin'] })
    record.roles = []
    expect(await ask(asUser('alice', 'U*U'))).toMatchObject({ outcome: 'verified', roles: [] })
    record.hash = await bcryptHash('new', { cost: 4 })
    expect(await ask(asUser('alice', 'U*U'))).toMatchObject({ ...REFUSED, reason: 'password' })
    expect(await ask(asUser('alice', 'new'))).toMatchObject({ outcome: 'verified' })
  })

  test('spares the slow hash for a good pair: an answer at once, until its time is over', async () => {
    const { scheme, clock } = basics({ lookup: () => ({ hash: BCRYPT_UXU }), cacheMs: 1_000 })
    const token = tokenOf('alice', 'U*U')
    const first = scheme.verify(token, {} as never)
    expect(first).toBeInstanceOf(Promise)
    await first
    expect(scheme.verify(token, {} as never)).toMatchObject({ outcome: 'verified' })
    clock.advance(1_000)
    expect(scheme.verify(token, {} as never)).toBeInstanceOf(Promise)
  })

  test('takes a check for an unknown user as well, before and after it has found one', async () => {
    const { scheme } = basics({ lookup: (name) => (name === 'alice' ? { hash: SCRYPT_PASSWORD } : undefined) })
    for (let i = 0; i < 2; i++) {
      const unknown = scheme.verify(tokenOf(`nobody-${i}`, 'password'), {} as never)
      expect(unknown).toBeInstanceOf(Promise)
      expect(await unknown).toMatchObject({ reason: 'unknown-user' })
      expect(await scheme.verify(tokenOf('alice', 'password'), {} as never)).toMatchObject({ outcome: 'verified' })
    }
  })

  test.each([
    ...BROKEN,
    ['returns true', () => true],
    ['returns a plain password', () => ({ hash: 'hunter2' })],
  ] as typeof BROKEN)('that %s: it cannot be told, and nobody is let in', async (_, answer) => {
    const { ask } = await askedOf(basics({ lookup: answer as UserLookup, timeoutMs: 20 }).scheme)
    expect(await ask(asUser('alice', 'U*U'))).toMatchObject({
      outcome: 'unavailable',
      reason: expect.stringMatching(/^lookup-(failed|timeout)$/),
    })
    expect(failures).toMatchObject([{ provider: 'basic-lookup' }])
    expect(String(failures[0]?.error)).not.toContain('hunter2')
  })

  test('that fails is asked again, and what was known before is of no use meanwhile', async () => {
    let isDown = false
    const lookup = async () => {
      if (isDown) throw new Error('down')
      return { hash: BCRYPT_UXU }
    }
    const { ask } = await askedOf(basics({ lookup }).scheme)
    await ask(asUser('alice', 'U*U'))
    isDown = true
    expect(await ask(asUser('alice', 'U*U'))).toMatchObject({ outcome: 'unavailable' })
    isDown = false
    expect(await ask(asUser('alice', 'U*U'))).toMatchObject({ outcome: 'verified' })
  })

  test('hears that its time is over, and may answer too late', async () => {
    let signal: AbortSignal | undefined
    let answer: (record: UserRecord) => void = () => {}
    const lookup: UserLookup = (_, given) => {
      signal = given
      return new Promise((resolve) => {
        answer = resolve
      })
    }
    const { ask } = await askedOf(basics({ lookup, timeoutMs: 20 }).scheme)
    expect(await ask(asUser('alice', 'U*U'))).toMatchObject({ reason: 'lookup-timeout' })
    expect(signal?.aborted).toBe(true)
    answer({ hash: BCRYPT_UXU })
    await turn()
    expect(failures).toHaveLength(1)
  })
})

describe('verify', () => {
  test('gets name, password and request, and says yes, no, or who it is', async () => {
    const verify: PasswordCheck = async (username, password, req) => {
      if (req.url !== '/orders') return false
      if (username === 'alice') return password === 'a'
      return password === 'b' ? { subject: 'u2', scopes: ['read'] } : null
    }
    const { ask } = await askedOf(basics({ verify }).scheme)
    expect(await ask(asUser('alice', 'a'), '/orders')).toMatchObject({ outcome: 'verified', subject: 'alice' })
    expect(await ask(asUser('alice', 'a'), '/')).toMatchObject({ ...REFUSED, reason: 'password' })
    expect(await ask(asUser('bob', 'b'), '/orders')).toMatchObject({ subject: 'u2', scopes: ['read'] })
    expect(await ask(asUser('bob', 'a'), '/orders')).toMatchObject(REFUSED)
    expect(failures).toEqual([])
  })

  test('may find the user by the password alone, but must say who it is', async () => {
    const known: Record<string, PasswordCheckResult> = { 'key-1': { subject: 'u1' }, 'key-2': true }
    const { ask } = await askedOf(basics({ verify: (_, password) => known[password] }).scheme)
    expect(await ask(asUser('', 'key-1'))).toMatchObject({ outcome: 'verified', subject: 'u1' })
    expect(await ask(asUser('', 'key-2'))).toMatchObject({ outcome: 'unavailable', reason: 'verify-failed' })
  })

  test('is asked each time unless it is told how long an answer holds', async () => {
    let asked = 0
    const verify = () => ++asked > 0
    const always = (await askedOf(basics({ verify }).scheme)).ask
    for (let i = 0; i < 3; i++) expect(await always(asUser('alice', 'a'))).toMatchObject({ remembered: false })
    expect(asked).toBe(3)
    const { scheme, clock } = basics({ verify, cacheMs: 1_000 })
    const { ask } = await askedOf(scheme)
    for (let i = 0; i < 3; i++) expect(await ask(asUser('alice', 'a'))).toMatchObject({ remembered: i > 0 })
    expect(asked).toBe(4)
    clock.advance(1_000)
    expect(await ask(asUser('alice', 'a'))).toMatchObject({ outcome: 'verified', remembered: false })
    expect(await ask(asUser('alice', 'b'))).toMatchObject({ outcome: 'verified', remembered: false })
  })

  test('what it said is dropped by forget(), for that user, also while it is being asked', async () => {
    const answers: ((isGood: boolean) => void)[] = []
    const verify = () => new Promise<boolean>((resolve) => void answers.push(resolve))
    const { scheme } = basics({ verify, cacheMs: 60_000 })
    const alice = tokenOf('alice', 'a')
    const first = scheme.verify(alice, {} as never)
    answers.shift()?.(true)
    expect(await first).toMatchObject({ outcome: 'verified' })
    expect(scheme.recall(alice)).toBeDefined()
    scheme.forget('bob')
    expect(scheme.recall(alice)).toBeDefined()
    scheme.forget('alice')
    expect(scheme.recall(alice)).toBeUndefined()
    const second = scheme.verify(alice, {} as never)
    await eventually(() => answers.length === 1)
    scheme.forget('alice')
    answers.shift()?.(true)
    expect(await second).toMatchObject({ outcome: 'verified' })
    expect(scheme.recall(alice)).toBeUndefined()
  })

  test('a refusal is never remembered', async () => {
    let isGood = false
    const { ask } = await askedOf(basics({ verify: () => isGood, cacheMs: 60_000 }).scheme)
    expect(await ask(asUser('alice', 'a'))).toMatchObject(REFUSED)
    isGood = true
    expect(await ask(asUser('alice', 'a'))).toMatchObject({ outcome: 'verified' })
  })

  test.each([
    ...BROKEN,
    ['returns an object that says no', () => ({ ok: false })],
    ['returns an object that says no of a user', () => ({ ok: false, subject: 'alice' })],
    ['returns an error', async () => new Error('wrong password')],
    ['returns an answer of fetch()', async () => new Response('no', { status: 401 })],
    ['returns an empty object', () => ({})],
    ['returns a list of nothing', () => []],
    ['returns parts that say nothing', () => ({ subject: null })],
  ] as typeof BROKEN)('that %s: it cannot be told, and nobody is let in', async (_, answer) => {
    const { ask } = await askedOf(basics({ verify: answer as PasswordCheck, timeoutMs: 20, cacheMs: 1_000 }).scheme)
    for (let i = 0; i < 2; i++) {
      expect(await ask(asUser('alice', 'secret'))).toMatchObject({
        outcome: 'unavailable',
        reason: expect.stringMatching(/^verify-(failed|timeout)$/),
      })
    }
    expect(failures.map((failure) => failure.provider)).toEqual(['basic-verify', 'basic-verify'])
  })

  test('is asked by a bounded number at once; one that hangs gives its place back in time', async () => {
    let asked = 0
    const verify = () => {
      asked += 1
      return new Promise<boolean>(() => {})
    }
    const { scheme } = basics({ verify, maxConcurrent: 2, maxQueued: 1, timeoutMs: 20 })
    const taken = ['a', 'b', 'c'].map((password) => scheme.verify(tokenOf('alice', password), {} as never))
    expect(scheme.verify(tokenOf('alice', 'd'), {} as never)).toMatchObject({ outcome: 'unavailable', reason: 'busy' })
    expect(asked).toBe(2)
    for (const verdict of await Promise.all(taken)) expect(verdict).toMatchObject({ reason: 'verify-timeout' })
    expect(asked).toBe(3)
  })
})

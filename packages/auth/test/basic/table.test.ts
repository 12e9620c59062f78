import { hash as bcryptHash } from '@node-rs/bcrypt'
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { ProvenPairs } from '../../src/basic/proven-pairs.ts'
import { UserTable } from '../../src/basic/user-table.ts'
import { readUsers } from '../../src/basic/users.ts'
import { manualClock } from '../support/clock.ts'
import { askedOf, refusalOf } from '../support/scheme-server.ts'
import { ARGON2ID_PASSWORD, asUser, BCRYPT_UXU, basics, SCRYPT_PASSWORD, tokenOf } from './support.ts'

const REFUSED = { outcome: 'refused', error: 'invalid_token', remembered: false }
let other: string

beforeAll(async () => {
  other = await bcryptHash('new', { cost: 4 })
})

describe('a user of the table', () => {
  test('comes in with the password, and from then on without its work', async () => {
    const alice = { hash: BCRYPT_UXU, subject: 'u1', scopes: ['read'], roles: ['admin'], claims: { team: 'a' } }
    const { ask } = await askedOf(basics({ users: { alice } }).scheme)
    const told = { outcome: 'verified', subject: 'u1', scopes: ['read'], roles: ['admin'], claims: { team: 'a' } }
    expect(await ask(asUser('alice', 'U*U'))).toMatchObject({ ...told, remembered: false })
    expect(await ask(asUser('alice', 'U*U'))).toMatchObject({ ...told, remembered: true })
  })

  test('may have a hash of any kind, by htpasswd or by name', async () => {
    const text = `alice:${BCRYPT_UXU}\nbob:${SCRYPT_PASSWORD}\ncarol:${ARGON2ID_PASSWORD}`
    const { ask } = await askedOf(basics({ users: text }).scheme)
    expect(await ask(asUser('alice', 'U*U'))).toMatchObject({ outcome: 'verified', subject: 'alice' })
    expect(await ask(asUser('bob', 'password'))).toMatchObject({ outcome: 'verified', subject: 'bob' })
    expect(await ask(asUser('carol', 'password'))).toMatchObject({ outcome: 'verified', subject: 'carol' })
    expect(await ask(asUser('alice', 'password'))).toMatchObject({ ...REFUSED, reason: 'password' })
  })

  test('is told apart by case, and is not found among what all objects have', async () => {
    const { ask } = await askedOf(basics({ users: { alice: BCRYPT_UXU } }).scheme)
    for (const name of ['Alice', 'ALICE', 'alice ', '', '__proto__', 'constructor', 'toString']) {
      expect(await ask(asUser(name, 'U*U'))).toMatchObject({ ...REFUSED, reason: 'unknown-user', isGuess: true })
    }
  })
})

describe('a wrong password', () => {
  test('is refused as an unknown user is, and neither is ever remembered', async () => {
    const { ask } = await askedOf(basics({ users: { alice: BCRYPT_UXU } }).scheme)
    for (let i = 0; i < 2; i++) {
      expect(await ask(asUser('alice', 'nope'))).toEqual({ ...REFUSED, reason: 'password', isGuess: true })
      expect(await ask(asUser('mallory', 'U*U'))).toEqual({ ...REFUSED, reason: 'unknown-user', isGuess: true })
    }
  })

  test('is no better after a good one, in whole or in part', async () => {
    const { scheme } = basics({ users: { alice: BCRYPT_UXU } })
    expect(await scheme.verify(tokenOf('alice', 'U*U'), {} as never)).toMatchObject({ outcome: 'verified' })
    expect(scheme.recall(tokenOf('alice', 'U*U'))).toBeDefined()
    for (const [name, password] of [
      ['alice', 'U*U '],
      ['alice', 'U*'],
      ['alice', ''],
      ['alic', 'e:U*U'],
      ['bob', 'U*U'],
    ] as const) {
      expect(scheme.recall(tokenOf(name, password))).toBeUndefined()
    }
  })
})

describe('what is no name and password', () => {
  test('is refused and never guessed', async () => {
    const { ask } = await askedOf(basics({ users: { alice: BCRYPT_UXU } }).scheme)
    const token = tokenOf('alice', 'U*U')
    const malformed = [
      'Basic',
      `Basic  ${token}`,
      `Basic ${token} x`,
      `Basic ${token},Basic ${token}`,
      `Basic ${token.slice(0, -1)}`,
      `Basic "${token}"`,
      `Basic ${Buffer.from('alice').toString('base64')}`,
      `Basic ${Buffer.from('alice:U*U\n').toString('base64')}`,
      `Basic ${Buffer.from('alice:\xff', 'latin1').toString('base64')}`,
    ]
    for (const value of malformed) {
      const told = await ask(['authorization', value])
      expect([value, told]).toMatchObject([value, { ...REFUSED, reason: 'malformed', isGuess: false }])
    }
    expect(await ask(['authorization', `Basic ${tokenOf('alice', 'x'.repeat(2_000))}`])).toMatchObject({
      reason: 'too-long',
    })
  })

  test('the name of the scheme is in any case; other schemes are none of ours; two lines are one too many', async () => {
    const { ask } = await askedOf(basics({ users: { alice: BCRYPT_UXU } }).scheme)
    const token = tokenOf('alice', 'U*U')
    expect(await ask(['authorization', `bAsIc ${token}`])).toMatchObject({ outcome: 'verified' })
    expect(await ask(['authorization', `Bearer ${token}`])).toMatchObject({ outcome: 'nothing' })
    expect(await ask(['authorization', `Basic2 ${token}`])).toMatchObject({ outcome: 'nothing' })
    expect(await ask()).toMatchObject({ outcome: 'nothing' })
    expect(await ask([...asUser('alice', 'U*U'), ...asUser('alice', 'U*U')])).toMatchObject({
      error: 'invalid_request',
    })
  })

  test('nothing that a client can send makes it throw', async () => {
    const { scheme } = basics({ users: { alice: SCRYPT_PASSWORD }, maxQueued: 65_536 })
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.string(),
          fc.base64String(),
          fc.string().map((text) => tokenOf('x', text)),
        ),
        async (token) => {
          expect(scheme.recall(token)).toBeUndefined()
          expect(typeof scheme.claimant(token)).toMatch(/^(string|undefined)$/)
          expect(await scheme.verify(token, {} as never)).toMatchObject({ outcome: 'refused' })
        },
      ),
    )
  })
})

describe('what is remembered', () => {
  test('ends with its time', async () => {
    const { scheme, clock } = basics({ users: { alice: BCRYPT_UXU }, cacheMs: 1_000 })
    const { ask } = await askedOf(scheme)
    await ask(asUser('alice', 'U*U'))
    clock.advance(999)
    expect(await ask(asUser('alice', 'U*U'))).toMatchObject({ remembered: true })
    clock.advance(1)
    expect(await ask(asUser('alice', 'U*U'))).toMatchObject({ outcome: 'verified', remembered: false })
  })

  test('is nothing with cacheMs 0', async () => {
    const { ask } = await askedOf(basics({ users: { alice: BCRYPT_UXU }, cacheMs: 0 }).scheme)
    for (let i = 0; i < 2; i++) expect(await ask(asUser('alice', 'U*U'))).toMatchObject({ remembered: false })
  })

  test('ends with a change of password, at once', async () => {
    const { scheme } = basics({ users: { alice: BCRYPT_UXU, bob: SCRYPT_PASSWORD } })
    const { ask } = await askedOf(scheme)
    await ask(asUser('alice', 'U*U'))
    await ask(asUser('bob', 'password'))
    scheme.replaceUsers({ alice: other, bob: SCRYPT_PASSWORD })
    expect(await ask(asUser('alice', 'U*U'))).toMatchObject({ ...REFUSED, reason: 'password' })
    expect(await ask(asUser('alice', 'new'))).toMatchObject({ outcome: 'verified' })
    expect(await ask(asUser('bob', 'password'))).toMatchObject({ outcome: 'verified' })
  })

  test('does not outlive the user, nor what the user might do', async () => {
    const { scheme } = basics({ users: { alice: { hash: BCRYPT_UXU, roles: ['admin'] } } })
    const { ask } = await askedOf(scheme)
    await ask(asUser('alice', 'U*U'))
    scheme.replaceUsers({ alice: BCRYPT_UXU })
    expect(await ask(asUser('alice', 'U*U'))).toMatchObject({ outcome: 'verified', roles: [] })
    scheme.replaceUsers({ bob: BCRYPT_UXU })
    expect(await ask(asUser('alice', 'U*U'))).toMatchObject({ ...REFUSED, reason: 'unknown-user' })
    scheme.replaceUsers({})
    expect(await ask(asUser('alice', 'U*U'))).toMatchObject({ ...REFUSED, reason: 'unknown-user' })
  })

  test('is not begun by a check during which the password was changed', async () => {
    const { scheme } = basics({ users: { alice: BCRYPT_UXU } })
    const checking = scheme.verify(tokenOf('alice', 'U*U'), {} as never)
    scheme.replaceUsers({ alice: other })
    expect(await checking).toMatchObject({ outcome: 'refused', reason: 'password-changed' })
    expect(scheme.recall(tokenOf('alice', 'U*U'))).toBeUndefined()
  })

  test('is dropped for one user by forget(), also what is being checked just then', async () => {
    const { scheme } = basics({ users: { alice: BCRYPT_UXU, bob: SCRYPT_PASSWORD } })
    await scheme.verify(tokenOf('alice', 'U*U'), {} as never)
    await scheme.verify(tokenOf('bob', 'password'), {} as never)
    scheme.forget('alice')
    expect(scheme.recall(tokenOf('alice', 'U*U'))).toBeUndefined()
    expect(scheme.recall(tokenOf('bob', 'password'))).toBeDefined()
    const checking = scheme.verify(tokenOf('alice', 'U*U'), {} as never)
    scheme.forget('alice')
    expect(await checking).toMatchObject({ outcome: 'verified' })
    expect(scheme.recall(tokenOf('alice', 'U*U'))).toBeUndefined()
  })

  test('is bounded, and holds what was used last', () => {
    const clock = manualClock()
    const pairs = new ProvenPairs<true>(1_000, 100, clock)
    const marks = Array.from({ length: 1_000 }, (_, i) => pairs.markOf({ username: `u${i}`, password: 'p' }, 'h'))
    for (const mark of marks) pairs.add(mark, 'u', true, pairs.epoch)
    expect(marks.filter((mark) => pairs.find(mark))).toEqual(marks.slice(-100))
  })

  test('has another mark for each name, password, hash and process', () => {
    const pairs = new ProvenPairs<true>(1_000, 10, manualClock())
    const text = fc.string({ unit: 'grapheme-ascii', maxLength: 4 })
    const name = text.filter((each) => !each.includes(':'))
    fc.assert(
      fc.property(name, text, text, name, text, text, (a, b, c, d, e, f) => {
        const same = a === d && b === e && c === f
        const one = pairs.markOf({ username: a, password: b }, c)
        expect(one === pairs.markOf({ username: d, password: e }, f)).toBe(same)
      }),
    )
    const marks = [
      ['ab', 'c', 'd'],
      ['a', 'bc', 'd'],
      ['a', 'b', 'cd'],
      ['', 'abc', 'd'],
    ].map(([username, password, hash]) => pairs.markOf({ username: username!, password: password! }, hash!))
    expect(new Set(marks).size).toBe(4)
    const elsewhere = new ProvenPairs<true>(1_000, 10, manualClock())
    const alice = { username: 'alice', password: 'U*U' }
    expect(pairs.markOf(alice, BCRYPT_UXU)).not.toBe(elsewhere.markOf(alice, BCRYPT_UXU))
  })
})

describe('checks', () => {
  test('are bounded: who comes when all places are taken is told so, users of known passwords pass', async () => {
    const users = { alice: BCRYPT_UXU, bob: SCRYPT_PASSWORD }
    const { scheme } = basics({ users, maxConcurrent: 1, maxQueued: 2 })
    await scheme.verify(tokenOf('bob', 'password'), {} as never)
    const taken = ['a', 'b', 'c'].map((password) => scheme.verify(tokenOf('alice', password), {} as never))
    const busy = { outcome: 'unavailable', reason: 'busy', retryAfterMs: 1_000 }
    expect(scheme.verify(tokenOf('alice', 'U*U'), {} as never)).toMatchObject(busy)
    // A name that nobody has gets no more room than one that somebody has.
    expect(scheme.verify(tokenOf('mallory', 'x'), {} as never)).toMatchObject(busy)
    expect(scheme.recall(tokenOf('bob', 'password'))).toMatchObject({ outcome: 'verified' })
    for (const verdict of await Promise.all(taken)) expect(verdict).toMatchObject({ reason: 'password' })
    expect(await scheme.verify(tokenOf('alice', 'U*U'), {} as never)).toMatchObject({ outcome: 'verified' })
  })

  test('of the same pair at the same time are one', async () => {
    const { scheme } = basics({ users: { alice: BCRYPT_UXU }, maxConcurrent: 1, maxQueued: 0 })
    const good = Array.from({ length: 20 }, () => scheme.verify(tokenOf('alice', 'U*U'), {} as never))
    for (const verdict of await Promise.all(good)) expect(verdict).toMatchObject({ outcome: 'verified' })
    const wrong = Array.from({ length: 20 }, () => scheme.verify(tokenOf('alice', 'x'), {} as never))
    for (const verdict of await Promise.all(wrong)) expect(verdict).toMatchObject({ reason: 'password' })
  })
})

describe('the decoy of an unknown name', () => {
  const users = readUsers('basic', { a: BCRYPT_UXU, b: SCRYPT_PASSWORD, c: ARGON2ID_PASSWORD }, [])

  test('is a hash of the table, the same each time, another for other names', () => {
    const table = new UserTable(users)
    const of = (name: string) => table.decoyFor(name)?.text
    const names = Array.from({ length: 200 }, (_, i) => `nobody-${i}`)
    expect(names.map(of)).toEqual(names.map(of))
    expect(new Set(names.map(of))).toEqual(new Set([BCRYPT_UXU, SCRYPT_PASSWORD, ARGON2ID_PASSWORD]))
  })

  test('never lets anybody in, though the password fits it, alone or beside its owner', async () => {
    const { scheme } = basics({ users: { alice: BCRYPT_UXU } })
    const [mallory, alice] = await Promise.all([
      scheme.verify(tokenOf('mallory', 'U*U'), {} as never),
      scheme.verify(tokenOf('alice', 'U*U'), {} as never),
    ])
    expect(mallory).toMatchObject({ ...{ outcome: 'refused', reason: 'unknown-user' } })
    expect(alice).toMatchObject({ outcome: 'verified', identity: { subject: 'alice' } })
    expect(scheme.recall(tokenOf('mallory', 'U*U'))).toBeUndefined()
  })
})

describe('what a client and the upstream see', () => {
  test('the challenge of RFC 7617, whatever went wrong', () => {
    const { scheme } = basics({ users: {}, realm: 'Orders' })
    expect(scheme.challenge()).toBe('Basic realm="Orders", charset="UTF-8"')
  })

  test('the password is taken out of what is sent upstream', async () => {
    const asked = await askedOf(basics({ users: { alice: BCRYPT_UXU } }).scheme)
    await asked.ask(asUser('alice', 'U*U'))
    expect(asked.outgoing?.requestHeaders).toContainEqual({ op: 'remove', name: 'authorization' })
  })

  test('the name is known before the password is checked, for limits on failures', () => {
    const { scheme } = basics({ users: {} })
    expect(scheme.claimant(tokenOf('alice', 'x'))).toBe('alice')
    expect(scheme.claimant('!')).toBeUndefined()
  })
})

describe('replaceUsers()', () => {
  test('with any fault changes nothing', async () => {
    const { scheme } = basics({ users: { alice: BCRYPT_UXU } })
    const { faults } = refusalOf(() => scheme.replaceUsers({ bob: BCRYPT_UXU, carol: 'plain' }))
    expect(faults.map((fault) => fault.path)).toEqual(['users.carol'])
    expect(await scheme.verify(tokenOf('alice', 'U*U'), {} as never)).toMatchObject({ outcome: 'verified' })
    expect(await scheme.verify(tokenOf('bob', 'U*U'), {} as never)).toMatchObject({ reason: 'unknown-user' })
  })

  test('has nothing to do without a table', () => {
    const { scheme } = basics({ verify: () => true })
    expect(refusalOf(() => scheme.replaceUsers({})).message).toContain('forget(username)')
  })
})

describe('user', () => {
  test('is what the application makes of the identity; none refuses, a throw is a failure', async () => {
    const answers: (() => unknown)[] = [
      () => undefined,
      () => {
        throw new Error('boom')
      },
      () => Promise.resolve({ id: 7 }),
    ]
    const { ask } = await askedOf(basics({ users: { alice: BCRYPT_UXU }, user: () => answers.shift()!() }).scheme)
    expect(await ask(asUser('alice', 'U*U'))).toMatchObject({ outcome: 'refused', reason: 'no-user', isGuess: false })
    expect(await ask(asUser('alice', 'U*U'))).toMatchObject({ outcome: 'unavailable', reason: 'user' })
    expect(await ask(asUser('alice', 'U*U'))).toMatchObject({ outcome: 'verified', user: { id: 7 } })
    expect(await ask(asUser('alice', 'U*U'))).toMatchObject({ user: { id: 7 }, remembered: true })
  })
})

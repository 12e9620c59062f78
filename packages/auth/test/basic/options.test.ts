import { systemClock } from '@postern/contracts'
import { describe, expect, test } from 'vitest'
import { type BasicOptions, resolveBasicOptions } from '../../src/basic/options.ts'
import { refusalOf } from '../support/scheme-server.ts'
import { BCRYPT_UXU, SCRYPT_PASSWORD } from './support.ts'

function refusal(options: unknown) {
  return refusalOf(() => resolveBasicOptions(options as BasicOptions))
}

function paths(options: unknown): readonly string[] {
  return refusal(options).faults.map((fault) => fault.path)
}

function namesOf(options: BasicOptions): readonly string[] {
  const { source } = resolveBasicOptions(options)
  return source.kind === 'users' ? source.entries.map((entry) => entry.username) : []
}

describe('defaults', () => {
  test('are those that the documentation gives', () => {
    expect(resolveBasicOptions({ users: {} })).toEqual({
      source: { kind: 'users', entries: [] },
      cacheMs: 60_000,
      maxEntries: 10_000,
      maxConcurrent: 4,
      maxQueued: 64,
      timeoutMs: 3_000,
      user: undefined,
      realm: 'api',
      name: 'basic',
      clock: systemClock,
    })
  })

  test('of a function that checks passwords: nothing is remembered', () => {
    expect(resolveBasicOptions({ verify: () => true })).toMatchObject({ cacheMs: 0, maxConcurrent: 64 })
    expect(resolveBasicOptions({ verify: () => true, cacheMs: 5 })).toMatchObject({ cacheMs: 5 })
  })
})

describe('an htpasswd file', () => {
  test('is read with its comments, empty lines and line ends', () => {
    const text = `# users\r\n\r\nalice:${BCRYPT_UXU}\r\n  bob:${SCRYPT_PASSWORD}  \n#carol:x\n`
    expect(namesOf({ users: text })).toEqual(['alice', 'bob'])
  })

  test('is refused with the number of each line that cannot be used', () => {
    const text = [
      `alice:${BCRYPT_UXU}`,
      'bob:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=',
      'carol',
      `alice:${SCRYPT_PASSWORD}`,
      `:${BCRYPT_UXU}`,
      'dave:secret',
    ].join('\n')
    const { faults, message } = refusal({ users: text })
    expect(faults.map((fault) => fault.path)).toEqual([2, 3, 4, 5, 6].map((line) => `users, line ${line}`))
    expect(message).toContain('the same user as in line 1')
    expect(message).not.toContain('secret')
    expect(message).not.toContain('W6ph5')
  })

  test('is its contents, not its name', () => {
    expect(refusal({ users: './htpasswd' }).message).toContain('read the file')
  })
})

describe('a table of users', () => {
  test('may have names that JavaScript has a meaning for', () => {
    const users = JSON.parse(`{"__proto__":"${BCRYPT_UXU}","constructor":"${BCRYPT_UXU}","toString":"${BCRYPT_UXU}"}`)
    expect(namesOf({ users })).toEqual(['__proto__', 'constructor', 'toString'])
  })

  test('is refused with all faults', () => {
    const users = {
      alice: { hash: BCRYPT_UXU, role: 'x' },
      bob: { hash: BCRYPT_UXU, scopes: 'read' },
      'c:d': BCRYPT_UXU,
      '': BCRYPT_UXU,
      eve: 'hunter2',
      frank: 12_345,
      grace: null,
      heidi: { scopes: [] },
      'i\nj': BCRYPT_UXU,
      ['k'.repeat(1_023)]: BCRYPT_UXU,
    }
    const { faults, message } = refusal({ users, maxQueued: -1 })
    expect(faults.map((fault) => fault.path)).toEqual([
      'maxQueued',
      'users.alice.role',
      'users.bob.scopes',
      'users.c:d',
      'users.',
      'users.eve',
      'users.frank',
      'users.grace',
      'users.heidi.hash',
      'users.i\nj',
      `users.${'k'.repeat(1_023)}`,
    ])
    expect(message).toContain('did you mean "roles"?')
    expect(message).not.toMatch(/hunter2|12345/)
  })
})

describe('what is refused', () => {
  test('none of users, lookup and verify, or several', () => {
    expect(refusal({}).message).toContain('exactly one of users, lookup and verify')
    expect(refusal({ users: {}, verify: () => true }).message).toContain('has users and verify')
    expect(paths({ lookup: 'x' })).toEqual(['lookup'])
    expect(refusal('alice:x').message).toContain('not an options object')
  })

  test('unknown options with the nearest known one, without what may be a secret', () => {
    const { message } = refusal({ user: 5, usres: { alice: 'hunter2' }, passwords: 'hunter2' })
    expect(message).toContain('did you mean "users"?')
    expect(message).not.toContain('hunter2')
  })
})

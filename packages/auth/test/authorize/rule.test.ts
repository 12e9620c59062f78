import type { Identity } from '@postern/contracts'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { allOf, anyOf, not, type Rule } from '../../src/authorize/rule.ts'
import { callerOf, failed, outcomeOf } from './support.ts'

const caller = callerOf({
  subject: 'alice',
  scheme: 'jwt',
  scopes: ['orders:read', 'orders:write'],
  roles: ['admin', 'team lead'],
  claims: {
    tenant: 'acme',
    level: 3,
    groups: ['a', 'b', 7],
    list: 'x y z',
    email_verified: false,
    nothing: null,
    empty: '',
    deep: { er: { value: 'found' } },
    'https://example.com/plan': 'gold',
  },
})

describe('a rule', () => {
  it('may ask for no more than an identity', () => {
    expect(failed('authenticated', caller)).toBe('allowed')
  })

  it('asks for all scopes, or for one of several', () => {
    expect(failed({ scopes: 'orders:read' }, caller)).toBe('allowed')
    expect(failed({ scopes: 'orders:read orders:write' }, caller)).toBe('allowed')
    expect(failed({ scopes: ['orders:read', 'orders:delete'] }, caller)).toBe('scopes')
    expect(failed({ scopes: 'orders' }, caller)).toBe('scopes')
    expect(failed({ anyScope: ['orders:delete', 'orders:write'] }, caller)).toBe('allowed')
    expect(failed({ anyScope: ['orders:delete', 'orders'] }, caller)).toBe('anyScope')
  })

  it('says which scopes are needed', () => {
    expect(outcomeOf({ scopes: ['orders:read', 'orders:delete'] }, caller)).toEqual({
      part: 'scopes',
      scope: 'orders:read orders:delete',
    })
    expect(outcomeOf({ anyScope: ['first', 'second'] }, caller)).toEqual({ part: 'anyScope', scope: 'first' })
    expect(outcomeOf({ any: [{ roles: 'x' }, { scopes: 'y' }] }, caller)).toEqual({ part: 'any[1].scopes', scope: 'y' })
    expect(outcomeOf({ scopes: 'y', roles: 'x' }, caller)).toEqual({ part: 'roles' })
  })

  it('asks for roles, subjects and schemes', () => {
    expect(failed({ roles: ['admin', 'team lead'] }, caller)).toBe('allowed')
    expect(failed({ roles: 'team lead' }, caller)).toBe('allowed')
    expect(failed({ roles: ['admin', 'root'] }, caller)).toBe('roles')
    expect(failed({ anyRole: ['root', 'admin'] }, caller)).toBe('allowed')
    expect(failed({ anyRole: ['root'] }, caller)).toBe('anyRole')
    expect(failed({ subjects: ['bob', 'alice'] }, caller)).toBe('allowed')
    expect(failed({ subjects: ['ALICE'] }, caller)).toBe('subjects')
    expect(failed({ schemes: ['jwt'] }, caller)).toBe('allowed')
    expect(failed({ schemes: ['api-key'] }, caller)).toBe('schemes')
  })

  it('asks for claims: exact, in a list, one of several, by pattern, or there at all', () => {
    const holding: Rule[] = [
      { claims: { tenant: 'acme' } },
      { claims: { level: 3 } },
      { claims: { groups: { contains: 'b' } } },
      { claims: { groups: { contains: 7 } } },
      { claims: { list: { contains: 'y' } } },
      { claims: { tenant: { oneOf: ['globex', 'acme'] } } },
      { claims: { email_verified: { oneOf: [false] } } },
      { claims: { tenant: { matches: /^ac/ } } },
      { claims: { tenant: true } },
      { claims: { 'deep.er.value': 'found', 'https://example.com/plan': 'gold' } },
    ]
    for (const rule of holding) expect(failed(rule, caller), JSON.stringify(rule)).toBe('allowed')
    const failing: Rule[] = [
      { claims: { tenant: 'Acme' } },
      { claims: { level: '3' } },
      { claims: { groups: 'a' } },
      { claims: { groups: { contains: '7' } } },
      { claims: { list: { contains: 'x y' } } },
      { claims: { tenant: { contains: 'cm' } } },
      { claims: { level: { matches: /3/ } } },
      { claims: { email_verified: true } },
      { claims: { nothing: true } },
      { claims: { empty: true } },
      { claims: { absent: true } },
      { claims: { toString: true as const } },
      { claims: { 'deep.constructor': true } },
      { claims: { tenant: 'acme', level: 4 } },
    ]
    for (const rule of failing) expect(failed(rule, caller), JSON.stringify(rule)).toMatch(/^claims\./)
  })

  it('tries patterns on texts of 1,024 characters, and denies longer ones', () => {
    const rule: Rule = { claims: { note: { matches: /^a/ } } }
    expect(failed(rule, callerOf({ claims: { note: 'a'.repeat(1_024) } }))).toBe('allowed')
    expect(failed(rule, callerOf({ claims: { note: 'a'.repeat(1_025) } }))).toBe('claims.note')
  })

  it('is not changed by whoever still holds its pattern', () => {
    const pattern = /^acme$/
    const req = { claims: { tenant: { matches: pattern } } }
    pattern.lastIndex = 3
    expect(failed(req, caller)).toBe('allowed')
  })

  it('must hold in all its members', () => {
    expect(failed({ scopes: 'orders:read', roles: 'admin', subjects: ['alice'] }, caller)).toBe('allowed')
    expect(failed({ scopes: 'orders:read', roles: 'admin', subjects: ['bob'] }, caller)).toBe('subjects')
  })

  it('is put together of rules', () => {
    expect(failed(allOf({ roles: 'admin' }, { scopes: 'orders:read' }), caller)).toBe('allowed')
    expect(failed(allOf({ roles: 'admin' }, { roles: 'root' }), caller)).toBe('all[1].roles')
    expect(failed(anyOf({ roles: 'root' }, { roles: 'admin' }), caller)).toBe('allowed')
    expect(failed(anyOf({ roles: 'root' }, { roles: 'boss' }), caller)).toBe('any')
    expect(failed(not({ roles: 'root' }), caller)).toBe('allowed')
    expect(failed(not({ roles: 'admin' }), caller)).toBe('not')
  })

  it('is a plain value that can be printed and read again', () => {
    const rule = anyOf(allOf({ roles: 'a' }, not({ subjects: ['x'] })), { claims: { tenant: { oneOf: ['acme'] } } })
    expect(failed(JSON.parse(JSON.stringify(rule)), caller)).toBe(failed(rule, caller))
  })
})

describe('a rule by method', () => {
  const rule: Rule = { methods: { GET: { roles: 'reader' }, POST: { roles: 'writer' } } }
  const reader = callerOf({ roles: ['reader'] })

  it('asks what is told of that method', () => {
    expect(failed(rule, reader, 'GET')).toBe('allowed')
    expect(failed(rule, reader, 'POST')).toBe('methods.POST.roles')
  })

  it('has HEAD as GET, unless it is named', () => {
    expect(failed(rule, reader, 'HEAD')).toBe('allowed')
    expect(failed({ methods: { GET: 'authenticated', HEAD: { roles: 'x' } } }, reader, 'HEAD')).toBe(
      'methods.HEAD.roles',
    )
    expect(failed({ methods: { POST: 'authenticated' } }, reader, 'HEAD')).toBe('methods')
  })

  it('denies methods that are not named, however they are written', () => {
    for (const method of ['PUT', 'DELETE', 'get', 'Get', '', 'constructor', '__proto__']) {
      expect(failed(rule, reader, method), method).toBe('methods')
    }
    expect(failed({ methods: { '*': { roles: 'reader' }, PUT: { roles: 'x' } } }, reader, 'DELETE')).toBe('allowed')
    expect(failed({ methods: { '*': { roles: 'reader' }, PUT: { roles: 'x' } } }, reader, 'PUT')).toBe(
      'methods.PUT.roles',
    )
  })
})

/** An object whose `then` throws. */
const trap = Object.defineProperty({}, 'then', {
  get() {
    throw new Error('boom')
  },
})

describe('a check', () => {
  it('decides at once or later', async () => {
    expect(failed(({ subject }) => subject === 'alice', caller)).toBe('allowed')
    expect(failed({ check: ({ subject }) => subject === 'bob' }, caller)).toBe('check')
    expect(await outcomeOf(async () => true, caller)).toBeUndefined()
    expect(await outcomeOf({ any: [async () => false] }, caller)).toEqual({ part: 'any' })
  })

  it('is asked last, and not when anything else fails', () => {
    let asked = 0
    const check = (): boolean => ++asked > 0
    expect(failed({ check, roles: 'root' }, caller)).toBe('roles')
    expect(failed({ all: [{ roles: 'root' }, check] }, caller)).toBe('all[0].roles')
    expect(asked).toBe(0)
  })

  const faulty: [string, Rule][] = [
    [
      'throws',
      () => {
        throw new Error('boom')
      },
    ],
    [
      'rejects',
      async () => {
        throw new Error('boom')
      },
    ],
    ['returns nothing', (() => undefined) as unknown as Rule],
    ['resolves with something else', (async () => 1) as unknown as Rule],
    ['returns what throws when it is asked for a promise', (() => trap) as never],
  ]
  it.each(faulty)('that %s neither allows nor denies, also inside not and any', async (_name, check) => {
    for (const rule of [
      check,
      not(check),
      anyOf(check, { roles: 'root' }),
      anyOf(check, { scopes: 'x' }),
      anyOf({ scopes: 'x' }, check),
      allOf(check),
    ]) {
      expect(await outcomeOf(rule, caller)).toMatchObject({ fault: { error: expect.any(Error) } })
    }
    expect(await outcomeOf(anyOf(check, { roles: 'admin' }), caller)).toBeUndefined()
  })

  it('that never answers is given up', async () => {
    const part = outcomeOf(
      not(() => new Promise<boolean>(() => {})),
      caller,
    )
    expect(await part).toMatchObject({ part: 'not.check', fault: { error: expect.any(Error) } })
  })
})

/** What rules mean, told once more in the plainest way. */
function holds(rule: Rule, { roles }: Identity): boolean {
  if (typeof rule === 'function' || rule === 'authenticated') return true
  if (rule.roles !== undefined) return (rule.roles as readonly string[]).every((role) => roles.includes(role))
  if (rule.anyRole !== undefined) return rule.anyRole.some((role) => roles.includes(role))
  if (rule.all !== undefined) return rule.all.every((each) => holds(each, { roles } as Identity))
  if (rule.any !== undefined) return rule.any.some((each) => holds(each, { roles } as Identity))
  return !holds(rule.not!, { roles } as Identity)
}

/** The same rule with its parts behind promises. */
function later(rule: Rule): Rule {
  if (typeof rule === 'function' || rule === 'authenticated') return async () => true
  if (rule.all !== undefined) return { all: rule.all.map(later) }
  if (rule.any !== undefined) return { any: rule.any.map(later) }
  if (rule.not !== undefined) return { not: later(rule.not) }
  return async (identity) => holds(rule, identity)
}

describe('rules inside rules', () => {
  const role = fc.constantFrom('a', 'b', 'c')
  const roles = fc.array(role, { minLength: 1, maxLength: 2 })
  const { rule } = fc.letrec<{ rule: Rule }>((tie) => ({
    rule: fc.oneof(
      { maxDepth: 4 },
      fc.oneof(
        fc.constant<Rule>('authenticated'),
        roles.map((names): Rule => ({ roles: names })),
        roles.map((names): Rule => ({ anyRole: names })),
      ),
      fc.array(tie('rule'), { minLength: 1, maxLength: 3 }).map((all): Rule => ({ all })),
      fc.array(tie('rule'), { minLength: 1, maxLength: 3 }).map((any): Rule => ({ any })),
      tie('rule').map((inner): Rule => ({ not: inner })),
    ),
  }))

  it('mean what they say, at once and later', async () => {
    await fc.assert(
      fc.asyncProperty(rule, fc.uniqueArray(role), async (each, has) => {
        const who = callerOf({ roles: has })
        const wanted = holds(each, who)
        expect(failed(each, who) === 'allowed').toBe(wanted)
        expect(failed(not(each), who) === 'allowed').toBe(!wanted)
        expect((await outcomeOf(later(each), who)) === undefined).toBe(wanted)
      }),
      { numRuns: 300 },
    )
  })
})

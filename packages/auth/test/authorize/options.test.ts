import { ConfigError } from '@postern/contracts'
import { describe, expect, it } from 'vitest'
import { authorize } from '../../src/authorize/middleware.ts'

function faultsOf(rule: unknown, options?: unknown): Record<string, string> {
  try {
    authorize(rule as never, options as never)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    expect(error.message.startsWith('authorize(): ')).toBe(true)
    return Object.fromEntries(error.faults.map(({ path, message, cure }) => [path, `${message}; ${cure ?? ''}`]))
  }
  return {}
}

describe('a rule that cannot be used', () => {
  it('is told of with all its faults, by path', () => {
    expect(
      faultsOf({
        scopes: ['read write', 'a"b', 7],
        anyScope: [],
        roles: 7,
        anyRole: 'admin',
        subjects: [''],
        rolse: 'x',
        claims: { a: false, b: /x/, c: {}, d: { contains: [] }, e: { oneOf: [] }, f: { matches: 'x' }, g: null },
        check: 'x',
        all: [],
        any: [{}, 'anyone', { not: undefined }],
        methods: { get: 'authenticated', POST: {}, 'a b': 'authenticated' },
      }),
    ).toMatchObject({
      'rule.rolse': expect.stringContaining('did you mean "roles"?'),
      'rule.scopes[0]': expect.stringContaining('write each scope as a member of its own'),
      'rule.scopes[1]': expect.stringContaining('RFC 6749'),
      'rule.scopes[2]': expect.stringContaining('not a name'),
      'rule.anyScope': expect.stringContaining('an empty list'),
      'rule.roles': expect.stringContaining('not a list of names'),
      'rule.anyRole': expect.stringContaining('not a list of names'),
      'rule.subjects[0]': expect.stringContaining('not a name'),
      'rule.claims.a': expect.stringContaining('oneOf: [false]'),
      'rule.claims.b': expect.stringContaining('{ matches: /…/ }'),
      'rule.claims.c': expect.any(String),
      'rule.claims.d': expect.any(String),
      'rule.claims.e': expect.any(String),
      'rule.claims.f': expect.stringContaining('not a RegExp'),
      'rule.claims.g': expect.any(String),
      'rule.check': expect.stringContaining('not a function'),
      'rule.all': expect.stringContaining('an empty list'),
      'rule.any[0]': expect.stringContaining('an empty rule; write "authenticated"'),
      'rule.any[1]': expect.stringContaining('not a rule'),
      'rule.any[2]': expect.stringContaining('an empty rule'),
      'rule.methods.get': expect.stringContaining('write GET'),
      'rule.methods.POST': expect.stringContaining('an empty rule'),
      'rule.methods.a b': expect.stringContaining('not a method'),
    })
  })

  it('is never taken for one that lets pass', () => {
    for (const rule of [
      undefined,
      null,
      {},
      [],
      true,
      'public',
      '',
      1,
      { claims: {} },
      { methods: {} },
      { all: 'x' },
    ]) {
      expect(Object.keys(faultsOf(rule)).length, JSON.stringify(rule)).toBeGreaterThan(0)
    }
  })

  it('ends though it holds itself', () => {
    const endless: { any: unknown[] } = { any: [] }
    endless.any.push(endless, endless)
    const faults = faultsOf(endless)
    expect(Object.values(faults)).toEqual([expect.stringContaining('inside each other')])
    const wide = { any: Array.from({ length: 1_001 }, () => 'authenticated') }
    expect(Object.values(faultsOf(wide))).toEqual([expect.stringContaining('1000 in all')])
  })

  it('tells the faults of the options as well', () => {
    expect(faultsOf({}, { timeoutMs: 0, errors: 'throw', nam: 'x' })).toMatchObject({
      rule: expect.any(String),
      timeoutMs: expect.any(String),
      errors: expect.any(String),
      nam: expect.stringContaining('did you mean "name"?'),
    })
    expect(faultsOf('authenticated', 'orders')).toEqual({ '': expect.stringContaining('not an options object') })
  })
})

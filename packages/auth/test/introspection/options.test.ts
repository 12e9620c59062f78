import { ConfigError } from '@postern/contracts'
import { describe, expect, test } from 'vitest'
import { type IntrospectionOptions, resolveIntrospectionOptions } from '../../src/introspection/options.ts'

const GOOD: IntrospectionOptions = {
  endpoint: 'https://login.example.com/introspect',
  client: { id: 'gateway', secret: 'hush-hush' },
  audience: 'api',
}

function errorOf(given: unknown): ConfigError {
  try {
    resolveIntrospectionOptions(given as IntrospectionOptions)
  } catch (error) {
    if (error instanceof ConfigError) return error
    throw error
  }
  throw new Error('nothing is wrong with it')
}

describe('options of introspection', () => {
  test('have defaults', () => {
    const given = Object.freeze({ ...GOOD, client: Object.freeze({ ...GOOD.client }) })
    const { clock, user, ...resolved } = resolveIntrospectionOptions(given)
    expect(resolved).toEqual({
      endpoint: GOOD.endpoint,
      client: { id: 'gateway', secret: 'hush-hush', method: 'basic' },
      rules: {
        issuer: undefined,
        audiences: ['api'],
        types: undefined,
        expRequired: false,
        maxAgeMs: undefined,
        toleranceMs: 5_000,
      },
      tokenTypes: undefined,
      from: ['header'],
      maxTokenBytes: 8_192,
      subject: 'sub',
      scopes: 'scope',
      roles: 'roles',
      timeoutMs: 3_000,
      maxBytes: 65_536,
      maxCacheMs: 60_000,
      inactiveCacheMs: 10_000,
      maxEntries: 10_000,
      maxStaleMs: 0,
      bindingRequired: false,
      certificateHeader: false,
      tls: {},
      realm: 'api',
      name: 'introspection',
    })
    expect(Object.isFrozen(resolveIntrospectionOptions(given))).toBe(true)
  })

  test('want to be told of the audience, be it that none is checked', () => {
    const { audience: _, ...rest } = GOOD
    expect(errorOf(rest).faults).toEqual([
      { path: 'audience', message: 'missing', cure: expect.stringContaining('false') },
    ])
    expect(resolveIntrospectionOptions({ ...GOOD, audience: false }).rules.audiences).toBeUndefined()
  })

  test('name all faults at once, by path', () => {
    const { faults } = errorOf({
      endpoint: 'x',
      client: { id: '' },
      audience: [],
      maxCacheMs: -1,
      realm: '"',
      from: 'query',
      timoutMs: 5,
    })
    expect(faults.map(({ path }) => path).sort()).toEqual(
      ['audience', 'client.id', 'client.secret', 'endpoint', 'from', 'maxCacheMs', 'realm', 'timoutMs'].sort(),
    )
    expect(faults.find(({ path }) => path === 'timoutMs')?.cure).toBe('did you mean "timeoutMs"?')
  })

  test.each([
    ['an endpoint by http', { ...GOOD, endpoint: 'http://login.example.com/introspect' }, 'endpoint: not https'],
    ['a time for stale answers where none are used', { ...GOOD, maxStaleMs: 5 }, 'maxStaleMs: of use only'],
    ['nothing', undefined, 'not an options object'],
    ['a list', [], 'not an options object'],
  ])('refuse %s', (_, given, message) => {
    expect(errorOf(given).message).toContain(message)
  })

  test.each([
    ['under a mistyped name', { ...GOOD, client: { id: 'gateway', secrt: 'hush-hush' } }],
    ['in the place of the client', { ...GOOD, client: 'hush-hush' }],
    ['under a mistyped client', { ...GOOD, clients: { id: 'gateway', secret: 'hush-hush' } }],
    ['in a list', { ...GOOD, client: ['gateway', 'hush-hush'] }],
    ['with a fault beside it', { ...GOOD, client: { id: 5, secret: 'hush-hush', method: 'hush-hush' } }],
    ['in the endpoint', { ...GOOD, endpoint: 'https://gateway:hush-hush@login.example.com/' }],
    ['in an endpoint by http', { ...GOOD, endpoint: 'http://login.example.com/?key=hush-hush' }],
    ['in the place of options', 'hush-hush'],
  ])('never show a secret %s', (_, given) => {
    expect(errorOf(given).message).not.toContain('hush-hush')
  })

  test('give stale answers five minutes when they are wanted and nothing is said', () => {
    expect(resolveIntrospectionOptions({ ...GOOD, onFailure: 'stale' }).maxStaleMs).toBe(300_000)
    expect(resolveIntrospectionOptions({ ...GOOD, onFailure: 'stale', maxStaleMs: 7 }).maxStaleMs).toBe(7)
  })
})

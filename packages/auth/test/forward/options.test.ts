import { ConfigError } from '@postern/contracts'
import { describe, expect, test } from 'vitest'
import { internalIssuer } from '../../src/forward/internal-issuer.ts'
import { type ForwardIdentityOptions, resolveForwardIdentityOptions } from '../../src/forward/options.ts'

const issuer = internalIssuer({ issuer: 'https://gw.test' })
const exchange = { endpoint: 'https://id.test/token', client: { id: 'gateway', secret: 'hunter2-hunter2' } }

function errorOf(options: unknown): ConfigError {
  try {
    resolveForwardIdentityOptions(options as ForwardIdentityOptions)
  } catch (error) {
    if (error instanceof ConfigError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

describe('options of forwardIdentity()', () => {
  test('defaults: the client’s credentials pass with headers alone, and are dropped with a token', () => {
    const plain = resolveForwardIdentityOptions({ headers: { 'X-User': 'subject' } })
    expect(plain).toMatchObject({
      headers: { 'x-user': 'subject' },
      token: undefined,
      exchange: undefined,
      dropsCredentials: false,
      reserved: ['x-user'],
      errors: 'respond',
      name: 'forward-identity',
    })
    expect(Object.isFrozen(plain)).toBe(true)
    const minted = resolveForwardIdentityOptions({ token: { issuer, audience: 'orders' } })
    expect(minted).toMatchObject({ dropsCredentials: true, reserved: ['authorization'] })
    const given = resolveForwardIdentityOptions({ exchange: { ...exchange, audience: 'orders', header: 'X-Token' } })
    expect(given).toMatchObject({ dropsCredentials: true, reserved: ['x-token'] })
    expect(given.exchange).toMatchObject({
      client: { method: 'basic' },
      audience: ['orders'],
      resource: [],
      subjectTokenType: 'urn:ietf:params:oauth:token-type:access_token',
      timeoutMs: 3_000,
      maxEntries: 10_000,
      maxCacheMs: 600_000,
    })
    expect(resolveForwardIdentityOptions({ exchange, credentials: 'pass' }).dropsCredentials).toBe(false)
  })

  test('all faults are told at once, by path', () => {
    const { faults } = errorOf({
      headers: { 'x-user': 7, 'bad name': 'subject', Connection: 'subject', x_user: 'subject' },
      token: { issuer: {}, audience: '', claims: ['tenant', 'exp'], Header: 'x' },
      exchange: { endpoint: 'http://id.test/token', client: 7, scope: 'a  b' },
      credentials: 'keep',
      error: 'next',
    })
    expect(faults.map((fault) => fault.path).sort()).toEqual(
      [
        'credentials',
        'error',
        'exchange.client',
        'exchange.endpoint',
        'exchange.header',
        'exchange.scope',
        'headers.Connection',
        'headers.bad name',
        'headers.x-user',
        'headers.x_user',
        'token.Header',
        'token.audience',
        'token.claims[1]',
        'token.issuer',
      ].sort(),
    )
    expect(faults.find((fault) => fault.path === 'error')!.cure).toBe('did you mean "errors"?')
    expect(faults.find((fault) => fault.path === 'token.Header')!.cure).toBe('did you mean "header"?')
  })

  test.each([
    ['host'],
    ['Content-Length'],
    ['transfer-encoding'],
    ['Upgrade'],
    ['TE'],
    ['X-Forwarded-For'],
    ['forwarded'],
    ['cookie'],
    ['sec-websocket-protocol'],
    ['if-match'],
  ])('%s is no header to forward an identity in', (name) => {
    expect(errorOf({ headers: { [name]: 'subject' } }).faults.map((fault) => fault.path)).toEqual([`headers.${name}`])
    expect(errorOf({ token: { issuer, audience: 'a', header: name } }).faults.map((fault) => fault.path)).toEqual([
      'token.header',
    ])
  })

  test('a header that two options set is refused, in any case', () => {
    expect(errorOf({ headers: { 'x-user': 'subject', 'X-User': 'scheme' } }).message).toMatch(/sets the header that/)
    expect(errorOf({ token: { issuer, audience: 'a' }, exchange }).message).toMatch(
      /exchange\.header: sets the header that token\.header sets/,
    )
  })

  test.each([
    ['http://id.test/token', /not https/],
    ['id.test/token', /not an absolute URL/],
    ['https://user:hunter2@id.test/token', /a user name or a password/],
    ['https://id.test/token#x', /fragment/],
  ])('%s is no token endpoint', (endpoint, message) => {
    const error = errorOf({ exchange: { ...exchange, endpoint } })
    expect(error.faults.map((fault) => fault.path)).toEqual(['exchange.endpoint'])
    expect(error.message).toMatch(message)
    expect(error.message).not.toContain('hunter2')
    const open = { ...exchange, endpoint: 'http://id.test/token', allowHttp: true }
    expect(resolveForwardIdentityOptions({ exchange: open }).exchange!.endpoint).toBe(open.endpoint)
  })

  test('no message holds the client’s secret, wherever it was put', () => {
    const secret = 'hunter2-hunter2'
    const clients = [
      secret,
      { id: '', secret },
      { id: 'a', pass: secret },
      { id: 'a', secret: [secret] },
      [secret],
      { id: 'a', secret, method: 'x' },
    ]
    for (const client of clients) {
      expect(errorOf({ exchange: { ...exchange, client } }).message).not.toContain(secret)
    }
    expect(errorOf({ exchange: { ...exchange, clientSecret: secret } }).message).not.toContain(secret)
  })

  test('nothing to forward, and what is no object at all', () => {
    expect(errorOf({}).message).toMatch(/has nothing to forward/)
    expect(errorOf({ name: 'x' }).message).toMatch(/has nothing to forward/)
    for (const input of [undefined, null, 'x', [], 7]) expect(errorOf(input).message).toMatch(/not an options object/)
  })
})

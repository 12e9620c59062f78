import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { jwt } from '../../src/jwt/jwt.ts'
import type { JwtOptions } from '../../src/jwt/options.ts'
import { refusalOf } from '../support/scheme-server.ts'

const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const publicKey = ec.publicKey.export({ format: 'jwk' }) as never
const good: JwtOptions = { issuer: 'https://id.test', audience: 'api', algorithms: ['ES256'], publicKey }

/** Faults by path. */
function faults(options: unknown): Record<string, string> {
  const all = refusalOf(() => jwt(options as JwtOptions).close()).faults
  return Object.fromEntries(
    all.map(({ path, message, cure }) => [path, cure === undefined ? message : `${message}; ${cure}`]),
  )
}

describe('jwt() refuses to start', () => {
  test.each([undefined, null, 5, 'secret', [], () => {}])('without an object of options: %j', (given) => {
    expect(Object.keys(faults(given)).length).toBe(1)
    expect(refusalOf(() => jwt(given as never)).message).toMatch(/^jwt\(\): /)
  })

  test('with nothing said of what must be said: all of it at once, and how', () => {
    expect(faults({})).toEqual({
      algorithms: "missing; name what your issuer signs with: algorithms: ['RS256']",
      issuer: 'missing; write the exact iss of the tokens, or false to take any',
      audience: 'missing; write what aud must name, or false to take tokens that were made for others',
    })
  })

  test.each<[string, object, Record<string, RegExp>]>([
    ['no keys', { publicKey: undefined }, { '': /^has no keys/ }],
    ['keys of two kinds', { jwksUri: 'https://id.test/jwks' }, { '': /several kinds \(publicKey, jwksUri\)/ }],
    ['no algorithm', { algorithms: [] }, { algorithms: /an empty list/ }],
    ['none', { algorithms: ['none'] }, { 'algorithms[0]': /not one of/ }],
    ['an unknown one', { algorithms: ['ES256', 'es384'] }, { 'algorithms[1]': /not one of/ }],
    ['both families', { algorithms: ['ES256', 'HS256'] }, { algorithms: /could be taken for a secret/ }],
    ['a symmetric one for a public key', { algorithms: ['HS256'] }, { algorithms: /do not go with publicKey/ }],
    [
      'an asymmetric one for a secret',
      { publicKey: undefined, secret: randomBytes(32) },
      { algorithms: /do not go with secret/ },
    ],
    ['a key of another kind', { algorithms: ['RS256'] }, { publicKey: /./ }],
    ['an empty list of keys', { publicKey: [] }, { publicKey: /an empty list/ }],
    ['a private key', { publicKey: ec.privateKey }, { publicKey: /private/ }],
    ['a private PEM', { publicKey: ec.privateKey.export({ type: 'pkcs8', format: 'pem' }) }, { publicKey: /private/ }],
    ['http without a word', { publicKey: undefined, jwksUri: 'http://id.test/jwks' }, { 'jwksUri.uri': /https/ }],
    ['no URL', { publicKey: undefined, jwksUri: 'jwks' }, { 'jwksUri.uri': /./ }],
    [
      'an unknown option of the fetch',
      { publicKey: undefined, jwksUri: { uri: 'https://id.test/j', coolDown: 5 } },
      { 'jwksUri.coolDown': /did you mean "coolDownMs"/ },
    ],
    ['a mistyped option', { audiance: 'api' }, { audiance: /did you mean "audience"/ }],
    ['a mistyped option of revocation', { revocation: { cache: 5 } }, { 'revocation.cache': /did you mean "cacheMs"/ }],
    ['a tolerance of hours', { clockToleranceMs: 3_600_000 }, { clockToleranceMs: /60000/ }],
    ['an empty issuer', { issuer: '' }, { issuer: /./ }],
    ['an empty audience', { audience: [] }, { audience: /./ }],
    ['a pattern for an audience', { audience: /api/ }, { audience: /not a text/ }],
    ['a token in the query', { from: { query: 'access_token' } }, { from: /./ }],
    [
      'limits out of bounds',
      { maxTokenBytes: 64, rememberBytes: -1, maxAgeMs: 0 },
      { maxTokenBytes: /./, rememberBytes: /./, maxAgeMs: /./ },
    ],
    ['no function', { isRevoked: true, user: 'id' }, { isRevoked: /not a function/, user: /not a function/ }],
    ['a realm that breaks out of its quotes', { realm: 'a", error="x' }, { realm: /./ }],
    ['a realm with a line of its own', { realm: 'a\r\nSet-Cookie: x=y' }, { realm: /./ }],
    ['no issuers', { ...allUndefined(), issuers: [] }, { issuers: /not a list/ }],
    [
      'issuers beside an issuer',
      { issuers: [{ ...good }] },
      { issuer: /beside issuers/, audience: /./, algorithms: /./, publicKey: /./ },
    ],
    ['an issuer twice', { ...allUndefined(), issuers: [good, good] }, { 'issuers[1].issuer': /there already/ }],
    [
      'one of several that may be anybody',
      { ...allUndefined(), issuers: [good, { ...good, issuer: false }] },
      { 'issuers[1].issuer': /must be known/ },
    ],
    [
      'a fault within one of several',
      { ...allUndefined(), issuers: [good, { ...good, issuer: 'b', algorithms: ['x'] }] },
      { 'issuers[1].algorithms[0]': /not one of/ },
    ],
    ['null among several', { ...allUndefined(), issuers: [null] }, { 'issuers[0]': /./ }],
  ])('with %s', (_name, more, expected) => {
    const found = faults(withoutUndefined({ ...good, ...more }))
    expect(Object.keys(found).sort()).toEqual(Object.keys(expected).sort())
    for (const [path, message] of Object.entries(expected)) expect(found[path]).toMatch(message)
  })

  test('with all faults in one error', () => {
    const found = faults({ issuer: 5, audience: 'api', algorithms: ['ES256'], publicKey, relm: 'x', maxTokenBytes: 1 })
    expect(Object.keys(found).sort()).toEqual(['issuer', 'maxTokenBytes', 'relm'])
  })
})

describe('secrets', () => {
  test('are never shown, however wrong they are', () => {
    const secrets: unknown[] = ['hush-short', Buffer.from('hush-bytes'), 'hush'.repeat(2), { hush: 1 }, ['hush-list']]
    for (const secret of secrets) {
      for (const more of [
        { secret },
        { secret, relm: 1 },
        { secrt: secret, secret: undefined },
        { publicKey: secret },
        { jwks: { keys: [{ kty: 'oct', k: 'hush' }] } },
      ]) {
        const options = withoutUndefined({ issuer: 'a', audience: 'b', algorithms: ['HS256'], ...more })
        const { message } = refusalOf(() => jwt(options as never))
        expect(message).toMatch(/^jwt\(\): /)
        expect(message).not.toContain('hush')
        expect(message).not.toContain(Buffer.from('hush').toString('base64').slice(0, 5))
      }
    }
  })

  test('must be as long as the hash, and are not the text of a key file', () => {
    const withSecret = (secret: unknown, algorithms: readonly string[]): Record<string, string> =>
      faults({ issuer: 'a', audience: 'b', algorithms, secret })
    expect(withSecret(randomBytes(31), ['HS256'])).toEqual({ secret: expect.any(String) })
    expect(withSecret(randomBytes(32), ['HS256', 'HS512'])).toEqual({ secret: expect.any(String) })
    expect(withSecret(randomBytes(32), ['HS256'])).toEqual({})
    expect(withSecret('', ['HS256'])).toEqual({ secret: expect.any(String) })
    expect(withSecret(ec.publicKey.export({ type: 'spki', format: 'pem' }), ['HS256'])).toEqual({
      secret: expect.any(String),
    })
  })

  test('a key set with private keys in it is refused by name of the fault, not by its numbers', () => {
    const jwk = ec.privateKey.export({ format: 'jwk' })
    const { message } = refusalOf(() =>
      jwt({ issuer: 'a', audience: 'b', algorithms: ['ES256'], jwks: { keys: [jwk as never] } }),
    )
    expect(message).toMatch(/private/)
    expect(message).not.toContain(jwk.d)
  })
})

test('what is given is left alone', () => {
  const options = Object.freeze({
    ...good,
    algorithms: Object.freeze(['ES256']) as never,
    from: Object.freeze(['header']) as never,
  })
  jwt(options).close()
  expect(Object.keys(options)).toEqual(['issuer', 'audience', 'algorithms', 'publicKey', 'from'])
})

function allUndefined(): object {
  return Object.fromEntries(Object.keys(good).map((key) => [key, undefined]))
}

function withoutUndefined(value: object): object {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined))
}

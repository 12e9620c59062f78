import { exchangeOf, type Identity } from '@postern/contracts'
import { describe, expect, test } from 'vitest'
import { admissionOf } from '../../src/admission.ts'
import { hashApiKey } from '../../src/api-key/generate.ts'
import { identityRefused, identityVerified } from '../../src/channels.ts'
import { jwt } from '../../src/jwt/jwt.ts'
import { apiKey, basic } from '../../src/schemes.ts'
import {
  expectInvalidToken,
  expectRefused,
  guarded,
  INVALID_TOKEN,
  jwtApi,
  told,
  using,
  welcomeOf,
} from '../support/api.ts'
import { startIssuer } from '../support/issuer.ts'
import { challengeOf, testScheme } from './support.ts'

describe('several schemes', () => {
  test('the first that finds credentials of its own decides', async () => {
    const app = await guarded([testScheme('one'), testScheme('two'), testScheme('three')])
    expect(welcomeOf(await app.ask({ one: 'good:a' }))).toMatchObject({ subject: 'a', scheme: 'one' })
    expect(welcomeOf(await app.ask({ three: 'good:c' }))).toMatchObject({ subject: 'c', scheme: 'three' })
    // By the order of the schemes, not of the headers.
    expect(welcomeOf(await app.ask(['host', 'a', 'three', 'good:c', 'two', 'good:b'])).subject).toBe('b')
  })

  test('wrong credentials of one are not made good by those of the next', async () => {
    const app = await guarded([testScheme('one'), testScheme('two')])
    expectRefused(
      await app.ask({ one: 'bad', two: 'good:b' }),
      'invalid_credentials',
      challengeOf('one', 'invalid_token'),
    )
    expect([app.reached, app.reasons]).toEqual([0, ['made-up']])
    // And a good one is not spoilt by what the next would have found.
    expect(welcomeOf(await app.ask({ one: 'good:a', two: 'bad' })).subject).toBe('a')
  })

  test('no credentials: the challenges of all, in their order (RFC 9110 §11.6.1)', async () => {
    const issuer = await using(startIssuer())
    const app = await guarded([
      jwt({
        issuer: issuer.url,
        audience: 'api',
        algorithms: ['RS256'],
        jwksUri: { uri: issuer.jwksUri, allowHttp: true },
      }),
      apiKey({ keys: [] }),
      basic({ verify: () => false, realm: 'Staff' }),
    ])
    const challenge = 'Bearer realm="api", ApiKey realm="api", Basic realm="Staff", charset="UTF-8"'
    for (const method of ['GET', 'POST', 'OPTIONS', 'DELETE']) {
      expectRefused(await app.ask({}, { method }), 'authentication_required', challenge)
    }
    const head = await app.ask({}, { method: 'HEAD' })
    expect([head.status, head.headers['www-authenticate'], head.body.length]).toEqual([401, challenge, 0])
    expect([app.reached, new Set(app.reasons)]).toEqual([0, new Set(['none'])])
  })

  test('a token and an API key in one app, each by its own header', async () => {
    const key = 'shop_0123456789abcdef'
    const issuer = await using(startIssuer())
    const app = await guarded([
      jwt({
        issuer: issuer.url,
        audience: 'api',
        algorithms: ['RS256'],
        jwksUri: { uri: issuer.jwksUri, allowHttp: true },
      }),
      apiKey({ keys: [{ id: 'k1', hash: hashApiKey(key), subject: 'partner', scopes: ['stock'] }] }),
    ])
    expect(welcomeOf(await app.bear(await issuer.sign())).scheme).toBe('jwt')
    expect(welcomeOf(await app.ask({ 'x-api-key': key }))).toMatchObject({
      scheme: 'api-key',
      subject: 'partner',
      scopes: ['stock'],
    })
    expectInvalidToken(await app.ask({ authorization: 'Bearer x.y.z', 'x-api-key': key }))
    expect(issuer.jwks.requests).toBe(1)
  })

  test('a scheme that finds out later that nothing is there leaves it to the next', async () => {
    const shrug = testScheme('one', { verify: async () => undefined })
    const app = await guarded([shrug, testScheme('two')])
    expect(welcomeOf(await app.ask({ one: 'x', two: 'good:b' })).subject).toBe('b')
    expectRefused(
      await app.ask({ one: 'x' }),
      'authentication_required',
      `${challengeOf('one')}, ${challengeOf('two')}`,
    )
  })

  test('the same strategy twice is asked once', async () => {
    const one = testScheme('one')
    const app = await guarded([one, one])
    expectRefused(await app.ask(), 'authentication_required', challengeOf('one'))
    expect(app.handler.schemes.length).toBe(1)
  })
})

describe('optional', () => {
  test('who shows nothing passes as nobody; who shows something wrong does not', async () => {
    const app = await guarded([testScheme('one'), testScheme('two')], { optional: true })
    const nobody = welcomeOf(await app.ask())
    expect([nobody.subject, nobody.user]).toEqual([undefined, undefined])
    expectRefused(await app.ask({ two: 'bad' }), 'invalid_credentials', challengeOf('two', 'invalid_token'))
    expect(welcomeOf(await app.ask({ two: 'good:b' })).subject).toBe('b')
    expect(app.reached).toBe(2)
  })

  test('a token that has run out is wrong, not missing', async () => {
    const app = await jwtApi({ authenticate: { optional: true } })
    expectInvalidToken(await app.bear(await app.issuer.sign({ exp: 1 })))
    expectInvalidToken(await app.ask({ authorization: 'Bearer' }))
    expect(app.reached).toBe(0)
  })
})

describe('who is calling, for the handlers behind', () => {
  test('is in req.gateway.identity, and in req.user for handlers that know passport', async () => {
    let identity: Identity | undefined
    let user: unknown
    const app = await jwtApi({
      api: {
        last: (req, res) => {
          identity = exchangeOf(req, res).identity
          user = (req as { user?: unknown }).user
          expect(admissionOf(req)?.scheme?.name).toBe('jwt')
          res.end()
        },
      },
    })
    await app.bear(await app.issuer.sign({ scope: 'a b', roles: ['r'], tenant: 'acme' }))
    expect(identity).toEqual({
      scheme: 'jwt',
      subject: 'alice',
      scopes: ['a', 'b'],
      roles: ['r'],
      claims: expect.objectContaining({ tenant: 'acme', sub: 'alice' }),
    })
    expect(user).toBe(identity)
  })

  test('the user is what the option makes of the identity, once for a token', async () => {
    let calls = 0
    const app = await jwtApi({
      jwt: {
        user: async ({ subject }) => {
          calls++
          return subject === 'alice' ? { id: 7, name: 'Alice' } : undefined
        },
      },
    })
    const token = await app.issuer.sign()
    for (let i = 0; i < 3; i++)
      expect(welcomeOf(await app.bear(token))).toMatchObject({ subject: 'alice', user: { id: 7 } })
    expect(calls).toBe(1)
    expectInvalidToken(await app.bear(await app.issuer.sign({ sub: 'stranger' })))
    expect(app.reasons).toEqual(['no-user'])
  })

  test.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw new Error('secret detail')
      },
    ],
    [
      'rejects',
      async () => {
        throw new Error('secret detail')
      },
    ],
  ])('a user function that %s is 503', async (_name, user) => {
    const app = await jwtApi({ jwt: { user } })
    expectRefused(await app.bear(await app.issuer.sign()), 'authentication_unavailable')
  })
})

describe('channels', () => {
  test('tell who was let in, and whether that was known before', async () => {
    const verifications = told(identityVerified)
    const app = await jwtApi()
    const token = await app.issuer.sign()
    await app.bear(token)
    await app.bear(token)
    expect(verifications.map(({ identity, remembered }) => [identity.subject, remembered])).toEqual([
      ['alice', false],
      ['alice', true],
    ])
    expect(verifications[0]!.exchange.identity).toBe(verifications[0]!.identity)
  })

  test('tell who was refused, by which scheme, and why, which the client does not learn', async () => {
    const refusals = told(identityRefused)
    const app = await jwtApi()
    await app.ask()
    await app.bear(await app.issuer.sign({ exp: 1 }))
    await app.bear(`${await app.issuer.sign()}, x`)
    expect(refusals.map(({ scheme, reason, status }) => [scheme, reason, status])).toEqual([
      [undefined, 'none', 401],
      ['jwt', 'expired', 401],
      ['jwt', 'malformed', 401],
    ])
  })
})

test("errors: 'next' hands the refusal to the app, with all that the answer needs, and the reason for its log", async () => {
  const app = await jwtApi({ authenticate: { errors: 'next' } })
  const reply = await app.bear(await app.issuer.sign({ exp: 1 }))
  expect([reply.status, reply.json()]).toEqual([401, { seenByApp: 'invalid_credentials' }])
  const [error] = app.errors
  expect(error).toMatchObject({ status: 401, expose: false, message: 'jwt refused the credentials: expired' })
  expect(error!.headers).toEqual({ 'www-authenticate': INVALID_TOKEN })
  expect(error!.detail).not.toContain('expired')
  await app.ask()
  expect(app.errors[1]).toMatchObject({
    code: 'authentication_required',
    headers: { 'www-authenticate': 'Bearer realm="api"' },
  })
  expect(app.reached).toBe(0)
})

test('one strategy in two apps serves both', async () => {
  const one = testScheme('one')
  const [a, b] = [await guarded(one), await guarded(one, { optional: true })]
  welcomeOf(await a.ask({ one: 'good:a' }))
  welcomeOf(await b.ask())
  expect((await a.ask()).status).toBe(401)
})

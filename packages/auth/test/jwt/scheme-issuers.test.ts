import { describe, expect, test } from 'vitest'
import { jwt } from '../../src/jwt/jwt.ts'
import { type Api, expectInvalidToken, guarded, jwtApi, using, welcomeOf } from '../support/api.ts'
import { type Issuer, startIssuer } from '../support/issuer.ts'

interface TwoIssuers extends Api {
  readonly customers: Issuer
  readonly staff: Issuer
}

async function twoIssuers(): Promise<TwoIssuers> {
  const customers = await using(startIssuer({ algorithms: ['RS256', 'ES256'] }))
  const staff = await using(startIssuer({ algorithms: ['ES256'] }))
  const strategy = jwt({
    issuers: [
      {
        issuer: customers.url,
        audience: ['shop', 'api'],
        algorithms: ['RS256'],
        jwksUri: { uri: customers.jwksUri, allowHttp: true },
      },
      {
        issuer: staff.url,
        audience: 'backoffice',
        algorithms: ['ES256'],
        jwksUri: { uri: staff.jwksUri, allowHttp: true },
        roles: 'realm_access.roles',
        scopes: 'permissions',
        subject: 'email',
        typ: 'at+jwt',
      },
    ],
  })
  const app = await guarded(strategy, { failureLimit: false })
  return Object.defineProperties({ customers, staff } as TwoIssuers, Object.getOwnPropertyDescriptors(app))
}

describe('several issuers', () => {
  test('each with its own keys, audience, type and claims', async () => {
    const app = await twoIssuers()
    const customer = await app.customers.sign({ aud: 'shop', scope: 'read write', roles: ['buyer'] })
    expect(welcomeOf(await app.bear(customer))).toMatchObject({
      subject: 'alice',
      scopes: ['read', 'write'],
      roles: ['buyer'],
    })
    const claims = {
      aud: ['backoffice'],
      email: 'bob@shop.test',
      permissions: ['prices'],
      realm_access: { roles: ['staff'] },
    }
    expect(welcomeOf(await app.bear(await app.staff.sign(claims, { typ: 'at+jwt' })))).toMatchObject({
      subject: 'bob@shop.test',
      scopes: ['prices'],
      roles: ['staff'],
    })
  })

  test('an issuer does not speak for another one, with whichever of its keys', async () => {
    const app = await twoIssuers()
    const asStaff = { iss: app.staff.url, aud: 'backoffice', email: 'root@shop.test' }
    const tokens = [
      await app.customers.sign(asStaff, { algorithm: 'ES256', typ: 'at+jwt' }),
      await app.customers.sign(asStaff, { algorithm: 'ES256', typ: 'at+jwt', kid: app.staff.key().kid }),
      await app.customers.sign(asStaff, { algorithm: 'ES256', typ: 'at+jwt', kid: null }),
      // The other way the algorithm is wrong as well.
      await app.staff.sign({ iss: app.customers.url }),
    ]
    for (const token of tokens) expectInvalidToken(await app.bear(token))
    expect(app.reasons).toEqual(['unknown-key', 'signature', 'signature', 'algorithm'])
    expect(app.reached).toBe(0)
  })

  test('what one of them allows, the other one does not', async () => {
    const app = await twoIssuers()
    const bad: [string, string][] = [
      [await app.customers.sign({ aud: 'backoffice' }), 'audience'],
      [await app.customers.sign({ aud: 'shop' }, { algorithm: 'ES256' }), 'algorithm'],
      [await app.staff.sign({ aud: 'shop', email: 'b' }, { typ: 'at+jwt' }), 'audience'],
      [await app.staff.sign({ aud: 'backoffice', email: 'b' }), 'type'],
      [await app.staff.sign({ aud: 'backoffice' }, { typ: 'at+jwt' }), 'no-subject'],
    ]
    for (const [token, reason] of bad) {
      expectInvalidToken(await app.bear(token))
      expect(app.reasons.at(-1)).toBe(reason)
    }
    expect(app.reached).toBe(0)
  })

  test('one that is down takes no other one with it', async () => {
    const app = await twoIssuers()
    app.staff.jwks.fault = 'down'
    expect((await app.bear(await app.staff.sign({ aud: 'backoffice', email: 'b' }, { typ: 'at+jwt' }))).status).toBe(
      503,
    )
    welcomeOf(await app.bear(await app.customers.sign({ aud: 'shop' })))
  })

  test('an issuer that nobody named is refused, and asked for nothing', async () => {
    const app = await twoIssuers()
    const stranger = await using(startIssuer())
    for (const iss of [
      stranger.url,
      `${app.customers.url}/`,
      app.customers.url.toUpperCase(),
      app.customers.url.slice(0, -1),
      [app.customers.url],
      null,
      undefined,
      '',
      '__proto__',
      'constructor',
    ]) {
      expectInvalidToken(await app.bear(await app.customers.sign({ iss, aud: 'shop' })))
    }
    expect(new Set(app.reasons)).toEqual(new Set(['issuer']))
    expect([app.reached, stranger.jwks.requests, app.customers.jwks.requests]).toEqual([0, 0, 0])
  })
})

describe('E7: issuer and audience are compared exactly', () => {
  test.each([
    undefined,
    null,
    '',
    [],
    'ap',
    'apix',
    'API',
    ' api',
    'api ',
    'https://api',
    ['API'],
    [['api']],
    { api: true },
    ['api', 5],
    'api,shop',
    'api shop',
  ])('aud %j', async (aud) => {
    const app = await jwtApi()
    expectInvalidToken(await app.bear(await app.issuer.sign({ aud })))
    expect(app.reached).toBe(0)
  })

  test('the audience may be one of several, on both sides', async () => {
    const app = await jwtApi({ jwt: { audience: ['orders', 'api'] } })
    for (const aud of ['api', 'orders', ['shop', 'orders'], ['api']])
      welcomeOf(await app.bear(await app.issuer.sign({ aud })))
  })

  test('what is switched off in so many words is not checked', async () => {
    const app = await jwtApi({ jwt: { issuer: false, audience: false, expRequired: false } })
    const token = await app.issuer.sign({ iss: undefined, aud: undefined, exp: undefined, iat: undefined })
    expect(welcomeOf(await app.bear(token)).subject).toBe('alice')
    expect(welcomeOf(await app.bear(await app.issuer.sign({ iss: 'https://elsewhere.test' }))).subject).toBe('alice')
    // And what is there has to be in form all the same.
    expectInvalidToken(await app.bear(await app.issuer.sign({ exp: 'never' })))
    expectInvalidToken(await app.bear(await app.issuer.sign({ aud: 5 })))
  })
})

import { createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto'
import { eventually } from '@postern/test-kit'
import { exportJWK, exportSPKI } from 'jose'
import { describe, expect, test } from 'vitest'
import { keySetRefreshed } from '../../src/channels.ts'
import { jwt } from '../../src/jwt/jwt.ts'
import type { JwtOptions } from '../../src/jwt/options.ts'
import { type Api, expectInvalidToken, guarded, jwtApi, told, using, welcomeOf } from '../support/api.ts'
import { manualClock } from '../support/clock.ts'
import { type Issuer, startIssuer } from '../support/issuer.ts'

describe('rotation', () => {
  test('a new key is found by its kid; tokens of the old one hold as long as it is published', async () => {
    const app = await jwtApi()
    const old = await app.issuer.sign()
    welcomeOf(await app.bear(old))
    await app.issuer.rotate({ keep: true })
    const fresh = await app.issuer.sign({ sub: 'bob' })
    expect(welcomeOf(await app.bear(fresh)).subject).toBe('bob')
    welcomeOf(await app.bear(old))
    expect(app.issuer.jwks.requests).toBe(2)
  })

  // A key that leaked is taken out of the set. Tokens that were verified with it must not live on in the memory of the gateway.
  test('a key that is published no longer ends the tokens that are remembered', async () => {
    const app = await jwtApi()
    const old = await app.issuer.sign()
    for (let i = 0; i < 3; i++) welcomeOf(await app.bear(old))
    expect(app.strategy.remembered).toBe(1)
    await app.issuer.rotate()
    welcomeOf(await app.bear(await app.issuer.sign()))
    expectInvalidToken(await app.bear(old))
    expect(app.reasons).toEqual(['unknown-key'])
  })

  test('only known tokens come, and a key that was taken back ends them all the same, once the set is not fresh', async () => {
    const clock = manualClock()
    const app = await jwtApi({ clock })
    app.issuer.jwks.headers = { 'cache-control': 'max-age=60' }
    const token = await app.issuer.sign()
    welcomeOf(await app.bear(token))
    await app.issuer.rotate()
    clock.advance(59_000)
    for (let i = 0; i < 5; i++) welcomeOf(await app.bear(token))
    expect(app.issuer.jwks.requests).toBe(1)
    clock.advance(1_000)
    await eventually(async () => (await app.bear(token)).status === 401)
    // Once since the set was not fresh any more, once for a kid that is unknown by now.
    expect(app.issuer.jwks.requests).toBe(3)
  })

  test('a kid that gets other material is another key', async () => {
    const app = await jwtApi()
    const old = await app.issuer.sign()
    welcomeOf(await app.bear(old))
    const { kid } = app.issuer.key()
    const pair = generateKeyPairSync('rsa', { modulusLength: 2_048 })
    app.issuer.publish({ keys: [{ ...(await exportJWK(pair.publicKey)), kid, alg: 'RS256' }] })
    // An unknown kid has it fetched.
    expectInvalidToken(await app.bear(await app.issuer.sign({}, { kid: 'unknown' })))
    expectInvalidToken(await app.bear(old))
    welcomeOf(await app.bear(await app.issuer.sign({}, { key: pair.privateKey })))
  })
})

describe('a flood of unknown kids', () => {
  test('makes one fetch a cool-down, whether one by one or all at once; good tokens pass meanwhile', async () => {
    const clock = manualClock()
    const app = await jwtApi({ clock })
    const good = await app.issuer.sign()
    welcomeOf(await app.bear(good))
    const flood = async (round: string): Promise<void> => {
      const tokens = await Promise.all(
        Array.from({ length: 40 }, (_, i) => app.issuer.sign({}, { kid: `made-up-${round}-${i}` })),
      )
      for (const reply of await Promise.all(tokens.slice(0, 30).map((token) => app.bear(token))))
        expectInvalidToken(reply)
      for (const token of tokens.slice(30)) expectInvalidToken(await app.bear(token))
      welcomeOf(await app.bear(good))
      welcomeOf(await app.bear(await app.issuer.sign({ sub: `new in ${round}` })))
    }
    await flood('first')
    expect(app.issuer.jwks.requests).toBe(2)
    clock.advance(29_999)
    await flood('second')
    expect(app.issuer.jwks.requests).toBe(2)
    clock.advance(1)
    await flood('third')
    expect([app.issuer.jwks.requests, app.issuer.jwks.mostOpen]).toEqual([3, 1])
    expect(new Set(app.reasons)).toEqual(new Set(['unknown-key']))
  })

  test('all who come before the first keys are there wait for one fetch', async () => {
    const refreshes = told(keySetRefreshed)
    const app = await jwtApi()
    const tokens = await Promise.all(Array.from({ length: 30 }, (_, i) => app.issuer.sign({ sub: `user-${i}` })))
    const letGo = app.issuer.jwks.hold()
    const replies = tokens.map((token) => app.bear(token))
    await eventually(() => app.issuer.jwks.open === 1)
    letGo()
    const subjects = (await Promise.all(replies)).map((reply) => welcomeOf(reply).subject)
    expect(subjects).toEqual(tokens.map((_, i) => `user-${i}`))
    expect([app.issuer.jwks.requests, refreshes]).toEqual([1, [{ url: app.issuer.jwksUri, keys: 1, refused: [] }]])
  })
})

describe('keys that do not change', () => {
  async function withKeys(issuer: Issuer, keys: Partial<JwtOptions>): Promise<Api> {
    return guarded(jwt({ issuer: issuer.url, audience: 'api', algorithms: ['ES256'], ...keys }), {
      failureLimit: false,
    })
  }

  test('PEM, JWK, KeyObject, several of them, a whole set: all take the same token, and nothing is fetched', async () => {
    const issuer = await using(startIssuer({ algorithms: ['ES256'] }))
    const jwk = issuer.key().jwk as never as { kty: string }
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const key = createPublicKey({ key: jwk as never, format: 'jwk' })
    const pem = await exportSPKI(key)
    const ways: Partial<JwtOptions>[] = [
      { publicKey: pem },
      { publicKey: jwk },
      { publicKey: key },
      { publicKey: [pair.publicKey, pem] },
      { jwks: { keys: [jwk] } },
    ]
    for (const way of ways) {
      const app = await withKeys(issuer, way)
      welcomeOf(await app.bear(await issuer.sign()))
      const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
      expectInvalidToken(await app.bear(await issuer.sign({}, { key: other })))
    }
    expect(issuer.jwks.requests).toBe(0)
  })

  test('a token without kid is tried with the few keys of its algorithm', async () => {
    const issuer = await using(startIssuer({ algorithms: ['ES256'] }))
    const others = Array.from({ length: 2 }, () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey)
    const app = await withKeys(issuer, { publicKey: [...others, issuer.key().jwk as never] })
    welcomeOf(await app.bear(await issuer.sign({}, { kid: null })))
  })

  test('a secret as text and as bytes', async () => {
    const secret = randomBytes(32).toString('hex').slice(0, 32)
    for (const each of [secret, Buffer.from(secret), new Uint8Array(Buffer.from(secret))]) {
      const app = await jwtApi({ issuer: { algorithms: ['HS256'] }, jwt: { secret: each } })
      welcomeOf(await app.bear(await app.issuer.sign({}, { key: Buffer.from(secret) })))
    }
  })
})

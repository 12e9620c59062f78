import { createHmac, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { JWT_ALGORITHMS, type JwtAlgorithm } from '../../src/jwt/key-set.ts'
import { expectInvalidToken, jwtApi, welcomeOf } from '../support/api.ts'
import { encode, signatureOf } from './tokens.ts'

const ASYMMETRIC = JWT_ALGORITHMS.filter((each) => !each.startsWith('HS'))
const SYMMETRIC = JWT_ALGORITHMS.filter((each) => each.startsWith('HS'))
const SECRET = randomBytes(64)

describe('every algorithm', () => {
  test.each(ASYMMETRIC)('%s with keys fetched from the issuer', async (algorithm) => {
    const app = await jwtApi({ issuer: { algorithms: [algorithm] } })
    const token = await app.issuer.sign()
    for (let i = 0; i < 2; i++) {
      expect(welcomeOf(await app.bear(token))).toMatchObject({ subject: 'alice', scheme: 'jwt' })
    }
    expect(app.strategy.remembered).toBe(1)
    // Of another key of the same kind, under the same kid.
    const other = await jwtApi({ issuer: { algorithms: [algorithm] } })
    const forged = await other.issuer.sign({ iss: app.issuer.url }, { kid: app.issuer.key().kid })
    expectInvalidToken(await app.bear(forged))
    expect([app.reasons.at(-1), app.reached]).toEqual(['signature', 2])
  })

  test.each(SYMMETRIC)('%s with a shared secret', async (algorithm) => {
    const app = await jwtApi({ issuer: { algorithms: [algorithm] }, jwt: { secret: SECRET } })
    welcomeOf(await app.bear(await app.issuer.sign({}, { key: SECRET })))
    expectInvalidToken(await app.bear(await app.issuer.sign({}, { key: randomBytes(64) })))
    expect([app.reasons, app.reached]).toEqual([['signature'], 1])
  })

  test('a token names its algorithm, and only those of the configuration are looked at', async () => {
    const app = await jwtApi({ issuer: { algorithms: ASYMMETRIC }, jwt: { algorithms: ['ES256'] } })
    for (const algorithm of ASYMMETRIC) {
      const reply = await app.bear(await app.issuer.sign({}, { algorithm }))
      if (algorithm === 'ES256') welcomeOf(reply)
      else expectInvalidToken(reply)
    }
    expect(new Set(app.reasons)).toEqual(new Set(['algorithm']))
    expect(app.reached).toBe(1)
  })

  test('a key that says what it is for is of use for nothing else', async () => {
    // Both algorithms are allowed, the key is published for one of them.
    const app = await jwtApi({ issuer: { algorithms: ['RS256'] }, jwt: { algorithms: ['RS256', 'PS256'] } })
    const { kid } = app.issuer.key()
    const pair = generateKeyPairSync('rsa', { modulusLength: 2_048 })
    app.issuer.publish({ keys: [{ ...pair.publicKey.export({ format: 'jwk' }), kid, alg: 'RS256', use: 'sig' }] })
    const tokenBy = (algorithm: JwtAlgorithm): string => {
      const seconds = Math.floor(Date.now() / 1_000)
      const claims = { iss: app.issuer.url, aud: 'api', sub: 'alice', exp: seconds + 60 }
      const input = `${encode(JSON.stringify({ alg: algorithm, kid }))}.${encode(JSON.stringify(claims))}`
      return `${input}.${encode(signatureOf(algorithm, pair.privateKey, input))}`
    }
    welcomeOf(await app.bear(tokenBy('RS256')))
    expectInvalidToken(await app.bear(tokenBy('PS256')))
    expect(app.reasons).toEqual(['unknown-key'])
  })
})

describe('algorithm confusion', () => {
  // The oldest trick: the public key is known to all, and a verifier that asks the token takes its text for an HMAC secret.
  test('the public key is no secret, in whatever form it is written', async () => {
    const app = await jwtApi()
    const jwk = app.issuer.key().jwk!
    const key: KeyObject = createPublicKey({ key: jwk as never, format: 'jwk' })
    const spki = key.export({ type: 'spki', format: 'pem' }) as string
    const secrets: readonly (string | Buffer)[] = [
      spki,
      spki.trim(),
      spki.replaceAll('\n', '\r\n'),
      key.export({ type: 'pkcs1', format: 'pem' }),
      key.export({ type: 'spki', format: 'der' }),
      JSON.stringify(jwk),
      jwk.n!,
      Buffer.from(jwk.n!, 'base64url'),
      '',
    ]
    const claims = JSON.parse(Buffer.from((await app.issuer.sign()).split('.')[1]!, 'base64url').toString()) as object
    for (const secret of secrets) {
      for (const algorithm of SYMMETRIC) {
        const header = { alg: algorithm, kid: jwk.kid }
        const input = `${encode(JSON.stringify(header))}.${encode(JSON.stringify(claims))}`
        const mac = createHmac(`sha${algorithm.slice(2)}`, secret)
          .update(input)
          .digest()
        expectInvalidToken(await app.bear(`${input}.${encode(mac)}`))
      }
    }
    expect([new Set(app.reasons), app.reached]).toEqual([new Set(['algorithm']), 0])
  })

  test('a key set that offers a symmetric key gives nobody a secret to sign with', async () => {
    const app = await jwtApi()
    const secret = randomBytes(32)
    const oct = { kty: 'oct', k: secret.toString('base64url'), kid: 'oct', alg: 'HS256' }
    app.issuer.publish({ keys: [app.issuer.key().jwk, oct] })
    welcomeOf(await app.bear(await app.issuer.sign()))
    for (const header of [
      { alg: 'HS256', kid: 'oct' },
      { alg: 'RS256', kid: 'oct' },
    ]) {
      const claims = { iss: app.issuer.url, aud: 'api', sub: 'root', exp: Math.floor(Date.now() / 1_000) + 60 }
      const input = `${encode(JSON.stringify(header))}.${encode(JSON.stringify(claims))}`
      expectInvalidToken(await app.bear(`${input}.${encode(createHmac('sha256', secret).update(input).digest())}`))
    }
    expect(app.reached).toBe(1)
  })
})

import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import type { Identity } from '@postern/contracts'
import { ConfigError } from '@postern/contracts'
import { request, serve } from '@postern/test-kit'
import { createRemoteJWKSet, decodeJwt, decodeProtectedHeader, exportJWK, exportPKCS8, jwtVerify } from 'jose'
import { describe, expect, test } from 'vitest'
import { CredentialsOver, type InternalIssuer, internalIssuer } from '../../src/forward/internal-issuer.ts'
import type { SigningAlgorithm, SigningKey } from '../../src/forward/signing-keys.ts'
import { identityOf } from '../../src/scheme.ts'
import { alice, HandClock, using } from './support.ts'

const ISSUER = 'https://gateway.internal'
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
const ec = (namedCurve: string): KeyObject => generateKeyPairSync('ec', { namedCurve }).privateKey
const p256 = ec('prime256v1')
const PRIVATE: Readonly<Record<SigningAlgorithm, KeyObject>> = {
  RS256: rsa,
  RS384: rsa,
  RS512: rsa,
  PS256: rsa,
  PS384: rsa,
  PS512: rsa,
  ES256: p256,
  ES384: ec('secp384r1'),
  ES512: ec('secp521r1'),
  EdDSA: generateKeyPairSync('ed25519').privateKey,
  Ed25519: generateKeyPairSync('ed25519').privateKey,
}
const ALGORITHMS = Object.keys(PRIVATE) as SigningAlgorithm[]

/** As an upstream does it: keys from the published set, over HTTP. */
async function verifierOf(issuer: InternalIssuer) {
  const served = await using(serve(issuer.jwks))
  const keys = createRemoteJWKSet(new URL(served.url), { cooldownDuration: 0 })
  return (token: string, audience = 'orders') => jwtVerify(token, keys, { issuer: ISSUER, audience })
}

function key(
  kid: string,
  algorithm: SigningAlgorithm = 'ES256',
  privateKey: SigningKey['privateKey'] = p256,
): SigningKey {
  return { kid, privateKey, algorithm }
}

function faultsOf(run: () => unknown): ConfigError {
  try {
    run()
  } catch (error) {
    if (error instanceof ConfigError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

describe('minting', () => {
  test.each(ALGORITHMS)('a service verifies %s by the published keys', async (algorithm) => {
    const issuer = internalIssuer({ issuer: ISSUER, keys: [key('k1', algorithm, PRIVATE[algorithm])] })
    const verify = await verifierOf(issuer)
    const { payload, protectedHeader } = await verify(await issuer.mint(alice, 'orders'))
    expect(protectedHeader).toEqual({ alg: algorithm, kid: 'k1', typ: 'JWT' })
    expect(payload).toMatchObject({
      iss: ISSUER,
      aud: 'orders',
      sub: 'alice',
      sub_id: { format: 'iss_sub', iss: 'https://id.test', sub: 'alice' },
      scope: 'orders:read orders:write',
      roles: ['buyer'],
      scheme: 'jwt',
      jti: expect.stringMatching(/^[0-9a-f-]{36}$/),
    })
    expect(payload.exp! - payload.iat!).toBe(60)
    await expect(verify(await issuer.mint(alice, 'orders'), 'billing')).rejects.toThrow(/aud/)
  })

  test('keys may come as PEM and as JWK', async () => {
    const pem = await exportPKCS8(p256 as never)
    const jwk = (await exportJWK(p256)) as Record<string, unknown>
    for (const privateKey of [pem, Buffer.from(pem), jwk]) {
      const issuer = internalIssuer({ issuer: ISSUER, keys: [key('k1', 'ES256', privateKey)] })
      const verify = await verifierOf(issuer)
      expect((await verify(await issuer.mint(alice, 'orders'))).payload.sub).toBe('alice')
    }
  })

  test('without keys one is made, another one for every issuer', async () => {
    const [one, other] = [internalIssuer({ issuer: ISSUER }), internalIssuer({ issuer: ISSUER })]
    expect((await (await verifierOf(one))(await one.mint(alice, 'orders'))).payload.sub).toBe('alice')
    expect(one.jwksDocument().keys).toMatchObject([{ alg: 'ES256', kty: 'EC', crv: 'P-256', use: 'sig' }])
    expect(one.jwksDocument().keys[0]!.kid).not.toBe(other.jwksDocument().keys[0]!.kid)
  })

  test('`typ` is what the options say', async () => {
    const issuer = internalIssuer({ issuer: ISSUER, type: 'at+jwt' })
    expect(decodeProtectedHeader(await issuer.mint(alice, 'orders')).typ).toBe('at+jwt')
  })

  test('claims are chosen by path, or given; none of the issuer’s own is replaced', async () => {
    const issuer = internalIssuer({ issuer: ISSUER })
    const byPath = decodeJwt(await issuer.mint(alice, 'orders', ['tenant', 'address.city', 'missing', '__proto__']))
    expect(byPath).toMatchObject({ tenant: 'acme', 'address.city': 'Zürich', sub: 'alice' })
    expect('missing' in byPath).toBe(false)
    const forged = { sub: 'root', iss: 'x', aud: 'x', exp: 9e9, iat: 1, nbf: 1, jti: 'x', scheme: 'x', tenant: 'own' }
    const given = decodeJwt(await issuer.mint(alice, 'orders', forged))
    expect(given).toMatchObject({ sub: 'alice', iss: ISSUER, aud: 'orders', scheme: 'jwt', tenant: 'own' })
    expect(given.exp! - given.iat!).toBe(60)
    expect(given.nbf).toBe(undefined)
    expect(given.jti).not.toBe('x')
  })

  test('claims that are no JSON reject, and never throw', async () => {
    const issuer = internalIssuer({ issuer: ISSUER })
    const cyclic: Record<string, unknown> = {}
    cyclic.self = cyclic
    await expect(issuer.mint(alice, 'orders', cyclic)).rejects.toThrow(TypeError)
    await expect(issuer.mint(alice, 'orders', { big: 1n })).rejects.toThrow(TypeError)
    await expect(issuer.mint(alice, 'orders', { call: () => 1 })).rejects.toThrow(/call|cloned/)
    expect(decodeJwt(await issuer.mint(alice, 'orders')).sub).toBe('alice')
  })
})

describe('remembering', () => {
  test('a caller who is known costs no signature and no promise', async () => {
    const clock = new HandClock()
    const issuer = internalIssuer({ issuer: ISSUER, clock })
    const first = await issuer.mint(alice, 'orders')
    expect(issuer.mint(alice, 'orders')).toBe(first)
    clock.advance(40_000)
    expect(issuer.mint(alice, 'orders')).toBe(first)
    clock.advance(1)
    const second = await issuer.mint(alice, 'orders')
    expect(second).not.toBe(first)
    expect(decodeJwt(second).exp).toBe(decodeJwt(first).exp! + 40)
  })

  test('requests that come at once share one signature', async () => {
    const issuer = internalIssuer({ issuer: ISSUER })
    const tokens = await Promise.all(Array.from({ length: 50 }, () => issuer.mint(alice, 'orders')))
    expect(new Set(tokens).size).toBe(1)
  })

  test('other audiences, other claims and other callers have tokens of their own', async () => {
    const issuer = internalIssuer({ issuer: ISSUER })
    const twin = identityOf('jwt', 'alice')
    const tokens = await Promise.all([
      issuer.mint(alice, 'orders'),
      issuer.mint(alice, 'billing'),
      issuer.mint(alice, 'orders', ['tenant']),
      issuer.mint(alice, 'orders', { tenant: 'x' }),
      issuer.mint(alice, '["tenant"] orders'),
      issuer.mint(twin, 'orders'),
    ])
    expect(new Set(tokens).size).toBe(tokens.length)
  })

  test('a caller cannot have the memory grow', async () => {
    const issuer = internalIssuer({ issuer: ISSUER })
    const first = await issuer.mint(alice, 'orders', { n: 0 })
    for (let n = 1; n <= 15; n++) await issuer.mint(alice, 'orders', { n })
    expect(issuer.mint(alice, 'orders', { n: 0 })).toBe(first)
    await issuer.mint(alice, 'orders', { n: 16 })
    expect(await issuer.mint(alice, 'orders', { n: 0 })).not.toBe(first)
  })

  test('a token ends with the credentials it stands for, and none is made behind them', async () => {
    const clock = new HandClock()
    const issuer = internalIssuer({ issuer: ISSUER, clock })
    const exp = clock.wallNow() / 1_000 + 10
    const caller: Identity = identityOf('jwt', 'bob', { claims: { exp } })
    const token = await issuer.mint(caller, 'orders')
    expect(decodeJwt(token).exp).toBe(exp)
    clock.advance(9_999)
    // A new one would live no longer.
    expect(issuer.mint(caller, 'orders')).toBe(token)
    clock.advance(1)
    await expect(issuer.mint(caller, 'orders')).rejects.toBeInstanceOf(CredentialsOver)
  })
})

describe('publishing and rotation', () => {
  test('the set holds public members alone, the signing key first', () => {
    const issuer = internalIssuer({ issuer: ISSUER, keys: ALGORITHMS.map((each) => key(each, each, PRIVATE[each])) })
    const { keys } = issuer.jwksDocument()
    expect(keys.map((each) => each.kid)).toEqual(ALGORITHMS)
    for (const each of keys) {
      for (const member of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']) expect(each).not.toHaveProperty(member)
      expect(each).toMatchObject({ use: 'sig', alg: each.kid })
    }
  })

  test('GET and HEAD are answered with a lifetime, other methods are not', async () => {
    const issuer = internalIssuer({ issuer: ISSUER, jwksMaxAgeMs: 120_000 })
    const served = await using(serve(issuer.jwks))
    const reply = await request(served.url)
    expect(reply.status).toBe(200)
    expect(reply.headers).toMatchObject({
      'content-type': 'application/jwk-set+json',
      'cache-control': 'public, max-age=120',
    })
    expect(reply.json()).toEqual(issuer.jwksDocument())
    const head = await request(served.url, { method: 'HEAD' })
    expect([head.status, head.headers['content-length'], head.text]).toEqual([200, String(reply.body.length), ''])
    const post = await request(served.url, { method: 'POST', body: 'x' })
    expect([post.status, post.headers.allow]).toEqual([405, 'GET, HEAD'])
  })

  test('a service that keeps its keys verifies every token of a rotation', async () => {
    const next = ec('prime256v1')
    const issuer = internalIssuer({ issuer: ISSUER, keys: [key('old')] })
    const verify = await verifierOf(issuer)
    const before = await issuer.mint(alice, 'orders')
    await verify(before)
    issuer.replaceKeys([key('old'), key('new', 'ES256', next)])
    const during = await issuer.mint(alice, 'orders')
    issuer.replaceKeys([key('new', 'ES256', next), key('old')])
    const after = await issuer.mint(alice, 'orders')
    expect([before, during, after].map((token) => decodeProtectedHeader(token).kid)).toEqual(['old', 'old', 'new'])
    for (const token of [before, during, after]) expect((await verify(token)).payload.sub).toBe('alice')
  })

  test('keys that cannot be used change nothing', async () => {
    const issuer = internalIssuer({ issuer: ISSUER, keys: [key('old')] })
    for (const keys of [[], [key('new', 'RS256')], 'x', [key('a'), key('a')]]) {
      expect(faultsOf(() => issuer.replaceKeys(keys as never)).message).toMatch(
        /^internalIssuer\(\)\.replaceKeys\(\): keys/,
      )
    }
    expect(issuer.jwksDocument().keys.map((each) => each.kid)).toEqual(['old'])
    expect(decodeProtectedHeader(await issuer.mint(alice, 'orders')).kid).toBe('old')
  })
})

describe('what cannot be an issuer', () => {
  test('all faults are told at once, by path', () => {
    const { faults } = faultsOf(() =>
      internalIssuer({
        issuer: '',
        ttlMs: 1,
        jwksMaxAge: 3,
        keys: [key('a', 'HS256' as never), key('a', 'ES384'), { kid: '', privateKey: 'x', algorithm: 'ES256' }],
      } as never),
    )
    expect(faults.map((fault) => fault.path)).toEqual([
      'issuer',
      'keys[0].algorithm',
      'keys[2].kid',
      'ttlMs',
      'jwksMaxAge',
      'keys[1].privateKey',
    ])
    expect(faults.at(-2)!.cure).toBe('did you mean "jwksMaxAgeMs"?')
  })

  test('a key that is too short, of another kind, public, encrypted or of two halves is refused', async () => {
    const short = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const locked = privateKey.export({ format: 'pem', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase: 'x' })
    const mixed = { ...(await exportJWK(rsa)), n: (await exportJWK(publicKey)).n }
    const cases: [SigningAlgorithm, unknown, RegExp][] = [
      ['RS256', short, /1024 bits/],
      ['RS256', p256, /not an RSA key, which RS256 signs with/],
      ['ES384', p256, /not an EC key on P-384/],
      ['EdDSA', generateKeyPairSync('x25519').privateKey, /not an Ed25519 key/],
      ['RS256', publicKey, /not a private key that can be read/],
      ['RS256', publicKey.export({ format: 'pem', type: 'spki' }), /not a private key that can be read/],
      ['RS256', locked, /not a private key that can be read/],
      ['RS256', await exportJWK(publicKey), /not a private key that can be read/],
      ['RS256', mixed, /cannot|can be read|belong together/],
      ['ES256', 'garbage', /not a private key that can be read/],
      ['ES256', { kty: 'oct', k: 'c2VjcmV0' }, /not a private key that can be read/],
      ['ES256', 7, /not a PEM text/],
    ]
    for (const [algorithm, privateKey, message] of cases) {
      const error = faultsOf(() => internalIssuer({ issuer: ISSUER, keys: [key('a', algorithm, privateKey as never)] }))
      expect(error.faults.map((fault) => fault.path)).toEqual(['keys[0].privateKey'])
      expect(error.message).toMatch(message)
    }
  })

  test('no message holds key material, wherever it was put', () => {
    const secret = 'MIGHAgEAMBMGByqGSM49'
    const pem = `-----BEGIN PRIVATE KEY-----\n${secret}\n-----END PRIVATE KEY-----`
    const wrong: unknown[] = [
      { keys: pem },
      { keys: [pem] },
      { keys: { kid: 'a', privateKey: pem } },
      { keys: [{ kid: 'a', pem, algorithm: 'ES256' }] },
      { keys: [{ kid: 'a', privateKey: pem, algorithm: 'ES256' }] },
      { keys: [{ kid: 'a', privateKey: { d: secret }, algorithm: 'ES256' }] },
      { privateKey: pem },
    ]
    for (const options of wrong) {
      const error = faultsOf(() => internalIssuer({ issuer: ISSUER, ...(options as object) }))
      expect(error.message).not.toContain(secret)
    }
  })
})

import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { serve } from '@postern/test-kit'
import { exportJWK } from 'jose'
import { describe, expect, test } from 'vitest'
import { expectInvalidToken, type JwtApi, jwtApi, using, welcomeOf } from '../support/api.ts'
import { manualClock } from '../support/clock.ts'
import { encode, rsaPair, signatureOf, tokenOf } from './tokens.ts'

const seconds = Math.floor(Date.now() / 1_000)

function claimsFor(app: JwtApi, more: object = {}): object {
  return { iss: app.issuer.url, aud: 'api', sub: 'root', iat: seconds, exp: seconds + 300, ...more }
}

/** Each of the tokens gets the same answer, and none reaches the handler. Then a good one passes: it was not the app that was down. */
async function refusesAll(app: JwtApi, tokens: readonly string[], reasons: readonly string[]): Promise<void> {
  for (const token of tokens) expectInvalidToken(await app.bear(token))
  expect(new Set(app.reasons)).toEqual(new Set(reasons))
  expect([app.reasons.length, app.reached]).toEqual([tokens.length, 0])
  welcomeOf(await app.bear(await app.issuer.sign()))
}

describe('E1: tokens that nobody signed', () => {
  test('whatever the header says in place of an algorithm', async () => {
    const app = await jwtApi()
    const { kid } = app.issuer.key()
    const algs = [
      'none',
      'None',
      'NONE',
      'nOnE',
      '',
      ' none',
      'none\u0000',
      'RS256 ',
      'rs256',
      null,
      0,
      true,
      ['RS256'],
      ['none'],
      {},
      '__proto__',
      'constructor',
      'toString',
    ]
    const tokens = algs.flatMap((alg) => [
      tokenOf({ alg, kid }, claimsFor(app)),
      tokenOf({ alg, kid }, claimsFor(app), ''),
    ])
    tokens.push(
      tokenOf({ kid }, claimsFor(app)),
      tokenOf(`{"__proto__":{"alg":"RS256"},"kid":"${kid}"}`, claimsFor(app)),
    )
    await refusesAll(app, tokens, ['algorithm', 'unsigned', 'not-json'])
    expect(app.issuer.jwks.requests).toBe(1)
  })
})

describe('E3: a kid is compared with loaded keys and with nothing else', () => {
  test.each([
    '../../../../dev/null',
    '/proc/self/environ',
    "' UNION SELECT 'secret' --",
    '__proto__',
    'constructor',
    'http://127.0.0.1:1/jwks',
    'a\u0000b',
    'ключ',
  ])('%j', async (kid) => {
    const app = await jwtApi()
    const input = `${encode(JSON.stringify({ alg: 'RS256', kid }))}.${encode(JSON.stringify(claimsFor(app)))}`
    const token = `${input}.${encode(signatureOf('RS256', rsaPair().privateKey, input))}`
    await refusesAll(app, [token], ['unknown-key'])
  })

  test('one that is too long, empty, or no text', async () => {
    const app = await jwtApi()
    const tokens = ['', 'k'.repeat(257), 5, null, ['a'], {}].map((kid) =>
      tokenOf({ alg: 'RS256', kid }, claimsFor(app)),
    )
    await refusesAll(app, tokens, ['malformed-kid'])
  })
})

describe('E4: a token does not bring its own key', () => {
  test('nothing is taken from jwk and x5c, nothing is fetched from jku and x5u', async () => {
    let visits = 0
    const { publicKey, privateKey } = rsaPair()
    const jwk = { ...(await exportJWK(publicKey)), kid: 'evil', alg: 'RS256', use: 'sig' }
    const evil = await using(
      serve((_req, res) => {
        visits++
        res.end(JSON.stringify({ keys: [jwk] }))
      }),
    )
    const app = await jwtApi()
    const headers = [
      { jwk },
      { jku: `${evil.url}/jwks`, kid: 'evil' },
      { jku: app.issuer.jwksUri, kid: app.issuer.key().kid },
      { x5u: `${evil.url}/chain.pem` },
      { x5c: [publicKey.export({ type: 'spki', format: 'der' }).toString('base64')] },
      { jwk, kid: app.issuer.key().kid },
      { jku: null },
    ]
    const tokens = headers.map((header) => signedBy(privateKey, { alg: 'RS256', ...header }, claimsFor(app)))
    await refusesAll(app, tokens, ['embedded-key'])
    // Also where all else is the issuer's own and the signature holds.
    expectInvalidToken(await app.bear(await app.issuer.sign({}, { header: { jku: app.issuer.jwksUri } })))
    expect([visits, app.issuer.jwks.requests]).toEqual([0, 1])
  })
})

describe('E5: header parameters that change what a token means', () => {
  test('critical extensions, unencoded payloads, compression, tokens within tokens; though signed by the issuer', async () => {
    const app = await jwtApi()
    const refusals = [
      [{ crit: ['exp'], exp: 1 }, 'critical-header'],
      [{ crit: ['urn:example:policy'], 'urn:example:policy': true }, 'critical-header'],
      [{ b64: true }, 'unencoded-payload'],
      [{ zip: 'DEF' }, 'compressed'],
      [{ cty: 'JWT' }, 'nested'],
      [{ cty: 'application/jwt' }, 'nested'],
    ] as const
    for (const [header, reason] of refusals) {
      expectInvalidToken(await app.bear(await app.issuer.sign({}, { header })))
      expect(app.reasons.at(-1)).toBe(reason)
    }
    expect(app.reached).toBe(0)
  })

  test('an identity token is no access token where a type is asked for', async () => {
    const app = await jwtApi({ jwt: { typ: 'at+jwt' } })
    for (const typ of ['JWT', 'id+jwt', 'logout+jwt', 'at+jwtx', 'x/at+jwt', 'application/x/at+jwt', '', undefined]) {
      const token = await app.issuer.sign({}, typ === undefined ? {} : { typ })
      expectInvalidToken(await app.bear(token))
    }
    expect([new Set(app.reasons), app.reached]).toEqual([new Set(['type']), 0])
    for (const typ of ['at+jwt', 'AT+JWT', 'application/at+jwt', 'Application/AT+jwt']) {
      welcomeOf(await app.bear(await app.issuer.sign({}, { typ })))
    }
  })
})

describe('E6: times', () => {
  test('a token without exp, or with one that is no number, though signed by the issuer', async () => {
    const app = await jwtApi()
    const values = [
      undefined,
      null,
      String(seconds + 300),
      [seconds + 300],
      {},
      true,
      1e13,
      -1e13,
      (seconds + 300) * 1_000,
    ]
    const tokens = await Promise.all(values.map((exp) => app.issuer.sign({ exp })))
    tokens.push(await app.issuer.sign(`{"iss":"${app.issuer.url}","aud":"api","sub":"alice","exp":1e999}`))
    await refusesAll(app, tokens, ['no-exp', 'malformed-exp'])
  })

  test('an issuer that writes milliseconds gives no tokens for fifty thousand years', async () => {
    const app = await jwtApi()
    await refusesAll(app, [await app.issuer.sign({ exp: (seconds + 300) * 1_000 })], ['malformed-exp'])
  })

  test('exp, nbf and iat, with the tolerance on either side, to the millisecond', async () => {
    const clock = manualClock(seconds * 1_000)
    const app = await jwtApi({ clock, jwt: { clockToleranceMs: 2_000 } })
    const good: object[] = [{ nbf: seconds + 2 }, { iat: seconds + 2 }, { exp: seconds - 1 }, { exp: seconds - 1.999 }]
    for (const claims of good) welcomeOf(await app.bear(await app.issuer.sign({ ...claims })))
    const bad: [object, string][] = [
      [{ exp: seconds - 2 }, 'expired'],
      [{ nbf: seconds + 3 }, 'not-yet-valid'],
      [{ nbf: seconds + 2.001 }, 'not-yet-valid'],
      [{ iat: seconds + 3 }, 'issued-in-future'],
      [{ nbf: 'now' }, 'malformed-nbf'],
      [{ iat: [] }, 'malformed-iat'],
    ]
    for (const [claims, reason] of bad) {
      expectInvalidToken(await app.bear(await app.issuer.sign({ ...claims })))
      expect(app.reasons.at(-1)).toBe(reason)
    }
    expect(app.reached).toBe(good.length)
  })

  test('the greatest age, also of a token whose exp is far away', async () => {
    const clock = manualClock(seconds * 1_000)
    const app = await jwtApi({ clock, jwt: { maxAgeMs: 60_000, clockToleranceMs: 0 } })
    const token = await app.issuer.sign({ exp: seconds + 86_400 })
    clock.advance(59_999)
    welcomeOf(await app.bear(token))
    // It is remembered by now, and gets too old all the same.
    clock.advance(1)
    expectInvalidToken(await app.bear(token))
    expectInvalidToken(await app.bear(await app.issuer.sign({ iat: undefined })))
    expect(app.reasons).toEqual(['too-old', 'no-iat'])
  })
})

describe('E8: signatures', () => {
  test('empty, cut, longer, of other bytes', async () => {
    const app = await jwtApi({ issuer: { algorithms: ['RS256'] } })
    const [header, payload, signature] = (await app.issuer.sign()).split('.') as [string, string, string]
    const bytes = Buffer.from(signature, 'base64url')
    const others = [
      bytes.subarray(1),
      bytes.subarray(0, -1),
      Buffer.concat([bytes, Buffer.of(0)]),
      Buffer.concat([Buffer.of(0), bytes]),
      Buffer.alloc(256),
      Buffer.alloc(256, 0xff),
      Buffer.of(0),
      Buffer.of(1),
    ]
    const tokens = others.map((each) => `${header}.${payload}.${encode(each)}`)
    await refusesAll(app, [...tokens, `${header}.${payload}.`], ['signature', 'unsigned'])
  })

  test('ECDSA: r = s = 0 (CVE-2022-21449), r = s = n, DER in place of the two numbers', async () => {
    const app = await jwtApi({ issuer: { algorithms: ['ES256'] } })
    const { kid } = app.issuer.key()
    const n = Buffer.from('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551', 'hex')
    const one = Buffer.alloc(32)
    one[31] = 1
    const zero = Buffer.alloc(32)
    const pairs = [
      [zero, zero],
      [n, n],
      [zero, one],
      [one, zero],
      [n, one],
      [one, n],
      [one, one],
    ] as const
    const tokens = pairs.map(([r, s]) => tokenOf({ alg: 'ES256', kid }, claimsFor(app), Buffer.concat([r, s])))
    // The issuer's own signature, in the other way to write it down.
    const [header, payload, signature] = (await app.issuer.sign()).split('.') as [string, string, string]
    const raw = Buffer.from(signature, 'base64url')
    const integer = (part: Buffer): Buffer => {
      const positive = part[0]! >= 0x80 ? Buffer.concat([Buffer.of(0), part]) : part
      return Buffer.concat([Buffer.of(2, positive.length), positive])
    }
    const numbers = Buffer.concat([integer(raw.subarray(0, 32)), integer(raw.subarray(32))])
    tokens.push(`${header}.${payload}.${encode(Buffer.concat([Buffer.of(0x30, numbers.length), numbers]))}`)
    await refusesAll(app, tokens, ['signature'])
  })

  test('the parts of two good tokens do not make a third', async () => {
    const app = await jwtApi()
    const [mine, theirs] = [await app.issuer.sign({ sub: 'mallory' }), await app.issuer.sign({ sub: 'admin' })]
    const [header, , signature] = mine.split('.')
    welcomeOf(await app.bear(mine))
    welcomeOf(await app.bear(theirs))
    expectInvalidToken(await app.bear(`${header}.${theirs.split('.')[1]}.${signature}`))
    expect(app.reasons).toEqual(['signature'])
  })
})

function signedBy(key: KeyObject, header: object, claims: object): string {
  const input = `${encode(JSON.stringify(header))}.${encode(JSON.stringify(claims))}`
  return `${input}.${encode(signatureOf('RS256', key, input))}`
}

test('E2: a key of another kind under the kid of a good one is not used', async () => {
  const app = await jwtApi({ issuer: { algorithms: ['RS256', 'ES256'] } })
  welcomeOf(await app.bear(await app.issuer.sign()))
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 })
  // RS256 under the kid of the ES256 key, and the other way round.
  expectInvalidToken(
    await app.bear(signedBy(privateKey, { alg: 'RS256', kid: app.issuer.key('ES256').kid }, claimsFor(app))),
  )
  const crossed = await app.issuer.sign({}, { algorithm: 'ES256', kid: app.issuer.key('RS256').kid })
  expectInvalidToken(await app.bear(crossed))
  expect(app.reached).toBe(1)
})

import { rawRequest } from '@postern/test-kit'
import { describe, expect, test } from 'vitest'
import { expectInvalidToken, expectRefused, INVALID_REQUEST, jwtApi, welcomeOf } from '../support/api.ts'
import { encode, tokenOf } from './tokens.ts'

describe('E10: huge and absurd tokens', () => {
  test('each is refused before any cryptography, and the issuer is not asked for keys', async () => {
    const app = await jwtApi({ api: { server: { maxHeaderSize: 2 * 1024 * 1024 } } })
    const deep = `{"a":${'['.repeat(2_500)}${']'.repeat(2_500)}}`
    const tokens = [
      'a'.repeat(1_048_576),
      '.'.repeat(8_000),
      `${'a.'.repeat(4_000)}a`,
      tokenOf({ alg: 'RS256' }, deep),
      tokenOf(`{"alg":"RS256","x":${'['.repeat(2_500)}${']'.repeat(2_500)}}`, {}),
      // A JWE whose key would take 2^31 rounds to derive (CVE-2024-28176 and its kin).
      `${encode(JSON.stringify({ alg: 'PBES2-HS256+A128KW', enc: 'A128GCM', p2c: 2 ** 31 - 1, p2s: 'AA' }))}.AA.AA.AA.AA`,
      `${encode(JSON.stringify({ alg: 'dir', enc: 'A128GCM', zip: 'DEF' }))}..AA.AA.AA`,
      tokenOf({ alg: 'RS256' }, 'null'),
      tokenOf({ alg: 'RS256' }, '[]'),
      tokenOf({ alg: 'RS256' }, '"text"'),
      tokenOf('null', {}),
      tokenOf('{"alg":"RS256","alg":"none"}', {}),
      tokenOf({ alg: 'RS256' }, '{"sub":"alice","sub":"root"}'),
      tokenOf({ alg: 'RS256' }, Buffer.of(0xff, 0xfe).toString('latin1')),
    ]
    for (const token of tokens) expectInvalidToken(await app.bear(token))
    expect([app.reached, app.issuer.jwks.requests]).toEqual([0, 0])
    welcomeOf(await app.bear(await app.issuer.sign()))
  })

  test('the longest token is what the option says', async () => {
    const app = await jwtApi({ jwt: { maxTokenBytes: 1_024 } })
    welcomeOf(await app.bear(await app.issuer.sign({ note: 'x'.repeat(200) })))
    expectInvalidToken(await app.bear(await app.issuer.sign({ note: 'x'.repeat(700) })))
    expect(app.reasons).toEqual(['too-long'])
  })

  test('more than Node takes for a head at all is 431, and the next request is answered', async () => {
    const app = await jwtApi()
    const answer = await rawRequest(
      app.served.port,
      `GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${'a'.repeat(70_000)}\r\n\r\n`,
    )
    expect(answer.response.status).toBe(431)
    welcomeOf(await app.bear(await app.issuer.sign()))
  })
})

describe('E13: one well-formed Authorization line', () => {
  test('a good token in any other dress is none, and is never told apart from wrong ones', async () => {
    const app = await jwtApi()
    const token = await app.issuer.sign()
    for (const value of [
      `Bearer ${token} junk`,
      `Bearer  ${token}`,
      `Bearer\t${token}`,
      `Bearer ${token},`,
      `Bearer "${token}"`,
      `Bearer ${token}, Bearer ${token}`,
      `Bearer token=${token}`,
      'Bearer',
      `Bearer ${token};a`,
    ]) {
      expectInvalidToken(await app.ask({ authorization: value }))
    }
    expect([new Set(app.reasons), app.reached]).toEqual([new Set(['malformed']), 0])
    welcomeOf(await app.ask({ authorization: `bEaReR ${token}` }))
  })

  test('two lines are refused, also when they are equal, or one of them is of another scheme', async () => {
    const app = await jwtApi()
    const good = `Bearer ${await app.issuer.sign()}`
    for (const other of [good, 'Bearer x', 'Basic eDp5', '']) {
      for (const pair of [
        [good, other],
        [other, good],
      ]) {
        const reply = await app.ask(['host', 'a', ...pair.flatMap((value) => ['Authorization', value])])
        expectRefused(reply, 'ambiguous_credentials', INVALID_REQUEST)
      }
    }
    expect(app.reached).toBe(0)
  })

  test('a token in the query, a cookie or the body is not looked at unless told to', async () => {
    const app = await jwtApi()
    const token = await app.issuer.sign()
    const replies = [
      await app.ask({}, { path: `/?access_token=${token}` }),
      await app.ask({ cookie: `access_token=${token}; token=${token}` }),
      await app.ask({ 'x-access-token': token, 'proxy-authorization': `Bearer ${token}` }),
      await app.ask(
        { 'content-type': 'application/x-www-form-urlencoded' },
        { method: 'POST', body: `access_token=${token}` },
      ),
      await app.ask({ authorization: token }),
      await app.ask({ authorization: `Token ${token}` }),
    ]
    for (const reply of replies) expectRefused(reply, 'authentication_required', 'Bearer realm="api"')
    expect(app.reached).toBe(0)
  })
})

describe('E14: what a client learns', () => {
  test('HEAD and OPTIONS are refused as GET is', async () => {
    const app = await jwtApi()
    const head = await app.bear('x.y.z', { method: 'HEAD' })
    expect([head.status, head.headers['www-authenticate'], head.text]).toEqual([
      401,
      'Bearer realm="api", error="invalid_token", error_description="The credentials do not hold"',
      '',
    ])
    expectRefused(await app.ask({}, { method: 'OPTIONS' }), 'authentication_required', 'Bearer realm="api"')
  })

  test('a token of the issuer with a payload that is no object is 401, where others answer 500', async () => {
    const app = await jwtApi()
    for (const payload of ['null', '[]', '1', '"a"', '', 'not json', '{"sub":']) {
      expectInvalidToken(await app.bear(await app.issuer.sign(payload)))
    }
    expect(app.reached).toBe(0)
  })

  test('a token that names nobody is of no use', async () => {
    const app = await jwtApi()
    for (const sub of [undefined, '', 5, null, ['alice'], {}])
      expectInvalidToken(await app.bear(await app.issuer.sign({ sub })))
    expect(new Set(app.reasons)).toEqual(new Set(['no-subject']))
  })
})

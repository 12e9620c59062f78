import http from 'node:http'
import { rawRequest, request } from '@postern/test-kit'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { JwtAlgorithm } from '../../src/jwt/key-set.ts'
import { afterwards, expectInvalidToken, jwtApi, welcomeOf } from '../support/api.ts'

function keptAgent(): http.Agent {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 8 })
  afterwards(() => agent.destroy())
  return agent
}

const TOKEN_CHARACTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~+/='

test.each(['RS256', 'ES256', 'EdDSA', 'PS256'] as const)(
  '%s: any change of any one character of a token makes it worthless',
  async (algorithm: JwtAlgorithm) => {
    const app = await jwtApi({ issuer: { algorithms: [algorithm] } })
    const agent = keptAgent()
    const token = await app.issuer.sign()
    // It is remembered: what is like it must not be taken for it.
    welcomeOf(await app.bear(token))
    await fc.assert(
      fc.asyncProperty(fc.nat(token.length - 1), fc.constantFrom(...TOKEN_CHARACTERS), async (at, character) => {
        fc.pre(token[at] !== character)
        const changed = token.slice(0, at) + character + token.slice(at + 1)
        expectInvalidToken(await app.bear(changed, { agent }))
      }),
      { numRuns: 250 },
    )
    expect(app.reached).toBe(1)
    welcomeOf(await app.bear(token))
  },
)

test('what is put in, taken out or changes its place makes a token worthless as well', async () => {
  const app = await jwtApi({ issuer: { algorithms: ['ES256'] } })
  const agent = keptAgent()
  const token = await app.issuer.sign()
  const piece = fc.string({ unit: fc.constantFrom(...TOKEN_CHARACTERS), maxLength: 12 })
  const cut = fc.nat(token.length)
  await fc.assert(
    fc.asyncProperty(cut, cut, piece, async (a, b, put) => {
      const [from, to] = [Math.min(a, b), Math.max(a, b)]
      const changed = token.slice(0, from) + put + token.slice(to)
      fc.pre(changed !== token)
      expectInvalidToken(await app.bear(changed, { agent }))
    }),
    { numRuns: 400 },
  )
  expect(app.reached).toBe(0)
})

test('whatever stands in Authorization, the answer is 400 or 401, and the connection serves the next request', async () => {
  const app = await jwtApi()
  const agent = keptAgent()
  const value = fc.oneof(
    fc.string({ unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)), maxLength: 400 }),
    fc.string({
      unit: fc.constantFrom(' ', '\t', '.', '=', ',', '"', 'Bearer', 'eyJ', 'a', '\u00ff', '\u0080'),
      maxLength: 60,
    }),
    fc.json({ maxDepth: 3 }).map((json) => `Bearer ${Buffer.from(json).toString('base64url')}.e30.AA`),
    fc
      .tuple(fc.json({ maxDepth: 3 }), fc.json({ maxDepth: 3 }), fc.uint8Array({ maxLength: 80 }))
      .map((parts) => `Bearer ${parts.map((part) => Buffer.from(part as string).toString('base64url')).join('.')}`),
  )
  await fc.assert(
    fc.asyncProperty(value, fc.boolean(), async (text, twice) => {
      const line = ['Authorization', Buffer.from(text, 'utf8').toString('latin1')]
      const headers = ['Host', 'api.test', ...line, ...(twice ? line : [])]
      const reply = await request(app.url, { headers, agent }).catch((error: NodeJS.ErrnoException) => {
        // The client's own HTTP does not send it.
        expect(error.code).toBe('ERR_INVALID_CHAR')
      })
      if (reply === undefined) return
      expect([400, 401]).toContain(reply.status)
      expect(reply.headers['www-authenticate']).toMatch(/^Bearer realm="api"/)
      expect(reply.json()).toMatchObject({ status: reply.status })
    }),
    { numRuns: 400 },
  )
  expect(app.reached).toBe(0)
  welcomeOf(await app.bear(await app.issuer.sign(), { agent }))
})

test('claims of any form, signed by the issuer, are let in or refused, never an error', async () => {
  const app = await jwtApi({ issuer: { algorithms: ['ES256'] }, jwt: { roles: 'a.b.c' } })
  const agent = keptAgent()
  const name = fc.constantFrom(
    'iss',
    'sub',
    'aud',
    'exp',
    'nbf',
    'iat',
    'jti',
    'scope',
    'scp',
    'roles',
    'cnf',
    'a',
    'typ',
  )
  await fc.assert(
    fc.asyncProperty(fc.dictionary(name, fc.jsonValue({ maxDepth: 3 }), { maxKeys: 5 }), async (claims) => {
      const reply = await app.bear(await app.issuer.sign(claims), { agent })
      if (reply.status === 200) expect(welcomeOf(reply).subject).toBe(claims.sub ?? 'alice')
      else expectInvalidToken(reply)
    }),
    { numRuns: 300 },
  )
})

test('bytes that are no HTTP at all do not get through to anybody', async () => {
  const app = await jwtApi()
  for (const line of [
    'Authorization: Bearer a\u0000b',
    'Authorization: Bearer \u0001',
    'Authorization : Bearer x',
    'Authorization: Bearer x\r\n folded',
  ]) {
    const answer = await rawRequest(
      app.served.port,
      Buffer.from(`GET / HTTP/1.1\r\nHost: a\r\n${line}\r\nConnection: close\r\n\r\n`, 'latin1'),
    )
    expect([400, 401]).toContain(answer.response.status)
  }
  expect(app.reached).toBe(0)
})

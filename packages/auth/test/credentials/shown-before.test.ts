import { Agent, request } from 'node:http'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { generateApiKey } from '../../src/api-key/generate.ts'
import { isSame, isSameInConstantTime } from '../../src/credentials/shown-before.ts'
import { apiKey } from '../../src/schemes.ts'
import { guarded, jwtApi, using } from '../support/api.ts'
import { manualClock } from '../support/clock.ts'

interface Said {
  readonly status: number
  readonly subject: string | undefined
}

/** A client that keeps one connection for all its requests, as a proxy in front does for all of its clients. */
async function oneConnection(url: string): Promise<(headers: Record<string, string>) => Promise<Said>> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  await using({ close: async () => agent.destroy() })
  let socket: unknown
  return (headers) =>
    new Promise((resolve, reject) => {
      const sent = request(url, { agent, headers }, (res) => {
        socket ??= res.socket
        if (socket !== res.socket) reject(new Error('another connection was used'))
        const chunks: Buffer[] = []
        res.on('data', (chunk: Buffer) => chunks.push(chunk))
        res.on('end', () => {
          const { subject } = JSON.parse(Buffer.concat(chunks).toString()) as { subject?: string }
          resolve({ status: res.statusCode!, subject })
        })
      })
      sent.on('error', reject)
      sent.end()
    })
}

const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` })

describe('clients that share a connection', () => {
  test('are never taken for each other, whatever the order in which they come', async () => {
    const app = await jwtApi()
    const ask = await oneConnection(app.url)
    const names = ['ann', 'bob', 'eve']
    const tokens = await Promise.all(names.map((sub) => app.issuer.sign({ sub })))
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(3), { minLength: 1, maxLength: 12 }), async (order) => {
        for (const who of order) {
          const name = names[who]
          if (name === undefined) expect(await ask({})).toMatchObject({ status: 401, subject: undefined })
          else expect(await ask(bearer(tokens[who]!))).toEqual({ status: 200, subject: name })
        }
      }),
      { numRuns: 30 },
    )
  })

  test('do not lend each other a token that differs in one character', async () => {
    const app = await jwtApi()
    const ask = await oneConnection(app.url)
    const token = await app.issuer.sign()
    for (const at of [0, 40, Math.floor(token.length / 2), token.length - 2]) {
      expect((await ask(bearer(token))).status).toBe(200)
      const other = token.slice(0, at) + (token[at] === 'A' ? 'B' : 'A') + token.slice(at + 1)
      expect((await ask(bearer(other))).status).toBe(401)
      expect((await ask({ authorization: `bearer ${token}` })).status).toBe(200)
    }
  })
})

describe('what ends a token ends it on the connection that showed it last', () => {
  test('its time', async () => {
    const clock = manualClock()
    const app = await jwtApi({ clock, jwt: { clockToleranceMs: 0 } })
    const ask = await oneConnection(app.url)
    const token = await app.issuer.sign({ exp: clock.wallNow() / 1_000 + 60 })
    for (let i = 0; i < 3; i++) expect((await ask(bearer(token))).status).toBe(200)
    clock.advance(59_999)
    expect((await ask(bearer(token))).status).toBe(200)
    clock.advance(1)
    expect((await ask(bearer(token))).status).toBe(401)
  })

  test('that it was revoked; forgetAll() has it asked', async () => {
    const clock = manualClock()
    let revoked = false
    const app = await jwtApi({ clock, jwt: { isRevoked: () => revoked, revocation: { cacheMs: 1_000 } } })
    const ask = await oneConnection(app.url)
    const token = await app.issuer.sign()
    for (let i = 0; i < 3; i++) expect((await ask(bearer(token))).status).toBe(200)
    revoked = true
    expect((await ask(bearer(token))).status).toBe(200)
    app.strategy.forgetAll()
    expect((await ask(bearer(token))).status).toBe(401)
  })

  test('that its key was withdrawn', async () => {
    const clock = manualClock()
    const app = await jwtApi({ clock })
    const ask = await oneConnection(app.url)
    const token = await app.issuer.sign()
    for (let i = 0; i < 3; i++) expect((await ask(bearer(token))).status).toBe(200)
    await app.issuer.rotate({ keep: false })
    const other = await app.issuer.sign({ sub: 'new' })
    // A kid that is not known has the keys fetched anew.
    expect(await ask(bearer(other))).toMatchObject({ status: 200, subject: 'new' })
    expect((await ask(bearer(token))).status).toBe(401)
  })
})

test('a key that is replaced, has another owner, or has run out, is judged anew on a connection that knows it', async () => {
  const clock = manualClock()
  const { key, hash } = generateApiKey({ prefix: 'sk_' })
  const strategy = apiKey({ keys: [{ id: 'a', hash, subject: 'ann' }], clock })
  const app = await guarded(strategy, { clock })
  const ask = await oneConnection(app.url)
  const shown = { 'x-api-key': key }
  for (let i = 0; i < 3; i++) expect(await ask(shown)).toEqual({ status: 200, subject: 'ann' })
  strategy.replaceKeys([{ id: 'b', hash, subject: 'bob', expiresAt: clock.wallNow() + 1_000 }])
  for (let i = 0; i < 3; i++) expect(await ask(shown)).toEqual({ status: 200, subject: 'bob' })
  expect((await ask({ 'x-api-key': `${key.slice(0, -1)}${key.endsWith('A') ? 'B' : 'A'}` })).status).toBe(401)
  expect((await ask(shown)).status).toBe(200)
  clock.advance(1_000)
  expect((await ask(shown)).status).toBe(401)
  strategy.replaceKeys([])
  expect((await ask(shown)).status).toBe(401)
})

test.each([
  ['isSame', isSame],
  ['isSameInConstantTime', isSameInConstantTime],
])('%s: two texts are the same when each character is', (_name, same) => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (a, b) => {
      expect(same(a, b)).toBe(a === b)
      expect(same(a, `${a}`)).toBe(true)
      expect(same(a, `${a} `)).toBe(false)
    }),
  )
})

import { createSecretKey, randomBytes } from 'node:crypto'
import { exchangeOf } from '@postern/contracts'
import { serve } from '@postern/test-kit'
import { describe, expect, test } from 'vitest'
import { identityVerified } from '../../src/channels.ts'
import { jwt } from '../../src/jwt/jwt.ts'
import type { Verdict } from '../../src/scheme.ts'
import { expectInvalidToken, jwtApi, told, using, welcomeOf } from '../support/api.ts'
import { manualClock } from '../support/clock.ts'
import { encode, signatureOf } from './tokens.ts'

const second = Math.floor(Date.now() / 1_000)

describe('tokens that are remembered', () => {
  test('until exp and the tolerance, to the millisecond', async () => {
    const clock = manualClock(second * 1_000)
    const verifications = told(identityVerified)
    const app = await jwtApi({ clock })
    const token = await app.issuer.sign({ exp: second + 60 })
    for (let i = 0; i < 3; i++) welcomeOf(await app.bear(token))
    clock.advance(64_999)
    welcomeOf(await app.bear(token))
    expect(verifications.map(({ remembered }) => remembered)).toEqual([false, true, true, true])
    clock.advance(1)
    expectInvalidToken(await app.bear(token))
    expect([app.reasons, app.strategy.remembered]).toEqual([['expired'], 0])
  })

  test('a clock that is set back does not bring a token to life again', async () => {
    const clock = manualClock(second * 1_000)
    const app = await jwtApi({ clock })
    const token = await app.issuer.sign({ nbf: second })
    welcomeOf(await app.bear(token))
    clock.advance(1_000_000)
    expectInvalidToken(await app.bear(token))
  })

  test('users are not mixed up: each token is its own, however alike they are', async () => {
    const app = await jwtApi({ issuer: { algorithms: ['ES256'] } })
    const tokens = await Promise.all(Array.from({ length: 60 }, (_, i) => app.issuer.sign({ sub: `user-${i}` })))
    for (let round = 0; round < 2; round++) {
      const replies = await Promise.all(tokens.map((token) => app.bear(token)))
      expect(replies.map((reply) => welcomeOf(reply).subject)).toEqual(tokens.map((_, i) => `user-${i}`))
    }
    // The end of a token is as good as its beginning for who is remembered by a part of it.
    for (const token of tokens.slice(0, 5)) {
      expectInvalidToken(await app.bear(`${token.slice(0, -1)}${token.endsWith('A') ? 'Q' : 'A'}`))
      expectInvalidToken(await app.bear(token.slice(0, -1)))
    }
  })

  test('what is refused is not remembered', async () => {
    const app = await jwtApi()
    for (let i = 0; i < 20; i++) expectInvalidToken(await app.bear(await app.issuer.sign({ aud: 'other' })))
    expect(app.strategy.remembered).toBe(0)
  })

  test('nothing is, where the option says so, and after close()', async () => {
    const app = await jwtApi({ jwt: { rememberBytes: 0 } })
    const token = await app.issuer.sign()
    for (let i = 0; i < 3; i++) welcomeOf(await app.bear(token))
    expect(app.strategy.remembered).toBe(0)
    const other = await jwtApi()
    welcomeOf(await other.bear(await other.issuer.sign()))
    expect(other.strategy.remembered).toBe(1)
    other.strategy.close()
    expect(other.strategy.remembered).toBe(0)
  })

  test('a handler cannot change what the next request of a token is told', async () => {
    const app = await jwtApi({
      api: {
        last: (req, res) => {
          const identity = exchangeOf(req, res).identity!
          const attempts = [
            () => Object.assign(identity, { subject: 'root' }),
            () => (identity.scopes as string[]).push('admin'),
            () => Object.assign(identity.claims, { role: 'admin' }),
            () => (identity.claims.tags as string[]).push('admin'),
            () => Object.assign(identity.claims.address as object, { city: 'Rome' }),
          ]
          for (const attempt of attempts) expect(attempt).toThrow(TypeError)
          res.json(identity)
        },
      },
    })
    const token = await app.issuer.sign({ tags: ['a'], address: { city: 'Bern' } })
    const first = (await app.bear(token)).text
    expect((await app.bear(token)).text).toBe(first)
    expect(first).toContain('Bern')
  })
})

describe('100,000 different tokens', () => {
  // Good ones: an issuer that gives everybody a new token each minute does the same without meaning harm.
  test('stay within the bytes that are given to them', { timeout: 120_000 }, async () => {
    const rememberBytes = 16 * 1024 * 1024
    const secret = createSecretKey(randomBytes(32))
    const strategy = await using(
      jwt({
        issuer: 'https://id.test',
        audience: 'api',
        algorithms: ['HS256'],
        secret: secret.export(),
        rememberBytes,
      }),
    )
    const header = encode(JSON.stringify({ alg: 'HS256' }))
    const padding = 'x'.repeat(300)
    const run = async (count: number, from: number, visit: (token: string) => void): Promise<void> => {
      for (let i = 0; i < count; i++) {
        const claims = { iss: 'https://id.test', aud: 'api', sub: `user-${from + i}`, exp: second + 3_600, padding }
        const input = `${header}.${encode(JSON.stringify(claims))}`
        visit(`${input}.${encode(signatureOf('HS256', secret, input))}`)
        if (i % 1_000 === 0) await new Promise((resolve) => setImmediate(resolve))
      }
    }
    // The scheme is asked as authenticate() asks it, within a real request, whose objects all of them share.
    let most = 0
    const outcomes = new Map<string, number>()
    const served = await using(
      serve(async (req, res) => {
        const [from, count] = req.url!.slice(1).split('-').map(Number) as [number, number]
        await run(count, from, (token) => {
          const verdict = (strategy.scheme.recall(token, req) ?? strategy.scheme.verify(token, req)) as Verdict
          outcomes.set(verdict.outcome, (outcomes.get(verdict.outcome) ?? 0) + 1)
          most = Math.max(most, strategy.remembered)
        })
        res.end()
      }),
    )
    await fetch(`${served.url}/0-500`)
    strategy.forgetAll()
    const before = heapBytes()
    await fetch(`${served.url}/500-100000`)
    const grown = heapBytes() - before
    expect(outcomes).toEqual(new Map([['verified', 100_500]]))
    // Each takes about 2.6 KB of the bound: some thousands, and nowhere near all.
    expect(most).toBeGreaterThan(4_000)
    expect(most).toBeLessThan(12_000)
    expect(strategy.remembered).toBeGreaterThan(most * 0.9)
    expect(grown).toBeGreaterThan(rememberBytes / 4)
    expect(grown).toBeLessThan(rememberBytes * 1.5)
  })
})

function heapBytes(): number {
  for (let i = 0; i < 3; i++) (globalThis as { gc?: () => void }).gc!()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

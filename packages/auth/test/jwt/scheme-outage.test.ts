import http from 'node:http'
import { eventually, request } from '@postern/test-kit'
import { describe, expect, test } from 'vitest'
import { providerFailed } from '../../src/channels.ts'
import { expectInvalidToken, expectRefused, type JwtApi, jwtApi, told, welcomeOf } from '../support/api.ts'
import { manualClock } from '../support/clock.ts'
import type { Fault } from '../support/endpoint.ts'

const FAULTS: readonly (Fault | 'lying')[] = [
  'down',
  'silent',
  'dribble',
  'cut',
  'redirect',
  'huge',
  'endless',
  'not-json',
  500,
  404,
  'lying',
]

/** So many requests over a few connections; their statuses. */
async function flood(app: JwtApi, tokens: readonly string[], count: number): Promise<Map<number, number>> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 16 })
  const statuses = new Map<number, number>()
  let sent = 0
  const worker = async (): Promise<void> => {
    while (sent < count) {
      const token = tokens[sent++ % tokens.length]!
      const reply = await request(app.url, { agent, headers: { authorization: `Bearer ${token}` } })
      statuses.set(reply.status, (statuses.get(reply.status) ?? 0) + 1)
    }
  }
  await Promise.all(Array.from({ length: 16 }, worker))
  agent.destroy()
  return statuses
}

describe('the provider of keys is down', () => {
  // Nothing is worse than an identity provider whose bad hour becomes the bad hour of everything behind the gateway.
  test('10,000 requests with tokens that are remembered, and with new ones of the last known keys, all pass', async () => {
    const clock = manualClock()
    const app = await jwtApi({ clock })
    const remembered = await Promise.all(
      Array.from({ length: 20 }, (_, i) => app.issuer.sign({ sub: `known-${i}`, exp: 4e9 })),
    )
    for (const token of remembered) welcomeOf(await app.bear(token))
    const fresh = await Promise.all(
      Array.from({ length: 20 }, (_, i) => app.issuer.sign({ sub: `new-${i}`, exp: 4e9 })),
    )
    app.issuer.jwks.fault = 'down'
    // Long past the freshness of the keys, well within maxStaleMs.
    clock.advance(3_600_000)
    expect(await flood(app, [...remembered, ...fresh], 10_000)).toEqual(new Map([[200, 10_000]]))
    // One try, and a pause behind it.
    expect(app.issuer.jwks.requests).toBe(2)
  })

  test.each(FAULTS)('%s: those who are known pass, and nobody waits for it', async (fault) => {
    const clock = manualClock()
    const app = await jwtApi({ clock })
    const remembered = await app.issuer.sign({ exp: 4e9 })
    welcomeOf(await app.bear(remembered))
    const fresh = await Promise.all(
      Array.from({ length: 30 }, (_, i) => app.issuer.sign({ sub: `new-${i}`, exp: 4e9 })),
    )
    if (fault === 'lying')
      app.issuer.publish({ keys: [{ kty: 'RSA', kid: app.issuer.key().kid, n: 'AQAB', e: 'AQAB' }] })
    else app.issuer.jwks.fault = fault
    clock.advance(3_600_000)
    expect(await flood(app, [remembered, ...fresh], 300)).toEqual(new Map([[200, 300]]))
    expect(app.issuer.jwks.requests).toBe(2)
  })

  test('keys are used for maxStaleMs, and not a day longer', async () => {
    const clock = manualClock()
    const app = await jwtApi({ clock })
    const failures = told(providerFailed)
    const token = await app.issuer.sign({ exp: 4e9 })
    welcomeOf(await app.bear(token))
    app.issuer.jwks.fault = 'down'
    clock.advance(600_000 + 86_400_000 - 1)
    welcomeOf(await app.bear(token))
    await eventually(() => failures.length === 1)
    clock.advance(1)
    // Also a token that is remembered: nobody knows any more whether its key still holds.
    expectRefused(await app.bear(token), 'authentication_unavailable')
    app.issuer.jwks.fault = undefined
    clock.advance(30_000)
    welcomeOf(await app.bear(token))
  })

  test('an unknown kid while the provider is down is 503: it may be the key that nobody could fetch', async () => {
    const clock = manualClock()
    const app = await jwtApi({ clock })
    welcomeOf(await app.bear(await app.issuer.sign()))
    await app.issuer.rotate()
    app.issuer.jwks.fault = 500
    const token = await app.issuer.sign()
    for (let i = 0; i < 5; i++) expectRefused(await app.bear(token), 'authentication_unavailable')
    expect(app.issuer.jwks.requests).toBe(2)
    app.issuer.jwks.fault = undefined
    clock.advance(30_000)
    welcomeOf(await app.bear(token))
  })
})

describe('the first start with the provider down', () => {
  test.each(['down', 'cut', 'redirect', 'huge', 'not-json', 500] as const)(
    '%s: 503, then recovery without a restart',
    async (fault) => {
      const failures = told(providerFailed)
      const clock = manualClock()
      const app = await jwtApi({ clock })
      app.issuer.jwks.fault = fault
      const tokens = await Promise.all(Array.from({ length: 10 }, (_, i) => app.issuer.sign({ sub: `user-${i}` })))
      for (const reply of await Promise.all(tokens.map((token) => app.bear(token)))) {
        expectRefused(reply, 'authentication_unavailable')
      }
      // What is refused without keys is refused without keys.
      expectInvalidToken(await app.bear('x.y.z'))
      expectRefused(await app.ask(), 'authentication_required', 'Bearer realm="api"')
      expect(app.issuer.jwks.requests).toBe(1)
      expect(failures.map(({ provider, url }) => [provider, url])).toEqual([['jwks', app.issuer.jwksUri]])
      app.issuer.jwks.fault = undefined
      clock.advance(1_000)
      for (const token of tokens) welcomeOf(await app.bear(token))
      expect([app.issuer.jwks.requests, app.reached]).toEqual([2, 10])
    },
  )

  test('a provider that nobody can reach is asked ever more rarely, not once for each request', async () => {
    const clock = manualClock()
    const app = await jwtApi({ clock })
    app.issuer.jwks.fault = 'down'
    const token = await app.issuer.sign({ exp: 4e9 })
    for (let second = 0; second < 300; second++) {
      expect((await app.bear(token)).status).toBe(503)
      clock.advance(1_000)
    }
    // 1, 2, 4, 8, 16 and then every 30 seconds, each pause shortened by half of it at the most.
    expect(app.issuer.jwks.requests).toBeGreaterThan(8)
    expect(app.issuer.jwks.requests).toBeLessThan(30)
  })

  test('with the port closed, all answers are 503', async () => {
    const app = await jwtApi()
    await app.issuer.close()
    expectRefused(await app.bear(await app.issuer.sign()), 'authentication_unavailable')
  })
})

test('a slow provider: who needs no new key does not wait for it', async () => {
  const clock = manualClock()
  const app = await jwtApi({ clock })
  const token = await app.issuer.sign({ exp: 4e9 })
  welcomeOf(await app.bear(token))
  const letGo = app.issuer.jwks.hold()
  clock.advance(3_600_000)
  for (let i = 0; i < 20; i++) welcomeOf(await app.bear(token))
  welcomeOf(await app.bear(await app.issuer.sign({ sub: 'bob', exp: 4e9 })))
  expect([app.issuer.jwks.requests, app.issuer.jwks.open]).toEqual([2, 1])
  letGo()
})

import { exchangeOf } from '@postern/contracts'
import { describe, expect, test } from 'vitest'
import { hashApiKey } from '../../src/api-key/generate.ts'
import { authenticate } from '../../src/authenticate/middleware.ts'
import type { AuthenticateOptions } from '../../src/authenticate/options.ts'
import { identityVerified } from '../../src/channels.ts'
import { jwt } from '../../src/jwt/jwt.ts'
import { apiKey, basic } from '../../src/schemes.ts'
import { type Api, api, expectInvalidToken, expectRefused, guarded, told, using, welcomeOf } from '../support/api.ts'
import { type ManualClock, manualClock } from '../support/clock.ts'
import { type Issuer, startIssuer } from '../support/issuer.ts'

const KEY = 'shop_0123456789abcdef'

interface Guarded extends Api {
  readonly clock: ManualClock
  readonly issuer: Issuer
  /** How often a password was looked at. */
  readonly checked: number
  /** From the address of the kit's client, as a proxy that is trusted tells it. */
  from(address: string, headers: Record<string, string>): ReturnType<Api['ask']>
}

async function limited(failureLimit: AuthenticateOptions['failureLimit'] = { afterFailures: 3 }): Promise<Guarded> {
  const clock = manualClock()
  let checked = 0
  const issuer = await using(startIssuer({ now: () => clock.wallNow() }))
  const strategies = [
    jwt({
      issuer: issuer.url,
      audience: 'api',
      algorithms: ['RS256'],
      jwksUri: { uri: issuer.jwksUri, allowHttp: true },
      clock,
    }),
    apiKey({ keys: [{ id: 'k', hash: hashApiKey(KEY), subject: 'partner' }], clock }),
    basic({
      clock,
      verify: async (_name, password) => {
        checked++
        return password === 'open sesame'
      },
    }),
  ]
  const app = await guarded(strategies, {
    ...(failureLimit === undefined ? {} : { failureLimit }),
    clock,
    trust: 'loopback',
  })
  const from: Guarded['from'] = (address, headers) => app.ask({ 'x-forwarded-for': address, ...headers })
  return Object.defineProperties({ clock, issuer, from } as Guarded, {
    ...Object.getOwnPropertyDescriptors(app),
    checked: { get: () => checked },
  })
}

function login(name: string, password: string): { authorization: string } {
  return { authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}` }
}

const BASIC = 'Basic realm="api", charset="UTF-8"'
const WRONG = { 'x-api-key': 'made-up' }

function statuses(replies: readonly { status: number }[]): number[] {
  return replies.map(({ status }) => status)
}

async function times<Value>(count: number, ask: () => Promise<Value>): Promise<Value[]> {
  const values: Value[] = []
  for (let i = 0; i < count; i++) values.push(await ask())
  return values
}

describe('guessing', () => {
  test('is slowed down by ever longer delays; each answer says how long', async () => {
    const app = await limited()
    expect(statuses(await times(3, () => app.from('203.0.113.1', WRONG)))).toEqual([401, 401, 401])
    for (const seconds of [1, 2, 4, 8, 16, 32, 60, 60]) {
      const blocked = await app.from('203.0.113.1', WRONG)
      expectRefused(blocked, 'too_many_failures')
      expect(blocked.headers['retry-after']).toBe(String(seconds))
      // Asking in vain makes it no longer.
      app.clock.advance(seconds * 1_000 - 1)
      expect((await app.from('203.0.113.1', WRONG)).status).toBe(429)
      app.clock.advance(1)
      expect((await app.from('203.0.113.1', WRONG)).status).toBe(401)
    }
    expect(app.reached).toBe(0)
  })

  test('also good credentials have to wait, so that an answer of 429 tells nothing about them', async () => {
    const app = await limited()
    await times(3, () => app.from('203.0.113.1', login('bob', 'guess')))
    const before = app.checked
    expectRefused(await app.from('203.0.113.1', login('bob', 'open sesame')), 'too_many_failures')
    expect(app.checked).toBe(before)
    app.clock.advance(1_000)
    welcomeOf(await app.from('203.0.113.1', login('bob', 'open sesame')))
  })

  test('does not touch those who are known already, behind the same address', async () => {
    const app = await limited()
    const token = { authorization: `Bearer ${await app.issuer.sign()}` }
    welcomeOf(await app.from('203.0.113.1', token))
    welcomeOf(await app.from('203.0.113.7', { 'x-api-key': KEY }))
    await times(5, () => app.from('203.0.113.1', WRONG))
    expect((await app.from('203.0.113.1', WRONG)).status).toBe(429)
    welcomeOf(await app.from('203.0.113.1', token))
    // A key that is in use is known as well.
    expect(welcomeOf(await app.from('203.0.113.1', { 'x-api-key': KEY })).subject).toBe('partner')
    // A token that nobody has seen yet is not.
    const unseen = { authorization: `Bearer ${await app.issuer.sign({ sub: 'bob' })}` }
    expect((await app.from('203.0.113.1', unseen)).status).toBe(429)
  })

  // It was verified anew when the answer had run out, and so held up with the guesses.
  test('a token that is known passes also when it has to be asked again whether it is revoked', async () => {
    const clock = manualClock()
    const issuer = await using(startIssuer({ now: () => clock.wallNow() }))
    let revoked = false
    const strategy = jwt({
      issuer: issuer.url,
      audience: 'api',
      algorithms: ['RS256'],
      jwksUri: { uri: issuer.jwksUri, allowHttp: true },
      isRevoked: async () => revoked,
      revocation: { cacheMs: 0 },
      clock,
    })
    const app = await guarded(strategy, { failureLimit: { afterFailures: 1 }, clock })
    const token = await issuer.sign()
    const ask = () => app.ask({ authorization: `Bearer ${token}` })
    welcomeOf(await ask())
    const forged = `${token.split('.').slice(0, 2).join('.')}.${'A'.repeat(342)}`
    expectInvalidToken(await app.ask({ authorization: `Bearer ${forged}` }))
    expect((await app.ask({ authorization: `Bearer ${forged}` })).status).toBe(429)
    welcomeOf(await ask())
    revoked = true
    expectInvalidToken(await ask())
  })

  // The cache of good passwords was asked before the limit: whoever had to wait got 429 for each wrong guess and 200 for the
  // right one, as often and as fast as he liked, as long as the user himself was at work.
  test('a password that is remembered has to wait like any other one', async () => {
    const clock = manualClock()
    const app = await guarded(
      basic({ clock, verify: (_name, password) => password === 'open sesame', cacheMs: 60_000 }),
      {
        failureLimit: { afterFailures: 3 },
        clock,
        trust: 'loopback',
      },
    )
    const from = (address: string, password: string) =>
      app.ask({ 'x-forwarded-for': address, ...login('bob', password) })
    const verifications = told(identityVerified)
    for (let i = 0; i < 2; i++) welcomeOf(await from('203.0.113.1', 'open sesame'))
    expect(verifications.map(({ remembered }) => remembered)).toEqual([false, true])
    for (let i = 0; i < 3; i++) expect((await from('203.0.113.2', `guess ${i}`)).status).toBe(401)
    for (const address of ['203.0.113.2', '203.0.113.3']) {
      for (const password of ['guess', 'open sesame']) expectRefused(await from(address, password), 'too_many_failures')
    }
    clock.advance(1_000)
    welcomeOf(await from('203.0.113.1', 'open sesame'))
  })

  test('from one address leaves all others alone', async () => {
    const app = await limited()
    await times(4, () => app.from('203.0.113.1', WRONG))
    expect((await app.from('203.0.113.1', WRONG)).status).toBe(429)
    expect((await app.from('203.0.113.2', WRONG)).status).toBe(401)
    expect((await app.ask(WRONG)).status).toBe(401)
  })

  test('a made-up address does not help where no proxy is trusted', async () => {
    const clock = manualClock()
    const app = await guarded(apiKey({ keys: [] }), { failureLimit: { afterFailures: 3 }, clock })
    const statuses: number[] = []
    for (let i = 0; i < 5; i++) statuses.push((await app.ask({ ...WRONG, 'x-forwarded-for': `203.0.113.${i}` })).status)
    expect(statuses).toEqual([401, 401, 401, 429, 429])
  })

  test('IPv6: the whole /64 of a customer counts as one, its neighbour does not', async () => {
    const app = await limited()
    for (let i = 1; i <= 3; i++) expect((await app.from(`2001:db8:1:2::${i}`, WRONG)).status).toBe(401)
    expect((await app.from('2001:db8:1:2:ffff:ffff:ffff:ffff', WRONG)).status).toBe(429)
    expect((await app.from('2001:db8:1:3::1', WRONG)).status).toBe(401)
    // An IPv4 address is the same one in IPv6's clothes.
    await times(3, () => app.from('203.0.113.9', WRONG))
    expect((await app.from('::ffff:203.0.113.9', WRONG)).status).toBe(429)
  })
})

describe('a user whose password is guessed from many addresses', () => {
  test('is guarded by name; other users are not held up', async () => {
    const app = await limited()
    for (let i = 1; i <= 3; i++) expect((await app.from(`203.0.113.${i}`, login('bob', `guess ${i}`))).status).toBe(401)
    expectRefused(await app.from('203.0.113.77', login('bob', 'guess')), 'too_many_failures')
    expect(app.checked).toBe(3)
    expectRefused(await app.from('203.0.113.78', login('eve', 'guess')), 'invalid_credentials', BASIC)
    expect((await app.from('203.0.113.79', { 'x-api-key': 'bob' })).status).toBe(401)
  })

  test('a good login clears the name, and not the address: one good account must not buy more guesses', async () => {
    const app = await limited({ afterFailures: 4 })
    await times(2, () => app.from('203.0.113.1', login('bob', 'guess')))
    welcomeOf(await app.from('203.0.113.1', login('bob', 'open sesame')))
    // For the name the count begins anew, from elsewhere.
    for (let i = 2; i <= 4; i++) expect((await app.from(`203.0.113.${i}`, login('bob', 'guess'))).status).toBe(401)
    welcomeOf(await app.from('203.0.113.5', login('bob', 'open sesame')))
    // For the address it goes on.
    await times(2, () => app.from('203.0.113.1', login('eve', 'guess')))
    expect((await app.from('203.0.113.1', login('ann', 'guess'))).status).toBe(429)
  })
})

test('what is no guess is not counted: nothing shown, run out, for others, out of form', async () => {
  const app = await limited({ afterFailures: 1 })
  const tokens = [
    await app.issuer.sign({ exp: 1 }),
    await app.issuer.sign({ aud: 'other' }),
    await app.issuer.sign({ iss: 'x' }),
  ]
  for (let round = 0; round < 3; round++) {
    expect((await app.ask()).status).toBe(401)
    for (const token of tokens) expectInvalidToken(await app.bear(token))
    expect((await app.ask({ authorization: 'Basic ???' })).status).toBe(401)
  }
  // A forged one is.
  const forged = `${(await app.issuer.sign()).split('.').slice(0, 2).join('.')}.${'A'.repeat(342)}`
  expectInvalidToken(await app.bear(forged))
  expect((await app.bear(forged)).status).toBe(429)
})

test('failures are forgotten with time', async () => {
  const app = await limited({ afterFailures: 3, forgetAfterMs: 30_000 })
  await times(2, () => app.from('203.0.113.1', WRONG))
  app.clock.advance(30_000)
  expect(statuses(await times(3, () => app.from('203.0.113.1', WRONG)))).toEqual([401, 401, 401])
  expect((await app.from('203.0.113.1', WRONG)).status).toBe(429)
})

test('false: nobody is slowed down', async () => {
  const app = await limited(false)
  expect(new Set(statuses(await times(30, () => app.from('203.0.113.1', WRONG))))).toEqual(new Set([401]))
})

test('ten failures by default', async () => {
  const clock = manualClock()
  const app = await guarded(apiKey({ keys: [] }), { clock })
  expect(statuses(await times(11, () => app.ask(WRONG)))).toEqual([...Array<number>(10).fill(401), 429])
})

test('a flood from ever new addresses is remembered within bounds, and does not free who is blocked and asks on', async () => {
  const app = await limited({ afterFailures: 2, maxEntries: 20, delayMs: 60_000 })
  await times(2, () => app.from('203.0.113.1', WRONG))
  for (let i = 0; i < 200; i++) {
    await app.from(`198.51.${i >> 8}.${i & 0xff}`, WRONG)
    if (i % 10 === 0) expect((await app.from('203.0.113.1', WRONG)).status).toBe(429)
  }
})

test('a cache that revalidates in the background is no client, and is not held up', async () => {
  const clock = manualClock()
  const handler = authenticate(apiKey({ keys: [] }), { failureLimit: { afterFailures: 2 }, clock })
  const app = await api([
    (req, res, next) => {
      exchangeOf(req, res).background = req.headers['x-background'] !== undefined
      next()
    },
    handler as never,
  ])
  for (let i = 0; i < 5; i++) expect((await app.ask({ ...WRONG, 'x-background': '1' })).status).toBe(401)
  for (let i = 0; i < 2; i++) expect((await app.ask(WRONG)).status).toBe(401)
  expect((await app.ask(WRONG)).status).toBe(429)
  expect((await app.ask({ ...WRONG, 'x-background': '1' })).status).toBe(401)
})

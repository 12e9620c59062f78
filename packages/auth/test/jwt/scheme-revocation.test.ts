import type { Identity } from '@postern/contracts'
import { eventually } from '@postern/test-kit'
import { describe, expect, test } from 'vitest'
import { providerFailed } from '../../src/channels.ts'
import type { JwtOptions } from '../../src/jwt/options.ts'
import type { RevocationCheck } from '../../src/jwt/revocation.ts'
import { expectInvalidToken, expectRefused, type JwtApi, jwtApi, told, welcomeOf } from '../support/api.ts'
import { type ManualClock, manualClock } from '../support/clock.ts'

interface Revocable extends JwtApi {
  readonly clock: ManualClock
  /** The `jti` of each question, in order. */
  readonly asked: readonly unknown[]
}

async function revocable(isRevoked: RevocationCheck, revocation: JwtOptions['revocation'] = {}): Promise<Revocable> {
  const clock = manualClock()
  const asked: unknown[] = []
  const check: RevocationCheck = (identity, req) => {
    asked.push(identity.claims.jti)
    return isRevoked(identity, req)
  }
  const app = await jwtApi({ clock, jwt: { isRevoked: check, revocation } })
  return Object.defineProperties({ clock, asked } as unknown as Revocable, Object.getOwnPropertyDescriptors(app))
}

describe('an answer is asked for once, and holds for its time', () => {
  test.each([
    ['at once', (revoked: boolean) => revoked],
    ['later', async (revoked: boolean) => revoked],
  ])('%s', async (_name, answer) => {
    const revoked = new Set<unknown>()
    const app = await revocable((identity) => answer(revoked.has(identity.claims.jti)))
    const [one, two] = [await app.issuer.sign({ jti: 1 }), await app.issuer.sign({ jti: 2 })]
    for (let i = 0; i < 3; i++) for (const token of [one, two]) welcomeOf(await app.bear(token))
    expect(app.asked).toEqual([1, 2])
    revoked.add(1)
    app.clock.advance(29_999)
    welcomeOf(await app.bear(one))
    app.clock.advance(1)
    for (let i = 0; i < 3; i++) expectInvalidToken(await app.bear(one))
    welcomeOf(await app.bear(two))
    expect([app.asked, app.reasons]).toEqual([
      [1, 2, 1, 2],
      ['revoked', 'revoked', 'revoked'],
    ])
    // Taken back by mistake: it is good again, once it is asked again.
    revoked.delete(1)
    app.clock.advance(30_000)
    welcomeOf(await app.bear(one))
  })

  test('cacheMs 0: each request asks', async () => {
    let revoked = false
    const app = await revocable(() => revoked, { cacheMs: 0 })
    const token = await app.issuer.sign({ jti: 1 })
    welcomeOf(await app.bear(token))
    welcomeOf(await app.bear(token))
    revoked = true
    expectInvalidToken(await app.bear(token))
    expect(app.asked.length).toBe(3)
  })

  test('forgetAll() has it asked anew', async () => {
    let revoked = false
    const app = await revocable(() => revoked)
    const token = await app.issuer.sign()
    welcomeOf(await app.bear(token))
    revoked = true
    welcomeOf(await app.bear(token))
    app.strategy.forgetAll()
    expectInvalidToken(await app.bear(token))
  })

  test('tokens that do not hold are not asked about', async () => {
    const app = await revocable(() => false)
    expectInvalidToken(await app.bear(await app.issuer.sign({ aud: 'other' })))
    expectInvalidToken(await app.bear('x.y.z'))
    expect(app.asked).toEqual([])
  })
})

describe('many requests at once', () => {
  test('with a known token ask once', async () => {
    let go: (revoked: boolean) => void = () => {}
    const app = await revocable(() => new Promise((resolve) => void (go = resolve)))
    // The keys are there.
    expectInvalidToken(await app.bear(await app.issuer.sign({ aud: 'other' })))
    const token = await app.issuer.sign({ jti: 7 })
    const replies = Array.from({ length: 30 }, () => app.bear(token))
    await eventually(() => app.asked.length > 0)
    await eventually(() => app.served.sockets === 30)
    go(false)
    for (const reply of await Promise.all(replies)) welcomeOf(reply)
    expect(app.asked).toEqual([7])
  })

  // All of them wait for the first keys, and go on in the same turn: none of them finds the token remembered at its start.
  test('with a token that nobody has seen, before there are keys, ask once', async () => {
    const app = await revocable(async () => false)
    const letGo = app.issuer.jwks.hold()
    const token = await app.issuer.sign({ jti: 8 })
    const replies = Array.from({ length: 30 }, () => app.bear(token))
    await eventually(() => app.served.sockets === 30 && app.issuer.jwks.open === 1)
    letGo()
    for (const reply of await Promise.all(replies)) welcomeOf(reply)
    expect(app.asked).toEqual([8])
  })
})

describe('nobody can tell', () => {
  const failures: [string, RevocationCheck][] = [
    [
      'it throws',
      () => {
        throw new Error('secret detail of the store')
      },
    ],
    ['it rejects', () => Promise.reject(new Error('secret detail of the store'))],
    ['it rejects with nothing', () => Promise.reject(undefined)],
    ['it never answers', () => new Promise(() => {})],
    ['it returns nothing', () => undefined as never],
    ['it returns a text', () => 'false' as never],
    ['it returns a promise of a number', async () => 0 as never],
  ]

  test.each(failures)('%s: 503 by default, and nothing of why', async (_name, isRevoked) => {
    const failed = told(providerFailed)
    const app = await revocable(isRevoked, { timeoutMs: 30 })
    const token = await app.issuer.sign()
    for (let i = 0; i < 2; i++) expectRefused(await app.bear(token), 'authentication_unavailable')
    expect([app.reached, failed.map(({ provider }) => provider)]).toEqual([0, ['revocation', 'revocation']])
  })

  test.each(failures)(
    '%s: the token passes where the option says so, and it is asked again soon',
    async (_name, isRevoked) => {
      let mode: RevocationCheck = isRevoked
      const app = await revocable((identity: Identity, req) => mode(identity, req), {
        timeoutMs: 30,
        onFailure: 'allow',
      })
      const token = await app.issuer.sign()
      for (let i = 0; i < 3; i++) welcomeOf(await app.bear(token))
      expect(app.asked.length).toBe(1)
      mode = () => true
      app.clock.advance(1_000)
      expectInvalidToken(await app.bear(token))
    },
  )

  test('a token that is known to be revoked stays so while nobody can tell any more', async () => {
    let mode: RevocationCheck = () => true
    const app = await revocable(() => mode(undefined as never, undefined as never), { onFailure: 'allow' })
    const token = await app.issuer.sign()
    expectInvalidToken(await app.bear(token))
    mode = () => {
      throw new Error('down')
    }
    app.clock.advance(30_000)
    expectInvalidToken(await app.bear(token))
    expect(app.reached).toBe(0)
  })
})

import type { IncomingMessage } from 'node:http'
import type express from 'express'
import passport from 'passport'
import { ExtractJwt, Strategy as PassportJwt } from 'passport-jwt'
import { describe, expect, test } from 'vitest'
import { jwt } from '../../src/jwt/jwt.ts'
import { passportScheme } from '../../src/schemes.ts'
import { challengeOf, testScheme, verdictOn } from '../authenticate/support.ts'
import { expectRefused, guarded, using, welcomeOf } from '../support/api.ts'
import { startIssuer } from '../support/issuer.ts'

/** What passport puts on a strategy for a request. */
interface Actions {
  success(user: unknown, info?: object): void
  fail(challenge?: unknown, status?: number): void
  error(error: unknown): void
  pass(): void
  redirect(url: string, status?: number): void
}

/** A strategy written by hand, as the ecosystem's are. */
class HandWritten extends passport.Strategy {
  override readonly name: string = 'hand'
  readonly decide: (actions: Actions, req: express.Request) => unknown

  constructor(decide: (actions: Actions, req: express.Request) => unknown) {
    super()
    this.decide = decide
  }

  override authenticate(req: express.Request): unknown {
    return this.decide(this as unknown as Actions, req)
  }
}

const CHALLENGE = 'Bearer realm="api"'
const AUTHORIZATION = { authorization: 'Hand abc' }

describe('a strategy written by hand', () => {
  test('success: its user is req.user, as every handler of passport expects', async () => {
    const strategy = new HandWritten((actions) =>
      actions.success({ id: 42, name: 'Ann', roles: ['a'], scope: 'x y' }, { via: 'hand' }),
    )
    const app = await guarded(strategy)
    expect(welcomeOf(await app.ask(AUTHORIZATION))).toEqual({
      subject: '42',
      scheme: 'hand',
      scopes: ['x', 'y'],
      roles: ['a'],
      user: { id: 42, name: 'Ann', roles: ['a'], scope: 'x y' },
      authInfo: { via: 'hand' },
    })
  })

  test.each<[string, (actions: Actions) => void]>([
    ['without a word', (actions) => actions.fail()],
    ['with a status', (actions) => actions.fail(400)],
    [
      'with a challenge that tells too much',
      (actions) => actions.fail('Hand error_description="user ann is locked"', 403),
    ],
    ['with an object', (actions) => actions.fail({ message: 'user ann is locked' } as never)],
    ['with a challenge that breaks the line', (actions) => actions.fail('a\r\nSet-Cookie: x=y')],
  ])('fail %s: 401, and nothing of what it said', async (_name, decide) => {
    const app = await guarded(new HandWritten(decide))
    expectRefused(await app.ask(AUTHORIZATION), 'invalid_credentials', CHALLENGE)
    // Nothing was shown, so nothing was wrong.
    expectRefused(await app.ask(), 'authentication_required', CHALLENGE)
    expect(app.reasons).toEqual(['strategy-failed', 'none'])
  })

  test.each<[string, (actions: Actions) => unknown]>([
    ['error', (actions) => actions.error(new Error('secret detail of the directory'))],
    ['error with a text', (actions) => actions.error('secret detail')],
    [
      'throw',
      () => {
        throw new Error('secret detail')
      },
    ],
    [
      'rejection',
      async () => {
        throw new Error('secret detail')
      },
    ],
    [
      'late rejection',
      async () => {
        await new Promise((resolve) => setImmediate(resolve))
        throw new Error('secret detail')
      },
    ],
    ['late error', (actions) => void setImmediate(() => actions.error(new Error('secret detail')))],
  ])('%s: 503, and the process lives', async (_name, decide) => {
    const app = await guarded(new HandWritten(decide))
    expectRefused(await app.ask(AUTHORIZATION), 'authentication_unavailable')
    expectRefused(await app.ask(AUTHORIZATION), 'authentication_unavailable')
    expect(app.reached).toBe(0)
  })

  test('pass: it has no opinion, and the next scheme is asked', async () => {
    const app = await guarded([new HandWritten((actions) => actions.pass()), testScheme('one')])
    expect(welcomeOf(await app.ask({ ...AUTHORIZATION, one: 'good:a' })).subject).toBe('a')
    expectRefused(await app.ask(AUTHORIZATION), 'authentication_required', `${CHALLENGE}, ${challengeOf('one')}`)
  })

  test('redirect: the client is sent on, and the request ends there', async () => {
    const app = await guarded([
      new HandWritten((actions) => actions.redirect('https://login.test/?a=1')),
      testScheme('one'),
    ])
    const reply = await app.ask({ one: 'good:a' })
    expect([reply.status, reply.headers.location, app.reached]).toEqual([302, 'https://login.test/?a=1', 0])
  })

  test('later, and twice: the first word counts', async () => {
    const app = await guarded(
      new HandWritten(async (actions) => {
        await new Promise((resolve) => setImmediate(resolve))
        actions.success({ id: 'first' })
        actions.success({ id: 'second' })
        actions.fail()
        actions.error(new Error('late'))
      }),
    )
    expect(welcomeOf(await app.ask(AUTHORIZATION)).subject).toBe('first')
  })

  // Passport writes success() and fail() onto the strategy that it is given. With one object for all requests, the answer of the
  // slower one went to the client of the faster one.
  test('200 requests at once through one object never get each other’s user', async () => {
    const app = await guarded(
      new HandWritten(async (actions, req) => {
        const name = req.headers.authorization!.slice(5)
        for (let i = Number(name.slice(-1)) % 7; i >= 0; i--) await new Promise((resolve) => setImmediate(resolve))
        if (Number(name) % 5 === 0) actions.fail()
        else actions.success({ id: name })
      }),
      { failureLimit: false },
    )
    const replies = await Promise.all(Array.from({ length: 200 }, (_, i) => app.ask({ authorization: `Hand ${i}` })))
    const seen = replies.map((reply) => (reply.status === 200 ? welcomeOf(reply).subject : reply.status))
    expect(seen).toEqual(replies.map((_, i) => (i % 5 === 0 ? 401 : String(i))))
  })
})

describe('whose user it is', () => {
  test.each<[string, unknown, string | undefined]>([
    ['a text', 'ann', 'ann'],
    ['an id that is a number', { id: 0 }, '0'],
    ['sub', { sub: 's' }, 's'],
    ['username', { username: 'u' }, 'u'],
    ['email', { email: 'e@x' }, 'e@x'],
    ['nothing of these', { name: 'Ann' }, undefined],
    ['true', true, undefined],
    ['an id that is an object', { id: {} }, undefined],
  ])('%s', async (_name, user, subject) => {
    const app = await guarded(new HandWritten((actions) => actions.success(user as object)))
    const reply = await app.ask(AUTHORIZATION)
    if (subject === undefined) expectRefused(reply, 'invalid_credentials', CHALLENGE)
    else expect(welcomeOf(reply)).toMatchObject({ subject, user })
  })

  test('one that never says anything: 503 after its time, and the next request is served', async () => {
    const silent = new HandWritten((actions, req) => {
      if (req.headers['x-ok'] !== undefined) actions.success({ id: 1 })
    })
    const app = await guarded(passportScheme(silent, { timeoutMs: 50 }))
    expectRefused(await app.ask(AUTHORIZATION), 'authentication_unavailable')
    expectRefused(await app.ask(), 'authentication_unavailable')
    expect(welcomeOf(await app.ask({ ...AUTHORIZATION, 'x-ok': '1' })).subject).toBe('1')
  })

  // Each request was held against the limit before the strategy was asked, also those that showed nothing it reads: one who
  // guessed shut the door for all others behind his address.
  test.each([undefined, (req: IncomingMessage) => req.headers.authorization !== undefined])(
    'failures of it hold nobody up who shows it nothing (finds: %s)',
    async (finds) => {
      const strategy = new HandWritten((actions) => actions.fail())
      const known = testScheme('one', { recall: (credentials) => verdictOn('one', credentials) })
      const app = await guarded([passportScheme(strategy, finds === undefined ? {} : { finds }), known], {
        failureLimit: { afterFailures: 1 },
        optional: true,
      })
      expectRefused(await app.ask(AUTHORIZATION), 'invalid_credentials', CHALLENGE)
      expect((await app.ask(AUTHORIZATION)).status).toBe(429)
      expect(welcomeOf(await app.ask({ one: 'good:a' })).subject).toBe('a')
      expect((await app.ask()).status).toBe(200)
    },
  )

  test('identity says so in its own words; name and challenge as well', async () => {
    const strategy = passportScheme(
      new HandWritten((actions, req) =>
        req.headers['x-ok'] === undefined ? actions.fail() : actions.success({ key: 7 }, { tenant: 'acme' }),
      ),
      {
        name: 'legacy',
        finds: (req) => req.headers['x-hand'] !== undefined,
        identity: (user, info, req) => ({
          subject: `${(info as { tenant: string }).tenant}/${(user as { key: number }).key}`,
          scopes: [String(req.headers['x-hand'])],
          claims: { legacy: true },
        }),
        challenge: 'Hand realm="legacy"',
      },
    )
    const app = await guarded([strategy, testScheme('one')])
    expect(welcomeOf(await app.ask({ 'x-hand': 'h', 'x-ok': '1' }))).toMatchObject({
      subject: 'acme/7',
      scheme: 'legacy',
      scopes: ['h'],
      user: { key: 7 },
    })
    expectRefused(await app.ask({ 'x-hand': 'h', one: 'good:a' }), 'invalid_credentials', 'Hand realm="legacy"')
    // It shows none of this strategy's, though it has an Authorization header: the next one is asked.
    expect(welcomeOf(await app.ask({ ...AUTHORIZATION, one: 'good:a' })).subject).toBe('a')
    expectRefused(await app.ask(), 'authentication_required', `Hand realm="legacy", ${challengeOf('one')}`)
  })

  test.each<[string, () => unknown, string]>([
    [
      'throws',
      () => {
        throw new Error('secret detail')
      },
      'authentication_unavailable',
    ],
    ['returns nothing', () => undefined, 'invalid_credentials'],
    ['returns null', () => null, 'invalid_credentials'],
    ['returns a subject that is no text', () => ({ subject: 5 }), 'invalid_credentials'],
    ['returns scopes that are no list', () => ({ subject: 'a', scopes: 5 }), 'authentication_unavailable'],
  ])('an identity function that %s lets nobody in, also when it is called later', async (_name, identity, code) => {
    const later = new HandWritten((actions) => void setImmediate(() => actions.success({ id: 1 })))
    const app = await guarded(passportScheme(later, { identity: identity as never }))
    expectRefused(await app.ask(AUTHORIZATION), code, code === 'invalid_credentials' ? CHALLENGE : undefined)
    expect(app.reached).toBe(0)
  })
})

describe("passport-jwt's own strategy", () => {
  const secret = 'a secret of thirty-two characters'
  const strategy = (): PassportJwt =>
    new PassportJwt(
      {
        jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(),
        secretOrKey: secret,
        algorithms: ['HS256'],
        audience: 'api',
      },
      (payload: { sub: string }, done: (error: unknown, user?: unknown) => void) =>
        done(null, payload.sub === 'nobody' ? false : { id: payload.sub }),
    )

  test('is taken as it is', async () => {
    const issuer = await using(startIssuer({ algorithms: ['HS256'] }))
    const app = await guarded(strategy())
    const key = Buffer.from(secret)
    expect(welcomeOf(await app.bear(await issuer.sign({}, { key })))).toMatchObject({
      subject: 'alice',
      scheme: 'jwt',
      user: { id: 'alice' },
    })
    expectRefused(await app.bear(await issuer.sign({ sub: 'nobody' }, { key })), 'invalid_credentials', CHALLENGE)
    expectRefused(await app.bear(await issuer.sign({ exp: 1 }, { key })), 'invalid_credentials', CHALLENGE)
    expectRefused(await app.bear('x.y.z'), 'invalid_credentials', CHALLENGE)
    expectRefused(await app.ask(), 'authentication_required', CHALLENGE)
  })

  test('beside ours: each is asked for what it finds', async () => {
    const issuer = await using(startIssuer())
    const old = passportScheme(strategy(), {
      name: 'old',
      finds: (req: IncomingMessage) => req.headers['x-old'] !== undefined,
    })
    const ours = jwt({
      issuer: issuer.url,
      audience: 'api',
      algorithms: ['RS256'],
      jwksUri: { uri: issuer.jwksUri, allowHttp: true },
    })
    const app = await guarded([old, ours])
    expect(welcomeOf(await app.bear(await issuer.sign())).scheme).toBe('jwt')
    const key = Buffer.from(secret)
    const hs = await using(startIssuer({ algorithms: ['HS256'] }))
    const token = await hs.sign({ iss: issuer.url }, { key })
    expect(welcomeOf(await app.ask({ authorization: `Bearer ${token}`, 'x-old': '1' })).scheme).toBe('old')
    // And the other way round nobody takes it.
    const reversed = await guarded([ours, old])
    expect((await reversed.ask({ authorization: `Bearer ${token}`, 'x-old': '1' })).status).toBe(401)
  })

  // The payload `null`, signed: passport-jwt reads a member of it, in a callback, and the process ends.
  test('a payload that it trips over ends the request, and not the process', async () => {
    const issuer = await using(startIssuer({ algorithms: ['HS256'] }))
    const app = await guarded(strategy())
    for (const payload of ['null', '1', '"a"', '[]', 'x']) {
      const reply = await app.bear(await issuer.sign(payload, { key: Buffer.from(secret) }))
      expect([401, 503]).toContain(reply.status)
    }
    expect(app.reached).toBe(0)
  })
})

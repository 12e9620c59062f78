import type { IncomingMessage } from 'node:http'
import { exchangeOf } from '@postern/contracts'
import type { RequestHandler } from 'express'
import passport from 'passport'
import { afterEach, describe, expect, test } from 'vitest'
import { hashApiKey } from '../../src/api-key/generate.ts'
import { authorize } from '../../src/authorize/middleware.ts'
import { jwt } from '../../src/jwt/jwt.ts'
import type { SchemeStrategy } from '../../src/passport/scheme-strategy.ts'
import { apiKey, basic, customScheme } from '../../src/schemes.ts'
import { testScheme } from '../authenticate/support.ts'
import { type Api, api, using, welcomeOf } from '../support/api.ts'
import { type Issuer, startIssuer } from '../support/issuer.ts'

const KEY = 'shop_0123456789abcdef'
const used: string[] = []

afterEach(() => {
  for (const name of used.splice(0)) passport.unuse(name)
})

/** Our strategies in an app that knows passport and nothing of ours. There is no `passport.initialize()`, and no session. */
async function plain(strategies: readonly SchemeStrategy[], options: object = {}): Promise<Api> {
  for (const strategy of strategies) {
    passport.use(strategy as never)
    used.push(strategy.name)
    await using(strategy)
  }
  const names = strategies.map(({ name }) => name)
  return api(passport.authenticate(names, { session: false, ...options }) as RequestHandler)
}

async function tokens(): Promise<{ issuer: Issuer; strategy: SchemeStrategy }> {
  const issuer = await using(startIssuer())
  const jwksUri = { uri: issuer.jwksUri, allowHttp: true }
  return { issuer, strategy: jwt({ issuer: issuer.url, audience: 'api', algorithms: ['RS256'], jwksUri }) }
}

describe('under passport.authenticate()', () => {
  test('jwt(): the identity is req.user and in req.gateway; a wrong token is 401 with our challenge', async () => {
    const { issuer, strategy } = await tokens()
    const app = await plain([strategy])
    const token = await issuer.sign({ scope: 'a' })
    for (let i = 0; i < 2; i++) {
      expect(welcomeOf(await app.bear(token))).toMatchObject({
        subject: 'alice',
        scheme: 'jwt',
        scopes: ['a'],
        user: { subject: 'alice' },
      })
    }
    expect((strategy as unknown as { remembered: number }).remembered).toBe(1)
    const refusals: [Promise<{ status: number; headers: Record<string, unknown>; text: string }>, number, string][] = [
      [app.ask() as never, 401, 'Bearer realm="api"'],
      [
        app.bear(await issuer.sign({ exp: 1 })) as never,
        401,
        'Bearer realm="api", error="invalid_token", error_description="The credentials do not hold"',
      ],
      [
        app.bear(`${token} x`) as never,
        401,
        'Bearer realm="api", error="invalid_token", error_description="The credentials do not hold"',
      ],
    ]
    for (const [asked, status, challenge] of refusals) {
      const reply = await asked
      expect([reply.status, reply.headers['www-authenticate'], reply.text]).toEqual([status, challenge, 'Unauthorized'])
    }
    const twice = await app.ask(['host', 'a', 'authorization', `Bearer ${token}`, 'authorization', `Bearer ${token}`])
    expect(twice.status).toBe(400)
    expect(app.reached).toBe(2)
  })

  test('a provider that is down is 503, not 500, and passport’s error handling gets it', async () => {
    const { issuer, strategy } = await tokens()
    issuer.jwks.fault = 'down'
    const app = await plain([strategy])
    const reply = await app.bear(await issuer.sign())
    expect([reply.status, app.errors.length, app.reached]).toEqual([503, 1, 0])
    expect(reply.text).not.toContain('127.0.0.1')
  })

  test('several of ours: passport asks one after another, and tells all challenges', async () => {
    const { issuer, strategy } = await tokens()
    const app = await plain([
      strategy,
      apiKey({ keys: [{ id: 'k', hash: hashApiKey(KEY), subject: 'partner' }] }),
      basic({ verify: async (name, password) => name === 'bob' && password === 'pw' }),
    ])
    expect(welcomeOf(await app.bear(await issuer.sign())).scheme).toBe('jwt')
    expect(welcomeOf(await app.ask({ 'x-api-key': KEY })).subject).toBe('partner')
    expect(
      welcomeOf(await app.ask({ authorization: `Basic ${Buffer.from('bob:pw').toString('base64')}` })).subject,
    ).toBe('bob')
    const reply = await app.ask()
    const challenges = reply.rawHeaders.filter(
      (_, i) => i % 2 === 1 && reply.rawHeaders[i - 1]!.toLowerCase() === 'www-authenticate',
    )
    expect([reply.status, challenges]).toEqual([
      401,
      ['Bearer realm="api"', 'ApiKey realm="api"', 'Basic realm="api", charset="UTF-8"'],
    ])
  })

  test('a strategy object in place of its name; 200 requests at once never get each other’s user', async () => {
    const { issuer, strategy } = await tokens()
    await using(strategy)
    const app = await api(passport.authenticate(strategy as never, { session: false }) as RequestHandler)
    const all = await Promise.all(Array.from({ length: 200 }, (_, i) => issuer.sign({ sub: `user-${i}` })))
    // The first ones wait for the keys, all together.
    const replies = await Promise.all(all.map((token) => app.bear(token)))
    expect(replies.map((reply) => welcomeOf(reply).subject)).toEqual(all.map((_, i) => `user-${i}`))
  })

  test('assignProperty leaves req.user alone', async () => {
    const strategy = testScheme('one')
    passport.use(strategy as never)
    used.push('one')
    let seen: unknown
    const app = await api([
      passport.authenticate('one', { session: false, assignProperty: 'account' } as never) as RequestHandler,
      (req, res, next) => {
        const { user, account } = req as unknown as { user?: unknown; account?: { subject: string } }
        seen = [user, account?.subject, exchangeOf(req, res).identity?.subject]
        next()
      },
    ])
    await app.ask({ one: 'good:a' })
    expect(seen).toEqual([undefined, 'a', 'a'])
  })

  test('authorize() behind it decides on the identity', async () => {
    const { issuer, strategy } = await tokens()
    passport.use(strategy as never)
    used.push(strategy.name)
    await using(strategy)
    const app = await api([
      passport.authenticate('jwt', { session: false }) as RequestHandler,
      authorize({ scopes: 'write' }) as unknown as RequestHandler,
    ])
    welcomeOf(await app.bear(await issuer.sign({ scope: 'read write' })))
    const reply = await app.bear(await issuer.sign({ scope: 'read' }))
    expect([reply.status, reply.headers['www-authenticate']]).toEqual([
      403,
      expect.stringContaining('error="insufficient_scope"'),
    ])
  })

  test('a scheme that throws or rejects is 503 there as well; its guard is run', async () => {
    const boom = () => {
      throw new Error('secret detail')
    }
    let guarded = 0
    const app = await plain([
      testScheme('one', {
        guard: () => void guarded++,
        verify: (credentials) =>
          credentials === 'reject'
            ? Promise.reject(new Error('secret detail'))
            : credentials === 'null'
              ? (Promise.resolve(null) as never)
              : boom(),
      }),
    ])
    for (const one of ['reject', 'throw', 'null']) expect((await app.ask({ one })).status).toBe(503)
    expect([guarded, app.reached]).toEqual([3, 0])
    const finds = await plain([testScheme('two', { find: boom })])
    expect((await finds.ask()).status).toBe(503)
  })
})

test('no part of this package needs passport.initialize(), a session, or req.login', async () => {
  let seen: object = {}
  const app = await api([
    passport.authenticate(customScheme(testScheme('one').scheme) as never, { session: false }) as RequestHandler,
    (req, _res, next) => {
      const { session, _passport } = req as IncomingMessage & { session?: unknown; _passport?: unknown }
      seen = { session, _passport }
      next()
    },
  ])
  welcomeOf(await app.ask({ one: 'good:a' }))
  expect(seen).toEqual({ session: undefined, _passport: undefined })
})

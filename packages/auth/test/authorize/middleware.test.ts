import http from 'node:http'
import { type Exchange, exchangeOf, GatewayError, type Identity } from '@postern/contracts'
import { eventually, type Reply, request, type Served, serve, unhandled } from '@postern/test-kit'
import express, { type ErrorRequestHandler, type RequestHandler } from 'express'
import { afterEach, describe, expect, it } from 'vitest'
import { type Admission, admit } from '../../src/admission.ts'
import { authorize } from '../../src/authorize/middleware.ts'
import type { AuthorizeOptions } from '../../src/authorize/options.ts'
import type { Rule } from '../../src/authorize/rule.ts'
import { bearerChallenge } from '../../src/challenge.ts'
import { type AccessDecision, accessDecided, type ProviderFailure, providerFailed } from '../../src/channels.ts'
import { type Scheme, verified } from '../../src/scheme.ts'
import { callerOf } from './support.ts'

const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0)) await cleanUp()
})

function schemeNamed(name: string, word: string): Scheme {
  return {
    name,
    find: () => undefined,
    recall: () => undefined,
    verify: () => undefined,
    challenge: (error, scope) => bearerChallenge(word, 'orders', error, scope),
    strip() {},
  }
}

const bearer = schemeNamed('jwt', 'Bearer')
const key = schemeNamed('api-key', 'ApiKey')
const alice = callerOf({ scopes: ['orders:read'], roles: ['reader'] })

/** Stands in for `authenticate()`: the caller, or nobody, of two schemes. */
function authenticated(identity: Identity | undefined, scheme: Scheme | undefined = key): RequestHandler {
  return (req, res, next) => {
    const admission: Admission = { scheme: identity && scheme, schemes: [bearer, key] }
    admit(exchangeOf(req, res), admission, identity && verified(identity))
    next()
  }
}

async function serving(...handlers: (RequestHandler | ErrorRequestHandler)[]): Promise<Served> {
  const app = express()
  for (const handler of handlers) app.use(handler as RequestHandler)
  app.use((_req, res) => void res.send('in'))
  const served = await serve(app)
  cleanUps.push(() => served.close())
  return served
}

async function answerTo(
  identity: Identity | undefined,
  rule: Rule,
  options?: AuthorizeOptions,
  method = 'GET',
): Promise<Reply> {
  const { url } = await serving(authenticated(identity), authorize(rule, options))
  return request(url, { method })
}

function heard<Message>(channel: {
  subscribe(listener: (message: Message) => void): void
  unsubscribe(listener: (message: Message) => void): void
}): Message[] {
  const messages: Message[] = []
  const listener = (message: Message): void => void messages.push(message)
  channel.subscribe(listener)
  cleanUps.push(() => channel.unsubscribe(listener))
  return messages
}

describe('authorize()', () => {
  it('lets pass whom the rule allows', async () => {
    expect(await answerTo(alice, { scopes: 'orders:read' })).toMatchObject({ status: 200, text: 'in' })
    expect(await answerTo(alice, async () => true)).toMatchObject({ status: 200, text: 'in' })
  })

  it('tells anonymous callers how to say who they are, whatever the rule', async () => {
    const rules: Rule[] = [
      'authenticated',
      { not: { roles: 'admin' } },
      () => true,
      { methods: { POST: 'authenticated' } },
    ]
    for (const rule of rules) {
      const reply = await answerTo(undefined, rule)
      expect(reply.status).toBe(401)
      expect(reply.headers['www-authenticate']).toBe('Bearer realm="orders", ApiKey realm="orders"')
      expect(reply.json()).toMatchObject({ code: 'authentication_required', status: 401 })
    }
  })

  it('tells which scopes are needed, in the words of the scheme that was used', async () => {
    const reply = await answerTo(alice, { scopes: ['orders:read', 'orders:write'] })
    expect(reply.status).toBe(403)
    expect(reply.headers['www-authenticate']).toMatch(
      /^ApiKey realm="orders", error="insufficient_scope", .*, scope="orders:read orders:write"$/,
    )
    expect(reply.json()).toMatchObject({ code: 'insufficient_scope' })
  })

  it('tells nothing of what else is missing', async () => {
    const rule: Rule = { claims: { 'secret-plan': 'gold' }, roles: 'top-secret' }
    const reply = await answerTo(alice, rule, { name: 'secret-rule' })
    expect(reply.status).toBe(403)
    expect(reply.headers['www-authenticate']).toBeUndefined()
    expect(reply.json()).toMatchObject({ code: 'access_denied' })
    expect(reply.text).not.toMatch(/secret|gold|claims|roles/)
  })

  it('asks the rule of the method', async () => {
    const rule: Rule = { methods: { GET: 'authenticated' } }
    expect((await answerTo(alice, rule, {}, 'GET')).status).toBe(200)
    expect((await answerTo(alice, rule, {}, 'HEAD')).status).toBe(200)
    expect((await answerTo(alice, rule, {}, 'DELETE')).status).toBe(403)
  })

  it('takes an identity that another stage has found', async () => {
    const own: RequestHandler = (req, res, next) => {
      exchangeOf(req, res).identity = alice
      next()
    }
    const { url } = await serving(own, authorize({ scopes: 'orders:write' }))
    const reply = await request(url)
    expect(reply.status).toBe(403)
    expect(reply.headers['www-authenticate']).toMatch(/^Bearer realm="api", error="insufficient_scope"/)
  })

  it('answers 401 with a challenge, and warns, when no authenticate() stands before it', async () => {
    const warnings: (Error & { code?: string })[] = []
    const listener = (warning: Error): void => void warnings.push(warning)
    process.on('warning', listener)
    cleanUps.push(() => process.off('warning', listener))
    const { url } = await serving(authorize('authenticated'))
    for (let i = 0; i < 2; i++) {
      const reply = await request(url)
      expect(reply.status).toBe(401)
      expect(reply.headers['www-authenticate']).toBe('Bearer realm="api"')
    }
    await eventually(() => expect(warnings).toHaveLength(1))
    expect(warnings[0]).toMatchObject({
      code: 'POSTERN_AUTHORIZE_BEFORE_AUTHENTICATE',
      message: expect.stringContaining('mount authenticate() before it'),
    })
  })

  it('hands errors to the application where it is told to', async () => {
    const caught: unknown[] = []
    const handler: ErrorRequestHandler = (error, _req, res, _next) => {
      caught.push(error)
      res.status(418).end()
    }
    const { url } = await serving(authenticated(alice), authorize({ roles: 'x' }, { errors: 'next' }), handler)
    expect((await request(url)).status).toBe(418)
    expect(caught).toEqual([expect.any(GatewayError)])
    expect(caught[0]).toMatchObject({ code: 'access_denied', message: 'authorize: roles does not hold', expose: false })
  })

  it('is seen by its name in stacks', () => {
    expect(authorize('authenticated').name).toBe('authorizeHandler')
  })
})

describe('a check that does not answer', () => {
  const failing: [string, Rule][] = [
    [
      'throws',
      () => {
        throw new Error('database password is hunter2')
      },
    ],
    ['rejects', () => Promise.reject(new Error('database password is hunter2'))],
    ['hangs', () => new Promise<boolean>(() => {})],
    ['returns nothing', (() => undefined) as never],
  ]
  it.each(failing)('because it %s gets 503, never 500', async (_name, rule) => {
    const failures = heard<ProviderFailure>(providerFailed)
    const faults = unhandled()
    for (const each of [rule, { not: rule }]) {
      const reply = await answerTo(alice, each, { timeoutMs: 20 })
      expect(reply.status).toBe(503)
      expect(reply.headers['retry-after']).toBe('1')
      expect(reply.json()).toMatchObject({ code: 'authentication_unavailable' })
      expect(reply.text).not.toContain('hunter2')
    }
    expect(failures).toMatchObject([{ provider: 'authorize-check' }, { provider: 'authorize-check' }])
    expect(await faults.stop()).toEqual([])
  })

  it('in time is not heard any more when it answers or fails later', async () => {
    const faults = unhandled()
    let settle: { resolve(value: boolean): void; reject(error: Error): void } | undefined
    const check = () => new Promise<boolean>((resolve, reject) => (settle = { resolve, reject }))
    expect((await answerTo(alice, check, { timeoutMs: 10 })).status).toBe(503)
    settle!.resolve(true)
    expect((await answerTo(alice, check, { timeoutMs: 10 })).status).toBe(503)
    settle!.reject(new Error('too late'))
    expect(await faults.stop()).toEqual([])
  })
})

describe('a client that leaves while a check is asked', () => {
  it('has nothing done for it any more', async () => {
    let exchange: Exchange | undefined
    let allow: ((answer: boolean) => void) | undefined
    let reached = false
    const check = (): Promise<boolean> => new Promise((resolve) => (allow = resolve))
    const note: RequestHandler = (req, res, next) => {
      exchange = exchangeOf(req, res)
      next()
    }
    const behind: RequestHandler = (_req, res) => {
      reached = true
      res.end()
    }
    const { url } = await serving(note, authenticated(alice), authorize(check), behind)
    const client = http.get(url).on('error', () => {})
    await eventually(() => allow !== undefined)
    client.destroy()
    await eventually(() => exchange!.closed)
    allow!(true)
    await new Promise((resolve) => setImmediate(resolve))
    expect(reached).toBe(false)
  })
})

describe('the audit', () => {
  it('hears of every decision: who, which rule, and what did not hold', async () => {
    const decisions = heard<AccessDecision>(accessDecided)
    await answerTo(alice, { scopes: 'orders:read' }, { name: 'orders' })
    await answerTo(alice, { any: [{ roles: 'x' }, { scopes: 'y' }] }, { name: 'orders' })
    await answerTo(undefined, 'authenticated')
    await answerTo(alice, { all: ['authenticated', () => Promise.reject(new Error('boom'))] })
    const told = decisions.map(({ exchange: _, identity, ...rest }) => ({ ...rest, subject: identity?.subject }))
    expect(told).toEqual([
      { subject: 'alice', allowed: true, rule: 'orders', failed: undefined },
      { subject: 'alice', allowed: false, rule: 'orders', failed: 'any[1].scopes' },
      { subject: undefined, allowed: false, rule: 'authorize', failed: 'authenticated' },
      { subject: 'alice', allowed: false, rule: 'authorize', failed: 'all[1].check' },
    ])
  })
})

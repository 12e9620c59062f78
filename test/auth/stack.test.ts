import { Writable } from 'node:stream'
import {
  accessDecided,
  authenticate,
  authorize,
  forwardIdentity,
  identityRefused,
  internalIssuer,
  jwt,
} from '@postern/auth'
import { balancer } from '@postern/balancer'
import { circuitBreaker } from '@postern/circuit-breaker'
import { exchangeOf } from '@postern/contracts'
import { logger } from '@postern/logger'
import { proxy } from '@postern/proxy'
import { router } from '@postern/router'
import { eventually, request } from '@postern/test-kit'
import { describe, expect, it } from 'vitest'
import { bearer, listening, partners, provider, seenOf, upstream, using } from './support.ts'

class Sink extends Writable {
  text = ''
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += String(chunk)
    done()
  }
}

describe('auth among all other stages, put together by hand', () => {
  async function stack() {
    const { users, token } = await provider()
    const { scheme, headers } = partners()
    const issuer = internalIssuer({ issuer: 'https://gw.test' })
    let failing = 0
    const orders = await upstream((_req, res) => {
      if (failing-- > 0) res.writeHead(503).end()
      else res.end('orders')
    })
    const sink = new Sink()
    const url = await listening((app) => {
      app.use(using(logger({ stream: sink, flushIntervalMs: 0 })))
      app.use(using(authenticate(users, scheme)))
      app.use(
        router([
          {
            prefix: '/orders',
            before: authorize(
              { methods: { GET: 'authenticated', POST: { scopes: 'orders:write' } } },
              { name: 'orders' },
            ),
            handlers: [
              using(forwardIdentity({ token: { issuer, audience: 'orders' }, headers: { 'x-user': 'subject' } })),
              using(balancer({ targets: [orders.url], outliers: false })),
              using(circuitBreaker({})),
              using(proxy({ retries: { attempts: 3 } })),
            ],
          },
        ]),
      )
    })
    return { url, token, partner: headers, orders, sink, failNext: (times: number) => void (failing = times) }
  }

  it('tells each try who is calling, and no try what the client has forged', async () => {
    const { url, token, orders, failNext } = await stack()
    failNext(2)
    const { headers } = bearer(await token())
    const reply = await request(`${url}/orders`, { headers: { ...headers, 'X-User': 'root', x_user: 'root' } })
    expect([reply.status, reply.text]).toEqual([200, 'orders'])
    expect(seenOf(orders, 'x-user')).toEqual(['alice', 'alice', 'alice'])
    expect(seenOf(orders, 'x_user')).toEqual([])
    const tokens = new Set(seenOf(orders, 'authorization'))
    expect(tokens.size).toBe(1)
    expect(tokens).not.toContain(headers.authorization)
  })

  it('refuses before anything is chosen, dialled or counted', async () => {
    const { url, token, orders, partner } = await stack()
    const tries = [
      await request(`${url}/orders`),
      await request(`${url}/orders`, bearer('a.b.c')),
      await request(`${url}/orders`, { method: 'POST', body: 'x', ...bearer(await token()) }),
      await request(`${url}/orders`, { headers: { ...partner, ...bearer('a.b.c').headers } }),
      await request(`${url}/orders`, { method: 'DELETE', headers: partner }),
    ]
    expect(tries.map(({ status }) => status)).toEqual([401, 401, 403, 401, 403])
    expect(orders.connections).toBe(0)
  })

  it('lets an audit see every decision, with who, what and why', async () => {
    const { url, token } = await stack()
    const seen: unknown[] = []
    const decided = ({
      identity,
      allowed,
      rule,
      failed,
    }: Parameters<Parameters<typeof accessDecided.subscribe>[0]>[0]) =>
      void seen.push([identity?.subject, allowed, rule, failed])
    const refused = ({ scheme, reason, status }: Parameters<Parameters<typeof identityRefused.subscribe>[0]>[0]) =>
      void seen.push([scheme, reason, status])
    accessDecided.subscribe(decided)
    identityRefused.subscribe(refused)
    try {
      await request(`${url}/orders`, bearer(await token()))
      await request(`${url}/orders`, { method: 'POST', ...bearer(await token()) })
      await request(`${url}/orders`)
    } finally {
      accessDecided.unsubscribe(decided)
      identityRefused.unsubscribe(refused)
    }
    expect(seen).toEqual([
      ['alice', true, 'orders', undefined],
      ['alice', false, 'orders', 'methods.POST.scopes'],
      [undefined, 'none', 401],
    ])
  })

  it('logs who has called and why somebody was refused, and no credentials', async () => {
    const { url, token, partner, sink } = await stack()
    const good = await token()
    await request(`${url}/orders?api_key=${partner['x-api-key']}`, bearer(good))
    await request(`${url}/orders?access_token=${good}`, { headers: { ...partner, cookie: `session=${good}` } })
    await request(`${url}/orders`, bearer(`${good}x`))
    await eventually(() => expect(sink.text.split('\n')).toHaveLength(4))
    const lines = sink.text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(lines.map(({ subject, problem }) => subject ?? problem)).toEqual([
      'alice',
      'reseller',
      'invalid_credentials',
    ])
    expect(lines[2]!.problemReason).toMatch(/^jwt refused the credentials: /)
    for (const secret of [good, partner['x-api-key']]) expect(sink.text).not.toContain(secret)
  })
})

describe('a service of its own behind the gateway', () => {
  it('knows the caller by the gateway’s token alone', async () => {
    const { users, token } = await provider()
    const { issuer, users: trusts } = await internal()
    const service = await listening((app) => {
      app.use(using(authenticate(trusts)), authorize('authenticated'))
      app.get('/me', (req, res) => void res.send(exchangeOf(req, res).identity!.subject))
    })
    const url = await listening((app) => {
      app.use(using(authenticate(users, { optional: true })))
      app.use(using(forwardIdentity({ token: { issuer, audience: 'service' } })), using(proxy({ target: service })))
    })
    expect((await request(`${url}/me`, bearer(await token('bob')))).text).toBe('bob')
    expect((await request(`${url}/me`)).status).toBe(401)
    expect((await request(`${service}/me`, bearer(await token('bob')))).status).toBe(401)
    expect((await request(`${url}/me`, bearer('x'))).status).toBe(401)
  })

  async function internal() {
    const issuer = internalIssuer({ issuer: 'https://gw.test' })
    const keys = await listening((app) => app.get('/keys', issuer.jwks))
    const jwksUri = { uri: `${keys}/keys`, allowHttp: true }
    return { issuer, users: jwt({ issuer: 'https://gw.test', audience: 'service', algorithms: ['ES256'], jwksUri }) }
  }
})

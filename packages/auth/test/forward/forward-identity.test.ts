import { exchangeOf, type Identity } from '@postern/contracts'
import {
  connectWebSocket,
  eventually,
  rawRequest,
  request,
  serve,
  startRawUpstream,
  startUpstream,
  startWebSocketUpstream,
  valuesOf,
} from '@postern/test-kit'
import express from 'express'
import fc from 'fast-check'
import { createLocalJWKSet, decodeJwt, jwtVerify } from 'jose'
import { describe, expect, test } from 'vitest'
import { identityRefused } from '../../src/channels.ts'
import { forwardIdentity } from '../../src/forward/forward-identity.ts'
import { type InternalIssuer, internalIssuer } from '../../src/forward/internal-issuer.ts'
import type { ForwardIdentityOptions } from '../../src/forward/options.ts'
import { identityOf } from '../../src/scheme.ts'
import { admission, alice, BEARER, gateway, HandClock, told, using, warnings } from './support.ts'

const HEADERS = {
  'X-User': 'subject',
  'x-scopes': 'scopes',
  'x-roles': 'roles',
  'x-scheme': 'scheme',
  'x-tenant': 'tenant',
  'x-city': 'address.city',
} as const

const FORGED = 'root'

/** The values of every spelling of a name that an upstream may take for it. */
function under(rawHeaders: readonly string[], name: string): string[] {
  return rawHeaders.filter((_, i) => i % 2 === 1 && rawHeaders[i - 1]!.toLowerCase().replaceAll('_', '-') === name)
}

describe('identity in headers', () => {
  test('the upstream reads who is calling', async () => {
    const upstream = await using(startUpstream())
    const app = await gateway({ target: upstream.url, forward: { headers: HEADERS } })
    expect((await request(app.url, { headers: BEARER })).status).toBe(200)
    expect(upstream.last.headers).toMatchObject({
      'x-user': 'alice',
      'x-scopes': 'orders:read,orders:write',
      'x-roles': 'buyer',
      'x-scheme': 'jwt',
      'x-tenant': 'acme',
      'x-city': 'Z%C3%BCrich',
      // Passed on, unless something takes its place.
      authorization: 'Bearer good',
    })
  })

  test('whatever a subject is called, the upstream reads it back', async () => {
    const upstream = await using(startUpstream())
    const anyText = fc.string({ unit: 'binary', minLength: 1, maxLength: 40 })
    let caller = alice
    const app = await gateway({
      target: upstream.url,
      forward: { headers: HEADERS },
      callers: {
        get good() {
          return caller
        },
      },
    })
    await fc.assert(
      fc.asyncProperty(anyText, fc.array(anyText, { minLength: 1, maxLength: 4 }), async (subject, roles) => {
        caller = identityOf('jwt', subject, { roles })
        expect((await request(app.url, { headers: BEARER })).status).toBe(200)
        const [user, list] = [upstream.last.all('x-user'), upstream.last.all('x-roles')]
        expect([user.map(decodeURIComponent), list[0]!.split(',').map(decodeURIComponent)]).toEqual([[subject], roles])
      }),
      { numRuns: 40 },
    )
  })

  test('an own function sees identity and request; what it leaves out is not sent', async () => {
    const upstream = await using(startUpstream())
    const headers: ForwardIdentityOptions['headers'] = {
      'x-user': 'subject',
      'x-path': (identity, req) => `${identity.subject} ${req.url}`,
      'x-none': () => undefined,
    }
    const app = await gateway({ target: upstream.url, forward: { headers } })
    for (const path of ['/a', '/b']) {
      await request(app.url + path, { headers: { ...BEARER, 'x-none': FORGED } })
      expect(upstream.last.headers).toMatchObject({ 'x-user': 'alice', 'x-path': `alice ${path}` })
      expect(upstream.last.headers['x-none']).toBe(undefined)
    }
  })

  test.each([
    ['plain', []],
    ['another case', ['X-USER', FORGED, 'X-Tenant', FORGED]],
    ['underscores', ['x_user', FORGED, 'X_Tenant', FORGED]],
    ['many lines', ['x-user', FORGED, 'x-user', FORGED, 'x-tenant', FORGED]],
    ['listed in Connection', ['x-user', FORGED, 'x-tenant', FORGED, 'connection', 'close, x-user, X-Tenant']],
  ])('what a client sends under these names is gone: %s', async (_name, lines) => {
    const upstream = await using(startUpstream())
    const app = await gateway({ target: upstream.url, forward: { headers: HEADERS } })
    const known = ['host', 'shop.test', 'authorization', 'Bearer good', ...lines]
    expect((await request(app.url, { headers: known })).status).toBe(200)
    expect(under(upstream.last.rawHeaders, 'x-user')).toEqual(['alice'])
    expect(under(upstream.last.rawHeaders, 'x-tenant')).toEqual(['acme'])
    expect((await request(app.url, { headers: ['host', 'shop.test', ...lines] })).status).toBe(200)
    expect(upstream.last.rawHeaders).not.toContain(FORGED)
  })

  test('in any spelling and any order, with and without an identity', async () => {
    const upstream = await using(startUpstream())
    const app = await gateway({ target: upstream.url, forward: { headers: HEADERS } })
    const letter = (each: string) =>
      each === '-' ? fc.constantFrom('-', '_') : fc.constantFrom(each, each.toUpperCase())
    const spelling = fc
      .constantFrom(...Object.keys(HEADERS))
      .chain((name) => fc.tuple(...[...name.toLowerCase()].map(letter)))
      .map((letters) => letters.join(''))
    await fc.assert(
      fc.asyncProperty(fc.array(spelling, { minLength: 1, maxLength: 8 }), fc.boolean(), async (names, isKnown) => {
        const lines = ['host', 'shop.test', ...names.flatMap((name) => [name, FORGED])]
        if (isKnown) lines.push('authorization', 'Bearer good', 'connection', `close, ${names.join(', ')}`)
        expect((await request(app.url, { headers: lines })).status).toBe(200)
        expect(upstream.last.rawHeaders).not.toContain(FORGED)
        expect(under(upstream.last.rawHeaders, 'x-user')).toEqual(isKnown ? ['alice'] : [])
      }),
      { numRuns: 40 },
    )
  })

  test('also with Expect: 100-continue', async () => {
    const upstream = await using(startUpstream())
    const app = await gateway({ target: upstream.url, forward: { headers: HEADERS } })
    const bytes = `POST / HTTP/1.1\r\nhost: shop.test\r\nauthorization: Bearer good\r\nx_user: ${FORGED}\r\nx-user: ${FORGED}\r\nexpect: 100-continue\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok`
    const answer = await rawRequest(app.port, bytes)
    expect(answer.parsed.responses.at(-1)?.status).toBe(200)
    expect(under(upstream.last.rawHeaders, 'x-user')).toEqual(['alice'])
    expect(upstream.last.body.toString()).toBe('ok')
  })

  test('also on WebSocket upgrades', async () => {
    const upstream = await using(startWebSocketUpstream())
    const app = await gateway({ target: upstream.url, forward: { headers: HEADERS } })
    const forged = { 'X-User': FORGED, x_tenant: FORGED }
    const known = await connectWebSocket(app.url.replace('http', 'ws'), [], { headers: { ...BEARER, ...forged } })
    const anonymous = await connectWebSocket(app.url.replace('http', 'ws'), [], { headers: forged })
    const [first, second] = upstream.webSockets
    expect(under(first!.rawHeaders, 'x-user')).toEqual(['alice'])
    expect(under(first!.rawHeaders, 'x-tenant')).toEqual(['acme'])
    expect(second!.rawHeaders).not.toContain(FORGED)
    await Promise.all([known.close(), anonymous.close()])
  })

  test('also on retries and on mirrors', async () => {
    const upstream = await using(startUpstream())
    const mirror = await using(startUpstream())
    let attempts = 0
    const flaky = await using(
      startRawUpstream(async (connection) => {
        const head = await connection.nextRequest()
        if (head === undefined) return
        attempts++
        expect(head.toString()).toContain('x-user: alice')
        expect(head.toString()).not.toContain(FORGED)
        if (attempts === 1) connection.socket.destroy()
        else connection.socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n')
      }),
    )
    const headers = { ...BEARER, 'x-user': FORGED, x_user: FORGED }
    const retrying = await gateway({
      target: flaky.url,
      forward: { headers: HEADERS },
      proxy: { retries: { attempts: 2 } },
    })
    expect((await request(retrying.url, { headers })).status).toBe(200)
    expect(attempts).toBe(2)
    const mirrored = await gateway({
      target: upstream.url,
      forward: { headers: HEADERS },
      proxy: { mirror: { target: mirror.url } },
    })
    expect((await request(mirrored.url, { headers })).status).toBe(200)
    await eventually(() => expect(mirror.requests).toHaveLength(1))
    expect(under(mirror.last.rawHeaders, 'x-user')).toEqual(['alice'])
  })

  test('an identity that does not fit into its headers is refused, not cut', async () => {
    const upstream = await using(startUpstream())
    const many = identityOf('jwt', 'many', { roles: Array.from({ length: 1_000 }, (_, i) => `role-${i}`) })
    const two = identityOf('jwt', 'x'.repeat(2_100), { claims: { tenant: 'y'.repeat(2_100) } })
    const refusals = told(identityRefused)
    const app = await gateway({ target: upstream.url, forward: { headers: HEADERS }, callers: { many, two } })
    for (const token of ['many', 'two', 'many']) {
      const reply = await request(app.url, { headers: { authorization: `Bearer ${token}` } })
      expect([reply.status, (reply.json() as { code: string }).code]).toEqual([403, 'access_denied'])
      expect(reply.text).not.toMatch(/4096|longer/)
    }
    expect(upstream.requests).toHaveLength(0)
    expect(refusals.map(({ status, scheme, reason }) => [status, scheme, reason])).toEqual(
      Array(3).fill([403, 'jwt', 'identity-too-long']),
    )
  })

  test('claims and functions share the bound', async () => {
    const upstream = await using(startUpstream())
    const headers = { 'x-user': 'subject', 'x-note': () => 'y'.repeat(2_100) }
    const callers = { short: identityOf('jwt', 'x'.repeat(1_900)), long: identityOf('jwt', 'x'.repeat(2_100)) }
    const app = await gateway({ target: upstream.url, forward: { headers }, callers })
    const statusOf = async (token: string) =>
      (await request(app.url, { headers: { authorization: `Bearer ${token}` } })).status
    expect([await statusOf('short'), await statusOf('long')]).toEqual([200, 403])
  })

  test.each<[string, () => unknown]>([
    ['throws', () => JSON.parse('{')],
    ['returns a number', () => 7],
    ['rejects', () => Promise.reject(new Error('later'))],
  ])('a function that %s refuses the request for now, and the operator is told', async (name, source) => {
    const warned = warnings('POSTERN_FORWARD_OPTION_FAILED')
    const upstream = await using(startUpstream())
    const app = await gateway({
      target: upstream.url,
      forward: { headers: { 'x-user': source as () => string }, name },
    })
    const reply = await request(app.url, { headers: BEARER })
    expect([reply.status, (reply.json() as { code: string }).code]).toEqual([503, 'identity_unavailable'])
    expect(reply.headers['retry-after']).toBe('1')
    await eventually(() => expect(warned).toHaveLength(1))
    expect(warned[0]!.message).toContain(`${name}: the value of the header x-user cannot be made`)
    expect(upstream.requests).toHaveLength(0)
    expect((await request(app.url)).status).toBe(200)
  })

  test('claims that are no JSON refuse the request, too', async () => {
    const upstream = await using(startUpstream())
    const claims: Record<string, unknown> = {}
    claims.tenant = { claims }
    const app = await gateway({
      target: upstream.url,
      forward: { headers: HEADERS },
      callers: { good: identityOf('jwt', 'a', { claims }) },
    })
    expect((await request(app.url, { headers: BEARER })).status).toBe(503)
  })

  test("`errors: 'next'` hands them to the app", async () => {
    const upstream = await using(startUpstream())
    const app = await gateway({
      target: upstream.url,
      forward: { headers: { 'x-user': () => 7 as never }, errors: 'next', name: 'who' },
      last: (inner) =>
        inner.use(((error: Error & { status: number }, _req: unknown, res: express.Response, _next: unknown) => {
          res.status(error.status).send(error.message)
        }) as express.ErrorRequestHandler),
    })
    const reply = await request(app.url, { headers: BEARER })
    expect([reply.status, reply.text]).toEqual([503, 'who: the value of the header x-user cannot be made'])
  })

  test('mounted before authenticate(), it says so once an identity shows up behind it', async () => {
    const seen = warnings('POSTERN_FORWARD_BEFORE_AUTHENTICATE')
    const app = express()
    app.use(forwardIdentity({ headers: HEADERS }))
    app.get('/open', (_req, res) => void res.end())
    app.use(admission({ good: alice }), (_req, res) => void res.end())
    const served = await using(serve(app))
    expect((await request(`${served.url}/open`)).status).toBe(200)
    expect(seen).toEqual([])
    expect((await request(served.url, { headers: BEARER })).status).toBe(200)
    await eventually(() => expect(seen).toHaveLength(1))
    expect(seen[0]!.message).toMatch(/stands before authenticate/)
  })
})

describe("the client's own credentials", () => {
  const both = { authorization: 'Bearer good', 'x-api-key': 'second' }

  test('those of every scheme are dropped when asked, also of an anonymous caller', async () => {
    const upstream = await using(startUpstream())
    const app = await gateway({ target: upstream.url, forward: { credentials: 'drop' } })
    for (const headers of [both, { authorization: 'Bearer unknown', 'x-api-key': 'unknown' }]) {
      expect((await request(app.url, { headers })).status).toBe(200)
      expect(upstream.last.headers.authorization).toBe(undefined)
      expect(upstream.last.headers['x-api-key']).toBe(undefined)
    }
  })

  test('with an internal token they are dropped unless told otherwise', async () => {
    const upstream = await using(startUpstream())
    const token = { issuer: internalIssuer({ issuer: 'gw' }), audience: 'orders', header: 'X-Internal-Token' }
    const dropping = await gateway({ target: upstream.url, forward: { token } })
    await request(dropping.url, { headers: both })
    expect(upstream.last.headers.authorization).toBe(undefined)
    expect(upstream.last.headers['x-api-key']).toBe(undefined)
    const dropped = upstream.last.headers['x-internal-token'] as string
    expect(decodeJwt(dropped).sub).toBe('alice')
    const passing = await gateway({ target: upstream.url, forward: { token, credentials: 'pass' } })
    await request(passing.url, { headers: both })
    expect(upstream.last.headers).toMatchObject(both)
    expect(upstream.last.headers['x-internal-token']).toBe(dropped)
  })

  test('a handler that drops them leaves the token that another one before has set', async () => {
    const upstream = await using(startUpstream())
    const issuer = internalIssuer({ issuer: 'gw' })
    const app = await gateway({
      target: upstream.url,
      forward: [{ token: { issuer, audience: 'orders' } }, { headers: { 'x-user': 'subject' }, credentials: 'drop' }],
    })
    await request(app.url, { headers: both })
    expect(upstream.last.all('authorization')).toEqual([`Bearer ${await issuer.mint(alice, 'orders')}`])
    expect(upstream.last.headers['x-user']).toBe('alice')
    expect(upstream.last.headers['x-api-key']).toBe(undefined)
  })

  test('of an identity that another stage has found, Authorization is dropped', async () => {
    const upstream = await using(startUpstream())
    const app = await gateway({
      target: upstream.url,
      forward: [],
      configure: (outer) => {
        outer.use((req, res, next) => {
          exchangeOf(req, res).identity = alice
          next()
        })
        outer.use(forwardIdentity({ headers: { 'x-user': 'subject' }, credentials: 'drop' }))
      },
    })
    await request(app.url, { headers: both })
    expect(upstream.last.headers['x-user']).toBe('alice')
    expect(upstream.last.headers.authorization).toBe(undefined)
  })
})

describe('an internal token', () => {
  async function startWith(token: Partial<NonNullable<ForwardIdentityOptions['token']>> = {}, more: object = {}) {
    const upstream = await using(startUpstream())
    const issuer: InternalIssuer = token.issuer ?? internalIssuer({ issuer: 'https://gw.test' })
    const app = await gateway({
      target: upstream.url,
      forward: { token: { issuer, audience: 'orders', ...token } },
      ...more,
    })
    return { upstream, issuer, app }
  }

  test('takes the place of the client’s, and the upstream can verify it', async () => {
    const { upstream, issuer, app } = await startWith({ claims: ['tenant'] })
    for (let i = 0; i < 2; i++) expect((await request(app.url, { headers: BEARER })).status).toBe(200)
    const [first, second] = upstream.requests.map((each) => valuesOf(each.rawHeaders, 'authorization'))
    expect(first).toHaveLength(1)
    expect(second).toEqual(first)
    const token = first![0]!.slice('Bearer '.length)
    const { payload } = await jwtVerify(token, createLocalJWKSet(issuer.jwksDocument() as never), {
      issuer: 'https://gw.test',
      audience: 'orders',
    })
    expect(payload).toMatchObject({ sub: 'alice', tenant: 'acme', scheme: 'jwt' })
  })

  test('is not sent for anonymous callers, nor is what they send in its place', async () => {
    const { upstream, app } = await startWith()
    expect((await request(app.url, { headers: { authorization: 'Bearer forged' } })).status).toBe(200)
    expect(upstream.last.headers.authorization).toBe(undefined)
  })

  test('claims by a function go along; one that throws, or returns nonsense, refuses the request', async () => {
    const { upstream, app } = await startWith({
      claims: (identity: Identity, req) => {
        if (req.url === '/throws') throw new Error('no')
        if (req.url === '/rejects') return Promise.reject(new Error('no')) as never
        if (req.url === '/text') return 'text' as never
        if (req.url === '/function') return { call: () => 1 }
        return { for: `${identity.subject} at ${req.url}` }
      },
    })
    await request(`${app.url}/here`, { headers: BEARER })
    expect(decodeJwt(upstream.last.headers.authorization!.slice(7)).for).toBe('alice at /here')
    for (const path of ['/throws', '/rejects', '/text', '/function']) {
      const reply = await request(app.url + path, { headers: BEARER })
      expect([path, reply.status, (reply.json() as { code: string }).code]).toEqual([path, 503, 'identity_unavailable'])
    }
    expect(upstream.requests).toHaveLength(1)
  })

  test('credentials that have run out meanwhile: 401 with a challenge', async () => {
    const clock = new HandClock()
    const refusals = told(identityRefused)
    const bob = identityOf('jwt', 'bob', { claims: { exp: clock.wallNow() / 1_000 } })
    const issuer = internalIssuer({ issuer: 'https://gw.test', clock })
    const { upstream, app } = await startWith({ issuer }, { callers: { good: bob } })
    const reply = await request(app.url, { headers: BEARER })
    expect([reply.status, (reply.json() as { code: string }).code]).toEqual([401, 'invalid_credentials'])
    expect(reply.headers['www-authenticate']).toMatch(/^Bearer realm="test", error="invalid_token"/)
    expect(refusals).toMatchObject([{ scheme: 'jwt', status: 401, reason: 'expired' }])
    expect(upstream.requests).toHaveLength(0)
  })

  test('that is too long for a header is not sent', async () => {
    const { upstream, app } = await startWith({ claims: () => ({ big: 'x'.repeat(20_000) }) })
    expect((await request(app.url, { headers: BEARER })).status).toBe(403)
    expect(upstream.requests).toHaveLength(0)
  })

  test('a client that leaves while its token is signed costs the upstream nothing', async () => {
    const waiting: ((token: string) => void)[] = []
    const issuer: InternalIssuer = {
      ...internalIssuer({ issuer: 'x' }),
      mint: () => new Promise((resolve) => void waiting.push(resolve)),
    }
    let wentOn = 0
    const app = express()
    app.use(admission({ good: alice }), forwardIdentity({ token: { issuer, audience: 'orders' } }))
    app.use((_req, res) => {
      wentOn++
      res.end()
    })
    let over = 0
    const served = await using(
      serve((req, res) => {
        exchangeOf(req, res).observe({ onExchangeClosed: () => void over++ })
        app(req, res)
      }),
    )
    const aborter = new AbortController()
    const left = request(served.url, { headers: BEARER, signal: aborter.signal }).catch((error) => error as Error)
    await eventually(() => expect(waiting).toHaveLength(1))
    aborter.abort()
    await left
    await eventually(() => expect(over).toBe(1))
    waiting[0]!('token')
    expect((await request(served.url)).status).toBe(200)
    expect(wentOn).toBe(1)
  })

  // An exchange notices that its client has left only when somebody watches it. With a logger or a gateway in front somebody did;
  // without, the request went on to the handlers behind.
  test('also where nobody else watches the exchange', async () => {
    const waiting: ((token: string) => void)[] = []
    const issuer: InternalIssuer = {
      ...internalIssuer({ issuer: 'x' }),
      mint: () => new Promise((resolve) => void waiting.push(resolve)),
    }
    let wentOn = 0
    const app = express()
    app.use(admission({ good: alice }), forwardIdentity({ token: { issuer, audience: 'orders' } }))
    app.use((_req, res) => {
      wentOn++
      res.end()
    })
    let over = 0
    const served = await using(
      serve((req, res) => {
        res.once('close', () => void over++)
        app(req, res)
      }),
    )
    const aborter = new AbortController()
    const left = request(served.url, { headers: BEARER, signal: aborter.signal }).catch((error) => error as Error)
    await eventually(() => expect(waiting).toHaveLength(1))
    aborter.abort()
    await left
    await eventually(() => expect(over).toBe(1))
    waiting[0]!('token')
    expect((await request(served.url)).status).toBe(200)
    expect(wentOn).toBe(1)
  })
})

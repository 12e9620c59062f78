import { createServer } from 'node:http'
import { authenticate, authorize, internalIssuer, jwt } from '@postern/auth'
import { exchangeOf } from '@postern/contracts'
import { eventually, rawRequest, request, serve } from '@postern/test-kit'
import express from 'express'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { UpstreamConfig } from '../src/index.ts'
import { bearer, closers, partners, provider, seenOf, start, upstream } from './auth-support.ts'
import { cacheStatus, counting } from './caching-support.ts'

const IDENTITY: NonNullable<UpstreamConfig['identity']> = { headers: { 'x-user': 'subject', 'x-scopes': 'scopes' } }

/** All the ways to write a header that only the gateway may send. */
const FORGED = ['X-User', 'x-user', 'X-USER', 'x_user', 'X_User', 'X-Scopes', 'x_scopes'].flatMap((name) => [
  name,
  'root',
])

describe('headers that tell who is calling', () => {
  it('say it to the upstream, whatever the client had written there', async () => {
    const { users, token } = await provider()
    const told = await upstream((_req, res) => void res.end())
    const { url } = await start({
      upstreams: { told: { targets: [told.url], identity: IDENTITY } },
      auth: { schemes: users, rule: 'authenticated' },
      routes: [{ prefix: '/', upstream: 'told' }],
    })
    const authorization = `Bearer ${await token('Zoë 100%', 'a b')}`
    const headers = ['host', 'api.test', 'authorization', authorization, ...FORGED]
    expect((await request(url, { headers })).status).toBe(200)
    expect(seenOf(told, 'x-user').map(decodeURIComponent)).toEqual(['Zoë 100%'])
    expect(seenOf(told, 'x-scopes')).toEqual(['a,b'])
  })

  it('never come from a client, however it writes them', async () => {
    const { users, token } = await provider()
    const told = await upstream((_req, res) => void res.end())
    const { url } = await start({
      upstreams: { told: { targets: [told.url], identity: IDENTITY } },
      auth: { schemes: users, rule: 'authenticated' },
      routes: [
        { path: '/public', public: true, upstream: 'told' },
        { prefix: '/', upstream: 'told' },
      ],
    })
    const authorization = `Bearer ${await token()}`
    const spelt = (name: string) =>
      fc.array(fc.nat(3), { minLength: name.length, maxLength: name.length }).map((choices) =>
        [...name]
          .map((c, i) => (choices[i]! > 1 ? c.toUpperCase() : c))
          .map((c, i) => (c === '-' && choices[i]! % 2 === 1 ? '_' : c))
          .join(''),
      )
    const line = fc.tuple(
      fc.constantFrom('x-user', 'x-scopes').chain(spelt),
      fc.constantFrom('root', 'alice', '', 'a, b'),
    )
    const lines = fc.array(line, { minLength: 1, maxLength: 6 })
    await fc.assert(
      fc.asyncProperty(lines, fc.boolean(), fc.boolean(), async (forged, isPublic, isListed) => {
        const before = told.requests.length
        const names = forged.map(([name]) => name).join(', ')
        const headers = ['host', 'api.test', 'authorization', authorization, ...forged.flat()]
        if (isListed) headers.push('connection', `close, ${names}`)
        expect((await request(isPublic ? `${url}/public` : url, { headers })).status).toBe(200)
        const seen = seenOf({ requests: told.requests.slice(before) }, 'x-user')
        expect(seen).toEqual(isPublic ? [] : ['alice'])
        expect(seenOf({ requests: told.requests.slice(before) }, 'x-scopes')).toEqual([])
      }),
      { numRuns: 60 },
    )
  })

  it('never come from a client: to no upstream, on no route, public ones and those of other upstreams among them', async () => {
    const { users, token } = await provider()
    const told = await upstream((_req, res) => void res.end())
    const other = await upstream((_req, res) => void res.end())
    const { url } = await start({
      upstreams: {
        told: { targets: [told.url], identity: IDENTITY },
        other: { targets: [other.url] },
        third: { targets: [other.url], identity: { headers: { 'x-tenant': 'tenant' } } },
      },
      auth: { schemes: users, rule: 'authenticated' },
      routes: [
        { path: '/public', public: true, upstream: 'told' },
        { path: '/public-other', public: true, upstream: 'other' },
        { path: '/optional', auth: { optional: true }, upstream: 'told' },
        { path: '/other', upstream: 'other' },
        { path: '/third', upstream: 'third' },
        { path: '/split', split: [{ id: 'a', weight: 1, upstream: 'third' }] },
      ],
    })
    const authorization = `Bearer ${await token()}`
    const forged = ['host', 'api.test', ...FORGED, 'X-Tenant', 'root', 'x_tenant', 'root']
    const open = ['/public', '/public-other', '/optional']
    const guarded = ['/other', '/third', '/split']
    for (const path of [...open, ...guarded]) {
      const headers = open.includes(path) ? forged : [...forged, 'authorization', authorization]
      expect([path, (await request(`${url}${path}`, { headers })).status]).toEqual([path, 200])
    }
    const seen = [told, other].flatMap((each) => ['x-user', 'x-scopes', 'x-tenant'].map((name) => seenOf(each, name)))
    expect(seen.flat()).toEqual([])
    expect(told.requests.length + other.requests.length).toBe(open.length + guarded.length)
  })

  it('are set also where a client lists their names in Connection, and expects 100 Continue', async () => {
    const { users, token } = await provider()
    const told = await upstream((_req, res) => void res.end('done'))
    const { url } = await start({
      upstreams: { told: { targets: [told.url], identity: IDENTITY } },
      auth: { schemes: users, rule: 'authenticated' },
      routes: [{ prefix: '/', upstream: 'told' }],
    })
    const port = Number(new URL(url).port)
    const head = (more: string) =>
      `POST / HTTP/1.1\r\nhost: api.test\r\nconnection: x-user, x_user, authorization, x-scopes, close\r\nx-user: root\r\nX_USER: root\r\nauthorization: Bearer ${more}\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n`
    const answer = await rawRequest(port, [head(await token('alice', 'read')), 'hi'])
    expect(answer.response.status).toBe(200)
    expect(seenOf(told, 'x-user')).toEqual(['alice'])
    expect(seenOf(told, 'x-scopes')).toEqual(['read'])
    const refused = await rawRequest(port, [head('a.b.c'), 'hi'])
    expect(refused.response.status).toBe(401)
    expect(told.requests).toHaveLength(1)
  })

  it('are the same on every try and on the mirror’s copy', async () => {
    const { users, token } = await provider()
    const copy = await upstream((_req, res) => void res.end())
    const told = await upstream((_req, res) => void res.writeHead(told.requests.length < 3 ? 503 : 200).end())
    const { url } = await start({
      upstreams: {
        told: {
          targets: [told.url],
          identity: IDENTITY,
          retries: { attempts: 3 },
          outliers: false,
          mirror: { target: copy.url },
        },
      },
      auth: { schemes: users, rule: 'authenticated' },
      routes: [
        { prefix: '/public', public: true, upstream: 'told' },
        { prefix: '/', upstream: 'told' },
      ],
    })
    const headers = ['host', 'api.test', 'authorization', `Bearer ${await token()}`, ...FORGED]
    expect((await request(url, { headers })).status).toBe(200)
    expect(seenOf(told, 'x-user')).toEqual(['alice', 'alice', 'alice'])
    expect((await request(`${url}/public`, { headers })).status).toBe(200)
    await eventually(() => expect(copy.requests).toHaveLength(2))
    expect(seenOf(copy, 'x-user').filter((value) => value !== 'alice')).toEqual([])
    expect(seenOf(told, 'x-user')).toHaveLength(3)
  })

  it('do not touch the Authorization of clients that other upstreams are meant to see', async () => {
    const { users } = await provider()
    const issuer = internalIssuer({ issuer: 'https://gw.test' })
    const told = await upstream((_req, res) => void res.end())
    const legacy = await upstream((_req, res) => void res.end())
    const { url } = await start({
      upstreams: {
        told: { targets: [told.url], identity: { token: { issuer, audience: 'told' } } },
        legacy: { targets: [legacy.url] },
      },
      auth: { schemes: users, rule: 'authenticated' },
      routes: [
        { path: '/legacy', public: true, upstream: 'legacy' },
        { path: '/told', public: true, upstream: 'told' },
      ],
    })
    const own = { headers: { authorization: 'Basic b3duOmFjY291bnQ=' } }
    await request(`${url}/legacy`, own)
    await request(`${url}/told`, own)
    expect(seenOf(legacy, 'authorization')).toEqual(['Basic b3duOmFjY291bnQ='])
    // There, whatever comes as Authorization is taken for the gateway's word.
    expect(seenOf(told, 'authorization')).toEqual([])
  })
})

describe('the gateway’s own token', () => {
  it('is what a service verifies by the gateway’s key set, and the client’s token is not', async () => {
    const { users, token } = await provider()
    const issuer = internalIssuer({ issuer: 'https://gw.test' })
    const keys = await serve(express().get('/.well-known/jwks.json', issuer.jwks))
    closers.push(() => keys.close())
    // A service as anybody may write it with the same package.
    const jwksUri = { uri: `${keys.url}/.well-known/jwks.json`, allowHttp: true }
    const trusts = jwt({ issuer: 'https://gw.test', audience: 'orders', algorithms: ['ES256'], jwksUri })
    const guard = authenticate(trusts)
    closers.push(() => guard.close())
    const app = express()
    app.use(guard, authorize({ scopes: 'orders:read' }))
    app.get('/orders', (req, res) => {
      const { subject, claims } = exchangeOf(req, res).identity!
      res.json({ subject, tenant: claims.tenant, scheme: claims.scheme })
    })
    const orders = createServer(app)
    await new Promise<void>((resolve) => orders.listen(0, '127.0.0.1', resolve))
    closers.push(() => {
      orders.closeAllConnections()
      return new Promise((resolve) => orders.close(resolve))
    })
    const { port } = orders.address() as { port: number }
    const target = `http://127.0.0.1:${port}`
    const claims = () => ({ tenant: 'acme' })
    const { url } = await start({
      upstreams: {
        orders: { targets: [target], identity: { token: { issuer, audience: 'orders', claims } } },
        wrong: { targets: [target], identity: { token: { issuer, audience: 'payments' } } },
        passing: { targets: [target] },
      },
      auth: { schemes: users, rule: 'authenticated' },
      routes: [
        { path: '/orders', upstream: 'orders' },
        { path: '/wrong', upstream: 'wrong', rewrite: { path: '/orders' } },
        { path: '/passing', upstream: 'passing', rewrite: { path: '/orders' } },
        { path: '/anonymous', public: true, upstream: 'orders', rewrite: { path: '/orders' } },
      ],
    })
    const reader = bearer(await token('alice', 'orders:read'))
    const good = await request(`${url}/orders`, reader)
    expect(good.json()).toEqual({ subject: 'alice', tenant: 'acme', scheme: 'jwt' })
    // A token for another service, the client's own, and none at all are all worth nothing there.
    expect((await request(`${url}/wrong`, reader)).status).toBe(401)
    expect((await request(`${url}/passing`, reader)).status).toBe(401)
    expect((await request(`${url}/anonymous`, reader)).status).toBe(401)
    expect((await request(target, reader)).status).toBe(401)
    // The service's own rule holds as well: the scopes came with the token.
    expect((await request(`${url}/orders`, bearer(await token('bob')))).status).toBe(403)
  })

  it('takes the place of every credential of the client, those that were not used among them', async () => {
    const { users, token } = await provider({ from: ['header', { cookie: 'session' }] })
    const { scheme, key } = partners()
    const issuer = internalIssuer({ issuer: 'https://gw.test' })
    const told = await upstream((_req, res) => void res.end())
    const { url } = await start({
      upstreams: { told: { targets: [told.url], identity: { token: { issuer, audience: 'told', header: 'x-id' } } } },
      auth: { schemes: [users, scheme], rule: 'authenticated' },
      routes: [{ prefix: '/', upstream: 'told' }],
    })
    const cookie = `theme=dark; session=${await token()}; lang=de`
    await request(url, { headers: { cookie, 'x-api-key': key, 'x-id': 'forged' } })
    await request(url, { headers: { authorization: `Bearer ${await token()}`, 'x-api-key': key } })
    expect(seenOf(told, 'x-api-key')).toEqual([])
    expect(seenOf(told, 'authorization')).toEqual([])
    expect(seenOf(told, 'cookie')).toEqual(['theme=dark; lang=de'])
    const tokens = seenOf(told, 'x-id')
    expect(tokens).toHaveLength(2)
    for (const each of tokens) expect(each).toMatch(/^eyJ[\w-]+\.[\w-]+\.[\w-]+$/)
  })

  // The request that the cache makes of its own had no note of the schemes, so that the client's key went along with it.
  it('is there when a cache revalidates in the background, and the client’s credentials are not', async () => {
    const { scheme, key } = partners()
    const issuer = internalIssuer({ issuer: 'https://gw.test' })
    const told = await upstream(counting('public, max-age=0, stale-while-revalidate=60'))
    const { url } = await start({
      upstreams: { told: { targets: [told.url], identity: { token: { issuer, audience: 'told' } } } },
      auth: { schemes: scheme, rule: 'authenticated' },
      routes: [{ path: '/goods', upstream: 'told', cache: true }],
    })
    const known = { headers: { 'x-api-key': key } }
    expect((await request(`${url}/goods`, known)).text).toBe('/goods 1')
    expect(cacheStatus(await request(`${url}/goods`, known))).toMatch(/hit;.*stale-while-revalidate/)
    await eventually(() => expect(told.requests).toHaveLength(2))
    const tokens = seenOf(told, 'authorization')
    expect(tokens).toHaveLength(2)
    for (const each of tokens) expect(each).toMatch(/^Bearer eyJ/)
    expect(seenOf(told, 'x-api-key')).toEqual([])
    expect((await request(`${url}/goods`)).status).toBe(401)
  })
})

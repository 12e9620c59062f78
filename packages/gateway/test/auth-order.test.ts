import { apiKey, jwt } from '@postern/auth'
import { eventually, refusedPort, request, serve } from '@postern/test-kit'
import { describe, expect, it } from 'vitest'
import { bearer, closers, dead, outcome, outcomeOf, partners, provider, start, upstream } from './auth-support.ts'
import { cacheStatus, counting } from './caching-support.ts'

describe('a fallback', () => {
  it('never answers whoever is refused, be it the route’s or the upstream’s', async () => {
    const { users, token } = await provider()
    const { url } = await start({
      upstreams: {
        gone: { targets: [await dead()], retries: false, fallback: (_req, res) => void res.end('upstream') },
      },
      auth: { schemes: users, rule: { scopes: 'orders:read' } },
      routes: [{ path: '/orders', upstream: 'gone', fallback: (_req, res) => void res.end('route') }],
    })
    expect(await outcome(`${url}/orders`)).toBe('401 authentication_required')
    expect(await outcome(`${url}/orders`, bearer('a.b.c'))).toBe('401 invalid_credentials')
    expect(await outcome(`${url}/orders`, bearer(await token()))).toBe('403 insufficient_scope')
    const two = { headers: ['authorization', 'Bearer x', 'authorization', 'Bearer y', 'host', 'api.test'] }
    expect(await outcome(`${url}/orders`, two)).toBe('400 ambiguous_credentials')
    expect((await request(`${url}/orders`, bearer(await token('bob', 'orders:read')))).text).toBe('upstream')
  })

  it('of the route may answer while nobody can tell who is calling', async () => {
    const port = await refusedPort()
    closers.push(() => port.close())
    const jwksUri = { uri: `${port.url}/jwks`, allowHttp: true }
    const offline = jwt({ issuer: 'https://id.test', audience: 'api', algorithms: ['ES256'], jwksUri })
    const { token } = await provider()
    const asked = await upstream((_req, res) => void res.end('never'))
    const { url } = await start({
      upstreams: { asked: { targets: [asked.url] } },
      auth: { schemes: offline, rule: 'authenticated' },
      routes: [
        { path: '/plain', upstream: 'asked' },
        { path: '/soft', upstream: 'asked', fallback: (_req, res) => void res.writeHead(503).end('later, please') },
      ],
    })
    const known = bearer(await token())
    const plain = await request(`${url}/plain`, known)
    expect(outcomeOf(plain)).toBe('503 authentication_unavailable')
    expect(Number(plain.headers['retry-after'])).toBeGreaterThan(0)
    expect((await request(`${url}/soft`, known)).text).toBe('later, please')
    expect(asked.requests).toHaveLength(0)
  })
})

describe('shedding', () => {
  it('comes before authentication, so that a crowd of strangers costs no look-ups', async () => {
    let asked = 0
    const held: (() => void)[] = []
    const lookup = (): Promise<undefined> => {
      asked++
      return new Promise((resolve) => held.push(() => resolve(undefined)))
    }
    const { url, gw } = await start({
      upstreams: {},
      shedding: { maxInFlight: 1 },
      auth: { schemes: apiKey({ lookup }), rule: 'authenticated' },
      routes: [{ prefix: '/', respond: { status: 204 } }],
    })
    const first = outcome(url, { headers: { 'x-api-key': 'a-key-that-is-looked-up' } })
    await eventually(() => expect(asked).toBe(1))
    expect(gw.shedder!.inFlight).toBe(1)
    const shed = await request(url, { headers: { 'x-api-key': 'another-key' } })
    expect([shed.status, asked]).toEqual([503, 1])
    for (const answer of held) answer()
    expect(await first).toBe('401 invalid_credentials')
    // What was refused has given its place back.
    await eventually(() => expect(gw.shedder!.inFlight).toBe(0))
  })
})

describe('a cached route that is protected', () => {
  // E18: Traefik and others have had stages that answered before authentication was asked.
  it('serves no stored answer without a token, and none to a token that holds no longer', async () => {
    const { users, token } = await provider()
    const goods = await upstream(counting('public, max-age=60'))
    const { url } = await start({
      upstreams: { goods: { targets: [goods.url] } },
      auth: { schemes: users, rule: { scopes: 'goods:read' } },
      routes: [{ path: '/goods', upstream: 'goods', cache: true }],
    })
    const reader = bearer(await token('alice', 'goods:read'))
    expect((await request(`${url}/goods`, reader)).text).toBe('/goods 1')
    expect(cacheStatus(await request(`${url}/goods`, reader))).toMatch(/hit/)
    for (const options of [
      {},
      bearer('a.b.c'),
      bearer(`${await token('alice', 'goods:read')}x`),
      bearer(await token()),
    ]) {
      const reply = await request(`${url}/goods`, options)
      expect(reply.status).toBeOneOf([401, 403])
      expect(reply.text).not.toContain('/goods 1')
      expect(cacheStatus(reply)).toBeUndefined()
      expect(reply.headers['cache-control']).toBe('no-store')
    }
    expect((await request(`${url}/goods`, { method: 'HEAD' })).status).toBe(401)
    const conditional = { headers: { 'if-none-match': '*', 'cache-control': 'only-if-cached' } }
    expect((await request(`${url}/goods`, conditional)).status).toBe(401)
    expect(goods.requests).toHaveLength(1)
  })

  it('shows nobody what another was answered', async () => {
    const { users, token } = await provider()
    const { scheme, key } = partners()
    const own = await upstream(counting('max-age=60'))
    const { url } = await start({
      upstreams: { own: { targets: [own.url] } },
      auth: { schemes: [users, scheme], rule: 'authenticated' },
      routes: [
        { path: '/me', upstream: 'own', cache: true },
        { path: '/optional', upstream: 'own', cache: true, auth: { optional: true } },
      ],
    })
    const alice = bearer(await token('alice'))
    // A key stands in a field that no cache knows of: it is the identity that counts.
    const reseller = { headers: { 'x-api-key': key } }
    const texts = []
    for (const options of [alice, reseller, alice, reseller]) texts.push((await request(`${url}/me`, options)).text)
    expect(texts).toEqual(['/me 1', '/me 2', '/me 3', '/me 4'])
    expect((await request(`${url}/optional`, reseller)).text).toBe('/optional 5')
    expect((await request(`${url}/optional`)).text).toBe('/optional 6')
    expect(cacheStatus(await request(`${url}/optional`))).toMatch(/hit/)
  })

  it('keeps answers for each caller with partition: identity, and tells callers of one name by two schemes apart', async () => {
    const { users, token } = await provider()
    const { scheme, key } = partners()
    const own = await upstream(counting('max-age=60'))
    const { url } = await start({
      upstreams: { own: { targets: [own.url] } },
      auth: { schemes: [users, scheme], rule: 'authenticated' },
      routes: [{ path: '/me', upstream: 'own', cache: { partition: 'identity' } }],
    })
    const callers = [
      bearer(await token('alice')),
      bearer(await token('bob')),
      bearer(await token('alice', 'admin')),
      bearer(await token('reseller')),
      { headers: { 'x-api-key': key } },
    ]
    for (let round = 0; round < 2; round++) {
      const texts = []
      for (const caller of callers) texts.push((await request(`${url}/me`, caller)).text)
      expect(texts).toEqual(callers.map((_, i) => `/me ${i + 1}`))
    }
    expect(own.requests).toHaveLength(5)
    expect((await request(`${url}/me`)).status).toBe(401)
  })

  it('stores no refusal', async () => {
    const { users, token } = await provider()
    const own = await upstream(counting('public, max-age=60'))
    const { url } = await start({
      upstreams: { own: { targets: [own.url] } },
      auth: { schemes: users, rule: 'authenticated' },
      routes: [{ path: '/me', upstream: 'own', cache: true }],
      cache: { staleIfErrorMs: 60_000 },
    })
    expect((await request(`${url}/me`)).status).toBe(401)
    expect((await request(`${url}/me`, bearer('a.b.c'))).status).toBe(401)
    expect((await request(`${url}/me`, bearer(await token()))).text).toBe('/me 1')
  })
})

describe('a gateway in a server of its own', () => {
  it('asks as well where there is no Express', async () => {
    const { users, token } = await provider()
    const { gateway } = await import('../src/index.ts')
    const gw = gateway({
      logger: false,
      upstreams: {},
      auth: { schemes: users, rule: 'authenticated' },
      routes: [{ prefix: '/', respond: { status: 200, body: 'in' } }],
    })
    const served = await serve(gw)
    closers.push(
      () => served.close(),
      () => gw.close(),
    )
    expect(await outcome(served.url)).toBe('401 authentication_required')
    expect((await request(served.url, bearer(await token()))).text).toBe('in')
  })

  it('hands refusals to the app’s error handler with errors: next, and nothing else of the request goes on', async () => {
    const { users } = await provider()
    const seen: unknown[] = []
    const { url } = await start(
      {
        upstreams: {},
        errors: 'next',
        auth: { schemes: users, rule: 'authenticated' },
        routes: [{ prefix: '/', respond: { status: 200, body: 'in' } }],
      },
      undefined,
      (app) =>
        app.use(((error: { code: string; status: number; headers: object }, _req, res, _next) => {
          seen.push([error.code, error.status])
          res.status(error.status).set(error.headers).send('own page')
        }) as import('express').ErrorRequestHandler),
    )
    const reply = await request(url)
    expect([reply.status, reply.text, reply.headers['www-authenticate']]).toEqual([
      401,
      'own page',
      'Bearer realm="api"',
    ])
    expect(seen).toEqual([['authentication_required', 401]])
  })
})

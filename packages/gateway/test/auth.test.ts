import { not } from '@postern/auth'
import { exchangeOf } from '@postern/contracts'
import type { RouteHandler } from '@postern/router'
import { request } from '@postern/test-kit'
import { describe, expect, it } from 'vitest'
import { bearer, outcome, outcomeOf, partners, provider, start, upstream } from './auth-support.ts'

const echo: RouteHandler = (req, res) => {
  const { identity } = exchangeOf(req, res)
  const user = (req as { user?: { subject?: string } }).user
  res.end(`${identity?.scheme} ${identity?.subject} ${user?.subject}`)
}

describe('a gateway with auth', () => {
  it('asks every route for what its rule says, and passes on who is calling', async () => {
    const { users, token } = await provider()
    const { scheme, key } = partners()
    const { url } = await start({
      upstreams: {},
      auth: { schemes: [users, scheme], rule: 'authenticated' },
      routes: [{ prefix: '/who', handlers: echo }],
    })
    const anonymous = await request(`${url}/who`)
    expect(outcomeOf(anonymous)).toBe('401 authentication_required')
    expect(anonymous.headers['www-authenticate']).toBe('Bearer realm="api", ApiKey realm="api"')
    const wrong = await request(`${url}/who`, bearer(`${await token()}x`))
    expect(outcomeOf(wrong)).toBe('401 invalid_credentials')
    expect(wrong.headers['www-authenticate']).toMatch(/^Bearer realm="api", error="invalid_token"/)
    expect((await request(`${url}/who`, bearer(await token()))).text).toBe('jwt alice alice')
    expect((await request(`${url}/who`, { headers: { 'x-api-key': key } })).text).toBe('api-key reseller reseller')
  })

  it('lets a rule of a route stand in place of its own, and adds neither to the other', async () => {
    const { users, token } = await provider()
    const { url } = await start({
      upstreams: {},
      auth: { schemes: users, rule: { scopes: 'everything' } },
      routes: [
        { prefix: '/strict', handlers: echo },
        { prefix: '/orders', handlers: echo, auth: { rule: { scopes: 'orders:read' } } },
        { prefix: '/others', handlers: echo, auth: { rule: not({ roles: 'intern' }) } },
      ],
    })
    const reader = bearer(await token('bob', 'orders:read'))
    expect(await outcome(`${url}/orders`, reader)).toBe('200 ok')
    const refused = await request(`${url}/strict`, reader)
    expect(outcomeOf(refused)).toBe('403 insufficient_scope')
    expect(refused.headers['www-authenticate']).toMatch(/error="insufficient_scope".*scope="everything"/)
    expect(await outcome(`${url}/others`, reader)).toBe('200 ok')
    expect(await outcome(`${url}/others`, bearer(await token('tim', '', ['intern'])))).toBe('403 access_denied')
    expect(await outcome(`${url}/others`)).toBe('401 authentication_required')
  })

  it('goes by the method where the rule does, and denies one that is not named', async () => {
    const { users, token } = await provider()
    const rule = { methods: { GET: 'authenticated', POST: { scopes: 'orders:write' } } } as const
    const { url } = await start({
      upstreams: {},
      auth: { schemes: users },
      routes: [{ prefix: '/orders', handlers: echo, auth: { rule } }],
    })
    const reader = bearer(await token())
    const writer = bearer(await token('carol', 'orders:write'))
    expect(await outcome(`${url}/orders`, reader)).toBe('200 ok')
    expect((await request(`${url}/orders`, { ...reader, method: 'HEAD' })).status).toBe(200)
    expect(await outcome(`${url}/orders`, { ...reader, method: 'POST' })).toBe('403 insufficient_scope')
    expect(await outcome(`${url}/orders`, { ...writer, method: 'POST' })).toBe('200 ok')
    expect(await outcome(`${url}/orders`, { ...writer, method: 'DELETE' })).toBe('403 access_denied')
  })

  it('leaves a public route open, and asks nobody there who he is', async () => {
    const { users, token } = await provider()
    const { url } = await start({
      upstreams: {},
      auth: { schemes: users, rule: 'authenticated' },
      routes: [
        { path: '/open', public: true, handlers: echo },
        { prefix: '/', handlers: echo },
      ],
    })
    expect((await request(`${url}/open`)).text).toBe('undefined undefined undefined')
    expect((await request(`${url}/open`, bearer('rubbish'))).status).toBe(200)
    expect((await request(`${url}/open`, bearer(await token()))).text).toBe('undefined undefined undefined')
    expect(await outcome(`${url}/closed`)).toBe('401 authentication_required')
    // No spelling of a path leads past it.
    for (const path of [
      '/open/../closed',
      '/open/%2e%2e/closed',
      '/%6fpen',
      '//open',
      '/open/..%2fclosed',
      '/OPEN/x',
    ]) {
      expect((await request(url, { path })).status).toBeOneOf([400, 401])
    }
  })

  it('lets anonymous callers pass where auth is optional, but none with wrong credentials', async () => {
    const { users, token } = await provider()
    const { url } = await start({
      upstreams: {},
      // The gateway's rule asks for an identity: the route puts itself out of it.
      auth: { schemes: users, rule: 'authenticated' },
      routes: [
        { path: '/news', auth: { optional: true }, handlers: echo },
        { prefix: '/', handlers: echo },
      ],
    })
    expect((await request(`${url}/news`)).text).toBe('undefined undefined undefined')
    expect((await request(`${url}/news`, bearer(await token()))).text).toBe('jwt alice alice')
    expect(await outcome(`${url}/news`, bearer('a.b.c'))).toBe('401 invalid_credentials')
    expect(await outcome(`${url}/other`)).toBe('401 authentication_required')
  })

  it('has anonymous callers pass all routes without a rule when it is optional as a whole', async () => {
    const { users } = await provider()
    const { url } = await start({
      upstreams: {},
      auth: { schemes: users, optional: true },
      routes: [
        { path: '/news', handlers: echo },
        { path: '/own', auth: { rule: 'authenticated' }, handlers: echo },
      ],
    })
    expect(await outcome(`${url}/news`)).toBe('200 ok')
    expect(await outcome(`${url}/news`, bearer('a.b.c'))).toBe('401 invalid_credentials')
    expect(await outcome(`${url}/own`)).toBe('401 authentication_required')
  })

  it('takes other schemes at a route that names some of its own', async () => {
    const { users, token } = await provider()
    const { scheme, key } = partners()
    const { url } = await start({
      upstreams: {},
      auth: { schemes: users, rule: 'authenticated' },
      routes: [
        { prefix: '/partners', handlers: echo, auth: { schemes: scheme } },
        { prefix: '/', handlers: echo },
      ],
    })
    expect((await request(`${url}/partners`, { headers: { 'x-api-key': key } })).text).toBe('api-key reseller reseller')
    expect(await outcome(`${url}/partners`, bearer(await token()))).toBe('401 authentication_required')
    expect(await outcome(`${url}/`, { headers: { 'x-api-key': key } })).toBe('401 authentication_required')
  })

  it('can have auth at one route alone', async () => {
    const { users, token } = await provider()
    const { url } = await start({
      upstreams: {},
      routes: [
        { prefix: '/inner', handlers: echo, auth: { schemes: users, rule: 'authenticated' } },
        { prefix: '/', handlers: echo },
      ],
    })
    expect(await outcome(`${url}/`)).toBe('200 ok')
    expect(await outcome(`${url}/inner`)).toBe('401 authentication_required')
    expect(await outcome(`${url}/inner`, bearer(await token()))).toBe('200 ok')
  })

  it('guards redirects, fixed answers and each branch of a split as it guards upstreams', async () => {
    const { users, token } = await provider()
    const a = await upstream((_req, res) => void res.end('a'))
    const { url } = await start({
      upstreams: { a: { targets: [a.url] } },
      auth: { schemes: users, rule: 'authenticated' },
      routes: [
        { path: '/moved', redirect: { path: '/secret-place' } },
        { path: '/fixed', respond: { status: 200, body: 'secret' } },
        {
          path: '/split',
          split: [
            { id: 'upstream', weight: 1, upstream: 'a' },
            { id: 'fixed', weight: 1, respond: { status: 200, body: 'secret' } },
          ],
        },
        { path: '/upstream', upstream: 'a' },
      ],
    })
    for (const path of ['/moved', '/fixed', '/split', '/split', '/split', '/split', '/upstream']) {
      const reply = await request(`${url}${path}`)
      expect([path, outcomeOf(reply)]).toEqual([path, '401 authentication_required'])
      expect(reply.headers.location).toBeUndefined()
      expect(reply.text).not.toContain('secret')
    }
    expect(a.requests).toHaveLength(0)
    const known = bearer(await token())
    expect((await request(`${url}/moved`, known)).headers.location).toBe('/secret-place')
    expect((await request(`${url}/fixed`, known)).text).toBe('secret')
    expect((await request(`${url}/split`, known)).status).toBe(200)
    expect((await request(`${url}/upstream`, known)).text).toBe('a')
  })

  it('ends a refused request: no other route, no handler and no app behind it gets to see it', async () => {
    const { users } = await provider()
    const seen: string[] = []
    const sees =
      (name: string): RouteHandler =>
      (_req, res) => {
        seen.push(name)
        res.end(name)
      }
    const { url } = await start({
      upstreams: {},
      auth: { schemes: users, rule: 'authenticated' },
      routes: [
        { path: '/orders', before: sees('before'), handlers: sees('own') },
        { prefix: '/', public: true, handlers: sees('wider') },
      ],
    })
    expect(await outcome(`${url}/orders`)).toBe('401 authentication_required')
    expect(await outcome(`${url}/orders`, bearer('x'))).toBe('401 invalid_credentials')
    expect(seen).toEqual([])
    expect((await request(`${url}/elsewhere`)).text).toBe('wider')
  })

  it('counts failures of all its routes together, and goes on taking remembered tokens from that address', async () => {
    const { users, token } = await provider()
    const { url } = await start({
      upstreams: {},
      auth: { schemes: users, rule: 'authenticated', failureLimit: { afterFailures: 3, delayMs: 60_000 } },
      routes: ['a', 'b', 'c', 'd'].map((name) => ({ path: `/${name}`, handlers: echo })),
    })
    const good = bearer(await token())
    expect(await outcome(`${url}/a`, good)).toBe('200 ok')
    const [head, payload] = (await token('mallory')).split('.')
    const guess = bearer(`${head}.${payload}.${'A'.repeat(86)}`)
    const seen = []
    for (const path of ['/a', '/b', '/c', '/d', '/a', '/b']) seen.push(await outcome(`${url}${path}`, guess))
    expect(new Set(seen.slice(0, 3))).toEqual(new Set(['401 invalid_credentials']))
    expect(seen.at(-1)).toBe('429 too_many_failures')
    expect(await outcome(`${url}/d`, good)).toBe('200 ok')
  })
})

import { request, type UpstreamHandler } from '@postern/test-kit'
import { describe, expect, it } from 'vitest'
import { gateway } from '../src/index.ts'
import { cacheStatus, closers, counting, faultsOf, start, upstream } from './caching-support.ts'

describe('one URL with two answers', () => {
  const named =
    (name: string): UpstreamHandler =>
    (_req, res) =>
      void res.writeHead(200, { 'cache-control': 'max-age=60', 'cache-tag': `all, of-${name}` }).end(name)

  async function twoRoutes() {
    const [a, b] = [await upstream(named('a')), await upstream(named('b'))]
    const started = await start({
      upstreams: { a: { targets: [a.url] }, b: { targets: [b.url] } },
      routes: [
        { path: '/x', headers: { 'x-beta': true }, upstream: 'b', cache: true },
        { path: '/x', upstream: 'a', cache: true },
      ],
    })
    const ask = async (beta: boolean) =>
      (await request(`${started.url}/x`, { headers: beta ? { 'x-beta': '1' } : {} })).text
    return { ...started, a, b, ask }
  }

  it('gives each route its own', async () => {
    const { a, b, ask } = await twoRoutes()
    expect([await ask(false), await ask(true), await ask(false), await ask(true)]).toEqual(['a', 'b', 'a', 'b'])
    expect([a.requests.length, b.requests.length]).toEqual([1, 1])
  })

  it('gives each branch of a split its own', async () => {
    const [a, b] = [await upstream(named('a')), await upstream(named('b'))]
    const { gw, url } = await start({
      upstreams: { a: { targets: [a.url] }, b: { targets: [b.url] } },
      routes: [
        {
          path: '/x',
          cache: true,
          split: {
            by: { header: 'x-user' },
            branches: [
              { id: 'a', weight: 1, upstream: 'a' },
              { id: 'b', weight: 1, upstream: 'b' },
            ],
          },
        },
      ],
    })
    const ask = (user: number) => request(`${url}/x`, { headers: { 'x-user': String(user) } })
    const first = []
    for (let user = 0; user < 20; user++) first.push((await ask(user)).text)
    expect(new Set(first)).toEqual(new Set(['a', 'b']))
    const second = []
    for (let user = 0; user < 20; user++) second.push((await ask(user)).text)
    expect(second).toEqual(first)
    expect([a.requests.length, b.requests.length]).toEqual([1, 1])
    expect(await gw.cache!.purge('/x')).toBe(2)
  })

  it('is purged as one: by URL, by path, by tag and by function', async () => {
    const { gw, url, ask } = await twoRoutes()
    const purges: [() => Promise<number>, number][] = [
      [() => gw.cache!.purge(`${url}/x`), 2],
      [() => gw.cache!.purge(new URL(`${url}/x`)), 2],
      [() => gw.cache!.purge('/x'), 2],
      [() => gw.cache!.purgeTag('all'), 2],
      [() => gw.cache!.purgeTag('of-b'), 1],
      [() => gw.cache!.purge((uri, { status }) => uri.endsWith('/x') && status === 200), 2],
      [() => gw.cache!.purge('/y'), 0],
    ]
    const purged = []
    for (const [purge] of purges) {
      await ask(false)
      await ask(true)
      purged.push(await purge())
    }
    expect(purged).toEqual(purges.map(([, expected]) => expected))
  })
})

describe('the handle gw.cache', () => {
  it('counts what the cache does and holds', async () => {
    const origin = await upstream(counting())
    const { gw, url } = await start({
      upstreams: { one: { targets: [origin.url] } },
      routes: [{ prefix: '/', upstream: 'one', cache: true }],
    })
    for (const path of ['/a', '/a', '/a', '/b']) await request(url + path)
    expect(gw.cache!.stats).toMatchObject({
      hits: 2,
      misses: 2,
      stored: 2,
      collapsed: 0,
      revalidating: 0,
      responses: 2,
    })
    expect(gw.cache!.stats.bytes).toBeGreaterThan(0)
  })

  it('is there when the gateway has cache or a route has it, and else not', () => {
    const upstreams = { one: { targets: ['http://127.0.0.1:1'] } }
    const made = [
      gateway({ logger: false, upstreams, routes: [{ prefix: '/', upstream: 'one' }] }),
      gateway({ logger: false, upstreams, routes: [{ prefix: '/', upstream: 'one', cache: false }] }),
      gateway({ logger: false, upstreams, routes: [{ prefix: '/', upstream: 'one', cache: true }] }),
      gateway({ logger: false, upstreams, routes: [], cache: {} }),
    ]
    closers.push(...made.map((gw) => () => gw.close()))
    expect(made.map((gw) => gw.cache !== undefined)).toEqual([false, false, true, true])
  })
})

describe('rules', () => {
  it('of a route come before those of the gateway, and both before what is usual', async () => {
    const origin = await upstream((req, res) => void res.end(req.url))
    const { url } = await start({
      upstreams: { one: { targets: [origin.url] } },
      cache: { defaultTtlMs: 60_000, cacheStatus: 'Edge' },
      routes: [
        { path: '/gateway', upstream: 'one', cache: true },
        { path: '/route', upstream: 'one', cache: { defaultTtlMs: 5_000 } },
        { path: '/none', upstream: 'one', cache: { defaultTtlMs: 0 } },
        { path: '/head', upstream: 'one', cache: { methods: ['HEAD'] } },
        { path: '/other', upstream: 'one', cache: { statuses: [404] } },
      ],
    })
    const told: Record<string, string | undefined> = {}
    for (const path of ['/gateway', '/route', '/none', '/head', '/other']) {
      await request(url + path)
      told[path] = cacheStatus(await request(url + path))
    }
    expect(told['/gateway']).toMatch(/^Edge; hit; ttl=(60|5\d)$/)
    expect(told['/route']).toMatch(/^Edge; hit; ttl=[0-5]$/)
    expect(told['/none']).not.toMatch(/hit/)
    expect(told['/head']).toMatch(/^Edge; fwd=.*detail=method/)
    expect(told['/other']).not.toMatch(/hit|stored/)
  })

  it('leave routes without cache, and with cache: false, as they were', async () => {
    const origin = await upstream(counting('max-age=60', { 'cache-tag': 'one' }))
    const { url } = await start({
      upstreams: { one: { targets: [origin.url] } },
      cache: { defaultTtlMs: 60_000 },
      routes: [
        { path: '/plain', upstream: 'one' },
        { path: '/off', upstream: 'one', cache: false },
        { path: '/cached', upstream: 'one', cache: true },
      ],
    })
    for (const path of ['/plain', '/off']) {
      const replies = [await request(url + path), await request(url + path)]
      expect(replies.map(cacheStatus)).toEqual([undefined, undefined])
      expect(replies[1]!.headers['cache-tag']).toBe('one')
    }
    expect(origin.requests).toHaveLength(4)
    // Tags are for the cache; clients are not told of them.
    expect((await request(`${url}/cached`)).headers).not.toHaveProperty('cache-tag')
  })
})

describe('a wrong configuration of a cache', () => {
  const upstreams = { one: { targets: ['http://127.0.0.1:1'] } }

  it('is told by its path, of the gateway and of routes alike', () => {
    expect(
      faultsOf({
        logger: false,
        upstreams,
        cache: { defaultTtlMs: -1, coalescing: { maxWaitMs: 0 }, tagz: 1 },
        routes: [{ prefix: '/', upstream: 'one' }],
      }),
    ).toEqual([
      expect.stringMatching(/^cache\.defaultTtlMs: /),
      expect.stringMatching(/^cache\.coalescing\.maxWaitMs: /),
      expect.stringMatching(/^cache\.tagz: did you mean "tags"/),
    ])
    expect(
      faultsOf({
        logger: false,
        upstreams,
        routes: [
          { prefix: '/', upstream: 'one', cache: { methods: ['PUT'], defaultTtl: 1 } },
          { prefix: '/b', upstream: 'one', cache: 'yes' },
        ],
      }),
    ).toEqual([
      expect.stringMatching(/^routes\[0\]\.cache\.methods/),
      expect.stringMatching(/^routes\[0\]\.cache\.defaultTtl: did you mean "defaultTtlMs"/),
      expect.stringMatching(/^routes\[1\]\.cache: /),
    ])
  })

  it('is told of a route once, however many branches it has', () => {
    expect(
      faultsOf({
        logger: false,
        upstreams,
        routes: [
          {
            prefix: '/',
            cache: { defaultTtlMs: -1 },
            split: [
              { id: 'a', weight: 1, upstream: 'one' },
              { id: 'b', weight: 1, upstream: 'one' },
            ],
          },
        ],
      }),
    ).toEqual([expect.stringMatching(/^routes\[0\]\.cache\.defaultTtlMs: /)])
  })

  it('is told of rules that a route cannot have, since they are the whole cache’s', () => {
    expect(
      faultsOf({
        logger: false,
        upstreams,
        routes: [{ prefix: '/', upstream: 'one', cache: { name: 'mine', maxPendingBytes: 1 } }],
      }),
    ).toEqual([
      expect.stringMatching(/^routes\[0\]\.cache\.name: /),
      expect.stringMatching(/^routes\[0\]\.cache\.maxPendingBytes: /),
    ])
  })

  it('is told of a route that has a cache and no upstream', () => {
    expect(
      faultsOf({
        logger: false,
        upstreams,
        routes: [
          { path: '/a', handlers: () => {}, cache: true },
          { path: '/b', respond: { status: 200 }, cache: {} },
          { path: '/c', respond: { status: 200 }, cache: false },
        ],
      }),
    ).toEqual([
      expect.stringMatching(/^routes\[0\]\.cache: name an upstream/),
      expect.stringMatching(/^routes\[1\]\.cache: name an upstream/),
    ])
  })
})

import type http from 'node:http'
import { exchangeFinished } from '@postern/contracts'
import { eventually, request, serve, startUpstream } from '@postern/test-kit'
import express, { type RequestHandler } from 'express'
import { describe, expect, test } from 'vitest'
import { type CacheHandler, cache } from '../../src/index.ts'
import { Client, gate, gateway, HandClock, origin, settled, told, using } from './support.ts'

const SWR = { 'cache-control': 'max-age=10, stale-while-revalidate=60' }

/** An origin that counts its versions; all but the first answer wait for the gate where one is given. */
async function versions(hold?: Promise<void>) {
  const upstream = await origin(async (_req, res) => {
    const version = upstream.requests.length
    if (version > 1) await hold
    res.writeHead(200, { ...SWR, etag: `"v${version}"` })
    res.end(`version ${version}`)
  })
  return upstream
}

describe.each([
  ['app.use(cache())', false],
  ['cache().around(proxy)', true],
])('%s: a stale response that may be served while it is revalidated', (_name, around) => {
  test('is answered at once, and fetched once however many ask for it', async () => {
    const clock = new HandClock()
    const hold = gate()
    const upstream = await versions(hold.opened)
    const { url, cache, seen } = await gateway({ target: upstream, around, cache: { clock } })
    await request(`${url}/a`)
    clock.advance(15_000)
    const replies = await Promise.all(Array.from({ length: 20 }, () => request(`${url}/a`)))
    expect(new Set(replies.map((reply) => `${reply.text} ${reply.headers['cache-status']}`))).toEqual(
      new Set(['version 1 Postern; hit; ttl=-5; detail=stale-while-revalidate']),
    )
    await eventually(() => upstream.requests.length === 2)
    expect(cache.stats.revalidating).toBe(1)
    hold.open()
    await eventually(() => cache.stats.revalidating === 0)
    const after = await request(`${url}/a`)
    expect([after.text, after.headers['cache-status']]).toEqual(['version 2', 'Postern; hit; ttl=10'])
    expect(upstream.requests).toHaveLength(2)
    expect(seen.filter((each) => each.background)).toHaveLength(around ? 0 : 1)
  })

  test('is validated with its validator, and a 304 makes it fresh', async () => {
    const clock = new HandClock()
    const upstream = await origin((req, res) => {
      res.writeHead(req.headers['if-none-match'] === '"v1"' ? 304 : 200, { ...SWR, etag: '"v1"' })
      res.end(req.headers['if-none-match'] === '"v1"' ? undefined : 'body')
    })
    const { url, cache } = await gateway({ target: upstream, around, cache: { clock } })
    await request(`${url}/a`)
    clock.advance(15_000)
    // The client's own conditions, range and wishes are not the cache's.
    await request(`${url}/a`, { headers: { 'if-none-match': '"mine"', range: 'bytes=0-1', pragma: 'x' } })
    await eventually(() => upstream.requests.length === 2 && cache.stats.revalidating === 0)
    expect(upstream.last.headers).toMatchObject({ 'if-none-match': '"v1"' })
    expect(upstream.last.headers).not.toHaveProperty('range')
    expect(upstream.last.headers).not.toHaveProperty('pragma')
    const after = await request(`${url}/a`)
    expect([after.text, after.headers['cache-status']]).toEqual(['body', 'Postern; hit; ttl=10'])
  })

  test('is fetched with GET also when HEAD asked for it', async () => {
    const clock = new HandClock()
    const upstream = await versions()
    const { url, cache } = await gateway({ target: upstream, around, cache: { clock } })
    await request(`${url}/a`)
    clock.advance(15_000)
    await request(`${url}/a`, { method: 'HEAD' })
    await eventually(() => upstream.requests.length === 2 && cache.stats.revalidating === 0)
    expect(upstream.last.method).toBe('GET')
    expect((await request(`${url}/a`)).text).toBe('version 2')
  })

  test('is refreshed as the variant that it is', async () => {
    const clock = new HandClock()
    const upstream = await origin((req, res) => {
      res.writeHead(200, { ...SWR, vary: 'accept-language' })
      res.end(`${req.headers['accept-language']} ${upstream.requests.length}`)
    })
    const { url, cache } = await gateway({ target: upstream, around, cache: { clock } })
    const german = { headers: { 'accept-language': 'de' } }
    await request(`${url}/a`, german)
    clock.advance(15_000)
    await request(`${url}/a`, german)
    await eventually(() => upstream.requests.length === 2 && cache.stats.revalidating === 0)
    const after = await request(`${url}/a`, german)
    expect([after.text, after.headers['cache-status']]).toEqual(['de 2', 'Postern; hit; ttl=10'])
    expect(cache.stats.responses).toBe(1)
  })

  test.each([
    ['the upstream cuts the connection', 'destroy', 'version 1'],
    ['the upstream answers 503', 503, 'version 1'],
    ['the upstream answers 500', 500, 'version 1'],
  ])('stays when %s', async (_failure, how, expected) => {
    const clock = new HandClock()
    const upstream = await origin((_req, res) => {
      if (upstream.requests.length === 1) {
        res.writeHead(200, SWR)
        res.end('version 1')
      } else if (how === 'destroy') res.destroy()
      else {
        res.writeHead(Number(how))
        res.end('trouble')
      }
    })
    const { url, cache } = await gateway({ target: upstream, around, cache: { clock } })
    await request(`${url}/a`)
    clock.advance(15_000)
    await request(`${url}/a`)
    await eventually(() => upstream.requests.length >= 2 && cache.stats.revalidating === 0)
    const requests = upstream.requests.length
    const after = await request(`${url}/a`)
    expect([after.status, after.text]).toEqual([200, expected])
    // And it is tried again.
    await eventually(() => upstream.requests.length > requests)
  })

  test.each([
    ['404', 404, {}, 404],
    ['no-store', 200, { 'cache-control': 'no-store' }, 200],
    ['private', 200, { 'cache-control': 'private' }, 200],
  ])('goes when the origin now answers with %s', async (_name, status, headers, expected) => {
    const clock = new HandClock()
    const upstream = await origin((_req, res) => {
      const isFirst = upstream.requests.length === 1
      res.writeHead(isFirst ? 200 : status, isFirst ? SWR : headers)
      res.end(`version ${upstream.requests.length}`)
    })
    const { url, cache } = await gateway({ target: upstream, around, cache: { clock } })
    await request(`${url}/a`)
    clock.advance(15_000)
    expect((await request(`${url}/a`)).text).toBe('version 1')
    await eventually(() => upstream.requests.length === 2 && cache.stats.revalidating === 0)
    const after = await request(`${url}/a`)
    expect([after.status, after.text]).toEqual([expected, 'version 3'])
  })

  test('is refreshed although its client leaves at once', async () => {
    const clock = new HandClock()
    const hold = gate()
    const upstream = await versions(hold.opened)
    const { url, cache, served } = await gateway({ target: upstream, around, cache: { clock } })
    await request(`${url}/a`)
    clock.advance(15_000)
    const client = new Client(`${url}/a`)
    await client.head
    client.leave()
    await eventually(() => served.sockets === 0 && upstream.requests.length === 2)
    await settled()
    hold.open()
    await eventually(() => cache.stats.revalidating === 0)
    expect((await request(`${url}/a`)).text).toBe('version 2')
  })

  test('is joined by requests that it can no longer be served to', async () => {
    const clock = new HandClock()
    const hold = gate()
    const upstream = await origin(async (_req, res) => {
      const version = upstream.requests.length
      if (version > 1) await hold.opened
      res.writeHead(200, { 'cache-control': 'max-age=100, stale-while-revalidate=60' })
      res.end(`version ${version}`)
    })
    const { url, cache } = await gateway({ target: upstream, around, cache: { clock } })
    await request(`${url}/a`)
    clock.advance(120_000)
    await request(`${url}/a`)
    await eventually(() => upstream.requests.length === 2)
    clock.advance(60_000)
    const waiting = new Client(`${url}/a`)
    await eventually(() => cache.stats.collapsed === 1)
    hold.open()
    expect((await waiting.answer()).text).toBe('version 2')
    expect(upstream.requests).toHaveLength(2)
  })

  test('leaves nothing behind after a hundred rounds', async () => {
    const clock = new HandClock()
    const upstream = await versions()
    const { url, cache, served } = await gateway({ target: upstream, around, cache: { clock } })
    await request(`${url}/a`)
    const listeners = (): number[] => served.server.eventNames().map((name) => served.server.listenerCount(name))
    const before = listeners()
    for (let round = 0; round < 100; round++) {
      clock.advance(15_000)
      await request(`${url}/a`)
      await eventually(() => cache.stats.revalidating === 0 && upstream.requests.length === round + 2)
    }
    expect(listeners()).toEqual(before)
    await eventually(() => served.sockets === 0)
    expect(upstream.sockets).toBeLessThanOrEqual(2)
    expect(cache.stats).toMatchObject({ responses: 1, revalidating: 0 })
  })
})

describe('a revalidation that goes through the app', () => {
  test('is seen by the stages before the cache as one that no client has sent, with the fields of the client’s', async () => {
    const clock = new HandClock()
    const upstream = await versions()
    const backgrounds: unknown[] = []
    const before: RequestHandler = (req, _res, next) => {
      if (req.gateway?.background === true) {
        backgrounds.push([req.method, req.originalUrl, req.get('x-tenant'), req.ip, req.get('cache-control')])
      }
      next()
    }
    const { url } = await gateway({ target: upstream, before: [before], cache: { clock } })
    const headers = { 'x-tenant': 'blue' }
    await request(`${url}/a?b=c`, { headers })
    clock.advance(15_000)
    await request(`${url}/a?b=c`, { headers })
    await eventually(() => upstream.requests.length === 2)
    expect(backgrounds).toEqual([['GET', '/a?b=c', 'blue', '127.0.0.1', undefined]])
    expect(upstream.last.headers['x-tenant']).toBe('blue')
  })

  test('that a stage before the cache refuses leaves the stale response as it was', async () => {
    const clock = new HandClock()
    const upstream = await versions()
    const limiter: RequestHandler = (req, res, next) => {
      if (req.gateway?.background === true) res.status(429).send('too many')
      else next()
    }
    const { url, cache } = await gateway({ target: upstream, before: [limiter], cache: { clock } })
    await request(`${url}/a`)
    clock.advance(15_000)
    for (let i = 0; i < 3; i++) {
      const reply = await request(`${url}/a`)
      expect([reply.status, reply.text]).toEqual([200, 'version 1'])
      await eventually(() => cache.stats.revalidating === 0)
    }
    expect(upstream.requests).toHaveLength(1)
  })

  test('counts as one exchange of its own that ends', async () => {
    const finished = told(exchangeFinished)
    const clock = new HandClock()
    const upstream = await versions()
    const { url } = await gateway({ target: upstream, cache: { clock } })
    await request(`${url}/a`)
    clock.advance(15_000)
    await request(`${url}/a`)
    await eventually(() => finished.length === 3)
    expect(finished.filter((exchange) => exchange.background)).toHaveLength(1)
  })
})

describe('with the stages behind known', () => {
  test('they find on the request what earlier stages have put there', async () => {
    const clock = new HandClock()
    const before: RequestHandler = (req, res, next) => {
      Object.assign(req, { tenant: 'blue' })
      res.locals.greeting = 'hello'
      next()
    }
    const handler: RequestHandler = (req, res) => {
      res.set(SWR).json({ ...req.query, tenant: (req as { tenant?: string }).tenant, greeting: res.locals.greeting })
    }
    const { url, cache } = await gateway({ before: [before], behind: [handler], around: true, cache: { clock } })
    const expected = { q: '1', tenant: 'blue', greeting: 'hello' }
    expect((await request(`${url}/a?q=1`)).json()).toEqual(expected)
    clock.advance(15_000)
    await request(`${url}/a?q=1`)
    await eventually(() => cache.stats.revalidating === 0 && cache.stats.stored + cache.stats.misses >= 2)
    const after = await request(`${url}/a?q=1`)
    expect([after.json(), after.headers['cache-status']]).toEqual([expected, 'Postern; hit; ttl=10'])
  })

  // Packages leave notes under symbols of the registry: which schemes a caller could have used, and which he did. Without
  // them a stage behind the cache sent on credentials that it should have taken away.
  test('they find the notes of other packages too, but none of what Node keeps on a request', async () => {
    const clock = new HandClock()
    const note = Symbol.for('test.note')
    const kept = Symbol('kept')
    const identity = { scheme: 'test', subject: 'alice', scopes: ['read'], roles: [], claims: {} }
    const before: RequestHandler = (req, _res, next) => {
      Object.assign(req, { [note]: { of: 'alice' }, [kept]: true, user: identity })
      req.gateway!.identity = identity
      next()
    }
    const found: unknown[] = []
    const handler: RequestHandler = (req, res) => {
      const notes = req as unknown as Record<symbol | 'user', unknown>
      found.push([req.gateway!.background, notes[note], notes[kept], notes.user === identity, req.gateway!.identity])
      res.set({ 'cache-control': 'public, max-age=10, stale-while-revalidate=60' }).send('text')
    }
    const { url } = await gateway({ before: [before], behind: [handler], around: true, cache: { clock } })
    await request(`${url}/a`)
    clock.advance(15_000)
    await request(`${url}/a`)
    await eventually(() => found.length === 2)
    expect(found).toEqual([
      [false, { of: 'alice' }, true, true, identity],
      [true, { of: 'alice' }, undefined, true, identity],
    ])
  })

  test('a handler that throws, calls next(error) or rejects leaves the stale response, and the process alive', async () => {
    for (const fail of [
      () => {
        throw new Error('thrown')
      },
      (_req: unknown, _res: unknown, next: (error: unknown) => void) => next(new Error('handed on')),
      () => Promise.reject(new Error('rejected')),
    ] as RequestHandler[]) {
      const clock = new HandClock()
      let calls = 0
      const handler: RequestHandler = (req, res, next) => {
        calls++
        if (calls > 1) return fail(req, res, next)
        res.set(SWR).send('version 1')
        return undefined
      }
      const { url, cache } = await gateway({ behind: [handler], around: true, cache: { clock } })
      await request(`${url}/a`)
      clock.advance(15_000)
      expect((await request(`${url}/a`)).text).toBe('version 1')
      await eventually(() => calls === 2 && cache.stats.revalidating === 0)
      expect((await request(`${url}/a`)).text).toBe('version 1')
    }
  })

  test.each(['key', 'partition', 'bypass'] as const)(
    'an option (%s) that throws for the request of the cache’s own harms nobody',
    async (option) => {
      const clock = new HandClock()
      const upstream = await versions()
      const throwing = (req: http.IncomingMessage): never | undefined => {
        if (req.gateway?.background === true) throw new Error('no tenant')
        return undefined
      }
      const { url, cache } = await gateway({ target: upstream, around: true, cache: { clock, [option]: throwing } })
      await request(`${url}/a`)
      clock.advance(15_000)
      for (let i = 0; i < 2; i++) {
        expect((await request(`${url}/a`)).text).toBe('version 1')
        await eventually(() => cache.stats.revalidating === 0)
      }
    },
  )

  test('a router with a mount path and parameters answers as it does for clients', async () => {
    const clock = new HandClock()
    const handler: CacheHandler = cache({ clock })
    let calls = 0
    const app = express()
    const router = express.Router()
    router.get(
      '/item/:id',
      handler.around((req, res) => {
        calls++
        const { params, baseUrl, originalUrl, url } = req as express.Request
        const response = res as express.Response
        response.set(SWR).json({ params, baseUrl, originalUrl, url, calls })
      }),
    )
    app.use('/shop', router)
    const { url } = await using(serve(app))
    const seen = { params: { id: '7' }, baseUrl: '/shop', originalUrl: '/shop/item/7?x=1', url: '/item/7?x=1' }
    expect((await request(`${url}/shop/item/7?x=1`)).json()).toEqual({ ...seen, calls: 1 })
    clock.advance(15_000)
    await request(`${url}/shop/item/7?x=1`)
    await eventually(() => calls === 2 && handler.stats.revalidating === 0)
    expect((await request(`${url}/shop/item/7?x=1`)).json()).toEqual({ ...seen, calls: 2 })
  })
})

describe('in a bare server', () => {
  test.each([
    ['around()', true],
    ['next', false],
  ])('(%s) a stale response is served and refreshed', async (_name, around) => {
    const clock = new HandClock()
    const handler = cache({ clock })
    let calls = 0
    const answer = (_req: http.IncomingMessage, res: http.ServerResponse): void => {
      calls++
      res.writeHead(200, SWR)
      res.end(`version ${calls}`)
    }
    const listener: http.RequestListener = around
      ? handler.around(answer)
      : (req, res) => handler(req, res, () => answer(req, res))
    const { url } = await using(serve(listener))
    await request(`${url}/a`)
    clock.advance(15_000)
    expect((await request(`${url}/a`)).text).toBe('version 1')
    await eventually(() => calls === 2 && handler.stats.revalidating === 0)
    expect((await request(`${url}/a`)).text).toBe('version 2')
  })

  test('a handler behind that throws is answered with an error, not left hanging', async () => {
    const { url } = await using(
      serve(
        cache().around(() => {
          throw new Error('broken')
        }),
      ),
    )
    expect((await request(`${url}/a`, { timeoutMs: 2_000 })).status).toBe(500)
  })
})

test('stats.revalidating counts several at once', async () => {
  const clock = new HandClock()
  const hold = gate()
  const upstream = await using(
    startUpstream(async (req, res) => {
      res.sendDate = false
      if (upstream.requests.length > 3) await hold.opened
      res.writeHead(200, SWR)
      res.end(req.url)
    }),
  )
  const { url, cache } = await gateway({ target: upstream, cache: { clock } })
  for (const path of ['/a', '/b', '/c']) await request(url + path)
  clock.advance(15_000)
  for (const path of ['/a', '/b', '/c', '/a']) await request(url + path)
  await eventually(() => upstream.requests.length === 6)
  expect(cache.stats.revalidating).toBe(3)
  hold.open()
  await eventually(() => cache.stats.revalidating === 0)
})

import { request, serve, type Upstream } from '@postern/test-kit'
import express, { type RequestHandler } from 'express'
import { describe, expect, test } from 'vitest'
import { type CacheOptions, cache, cachePurged, memoryStore } from '../../src/index.ts'
import { storeOver } from './stores.ts'
import { ask, type Gateway, gate, gateway, HandClock, origin, told, using } from './support.ts'

/** What an upstream answers; each answer says how many there were before. */
async function shop(options: CacheOptions = {}, headers: Record<string, string> = {}) {
  const upstream = await origin((_req, res) => {
    res.writeHead(200, { 'cache-control': 'max-age=60', ...headers })
    res.end(`answer ${upstream.requests.length}`)
  })
  const made = await gateway({ target: upstream, cache: options })
  return { ...made, upstream, cache: made.cache }
}

async function isHit({ url }: Pick<Gateway, 'url'>, path: string, headers: Record<string, string> = {}) {
  const reply = await request(url + path, { headers })
  return reply.headers['cache-status']!.includes('; hit')
}

describe('purge()', () => {
  test.each<[string, (url: string) => string | URL]>([
    ['an absolute URL', (url) => `${url}/a`],
    ['a URL object', (url) => new URL(`${url}/a`)],
    ['an absolute URL with another spelling of scheme and host', (url) => `${url.replace('http', 'HTTP')}/a#part`],
    ['a path', () => '/a'],
  ])('by %s takes it away and says how many', async (_name, what) => {
    const made = await shop()
    await request(`${made.url}/a`)
    await request(`${made.url}/b`)
    expect(await made.cache.purge(what(made.url))).toBe(1)
    expect(await isHit(made, '/a')).toBe(false)
    expect(await isHit(made, '/b')).toBe(true)
  })

  test('by a path with a query takes that query only', async () => {
    const made = await shop()
    for (const path of ['/a', '/a?x=1', '/a?x=2']) await request(made.url + path)
    expect(await made.cache.purge('/a?x=1')).toBe(1)
    expect(await isHit(made, '/a?x=1')).toBe(false)
    expect(await isHit(made, '/a')).toBe(true)
    expect(await isHit(made, '/a?x=2')).toBe(true)
  })

  test('by a path takes those of every host', async () => {
    const made = await shop()
    for (const host of ['one.example', 'two.example:8080']) await request(`${made.url}/a`, { headers: { host } })
    expect(await made.cache.purge('/a')).toBe(2)
  })

  test('by a function gives it URI and head', async () => {
    const made = await shop({}, { 'content-type': 'text/plain' })
    for (const path of ['/news/1', '/news/2', '/shop/1']) await request(made.url + path)
    const purged = await made.cache.purge(
      (uri, response) => uri.startsWith(`${made.url}/news/`) && response.status === 200,
    )
    expect(purged).toBe(2)
    expect(await isHit(made, '/shop/1')).toBe(true)
    expect(await isHit(made, '/news/1')).toBe(false)
  })

  test('of what is not there is 0', async () => {
    const { cache, url } = await shop()
    expect(await cache.purge('/nothing')).toBe(0)
    expect(await cache.purge(`${url}/nothing`)).toBe(0)
    expect(await cache.purgeTag('nothing')).toBe(0)
  })

  test.each(['', 'a', 'ftp://host/a', 'host/a'])('by what is no URL (%j) says what to write', async (what) => {
    const { cache } = await shop()
    await expect(cache.purge(what)).rejects.toThrow(/not a URL.*use "https:\/\/shop\.example\/products"/)
  })

  test('takes all variants, and those of HEAD and of ranges', async () => {
    const upstream = await origin((req, res) => {
      if (req.headers.range !== undefined) {
        res.writeHead(206, { 'cache-control': 'max-age=60', 'content-range': 'bytes 0-1/9', etag: '"r"' })
        res.end('an')
        return
      }
      res.writeHead(200, { 'cache-control': 'max-age=60', vary: 'accept-language' })
      res.end('answer')
    })
    const made = await gateway({ target: upstream })
    for (const language of ['de', 'en', 'fr']) {
      await request(`${made.url}/a`, { headers: { 'accept-language': language } })
    }
    await request(`${made.url}/a`, { method: 'HEAD', headers: { 'accept-language': 'it' } })
    await request(`${made.url}/a`, { headers: { range: 'bytes=0-1', 'accept-language': 'es' } })
    const { responses } = made.cache.stats
    expect(await made.cache.purge(`${made.url}/a`)).toBe(responses)
    expect(made.cache.stats.responses).toBe(0)
  })

  test.each<[string, CacheOptions]>([
    ['partition', { partition: (req) => req.headers['x-user'] as string }],
    ['key', { key: (req) => req.headers['x-user'] as string }],
  ])('takes those of all callers (%s)', async (_name, options) => {
    const made = await shop(options)
    for (const user of ['ann', 'bob', 'eve']) await request(`${made.url}/a`, { headers: { 'x-user': user } })
    expect(made.cache.stats.responses).toBe(3)
    expect(await made.cache.purge(`${made.url}/a`)).toBe(3)
    for (const user of ['ann', 'bob', 'eve']) expect(await isHit(made, '/a', { 'x-user': user })).toBe(false)
    expect(await made.cache.purge('/a')).toBe(3)
  })

  test('knows the query options', async () => {
    const made = await shop({ query: { ignore: ['utm_*'], sort: true } })
    await request(`${made.url}/a?b=2&a=1&utm_source=x`)
    expect(await isHit(made, '/a?a=1&utm_medium=y&b=2')).toBe(true)
    expect(await made.cache.purge('/a?utm_campaign=z&b=2&a=1')).toBe(1)
    await request(`${made.url}/a?b=2&a=1`)
    expect(await made.cache.purge(`${made.url}/a?a=1&b=2&utm_id=7`)).toBe(1)
  })

  test('keeps what is on its way from being stored, whichever way it is named', async () => {
    const ways: ((made: Gateway) => Promise<number>)[] = [
      (made) => made.cache.purge(`${made.url}/a`),
      (made) => made.cache.purge('/a'),
      (made) => made.cache.purge(() => true),
      (made) => made.cache.purgeTag('t'),
      (made) => made.cache.purge('/a', { soft: true }),
      async (made) => (await request(`${made.url}/a`, { method: 'POST' })).status,
    ]
    for (const way of ways) {
      for (const when of ['before the head', 'in mid-body']) {
        const head = gate()
        const rest = gate()
        const upstream: Upstream = await origin(async (req, res) => {
          if (req.method === 'POST') {
            res.end()
            return
          }
          const number = upstream.requests.length
          if (number === 1) await head.opened
          res.writeHead(200, { 'cache-control': 'max-age=60', 'cache-tag': 't' })
          res.write('old ')
          if (number === 1) await rest.opened
          res.end(String(number))
        })
        const made = await gateway({ target: upstream })
        if (when === 'in mid-body') head.open()
        const before = ask(`${made.url}/a`, { onResponse: () => head.open() })
        while (upstream.requests.length === 0) await new Promise(setImmediate)
        if (when === 'in mid-body') await head.opened.then(() => new Promise((done) => setTimeout(done, 20)))
        await way(made)
        head.open()
        rest.open()
        expect((await before).text).toBe('old 1')
        expect(await isHit(made, '/a'), `${way} ${when}`).toBe(false)
      }
    }
  })

  test('is not joined: who comes after it does not get what was asked for before', async () => {
    const hold = gate()
    const upstream: Upstream = await origin(async (_req, res) => {
      const number = upstream.requests.length
      if (number === 1) await hold.opened
      res.writeHead(200, { 'cache-control': 'max-age=60' })
      res.end(`answer ${number}`)
    })
    const made = await gateway({ target: upstream })
    const before = ask(`${made.url}/a`)
    while (upstream.requests.length === 0) await new Promise(setImmediate)
    await made.cache.purge('/a')
    expect((await request(`${made.url}/a`)).text).toBe('answer 2')
    hold.open()
    expect((await before).text).toBe('answer 1')
    expect((await request(`${made.url}/a`)).text).toBe('answer 2')
  })
})

describe('purgeTag()', () => {
  test.each<[string, Record<string, string>, CacheOptions]>([
    ['Cache-Tag', { 'cache-tag': 'product-1, sale' }, {}],
    ['Surrogate-Key', { 'surrogate-key': 'product-1 sale' }, {}],
    ['the tags option', {}, { tags: () => ['product-1', 'sale'] }],
  ])('takes what %s has named', async (_name, headers, options) => {
    const made = await shop(options, headers)
    for (const path of ['/a', '/b']) await request(made.url + path)
    expect(await made.cache.purgeTag('sale')).toBe(2)
    expect(await isHit(made, '/a')).toBe(false)
    expect(await made.cache.purgeTag('product')).toBe(0)
    expect(await made.cache.purgeTag('product-1')).toBe(1)
  })

  test('knows what the tags option was told of request and response', async () => {
    const made = await shop(
      { tags: (req, head) => [`${req.url} ${head.status} ${head.field('Content-Type')}`] },
      {
        'content-type': 'text/x',
      },
    )
    await request(`${made.url}/a`)
    expect(await made.cache.purgeTag('/a 200 text/x')).toBe(1)
  })

  test('does not tell clients the tags, from the store or not, unless it is told to', async () => {
    const headers = { 'cache-tag': 'x', 'surrogate-key': 'y' }
    const hidden = await shop({}, headers)
    const shown = await shop({ exposeTags: true }, headers)
    for (let i = 0; i < 2; i++) {
      expect((await request(`${hidden.url}/a`)).headers).not.toHaveProperty('cache-tag')
      expect((await request(`${hidden.url}/a`)).headers).not.toHaveProperty('surrogate-key')
      expect((await request(`${shown.url}/a`)).headers).toMatchObject(headers)
    }
    // Also where nothing is stored.
    expect((await request(`${hidden.url}/b`, { method: 'PUT' })).headers).not.toHaveProperty('cache-tag')
  })
})

describe('a soft purge', () => {
  test('has what is stored validated before it is served again', async () => {
    const made = await shop({ clock: new HandClock() }, { etag: '"v"' })
    await request(`${made.url}/a`)
    expect(await made.cache.purge('/a', { soft: true })).toBe(1)
    const reply = await request(`${made.url}/a`)
    expect([reply.text, reply.headers['cache-status']]).toEqual(['answer 2', 'Postern; fwd=stale; ttl=60; stored'])
    expect(made.upstream.last.headers['if-none-match']).toBe('"v"')
  })

  test.each<[string, (made: Gateway) => Promise<number>]>([
    ['by URI', (made) => made.cache.purge(`${made.url}/a`, { soft: true })],
    ['by path', (made) => made.cache.purge('/a', { soft: true })],
    ['by tag', (made) => made.cache.purgeTag('t', { soft: true })],
    ['by a function', (made) => made.cache.purge(() => true, { soft: true })],
  ])('(%s) lets it be served while it is revalidated, where it may', async (_name, way) => {
    const headers = { 'cache-control': 'max-age=60, stale-while-revalidate=60', 'cache-tag': 't' }
    const made = await shop({ clock: new HandClock() }, headers)
    await request(`${made.url}/a`)
    expect(await way(made)).toBe(1)
    const reply = await request(`${made.url}/a`)
    expect([reply.text, reply.headers['cache-status']]).toEqual([
      'answer 1',
      expect.stringContaining('hit; ttl=0; detail=stale-while-revalidate'),
    ])
    while (made.cache.stats.revalidating > 0) await new Promise(setImmediate)
    expect((await request(`${made.url}/a`)).text).toBe('answer 2')
  })
})

describe('an unsafe request', () => {
  test.each(['POST', 'PUT', 'PATCH', 'DELETE', 'MKCOL'])(
    '(%s) that succeeds takes away what is stored of its URI',
    async (method) => {
      const made = await shop()
      await request(`${made.url}/a`)
      await request(`${made.url}/a`, { method })
      expect(await isHit(made, '/a')).toBe(false)
    },
  )

  test('takes away what another caller’s partition holds of it', async () => {
    const made = await shop({ partition: (req) => req.headers['x-user'] as string })
    for (const user of ['ann', 'bob']) await request(`${made.url}/a`, { headers: { 'x-user': user } })
    await request(`${made.url}/a`, { method: 'DELETE', headers: { 'x-user': 'eve' } })
    for (const user of ['ann', 'bob']) expect(await isHit(made, '/a', { 'x-user': user })).toBe(false)
  })

  test('takes away what Location and Content-Location name, of the same origin only', async () => {
    const upstream = await origin((req, res) => {
      if (req.method === 'POST') {
        const location = req.headers['x-location'] as string
        res.writeHead(201, { location, 'content-location': '/c' })
        res.end()
        return
      }
      res.writeHead(200, { 'cache-control': 'max-age=60' })
      res.end('answer')
    })
    const made = await gateway({ target: upstream })
    const other = { host: 'other.example' }
    for (const path of ['/a', '/b', '/c', '/d']) await request(made.url + path)
    await request(`${made.url}/d`, { headers: other })
    await request(`${made.url}/a`, { method: 'POST', headers: { 'x-location': '/b' } })
    await request(`${made.url}/a`, { method: 'POST', headers: { 'x-location': 'http://other.example/d' } })
    for (const path of ['/a', '/b', '/c']) expect(await isHit(made, path)).toBe(false)
    expect(await isHit(made, '/d')).toBe(true)
    expect(await isHit(made, '/d', other)).toBe(true)
  })

  test('that fails takes nothing away', async () => {
    const upstream = await origin((req, res) => {
      res.writeHead(req.method === 'GET' ? 200 : 409, { 'cache-control': 'max-age=60' })
      res.end('answer')
    })
    const made = await gateway({ target: upstream })
    await request(`${made.url}/a`)
    await request(`${made.url}/a`, { method: 'DELETE' })
    expect(await isHit(made, '/a')).toBe(true)
  })

  test('that the gateway itself answers takes nothing away', async () => {
    const made = await shop()
    await request(`${made.url}/a`)
    await made.upstream.close()
    expect((await request(`${made.url}/a`, { method: 'POST' })).status).toBe(502)
    expect(await isHit(made, '/a')).toBe(true)
  })

  test.each(['OPTIONS', 'TRACE', 'PROPFIND'])('(%s, a safe one) takes nothing away', async (method) => {
    const made = await shop()
    await request(`${made.url}/a`)
    await request(`${made.url}/a`, { method })
    expect(await isHit(made, '/a')).toBe(true)
  })

  test('on a route that is not cached is noticed by the invalidator, and only there', async () => {
    const handler = cache()
    const app = express()
    let version = 0
    app.get('/a', handler, (_req, res) => void res.set('cache-control', 'max-age=60').send(`version ${version}`))
    app.post('/a', handler.invalidator, (_req, res) => void res.send(`version ${++version}`))
    app.get('/b', handler.invalidator, (_req, res) => void res.set('cache-control', 'max-age=60').send('b'))
    const { url } = await using(serve(app))
    await request(`${url}/a`)
    expect((await request(`${url}/a`)).headers['cache-status']).toContain('hit')
    await request(`${url}/a`, { method: 'POST' })
    expect((await request(`${url}/a`)).text).toBe('version 1')
    await request(`${url}/b`)
    expect((await request(`${url}/b`)).headers).not.toHaveProperty('cache-status')
    await handler.close()
  })

  test('that passes the cache and its invalidator is told of once', async () => {
    const handler = cache()
    const purged = told(cachePurged)
    const { url } = await gateway({
      handler,
      behind: [
        handler.invalidator as RequestHandler,
        (_req, res) => void res.set('cache-control', 'max-age=60').send('x'),
      ],
    })
    await request(`${url}/a`)
    const reply = await request(`${url}/a`, { method: 'POST' })
    expect(reply.headers['cache-status']).toBe('Postern; fwd=method')
    expect(purged).toHaveLength(1)
  })

  // A store elsewhere takes its time, and the client may ask again as soon as it has its answer.
  test('is answered so that its client does not read what it has just replaced, however slow the store is', async () => {
    const inner = memoryStore()
    const slow = async <Value>(value: () => Value): Promise<Value> => {
      await new Promise((resolve) => setTimeout(resolve, 60))
      return value()
    }
    const store = storeOver(inner, {
      purge: (key, mode) => slow(() => inner.purge(key, mode) as number),
      purgeTag: (tag, mode) => slow(() => inner.purgeTag(tag, mode) as number),
    })
    const made = await shop({ store, storeTimeoutMs: 5_000 })
    await request(`${made.url}/a`)
    await request(`${made.url}/a`, { method: 'PUT' })
    expect(await isHit(made, '/a')).toBe(false)
  })
})

import { eventually, refusedPort, request } from '@postern/test-kit'
import type { RequestHandler } from 'express'
import { describe, expect, test } from 'vitest'
import { cacheHit, cacheMissed, cachePurged, memoryStore, responseStored } from '../../src/index.ts'
import { ask, Client, gate, gateway, HandClock, origin, told, using } from './support.ts'

async function plain(headers: Record<string, string> = { 'cache-control': 'max-age=60', etag: '"v"' }) {
  const clock = new HandClock()
  const upstream = await origin((req, res) => {
    if (req.method === 'GET' && req.headers['if-none-match'] === '"v"') res.writeHead(304, headers).end()
    else res.writeHead(200, headers).end('0123456789')
  })
  return { ...(await gateway({ target: upstream, cache: { clock } })), upstream, clock }
}

const HIT = { hit: true, fwd: undefined, fwdStatus: undefined, ttlS: 60, stored: false, collapsed: false }

describe('an observer in front of the cache reads on req.gateway.cache what Cache-Status tells the client', () => {
  test('of a miss, a hit, a revalidation and a request for the origin', async () => {
    const { url, clock, seen } = await plain()
    const told: unknown[] = []
    const get = async (headers = {}): Promise<void> => {
      told.push((await request(`${url}/a`, { headers })).headers['cache-status'])
    }
    await get()
    await get()
    clock.advance(70_000)
    await get()
    await get({ 'cache-control': 'no-cache' })
    await get({ 'cache-control': 'no-store' })
    await get({ 'cache-control': 'max-stale=5' })
    expect(told).toEqual([
      'Postern; fwd=uri-miss; ttl=60; stored',
      'Postern; hit; ttl=60',
      'Postern; fwd=stale; fwd-status=304; ttl=60; stored',
      'Postern; fwd=request; fwd-status=304; ttl=60; stored',
      'Postern; hit; ttl=60',
      'Postern; hit; ttl=60',
    ])
    await eventually(() => seen.length === 6)
    expect(seen[0]!.verdict).toEqual({ ...HIT, hit: false, fwd: 'uri-miss', stored: true, detail: undefined })
    expect(seen[1]!.verdict).toEqual({ ...HIT, detail: undefined })
    expect(seen[2]!.verdict).toMatchObject({ hit: false, fwd: 'stale', fwdStatus: 304, ttlS: 60 })
    expect(seen[3]!.verdict).toMatchObject({ hit: false, fwd: 'request', fwdStatus: 304 })
  })

  test.each<[string, Parameters<typeof request>[1], string | undefined, object]>([
    ['POST', { method: 'POST' }, 'Postern; fwd=method', { fwd: 'method', hit: false }],
    ['DELETE', { method: 'DELETE' }, 'Postern; fwd=method', { fwd: 'method' }],
    ['OPTIONS', { method: 'OPTIONS' }, 'Postern; fwd=method', { fwd: 'method' }],
    [
      'only-if-cached',
      { headers: { 'cache-control': 'only-if-cached' } },
      undefined,
      { hit: false, fwd: undefined, detail: 'only-if-cached' },
    ],
  ])('of %s', async (_name, options, expected, verdict) => {
    const { url, seen } = await plain()
    expect((await request(`${url}/a`, options)).headers['cache-status']).toBe(expected)
    await eventually(() => seen.length === 1)
    expect(seen[0]!.verdict).toMatchObject(verdict)
  })

  test.each<[string, Record<string, string>, string]>([
    ['no-store', { 'cache-control': 'no-store' }, 'Postern; fwd=uri-miss; detail=no-store'],
    ['private', { 'cache-control': 'private' }, 'Postern; fwd=uri-miss; detail=private'],
    ['a cookie', { 'cache-control': 'max-age=9', 'set-cookie': 'a=1' }, 'Postern; fwd=uri-miss; detail=set-cookie'],
    ['Vary: *', { 'cache-control': 'max-age=9', vary: '*' }, 'Postern; fwd=uri-miss; detail=vary'],
    ['no freshness', {}, 'Postern; fwd=uri-miss; detail=no-freshness'],
  ])('of what is not stored, and why (%s)', async (_name, headers, told) => {
    const { url } = await plain(headers)
    expect((await request(`${url}/a`)).headers['cache-status']).toBe(told)
  })

  test('of one that asked for another variant, and of one for a part that is not stored', async () => {
    const upstream = await origin((req, res) => {
      const fields = { 'cache-control': 'max-age=60', vary: 'x-v', etag: '"v"' }
      if (req.headers.range === undefined) res.writeHead(200, fields).end('0123456789')
      else res.writeHead(206, { ...fields, 'content-range': 'bytes 0-1/10' }).end('01')
    })
    const { url } = await gateway({ target: upstream, cache: { clock: new HandClock() } })
    await request(`${url}/a`, { headers: { 'x-v': '1' } })
    const other = await request(`${url}/a`, { headers: { 'x-v': '2' } })
    expect(other.headers['cache-status']).toBe('Postern; fwd=vary-miss; ttl=60; stored')
    await request(`${url}/b`, { headers: { range: 'bytes=0-1' } })
    const part = await request(`${url}/b`, { headers: { range: 'bytes=5-6' } })
    expect(part.headers['cache-status']).toContain('fwd=partial')
  })

  test('of errors that the gateway makes, in the log alone: such an answer comes from no cache', async () => {
    const refused = await using(refusedPort())
    const { url, seen } = await gateway({ target: refused })
    const reply = await request(`${url}/a`)
    expect([reply.status, reply.headers['cache-status']]).toEqual([502, undefined])
    await eventually(() => seen.length === 1)
    expect(seen[0]!.verdict).toMatchObject({ hit: false, fwd: 'uri-miss', stored: false, detail: 'gateway-error' })
  })

  test('of a request to leave HTTP: nothing, it goes by as it came', async () => {
    const handler: RequestHandler = (req, res) => void res.set('cache-control', 'max-age=60').send(req.get('upgrade'))
    const { url, cache } = await gateway({ behind: [handler] })
    for (let i = 0; i < 2; i++) {
      const reply = await request(`${url}/a`, { headers: { connection: 'upgrade', upgrade: 'websocket' } })
      expect([reply.text, reply.headers['cache-status']]).toEqual(['websocket', undefined])
    }
    expect(cache.stats.responses).toBe(0)
  })

  test('and handlers behind the cache read why they were asked', async () => {
    const seen: unknown[] = []
    const handler: RequestHandler = (req, res) => {
      res.on('finish', () => seen.push(req.gateway!.cache?.fwd))
      res.set('cache-control', 'max-age=60').send('x')
    }
    const { url } = await gateway({ behind: [handler] })
    await request(`${url}/a`)
    await eventually(() => seen.length === 1)
    expect(seen).toEqual(['uri-miss'])
  })

  test('of what the store refused in the end: it was not stored', async () => {
    const store = memoryStore({ maxObjectBytes: 5 })
    const upstream = await origin((_req, res) => {
      res.writeHead(200, { 'cache-control': 'max-age=60' }).end('0123456789')
    })
    const { url, seen } = await gateway({ target: upstream, cache: { store } })
    await request(`${url}/a`)
    await eventually(() => seen.length === 1)
    expect(seen[0]!.verdict?.stored).toBe(false)
  })
})

describe('Cache-Status', () => {
  test('has the name that was given, in quotes where it is no token', async () => {
    const handler: RequestHandler = (_req, res) => void res.set('cache-control', 'max-age=60').send('x')
    for (const [cacheStatus, told] of [
      ['edge-1', /^edge-1; fwd=uri-miss/],
      ['my edge "1"', /^"my edge \\"1\\""; fwd=uri-miss/],
    ] as const) {
      const { url } = await gateway({ behind: [handler], cache: { cacheStatus } })
      expect((await request(`${url}/a`)).headers['cache-status']).toMatch(told)
    }
  })

  test('is left out where that is wanted, and the verdict is there all the same', async () => {
    const handler: RequestHandler = (_req, res) => void res.set('cache-control', 'max-age=60').send('x')
    const { url, seen } = await gateway({ behind: [handler], cache: { cacheStatus: false } })
    for (const options of [{}, {}, { method: 'POST' }]) {
      expect((await request(`${url}/a`, options)).headers).not.toHaveProperty('cache-status')
    }
    await eventually(() => seen.length === 3)
    expect(seen.map((each) => each.verdict?.hit)).toEqual([false, true, false])
  })

  test('comes behind those of caches further on the way, from the store too', async () => {
    const { url } = await plain({ 'cache-control': 'max-age=60', 'cache-status': 'Origin; hit' })
    const lines: string[][] = []
    for (let i = 0; i < 2; i++) {
      const { rawHeaders } = await request(`${url}/a`)
      lines.push(rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1]!.toLowerCase() === 'cache-status'))
    }
    expect(lines).toEqual([
      ['Origin; hit', 'Postern; fwd=uri-miss; ttl=60; stored'],
      ['Origin; hit', 'Postern; hit; ttl=60'],
    ])
  })
})

describe('bytes on the exchange', () => {
  test.each<[string, Parameters<typeof request>[1], number]>([
    ['a hit', {}, 10],
    ['a hit of HEAD', { method: 'HEAD' }, 0],
    ['a hit with 304', { headers: { 'if-none-match': '"v"' } }, 0],
    ['a part', { headers: { range: 'bytes=0-3' } }, 4],
    ['a revalidation', { headers: { 'cache-control': 'no-cache' } }, 10],
  ])('are those that the client got (%s)', async (_name, options, bytes) => {
    const { url, seen } = await plain()
    await request(`${url}/a`)
    const reply = await request(`${url}/a`, options)
    await eventually(() => seen.length === 2)
    expect([seen[0]!.bytes, seen[1]!.bytes]).toEqual([10, bytes])
    expect(reply.body.length).toBe(bytes)
  })

  test('of a miss that ends in a 304 for the client are none', async () => {
    const { url, seen } = await plain()
    expect((await request(`${url}/a`, { headers: { 'if-none-match': '"v"' } })).status).toBe(304)
    await eventually(() => seen.length === 1)
    expect(seen[0]!.bytes).toBe(0)
  })

  test('of those who wait are counted for each of them, with and without a length', async () => {
    for (const length of [{}, { 'content-length': '11' }]) {
      const hold = gate()
      const upstream = await origin(async (_req, res) => {
        res.writeHead(200, { 'cache-control': 'max-age=60', ...length })
        res.write('hello ')
        await hold.opened
        res.end('world')
      })
      const { url, cache, seen } = await gateway({ target: upstream })
      const replies = [ask(`${url}/a`), ask(`${url}/a`), ask(`${url}/a`)]
      await eventually(() => cache.stats.collapsed === 2)
      hold.open()
      await Promise.all(replies)
      await eventually(() => seen.length === 3)
      expect(seen.map((each) => each.bytes)).toEqual([11, 11, 11])
    }
  })

  test('of what turned out too large to be stored, and of what was never to be stored, are all of them', async () => {
    const piece = Buffer.alloc(50_000)
    const hold = gate()
    const upstream = await origin(async (req, res) => {
      res.writeHead(200, { 'cache-control': req.url === '/large' ? 'max-age=60' : 'no-store' })
      res.write(piece)
      res.write(piece)
      await hold.opened
      res.end(piece)
    })
    const { url, seen } = await gateway({ target: upstream, cache: { maxObjectBytes: 60_000 } })
    for (const path of ['/large', '/not-stored']) {
      const client = new Client(url + path)
      await eventually(() => client.bytes >= 100_000)
      hold.open()
      await client.whole
    }
    await eventually(() => seen.length === 2)
    expect(seen.map((each) => each.bytes)).toEqual([150_000, 150_000])
  })

  test('of a client that leaves are those that it was sent', async () => {
    const hold = gate()
    const upstream = await origin(async (_req, res) => {
      res.writeHead(200, { 'cache-control': 'max-age=60' })
      res.write('hello ')
      await hold.opened
      res.end('world')
    })
    const { url, seen } = await gateway({ target: upstream })
    const client = new Client(`${url}/a`)
    await eventually(() => client.text === 'hello ')
    client.leave()
    await eventually(() => seen.length === 1)
    expect(seen[0]!.bytes).toBe(6)
    hold.open()
  })
})

describe('what is told on channels', () => {
  function listened() {
    return {
      hit: told(cacheHit),
      missed: told(cacheMissed),
      stored: told(responseStored),
      purged: told(cachePurged),
    }
  }

  test('a miss and what was stored, then a hit', async () => {
    const { hit, missed, stored } = listened()
    const { url } = await plain()
    await request(`${url}/a`)
    await request(`${url}/a`)
    expect(missed).toHaveLength(1)
    expect(missed[0]).toMatchObject({ cache: 'cache' })
    expect(missed[0]!.exchange.cache).toMatchObject({ fwd: 'uri-miss' })
    expect(stored).toHaveLength(1)
    expect(stored[0]).toMatchObject({
      cache: 'cache',
      uri: `${url}/a`,
      updated: false,
      response: { status: 200, bodyBytes: 10 },
    })
    expect(hit).toHaveLength(1)
    expect(hit[0]!.exchange.cache).toMatchObject({ hit: true })
    expect(hit[0]!.exchange.request.url).toBe('/a')
  })

  test('a revalidation is a miss, and brings what is stored up to date', async () => {
    const { missed, stored } = listened()
    const { url, clock } = await plain()
    await request(`${url}/a`)
    clock.advance(70_000)
    await request(`${url}/a`)
    expect(missed.map((each) => each.exchange.cache?.fwdStatus)).toEqual([undefined, 304])
    expect(stored.map((each) => each.updated)).toEqual([false, true])
  })

  test('those who wait are misses too, each with its own exchange', async () => {
    const { missed } = listened()
    const hold = gate()
    const upstream = await origin(async (_req, res) => {
      await hold.opened
      res.writeHead(200, { 'cache-control': 'max-age=60' })
      res.end('x')
    })
    const { url, cache } = await gateway({ target: upstream })
    const replies = [ask(`${url}/a`), ask(`${url}/a`), ask(`${url}/a`)]
    await eventually(() => cache.stats.collapsed === 2)
    hold.open()
    await Promise.all(replies)
    expect(missed.map((each) => each.exchange.cache?.collapsed).sort()).toEqual([false, true, true])
    expect(new Set(missed.map((each) => each.exchange)).size).toBe(3)
  })

  test('purges: by whom, what and how many', async () => {
    const { purged } = listened()
    const { url, cache } = await plain({ 'cache-control': 'max-age=60', 'cache-tag': 't' })
    const fill = (): Promise<unknown> => request(`${url}/a`)
    await fill()
    await cache.purge(`${url}/a`, { soft: true })
    await cache.purge('/a')
    await fill()
    await cache.purgeTag('t')
    await fill()
    await cache.purge(() => true)
    await fill()
    await request(`${url}/a`, { method: 'PUT' })
    const common = { cache: 'cache', soft: false, responses: 1 }
    expect(purged).toEqual([
      { ...common, by: 'uri', what: `${url}/a`, soft: true },
      { ...common, by: 'uri', what: '/a' },
      { ...common, by: 'tag', what: 't' },
      { ...common, by: 'predicate', what: '' },
      { ...common, by: 'invalidated', what: `${url}/a` },
    ])
  })
})

test('stats count hits, misses, what was stored and what collapsed, and what the store holds', async () => {
  const { url, cache, upstream } = await plain()
  await request(`${url}/a`)
  await request(`${url}/a`)
  await request(`${url}/b`)
  await request(`${url}/b`, { method: 'POST' })
  expect(cache.stats).toEqual({
    hits: 1,
    misses: 2,
    stored: 2,
    collapsed: 0,
    revalidating: 0,
    responses: 1,
    evictions: 0,
    bytes: expect.any(Number),
  })
  expect(upstream.requests).toHaveLength(3)
  expect(() => {
    ;(cache as { stats: unknown }).stats = {}
  }).toThrow(TypeError)
})

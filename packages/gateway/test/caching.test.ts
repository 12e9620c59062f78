import { PassThrough } from 'node:stream'
import { type CacheVerdict, exchangeOf } from '@postern/contracts'
import { connectWebSocket, eventually, request, startWebSocketUpstream } from '@postern/test-kit'
import { describe, expect, it } from 'vitest'
import { as, authenticates, cacheStatus, closers, counting, dead, start, upstream } from './caching-support.ts'

describe('a cached route', () => {
  it('answers the second request from the store, and the upstream hears of one', async () => {
    const origin = await upstream(counting())
    const { url } = await start({
      upstreams: { one: { targets: [origin.url] } },
      routes: [{ prefix: '/', upstream: 'one', cache: true }],
    })
    const first = await request(`${url}/a`)
    expect(first.text).toBe('/a 1')
    expect(cacheStatus(first)).toMatch(/^Postern; fwd=uri-miss; ttl=(60|5\d); stored$/)
    const second = await request(`${url}/a`)
    expect([second.status, second.text, Number(second.headers.age)]).toEqual([200, '/a 1', expect.any(Number)])
    expect(cacheStatus(second)).toMatch(/^Postern; hit; ttl=(60|5\d)$/)
    expect(origin.requests).toHaveLength(1)
  })

  it('answers HEAD, a condition and a range from what GET has stored', async () => {
    const origin = await upstream(counting('max-age=60', { etag: '"1"', 'accept-ranges': 'bytes' }))
    const { url } = await start({
      upstreams: { one: { targets: [origin.url] } },
      routes: [{ prefix: '/', method: 'GET', upstream: 'one', cache: true }],
    })
    await request(`${url}/a`)
    const head = await request(`${url}/a`, { method: 'HEAD' })
    expect([head.status, head.headers['content-length'], head.text]).toEqual([200, '4', ''])
    expect((await request(`${url}/a`, { headers: { 'if-none-match': '"1"' } })).status).toBe(304)
    const range = await request(`${url}/a`, { headers: { range: 'bytes=1-1' } })
    expect([range.status, range.text, range.headers['content-range']]).toEqual([206, 'a', 'bytes 1-1/4'])
    expect(origin.requests).toHaveLength(1)
  })

  it('keeps URLs and queries apart', async () => {
    const origin = await upstream(counting())
    const { url } = await start({
      upstreams: { one: { targets: [origin.url] } },
      routes: [{ prefix: '/', upstream: 'one', cache: true }],
    })
    for (const path of ['/a', '/b', '/a?x=1', '/a?x=2', '/a/']) await request(url + path)
    expect(origin.requests.map((each) => each.url)).toEqual(['/a', '/b', '/a?x=1', '/a?x=2', '/a/'])
  })

  it('stores under the URL of the client, not under that of a rewrite', async () => {
    const origin = await upstream(counting())
    const { gw, url } = await start({
      upstreams: { one: { targets: [origin.url] } },
      routes: [{ prefix: '/shop', upstream: 'one', rewrite: { stripPrefix: true }, cache: true }],
    })
    expect((await request(`${url}/shop/a`)).text).toBe('/a 1')
    expect((await request(`${url}/shop/a`)).text).toBe('/a 1')
    expect(await gw.cache!.purge('/a')).toBe(0)
    expect(await gw.cache!.purge('/shop/a')).toBe(1)
  })

  it('answers from the store also what came with trailers', async () => {
    const origin = await upstream((_req, res) => {
      res.writeHead(200, { 'cache-control': 'max-age=60', trailer: 'x-sum' })
      res.write('with ')
      res.addTrailers({ 'x-sum': '1' })
      res.end('trailers')
    })
    const { url } = await start({
      upstreams: { one: { targets: [origin.url] } },
      routes: [{ prefix: '/', upstream: 'one', cache: true }],
    })
    const replies = [await request(`${url}/a`), await request(`${url}/a`)]
    expect(replies.map((reply) => [reply.status, reply.text])).toEqual(Array(2).fill([200, 'with trailers']))
    expect(cacheStatus(replies[1]!)).toMatch(/hit/)
  })

  it('carries WebSockets as any other route', async () => {
    const events = await startWebSocketUpstream()
    closers.push(() => events.close())
    const { url } = await start({
      upstreams: { events: { targets: [events.url] } },
      routes: [{ path: '/events', upstream: 'events', cache: true }],
    })
    const socket = await connectWebSocket(`${url.replace('http', 'ws')}/events`)
    socket.send('hello')
    expect(String((await socket.next()).data)).toBe('hello')
    await socket.close()
  })

  it('tells the log of a hit, with its status and its bytes', async () => {
    const origin = await upstream(counting())
    const stream = new PassThrough()
    let lines = ''
    stream.setEncoding('utf8').on('data', (text: string) => {
      lines += text
    })
    const { url } = await start({
      logger: { stream, flushIntervalMs: 0 },
      upstreams: { one: { targets: [{ id: 'origin', url: origin.url }] } },
      routes: [{ id: 'all', prefix: '/', upstream: 'one', cache: true }],
    })
    await request(`${url}/long`)
    await request(`${url}/long`)
    await eventually(() => expect(lines.trim().split('\n')).toHaveLength(2))
    const [miss, hit] = lines
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(miss).toMatchObject({ cache: 'uri-miss', status: 200, bytesOut: 7, target: 'origin', attempts: 1 })
    expect(hit).toMatchObject({ cache: 'hit', status: 200, bytesOut: 7, route: 'all' })
    expect(hit).not.toHaveProperty('target')
    expect(hit!.attempts ?? 0).toBe(0)
  })

  // The logger has the proxy write the id of the request into the answer, and so it came into the store: each hit told its client
  // the id of a stranger's request, and the log knew it under another one.
  it('tells each client the id of its own request, as the log has it', async () => {
    const origin = await upstream(counting())
    const ids: string[] = []
    const { url } = await start({
      logger: {
        skip: (exchange) => {
          ids.push(exchange.id)
          return true
        },
      },
      upstreams: { one: { targets: [origin.url] } },
      routes: [{ prefix: '/', upstream: 'one', cache: true }],
    })
    const told = []
    for (let i = 0; i < 3; i++) told.push((await request(`${url}/a`)).headers['x-request-id'])
    expect(origin.requests).toHaveLength(1)
    await eventually(() => expect(ids).toHaveLength(3))
    expect(told).toEqual(ids)
  })

  it('has the header edits of the route in hits as well', async () => {
    const origin = await upstream(counting('max-age=60', { 'x-origin': 'origin', 'x-kept': '1' }))
    const { url } = await start({
      upstreams: { one: { targets: [origin.url] } },
      routes: [
        {
          prefix: '/',
          upstream: 'one',
          cache: true,
          responseHeaders: { set: { 'x-shop': 'postern' }, remove: ['x-origin'] },
        },
      ],
    })
    for (let i = 0; i < 2; i++) {
      const { headers } = await request(`${url}/a`)
      expect([headers['x-shop'], headers['x-origin'], headers['x-kept']]).toEqual(['postern', undefined, '1'])
    }
    expect(origin.requests).toHaveLength(1)
  })

  it('leaves its verdict on the exchange for whoever watches', async () => {
    const origin = await upstream(counting())
    const verdicts: (CacheVerdict | undefined)[] = []
    const { url } = await start(
      {
        upstreams: { one: { targets: [origin.url] } },
        routes: [
          { path: '/cached', upstream: 'one', cache: true },
          { path: '/plain', upstream: 'one' },
        ],
      },
      (app) =>
        app.use((req, res, next) => {
          res.once('close', () => verdicts.push(req.gateway?.cache))
          next()
        }),
    )
    for (const path of ['/cached', '/cached', '/plain']) await request(url + path)
    await eventually(() => expect(verdicts).toHaveLength(3))
    expect(verdicts[0]).toMatchObject({ hit: false, fwd: 'uri-miss', stored: true, collapsed: false })
    expect(verdicts[1]).toMatchObject({ hit: true, fwd: undefined, stored: false })
    expect(verdicts[2]).toBeUndefined()
  })
})

describe('a client that wants only what is stored', () => {
  it('gets 504 when there is nothing, and the upstream hears of nothing', async () => {
    const origin = await upstream(counting())
    const { url } = await start({
      upstreams: { one: { targets: [origin.url] } },
      routes: [{ prefix: '/', upstream: 'one', cache: true }],
    })
    const headers = { 'cache-control': 'only-if-cached' }
    const refused = await request(`${url}/a`, { headers })
    expect([refused.status, (refused.json() as { code: string }).code]).toEqual([504, 'not_in_cache'])
    expect(origin.requests).toHaveLength(0)
    await request(`${url}/a`)
    expect((await request(`${url}/a`, { headers })).text).toBe('/a 1')
  })
})

describe('handlers of a cached route', () => {
  it('run before the cache, for hits as well', async () => {
    const origin = await upstream(counting())
    const asked: string[] = []
    const { url } = await start({
      upstreams: { one: { targets: [origin.url] } },
      routes: [
        {
          prefix: '/',
          upstream: 'one',
          cache: true,
          handlers: (req, res, next) => {
            asked.push(req.url!)
            res.setHeader('x-asked', String(asked.length))
            next()
          },
        },
      ],
    })
    const replies = [await request(`${url}/a`), await request(`${url}/a`)]
    expect(asked).toHaveLength(2)
    // What is this request's alone is not stored with the answer.
    expect(replies.map((reply) => [reply.text, reply.headers['x-asked']])).toEqual([
      ['/a 1', '1'],
      ['/a 1', '2'],
    ])
  })

  it('have nothing that they add to one client’s answer told to another', async () => {
    const origin = await upstream(counting())
    const { url } = await start({
      upstreams: { one: { targets: [origin.url] } },
      routes: [
        {
          prefix: '/',
          upstream: 'one',
          cache: true,
          handlers: (req, res, next) => {
            const value = String(req.headers['x-key'])
            exchangeOf(req, res).outgoing.editResponseHeader({ op: 'set', name: 'x-for', value })
            next()
          },
        },
      ],
    })
    const told = []
    for (const key of ['anna', 'bert']) {
      told.push((await request(`${url}/a`, { headers: { 'x-key': key } })).headers['x-for'])
    }
    expect(origin.requests).toHaveLength(1)
    expect(told).toEqual(['anna', 'bert'])
  })

  it('keep a stored answer from those that they refuse', async () => {
    const origin = await upstream(counting())
    const { url } = await start({
      upstreams: { one: { targets: [origin.url] } },
      routes: [
        {
          prefix: '/',
          upstream: 'one',
          cache: true,
          handlers: (req, res, next) => {
            if (req.headers['x-key'] === 'good') return next()
            res.statusCode = 401
            res.end()
          },
        },
      ],
    })
    const headers = { 'x-key': 'good' }
    await request(`${url}/a`, { headers })
    expect(cacheStatus(await request(`${url}/a`, { headers }))).toMatch(/hit/)
    const refused = await request(`${url}/a`)
    expect([refused.status, refused.text, cacheStatus(refused)]).toEqual([401, '', undefined])
  })
})

describe('answers to callers that were authenticated', () => {
  it('are not stored when nothing permits it', async () => {
    const origin = await upstream(counting())
    const { gw, url } = await start({
      upstreams: { one: { targets: [origin.url] } },
      routes: [{ prefix: '/', upstream: 'one', cache: true, handlers: authenticates }],
    })
    expect((await request(`${url}/a`, as('anna'))).text).toBe('/a 1')
    expect((await request(`${url}/a`, as('anna'))).text).toBe('/a 2')
    expect((await request(`${url}/a`, as('bert'))).text).toBe('/a 3')
    expect(gw.cache!.stats.responses).toBe(0)
  })

  it('are stored for all when they say that all may have them', async () => {
    const origin = await upstream(counting('public, max-age=60'))
    const { url } = await start({
      upstreams: { one: { targets: [origin.url] } },
      routes: [{ prefix: '/', upstream: 'one', cache: true, handlers: authenticates }],
    })
    await request(`${url}/a`, as('anna'))
    expect((await request(`${url}/a`, as('bert'))).text).toBe('/a 1')
    expect(origin.requests).toHaveLength(1)
  })

  it('are stored for each caller apart with partition: identity, and for no stranger', async () => {
    const origin = await upstream(counting())
    const { gw, url } = await start({
      upstreams: { one: { targets: [origin.url] } },
      routes: [{ prefix: '/', upstream: 'one', cache: { partition: 'identity' }, handlers: authenticates }],
    })
    const bodies = []
    for (const options of [as('anna'), as('bert'), {}, as('anna'), as('bert'), {}]) {
      bodies.push((await request(`${url}/a`, options)).text)
    }
    expect(bodies).toEqual(['/a 1', '/a 2', '/a 3', '/a 1', '/a 2', '/a 3'])
    // By URL all callers' answers go.
    expect(await gw.cache!.purge(`${url}/a`)).toBe(3)
    expect((await request(`${url}/a`, as('anna'))).text).toBe('/a 4')
  })
})

describe('an unsafe request', () => {
  const routes = (write: object) => [
    { prefix: '/things', method: 'GET', upstream: 'read', cache: true } as const,
    { prefix: '/things', method: ['POST', 'PUT', 'DELETE'], ...write },
  ]

  it('on an uncached route takes away what is stored of its URL, also when it goes to another upstream', async () => {
    const read = await upstream(counting())
    const write = await upstream((_req, res) => void res.writeHead(204).end())
    const { url } = await start({
      upstreams: { read: { targets: [read.url] }, write: { targets: [write.url] } },
      routes: routes({ upstream: 'write' }),
    })
    await request(`${url}/things/1`)
    await request(`${url}/things/2`)
    expect((await request(`${url}/things/1`, { method: 'PUT', body: 'new' })).status).toBe(204)
    expect((await request(`${url}/things/1`)).text).toBe('/things/1 3')
    expect((await request(`${url}/things/2`)).text).toBe('/things/2 2')
  })

  it('takes away what its answer names in Location and Content-Location', async () => {
    const read = await upstream(counting())
    const write = await upstream(
      (_req, res) => void res.writeHead(201, { location: '/things/1', 'content-location': '/things?page=1' }).end(),
    )
    const { url } = await start({
      upstreams: { read: { targets: [read.url] }, write: { targets: [write.url] } },
      routes: routes({ upstream: 'write', cache: false }),
    })
    for (const path of ['/things/1', '/things?page=1', '/things?page=2']) await request(url + path)
    await request(`${url}/things`, { method: 'POST', body: 'new' })
    const again = []
    for (const path of ['/things/1', '/things?page=1', '/things?page=2']) {
      again.push(cacheStatus(await request(url + path))!.includes('hit'))
    }
    expect(again).toEqual([false, false, true])
  })

  it('takes nothing away when it was refused, by the upstream or by the gateway', async () => {
    const read = await upstream(counting())
    const write = await upstream((_req, res) => void res.writeHead(409).end())
    const { url } = await start({
      upstreams: {
        read: { targets: [read.url] },
        write: { targets: [write.url] },
        none: { targets: [await dead()], retries: false },
      },
      routes: [...routes({ upstream: 'write' }), { prefix: '/things', method: 'PATCH', upstream: 'none' }],
    })
    await request(`${url}/things/1`)
    expect((await request(`${url}/things/1`, { method: 'DELETE' })).status).toBe(409)
    expect((await request(`${url}/things/1`, { method: 'PATCH', body: 'x' })).status).toBeGreaterThanOrEqual(502)
    expect((await request(`${url}/things/1`)).text).toBe('/things/1 1')
  })

  it('on the cached route itself takes away as well', async () => {
    const origin = await upstream(counting())
    const { url } = await start({
      upstreams: { one: { targets: [origin.url] } },
      routes: [{ prefix: '/', upstream: 'one', cache: true }],
    })
    await request(`${url}/a`)
    await request(`${url}/a`, { method: 'DELETE' })
    expect((await request(`${url}/a`)).text).toBe('/a 3')
  })
})

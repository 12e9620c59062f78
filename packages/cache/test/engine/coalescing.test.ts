import http from 'node:http'
import { eventually, request } from '@postern/test-kit'
import { describe, expect, test } from 'vitest'
import { ask, Client, gate, gateway, HandClock, origin } from './support.ts'

const SOON = { timeoutMs: 3_000 }

describe('equal requests for what is not stored', () => {
  test('1,000 at once are one upstream request, and all get the same body', async () => {
    const hold = gate()
    const upstream = await origin(async (_req, res) => {
      await hold.opened
      res.writeHead(200, { 'cache-control': 'max-age=60' })
      res.end('one for all')
    })
    const { url, cache } = await gateway({ target: upstream })
    const agent = new http.Agent({ maxSockets: 1_000 })
    const replies = Array.from({ length: 1_000 }, () => ask(`${url}/cold`, { agent, timeoutMs: 25_000 }))
    await eventually(() => cache.stats.collapsed === 999, { timeoutMs: 15_000 })
    hold.open()
    const bodies = new Set((await Promise.all(replies)).map((reply) => `${reply.status} ${reply.text}`))
    expect([...bodies]).toEqual(['200 one for all'])
    expect(upstream.requests).toHaveLength(1)
    agent.destroy()
  })

  test('are told apart by Cache-Status: one was forwarded and stored, the others collapsed', async () => {
    const hold = gate()
    const upstream = await origin(async (_req, res) => {
      await hold.opened
      res.writeHead(200, { 'cache-control': 'max-age=60' })
      res.end('one')
    })
    const { url, cache } = await gateway({ target: upstream, cache: { clock: new HandClock() } })
    const replies = [ask(`${url}/a`), ask(`${url}/a`)]
    await eventually(() => cache.stats.collapsed === 1)
    hold.open()
    const told = (await Promise.all(replies)).map((reply) => reply.headers['cache-status']).sort()
    expect(told).toEqual(['Postern; fwd=uri-miss; ttl=60; collapsed', 'Postern; fwd=uri-miss; ttl=60; stored'])
  })

  test('get the bytes while the upstream is still sending, also those who come in mid-body', async () => {
    const hold = gate()
    const upstream = await origin(async (_req, res) => {
      res.writeHead(200, { 'cache-control': 'max-age=60' })
      res.write('first ')
      await hold.opened
      res.end('last')
    })
    const { url } = await gateway({ target: upstream })
    const first = new Client(`${url}/a`)
    await eventually(() => first.text === 'first ')
    const second = new Client(`${url}/a`)
    await eventually(() => second.text === 'first ')
    expect(upstream.last.closed).toBe(false)
    hold.open()
    for (const client of [first, second]) {
      expect(await client.answer()).toEqual({ status: 200, text: 'first last', whole: true })
    }
    expect(upstream.requests).toHaveLength(1)
  })

  test('a large body reaches all of them whole', async () => {
    const body = Buffer.alloc(3 * 1_048_576, 'postern')
    const hold = gate()
    const upstream = await origin(async (_req, res) => {
      await hold.opened
      res.writeHead(200, { 'cache-control': 'max-age=60' })
      for (let at = 0; at < body.length; at += 50_000) {
        if (!res.write(body.subarray(at, at + 50_000))) await new Promise((resolve) => res.once('drain', resolve))
      }
      res.end()
    })
    const { url, cache } = await gateway({ target: upstream })
    const replies = Array.from({ length: 8 }, () => ask(`${url}/large`))
    await eventually(() => cache.stats.collapsed === 7)
    hold.open()
    for (const reply of await Promise.all(replies)) expect(reply.body.equals(body)).toBe(true)
    expect((await request(`${url}/large`)).body.equals(body)).toBe(true)
    expect(upstream.requests).toHaveLength(1)
  })

  test('go to the upstream one by one where coalescing is off', async () => {
    const hold = gate()
    const upstream = await origin(async (_req, res) => {
      await hold.opened
      res.writeHead(200, { 'cache-control': 'max-age=60' })
      res.end('own')
    })
    const { url } = await gateway({ target: upstream, cache: { coalescing: false } })
    const replies = Array.from({ length: 4 }, () => ask(`${url}/a`))
    await eventually(() => upstream.requests.length === 4)
    hold.open()
    expect((await Promise.all(replies)).map((reply) => reply.text)).toEqual(['own', 'own', 'own', 'own'])
  })

  test('wait no longer than maxWaitMs for a head', async () => {
    const upstream = await origin((_req, res) => {
      // The first is never answered.
      if (upstream.requests.length === 1) return
      res.writeHead(200, { 'cache-control': 'max-age=60' })
      res.end('from the second')
    })
    const { url } = await gateway({ target: upstream, cache: { coalescing: { maxWaitMs: 50 } } })
    const stuck = new Client(`${url}/a`)
    await eventually(() => upstream.requests.length === 1)
    expect((await request(`${url}/a`)).text).toBe('from the second')
    expect(stuck.isAnswered).toBe(false)
  })
})

describe('who asks in another way', () => {
  test('HEAD waits for a GET, and gets its head', async () => {
    const hold = gate()
    const upstream = await origin(async (_req, res) => {
      await hold.opened
      res.writeHead(200, { 'cache-control': 'max-age=60', 'content-length': 4, 'x-part': 'yes' })
      res.end('body')
    })
    const { url, cache } = await gateway({ target: upstream })
    const get = ask(`${url}/a`)
    await eventually(() => upstream.requests.length === 1)
    const head = ask(`${url}/a`, { method: 'HEAD' })
    await eventually(() => cache.stats.collapsed === 1)
    hold.open()
    const { status, headers, text } = await head
    expect({ status, length: headers['content-length'], part: headers['x-part'], text }).toEqual({
      status: 200,
      length: '4',
      part: 'yes',
      text: '',
    })
    expect((await get).text).toBe('body')
    expect(upstream.requests).toHaveLength(1)
  })

  test('a client that has it already gets 304, whether it waits or was the first', async () => {
    const hold = gate()
    const upstream = await origin(async (_req, res) => {
      await hold.opened
      res.writeHead(200, { 'cache-control': 'max-age=60', etag: '"v1"' })
      res.end('body')
    })
    const { url, cache } = await gateway({ target: upstream })
    const first = ask(`${url}/a`, { headers: { 'if-none-match': '"v1"' } })
    await eventually(() => upstream.requests.length === 1)
    const second = ask(`${url}/a`, { headers: { 'if-none-match': '"v1"' } })
    const third = ask(`${url}/a`)
    await eventually(() => cache.stats.collapsed === 2)
    hold.open()
    expect([(await first).status, (await second).status, (await third).status]).toEqual([304, 304, 200])
    expect((await third).text).toBe('body')
    expect(upstream.requests).toHaveLength(1)
    expect(upstream.last.headers['if-none-match']).toBeUndefined()
  })

  test('a request for a range does not wait for the whole, and gets its part', async () => {
    const hold = gate()
    const upstream = await origin(async (req, res) => {
      if (req.headers.range === 'bytes=1-2') {
        res.writeHead(206, { 'cache-control': 'max-age=60', 'content-range': 'bytes 1-2/4', etag: '"v1"' })
        res.end('od')
        return
      }
      res.writeHead(200, { 'cache-control': 'max-age=60', etag: '"v1"' })
      res.write('bo')
      await hold.opened
      res.end('dy')
    })
    const { url } = await gateway({ target: upstream })
    const whole = new Client(`${url}/a`)
    await eventually(() => whole.text === 'bo')
    const part = await request(`${url}/a`, { headers: { range: 'bytes=1-2' } })
    expect([part.status, part.text]).toEqual([206, 'od'])
    hold.open()
    expect(await whole.answer()).toEqual({ status: 200, text: 'body', whole: true })
    const stored = await request(`${url}/a`)
    expect([stored.text, upstream.requests.length]).toEqual(['body', 2])
  })

  test('each client gets the variant that it asked for', async () => {
    const hold = gate()
    const upstream = await origin(async (req, res) => {
      await hold.opened
      res.writeHead(200, { 'cache-control': 'max-age=60', vary: 'accept-language' })
      res.end(`in ${req.headers['accept-language']}`)
    })
    const { url, cache } = await gateway({ target: upstream })
    const languages = ['de', 'en', 'de', 'fr', 'en', 'fr', 'de']
    const replies = languages.map((language) => ask(`${url}/a`, { headers: { 'accept-language': language } }))
    await eventually(() => cache.stats.collapsed === 6)
    hold.open()
    expect((await Promise.all(replies)).map((reply) => reply.text)).toEqual(languages.map((each) => `in ${each}`))
    expect(upstream.requests).toHaveLength(3)
  })

  test('a client that wants the origin asked is not given what another one waits for', async () => {
    const hold = gate()
    const upstream = await origin(async (_req, res) => {
      await hold.opened
      res.writeHead(200, { 'cache-control': 'max-age=60' })
      res.end(`answer ${upstream.requests.length}`)
    })
    const { url } = await gateway({ target: upstream })
    const plain = ask(`${url}/a`)
    await eventually(() => upstream.requests.length === 1)
    const insisting = ask(`${url}/a`, { headers: { 'cache-control': 'no-cache' } })
    await eventually(() => upstream.requests.length === 2)
    hold.open()
    await Promise.all([plain, insisting])
    expect(upstream.requests).toHaveLength(2)
  })
})

describe('an answer that must not be shared', () => {
  test.each([
    ['no-store', { 'cache-control': 'no-store' }],
    ['private', { 'cache-control': 'private, max-age=60' }],
    ['with a cookie', { 'cache-control': 'max-age=60', 'set-cookie': 'session=1' }],
    ['without any freshness', {}],
    ['never reused without validation', { 'cache-control': 'no-cache', etag: '"v"' }],
    ['stale from the start', { 'cache-control': 'max-age=0', etag: '"v"' }],
    ['with a validator and nothing else, as Express sends it', { etag: '"v"' }],
  ])('(%s): every client gets its own, and they run side by side', async (_name, headers) => {
    const hold = gate()
    const upstream = await origin(async (req, res) => {
      // The first answers at once; the others are held until all have arrived.
      if (upstream.requests.length > 1) await hold.opened
      res.writeHead(200, 'etag' in headers ? { ...headers, etag: `"${req.headers['x-client']}"` } : headers)
      res.end(`for ${req.headers['x-client']}`)
    })
    const wait = gate()
    const { url, cache } = await gateway({
      target: upstream,
      behind: [(_req, _res, next) => void wait.opened.then(() => next())],
    })
    const clients = ['0', '1', '2', '3', '4', '5']
    const replies = clients.map((client) => ask(`${url}/a`, { headers: { 'x-client': client } }))
    await eventually(() => cache.stats.collapsed === 5)
    wait.open()
    await eventually(() => upstream.requests.length === 6, SOON).finally(hold.open)
    expect((await Promise.all(replies)).map((reply) => reply.text)).toEqual(clients.map((client) => `for ${client}`))
  })

  test('is remembered: the next crowd does not wait for one of its own', async () => {
    let hold = gate()
    const upstream = await origin(async (_req, res) => {
      await hold.opened
      res.writeHead(200, { 'cache-control': 'no-store' })
      res.end('own')
    })
    const { url, cache } = await gateway({ target: upstream })
    const first = [ask(`${url}/a`), ask(`${url}/a`)]
    await eventually(() => cache.stats.collapsed === 1)
    hold.open()
    await Promise.all(first)
    hold = gate()
    const replies = Array.from({ length: 5 }, () => ask(`${url}/a`))
    await eventually(() => upstream.requests.length === 7).finally(hold.open)
    await Promise.all(replies)
    expect(cache.stats.collapsed).toBe(1)
  })

  test.each([
    ['Authorization', { authorization: 'Bearer me' }],
    ['a cookie', { cookie: 'me=1' }],
  ])('since its client sent %s does not keep others from sharing theirs', async (_name, headers) => {
    const hold = gate()
    const upstream = await origin(async (req, res) => {
      if (req.headers['x-crowd'] !== undefined) await hold.opened
      // A lifetime that is only estimated, and no "public".
      res.writeHead(200, { 'last-modified': 'Mon, 01 Jan 2024 00:00:00 GMT' })
      res.end('for all')
    })
    const { url, cache } = await gateway({ target: upstream })
    await request(`${url}/a`, { headers })
    const replies = Array.from({ length: 5 }, () => ask(`${url}/a`, { headers: { 'x-crowd': '1' } }))
    await eventually(() => cache.stats.collapsed === 4, SOON).finally(hold.open)
    await Promise.all(replies)
    expect(upstream.requests).toHaveLength(2)
  })
})

describe('revalidations', () => {
  test('collapse too: one conditional request, and all get the stored body', async () => {
    const hold = gate()
    const upstream = await origin(async (req, res) => {
      if (req.headers['if-none-match'] === '"v1"') {
        await hold.opened
        res.writeHead(304, { etag: '"v1"', 'cache-control': 'max-age=60' })
        res.end()
        return
      }
      res.writeHead(200, { etag: '"v1"', 'cache-control': 'max-age=60' })
      res.end('body')
    })
    const { url, cache } = await gateway({ target: upstream, cache: { clock: new HandClock() } })
    await request(`${url}/a`)
    await cache.purge('/a', { soft: true })
    const replies = Array.from({ length: 6 }, () => ask(`${url}/a`))
    await eventually(() => cache.stats.collapsed === 5)
    hold.open()
    const told = (await Promise.all(replies)).map((reply) => `${reply.text} ${reply.headers['cache-status']}`).sort()
    expect(new Set(told)).toEqual(
      new Set([
        'body Postern; fwd=stale; fwd-status=304; ttl=60; stored',
        'body Postern; fwd=stale; fwd-status=304; ttl=60; collapsed',
      ]),
    )
    expect(upstream.requests).toHaveLength(2)
  })

  test('that bring something new give it to all who wait', async () => {
    const hold = gate()
    const upstream = await origin(async (req, res) => {
      if (req.headers['if-none-match'] !== undefined) await hold.opened
      const version = upstream.requests.length
      res.writeHead(200, { etag: `"v${version}"`, 'cache-control': 'max-age=60' })
      res.end(`version ${version}`)
    })
    const { url, cache } = await gateway({ target: upstream })
    await request(`${url}/a`)
    await cache.purge('/a', { soft: true })
    const replies = Array.from({ length: 4 }, () => ask(`${url}/a`))
    await eventually(() => cache.stats.collapsed === 3)
    hold.open()
    expect((await Promise.all(replies)).map((reply) => reply.text)).toEqual(Array(4).fill('version 2'))
    expect(upstream.requests).toHaveLength(2)
  })
})

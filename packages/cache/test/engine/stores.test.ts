import { eventually, request, unhandled } from '@postern/test-kit'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type CacheOptions, type CacheStore, cacheStoreFailed, memoryStore } from '../../src/index.ts'
import { remoteStore, storeOver } from './stores.ts'
import { ask, gate, gateway, HandClock, origin, settled, told, warnings } from './support.ts'

let seen: ReturnType<typeof unhandled>
beforeEach(() => {
  seen = unhandled()
})
afterEach(async () => {
  // Whatever a store does, the process lives.
  expect(await seen.stop()).toEqual([])
})

let names = 0

async function withStore(store: CacheStore, options: CacheOptions = {}) {
  const upstream = await origin((_req, res) => {
    res.writeHead(200, { 'cache-control': 'max-age=60', etag: '"v"' })
    res.end(`answer ${upstream.requests.length}`)
  })
  const name = `odd store ${names++}`
  return {
    ...(await gateway({ target: upstream, cache: { store, name, storeTimeoutMs: 40, ...options } })),
    upstream,
    name,
  }
}

const never = (): Promise<never> => new Promise(() => {})
const fail = (): never => {
  throw new Error('store broken')
}
const reject = (): Promise<never> => Promise.reject(new Error('store broken'))

describe.each([
  ['throws', fail],
  ['rejects', reject],
  ['never answers', never],
])('a store that %s', (_name, how) => {
  test('at every question: clients get the upstream’s answers as if nothing were stored', async () => {
    const broken = { get: how, readBody: how, put: how, update: how, remove: how, purge: how, purgeTag: how }
    const failures = told(cacheStoreFailed)
    const { url, upstream, name } = await withStore(storeOver(memoryStore(), broken))
    for (let i = 1; i <= 3; i++) {
      const reply = await request(`${url}/a`, { timeoutMs: 2_000 })
      expect([reply.status, reply.text]).toEqual([200, `answer ${i}`])
    }
    expect((await request(`${url}/a`, { method: 'POST' })).status).toBe(200)
    expect(upstream.requests).toHaveLength(4)
    await eventually(() => failures.some((each) => each.operation === 'put'))
    expect(failures.every((each) => each.cache === name && each.error instanceof Error)).toBe(true)
    expect(new Set(failures.map((each) => each.operation))).toContain('get')
  })

  test('is warned of once, and told of on the channel each time', async () => {
    const warned = warnings('POSTERN_CACHE_STORE_FAILED')
    const failures = told(cacheStoreFailed)
    const { url, name } = await withStore(storeOver(memoryStore(), { get: how }))
    for (let i = 0; i < 3; i++) await request(`${url}/a`)
    await settled()
    expect(warned.filter((each) => each.message.includes(name))).toHaveLength(1)
    expect(failures.filter((each) => each.operation === 'get')).toHaveLength(3)
  })

  test('when it is asked for the content: a miss, and the client gets the upstream’s', async () => {
    const inner = memoryStore()
    const store = storeOver(remoteStore(inner), { readBody: how })
    const { url } = await withStore(store)
    await request(`${url}/a`)
    await eventually(() => inner.stats.responses === 1)
    const reply = await request(`${url}/a`)
    expect([reply.status, reply.text]).toEqual([200, 'answer 2'])
    expect(reply.headers['cache-status']).toContain('fwd=')
  })

  test('when something is put into it: the answer goes out all the same, and those who wait share it', async () => {
    const { url, cache, upstream } = await withStore(storeOver(memoryStore(), { put: how }))
    const replies = await Promise.all([request(`${url}/a`), request(`${url}/a`), request(`${url}/a`)])
    expect(new Set(replies.map((reply) => reply.status))).toEqual(new Set([200]))
    expect(cache.stats.stored).toBe(0)
    expect(upstream.requests.length).toBeGreaterThan(0)
  })

  test('when it is purged by hand: the caller is told', async () => {
    const broken = { purge: how, purgeTag: how, purgeWhere: how }
    const { cache } = await withStore(storeOver(memoryStore(), broken))
    if (how === never) return
    await expect(cache.purge('http://shop.example/a')).rejects.toThrow('store broken')
    await expect(cache.purge('/a')).rejects.toThrow('store broken')
    await expect(cache.purgeTag('t')).rejects.toThrow('store broken')
  })
})

test('a store that answers late is a miss within storeTimeoutMs, and its late answer does no harm', async () => {
  const hold = gate()
  const inner = memoryStore()
  const store = storeOver(inner, { get: async (key) => hold.opened.then(() => inner.get(key)) })
  const { url } = await withStore(store)
  expect((await request(`${url}/a`, { timeoutMs: 2_000 })).text).toBe('answer 1')
  hold.open()
  await settled()
  expect((await request(`${url}/a`)).headers['cache-status']).toContain('hit')
})

describe('a store that gives out what it should not', () => {
  const GARBAGE: [string, unknown][] = [
    ['a number', 42],
    ['a text', 'garbage'],
    ['an object', {}],
    ['null', null],
    ['a list of nothing', [null, undefined]],
    ['a list of numbers', [1, 2]],
    ['a list of empty objects', [{}]],
    ['heads without fields', [{ id: 'x', partition: '', method: 'GET', vary: [], varyValues: [], status: 200 }]],
  ]
  test.each(GARBAGE)('(%s instead of responses): a miss', async (_name, garbage) => {
    for (const later of [false, true]) {
      const get = (): never => (later ? Promise.resolve(garbage) : garbage) as never
      const { url } = await withStore(storeOver(memoryStore(), { get }))
      const reply = await request(`${url}/a`, { timeoutMs: 2_000 })
      expect([reply.status, reply.text]).toEqual([200, 'answer 1'])
    }
  })

  test.each<[string, unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['a text', 'body'],
    ['a list of texts', ['body']],
    ['a list of numbers', [1]],
    ['content that is too short', [Buffer.from('an')]],
    ['content that is too long', [Buffer.from('answer 1 and more')]],
    ['no content', []],
  ])('(%s instead of the content): a miss', async (_name, garbage) => {
    const inner = memoryStore()
    const store = storeOver(remoteStore(inner), { readBody: async () => garbage as never })
    const { url } = await withStore(store)
    await request(`${url}/a`)
    await eventually(() => inner.stats.responses === 1)
    const reply = await request(`${url}/a`, { timeoutMs: 2_000 })
    expect([reply.status, reply.text]).toEqual([200, 'answer 2'])
  })

  test('(content of another length in the response itself): a miss', async () => {
    const inner = memoryStore()
    const store = storeOver(inner, {
      get: (key) =>
        (inner.get(key) as never[] | undefined)?.map((each) => ({
          ...(each as object),
          body: [Buffer.from('x')],
        })) as never,
    })
    const { url } = await withStore(store)
    await request(`${url}/a`)
    expect((await request(`${url}/a`, { timeoutMs: 2_000 })).text).toBe('answer 2')
  })

  test.each([undefined, 'yes', 1, null])('(%j instead of a yes to put): counts as not stored', async (value) => {
    const { url, cache } = await withStore(storeOver(memoryStore(), { put: () => value as never }))
    expect((await request(`${url}/a`)).text).toBe('answer 1')
    expect(cache.stats.stored).toBe(0)
  })
})

describe('content that is gone when it is needed', () => {
  async function withGone(headers: Record<string, string>, fails: boolean) {
    const clock = new HandClock()
    const inner = memoryStore()
    let isGone = false
    const remote = remoteStore(inner)
    const store = storeOver(remote, { readBody: async (key, id) => (isGone ? undefined : remote.readBody(key, id)) })
    let isDown = false
    const upstream = await origin((req, res) => {
      if (isDown) res.writeHead(503).end('down')
      else if (req.headers['if-none-match'] !== undefined) res.writeHead(304, headers).end()
      else res.writeHead(200, headers).end('body')
    })
    const made = await gateway({ target: upstream, cache: { store, clock } })
    await request(`${made.url}/a`)
    await eventually(() => inner.stats.responses === 1)
    clock.advance(15_000)
    isGone = true
    isDown = fails
    return { ...made, upstream }
  }

  test('for a 304 of the origin: the client gets a whole answer all the same', async () => {
    const { url } = await withGone({ 'cache-control': 'max-age=10', etag: '"v"' }, false)
    const reply = await request(`${url}/a`, { timeoutMs: 2_000 })
    expect([reply.status, reply.text]).toEqual([200, 'body'])
  })

  test('for stale-if-error: the client gets the upstream’s own error', async () => {
    const { url } = await withGone({ 'cache-control': 'max-age=10, stale-if-error=60' }, true)
    const reply = await request(`${url}/a`, { timeoutMs: 2_000 })
    expect([reply.status, reply.text]).toEqual([503, 'down'])
  })

  test('for stale-while-revalidate: the client gets the upstream’s answer', async () => {
    const { url } = await withGone({ 'cache-control': 'max-age=10, stale-while-revalidate=60' }, false)
    const reply = await request(`${url}/a`, { timeoutMs: 2_000 })
    expect([reply.status, reply.text]).toEqual([200, 'body'])
  })
})

describe('a store in another process', () => {
  async function remote(headers: Record<string, string> = { 'cache-control': 'max-age=10', etag: '"v"' }) {
    const clock = new HandClock()
    const inner = memoryStore({ clock })
    const upstream = await origin((req, res) => {
      if (req.headers['if-none-match'] !== undefined) res.writeHead(304, headers).end()
      else res.writeHead(200, { ...headers, 'content-type': 'text/plain' }).end('0123456789')
    })
    const made = await gateway({ target: upstream, cache: { store: remoteStore(inner), clock, storeTimeoutMs: 5_000 } })
    await request(`${made.url}/a`)
    await eventually(() => inner.stats.responses === 1)
    return { ...made, upstream, clock, inner }
  }

  test('answers hits, HEAD, conditions and ranges', async () => {
    const { url, upstream } = await remote()
    const hit = await request(`${url}/a`)
    expect([hit.text, hit.headers['cache-status']]).toEqual(['0123456789', 'Postern; hit; ttl=10'])
    const head = await request(`${url}/a`, { method: 'HEAD' })
    expect([head.status, head.headers['content-length']]).toEqual([200, '10'])
    expect((await request(`${url}/a`, { headers: { 'if-none-match': '"v"' } })).status).toBe(304)
    const part = await request(`${url}/a`, { headers: { range: 'bytes=2-4' } })
    expect([part.status, part.text, part.headers['content-range']]).toEqual([206, '234', 'bytes 2-4/10'])
    const parts = await request(`${url}/a`, { headers: { range: 'bytes=0-0,-1' } })
    expect(parts.headers['content-type']).toMatch(/^multipart\/byteranges; boundary=/)
    expect(upstream.requests).toHaveLength(1)
  })

  test('is revalidated, in front of the client and in the background', async () => {
    const { url, clock, upstream } = await remote()
    clock.advance(15_000)
    const validated = await request(`${url}/a`)
    expect([validated.text, validated.headers['cache-status']]).toEqual([
      '0123456789',
      'Postern; fwd=stale; fwd-status=304; ttl=10; stored',
    ])
    await eventually(async () => (await request(`${url}/a`)).headers['cache-status'] === 'Postern; hit; ttl=10')
    expect(upstream.requests.length).toBeGreaterThanOrEqual(2)
    const swr = await remote({ 'cache-control': 'max-age=10, stale-while-revalidate=60', etag: '"v"' })
    swr.clock.advance(15_000)
    expect((await request(`${swr.url}/a`)).headers['cache-status']).toContain('detail=stale-while-revalidate')
    await eventually(() => swr.cache.stats.revalidating === 0 && swr.upstream.requests.length === 2)
    await eventually(async () => (await request(`${swr.url}/a`)).headers['cache-status'] === 'Postern; hit; ttl=10')
  })

  test('is purged by URI, path, function and tag, and by unsafe requests', async () => {
    const made = await remote({ 'cache-control': 'max-age=10', 'cache-tag': 't' })
    const { url, cache, inner } = made
    const fill = async (): Promise<void> => {
      await request(`${url}/a`)
      await eventually(() => inner.stats.responses === 1)
    }
    for (const way of [
      () => cache.purge(`${url}/a`),
      () => cache.purge('/a'),
      () => cache.purge((uri) => uri.endsWith('/a')),
      () => cache.purgeTag('t'),
    ]) {
      expect(await way()).toBe(1)
      expect(inner.stats.responses).toBe(0)
      await fill()
    }
    await request(`${url}/a`, { method: 'POST' })
    await eventually(() => inner.stats.responses === 0)
  })

  test('is asked by a crowd for one cold URL, and the upstream once', async () => {
    const { url, upstream } = await remote()
    const replies = Array.from({ length: 50 }, () => ask(`${url}/cold`))
    for (const reply of await Promise.all(replies)) expect(reply.text).toBe('0123456789')
    expect(upstream.requests).toHaveLength(2)
  })

  test('to which a response is on its way when it is purged does not keep it', async () => {
    const inner = memoryStore()
    const arriving = gate()
    let puts = 0
    const store = storeOver(inner, {
      async put(key, response) {
        puts++
        if (puts === 1) await arriving.opened
        return inner.put(key, response)
      },
    })
    const { url, cache } = await withStore(store, { storeTimeoutMs: 5_000 })
    expect((await request(`${url}/a`)).text).toBe('answer 1')
    await eventually(() => puts === 1)
    await cache.purge(`${url}/a`)
    arriving.open()
    await settled()
    expect((await request(`${url}/a`)).text).toBe('answer 2')
  })
})

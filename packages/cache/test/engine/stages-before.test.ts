import { once } from 'node:events'
import { Transform } from 'node:stream'
import { createGzip, gunzipSync } from 'node:zlib'
import { eventually, request, serve } from '@postern/test-kit'
import express, { type RequestHandler } from 'express'
import { describe, expect, test } from 'vitest'
import { type CacheOverrides, cache, memoryStore } from '../../src/index.ts'
import { ask, Client, gate, gateway, origin, settled, using } from './support.ts'

const TTL = { 'cache-control': 'max-age=60' }
const page: RequestHandler = (_req, res) => void res.set(TTL).send('page')

function lines(rawHeaders: readonly string[], name: string): string[] {
  return rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1]!.toLowerCase() === name)
}

describe('what a stage in front of the cache has set', () => {
  test('is set for every client anew, as CORS does it', async () => {
    const cors: RequestHandler = (req, res, next) => {
      res.vary('Origin')
      res.set('access-control-allow-origin', req.get('origin') ?? 'none')
      next()
    }
    let calls = 0
    const handler: RequestHandler = (_req, res) => {
      calls++
      res.set(TTL).vary('Accept').send('page')
    }
    const { url } = await gateway({ before: [cors], behind: [handler] })
    for (const site of ['https://a.example', 'https://b.example']) {
      const { headers } = await request(`${url}/a`, { headers: { origin: site } })
      expect(headers['access-control-allow-origin']).toBe(site)
      expect(new Set(headers.vary!.split(/, */).map((name) => name.toLowerCase()))).toEqual(
        new Set(['origin', 'accept']),
      )
    }
    expect(calls).toBeLessThanOrEqual(2)
  })

  test('with Vary behind the cache too: each name is there once', async () => {
    const cors: RequestHandler = (_req, res, next) => {
      res.vary('Origin')
      next()
    }
    const handler: RequestHandler = (_req, res) => void res.set(TTL).vary('Origin').vary('Accept').send('page')
    const { url } = await gateway({ before: [cors], behind: [handler] })
    for (let i = 0; i < 2; i++) expect((await request(`${url}/a`)).headers.vary).toBe('Origin, Accept')
  })

  test('as a cookie reaches each client once, and is no part of what is stored', async () => {
    let visits = 0
    const session: RequestHandler = (_req, res, next) => {
      res.cookie('visit', String(++visits))
      next()
    }
    const { url } = await gateway({ before: [session], behind: [page] })
    for (let i = 1; i <= 3; i++) {
      const reply = await request(`${url}/a`)
      expect(reply.headers['set-cookie']).toEqual([`visit=${i}; Path=/`])
      expect(reply.headers['cache-status']).toContain(i === 1 ? 'stored' : 'hit')
    }
  })

  test('as a cookie, with another one from behind: the client gets both, each once', async () => {
    const session: RequestHandler = (_req, res, next) => {
      res.cookie('a', '1')
      next()
    }
    const handler: RequestHandler = (_req, res) => void res.set(TTL).cookie('b', '2').send('page')
    const { url } = await gateway({ before: [session], behind: [handler] })
    expect((await request(`${url}/a`)).headers['set-cookie']).toEqual(['a=1; Path=/', 'b=2; Path=/'])
  })

  test.each(['no-store', 'private', 'no-cache, no-store, must-revalidate'])(
    'as Cache-Control: %s holds for handlers that set none: nothing is stored',
    async (value) => {
      const careful: RequestHandler = (_req, res, next) => {
        res.set('cache-control', value)
        next()
      }
      let calls = 0
      const handler: RequestHandler = (_req, res) => {
        res.set('last-modified', 'Mon, 01 Jan 2024 00:00:00 GMT').send(`answer ${++calls}`)
      }
      const { url } = await gateway({ before: [careful], behind: [handler], cache: { defaultTtlMs: 60_000 } })
      await request(`${url}/a`)
      const reply = await request(`${url}/a`)
      expect([reply.text, reply.headers['cache-control']]).toEqual(['answer 2', value])
    },
  )

  test('as Cache-Control: no-store is overridden by a handler that sets another', async () => {
    const careful: RequestHandler = (_req, res, next) => {
      res.set('cache-control', 'no-store')
      next()
    }
    const { url } = await gateway({ before: [careful], behind: [page] })
    for (const told of ['stored', 'hit']) {
      const { headers } = await request(`${url}/a`)
      expect([headers['cache-control'], headers['cache-status']]).toEqual(['max-age=60', expect.stringContaining(told)])
    }
  })

  test('is overridden from the store as it was on the miss, and stays where it was not', async () => {
    const before: RequestHandler = (_req, res, next) => {
      res.set({ 'x-one': 'before', 'x-two': 'before', 'x-three': 'before' })
      next()
    }
    const handler: RequestHandler = (_req, res) => {
      res.removeHeader('x-three')
      res.set({ ...TTL, 'x-one': 'behind' }).send('page')
    }
    const { url } = await gateway({ before: [before], behind: [handler] })
    for (let i = 0; i < 2; i++) {
      expect((await request(`${url}/a`)).headers).toMatchObject({ 'x-one': 'behind', 'x-two': 'before' })
    }
  })

  test.each([true, false])('X-Powered-By (%s) is as the app has it', async (isOn) => {
    const { url } = await gateway({ behind: [page], configure: (app) => app.set('x-powered-by', isOn) })
    for (let i = 0; i < 2; i++) {
      expect((await request(`${url}/a`)).headers['x-powered-by']).toBe(isOn ? 'Express' : undefined)
    }
  })
})

/** Compresses as the middleware of that name does: it takes over writeHead, write, end and the listeners of `drain`. */
const compression: RequestHandler = (req, res, next) => {
  if (!/gzip/.test(req.get('accept-encoding') ?? '')) {
    next()
    return
  }
  const { writeHead, write, end, on } = res
  const gzip = createGzip()
  let isDecided = false
  let isPlain = false
  const waiting: ((...values: unknown[]) => void)[] = []
  const decide = (): void => {
    if (isDecided) return
    isDecided = true
    isPlain = res.getHeader('content-encoding') !== undefined || res.statusCode === 304 || req.method === 'HEAD'
    res.vary('Accept-Encoding')
    if (isPlain) {
      for (const listener of waiting) on.call(res, 'drain', listener)
      return
    }
    res.removeHeader('content-length')
    res.setHeader('content-encoding', 'gzip')
    for (const listener of waiting) gzip.on('drain', listener)
    gzip.on('data', (chunk) => {
      if (!write.call(res, chunk, 'utf8')) gzip.pause()
    })
    gzip.on('end', () => (end as () => void).call(res))
    on.call(res, 'drain', () => gzip.resume())
  }
  res.writeHead = ((status: number, reason?: unknown, fields?: unknown) => {
    res.statusCode = status
    const list = (typeof reason === 'string' ? fields : reason) as unknown
    const flat = Array.isArray(list) ? list : Object.entries(list ?? {}).flat()
    for (let i = 0; i < flat.length; i += 2) res.removeHeader(flat[i])
    for (let i = 0; i < flat.length; i += 2) res.appendHeader(flat[i], String(flat[i + 1]))
    decide()
    return writeHead.call(res, status)
  }) as typeof res.writeHead
  res.write = ((chunk: Buffer, ...rest: []) => {
    if (!isDecided) res.writeHead(res.statusCode)
    return isPlain ? write.call(res, chunk, ...(rest as unknown as ['utf8'])) : gzip.write(chunk)
  }) as typeof res.write
  res.end = ((chunk?: Buffer) => {
    if (!isDecided) res.writeHead(res.statusCode)
    if (isPlain) return (end as (chunk?: Buffer) => typeof res).call(res, chunk)
    gzip.end(chunk)
    return res
  }) as typeof res.end
  res.on = ((event: string, listener: (...values: unknown[]) => void) => {
    if (event !== 'drain') return on.call(res, event, listener)
    if (!isDecided) waiting.push(listener)
    else if (isPlain) on.call(res, event, listener)
    else gzip.on('drain', listener)
    return res
  }) as typeof res.on
  next()
}

describe('a stage in front of the cache that compresses', () => {
  const gzip = { 'accept-encoding': 'gzip' }

  test('compresses misses, hits and what others wait for, and the store has it plain', async () => {
    const hold = gate()
    const handler: RequestHandler = async (_req, res) => {
      await hold.opened
      res.set(TTL).send('page '.repeat(1_000))
    }
    const { url, cache } = await gateway({ before: [compression], behind: [handler] })
    const replies = [ask(`${url}/a`, { headers: gzip }), ask(`${url}/a`, { headers: gzip })]
    await eventually(() => cache.stats.collapsed === 1)
    hold.open()
    for (const reply of [...(await Promise.all(replies)), await request(`${url}/a`, { headers: gzip })]) {
      expect(reply.headers['content-encoding']).toBe('gzip')
      expect(gunzipSync(reply.body).toString()).toBe('page '.repeat(1_000))
    }
    const plain = await request(`${url}/a`)
    expect([plain.headers['content-encoding'], plain.text]).toEqual([undefined, 'page '.repeat(1_000)])
  })

  test('and whose first client has left does not hold up those who read on', async () => {
    const begin = gate()
    const piece = Buffer.alloc(64 * 1_024, 'postern ')
    const upstream = await origin(async (_req, res) => {
      res.writeHead(200, TTL)
      res.write(piece)
      await begin.opened
      for (let i = 1; i < 200; i++) if (!res.write(piece)) await once(res, 'drain')
      res.end()
    })
    const store = memoryStore({ maxBytes: 128 * 1_048_576, maxObjectBytes: 64 * 1_048_576 })
    const { url, served } = await gateway({
      target: upstream,
      before: [compression],
      cache: { store, coalescing: { maxWaitMs: 1_000 } },
    })
    const first = new Client(`${url}/a`, { headers: gzip })
    await first.head
    const second = new Client(`${url}/a`)
    await eventually(() => second.bytes > 0)
    first.leave()
    await eventually(() => served.sockets === 1)
    await settled()
    begin.open()
    expect(await second.whole).toBe(true)
    expect(second.bytes).toBe(200 * piece.length)
  })

  test('behind the cache: what it made is stored, by Vary', async () => {
    let calls = 0
    const handler: RequestHandler = (_req, res) => {
      calls++
      res.set(TTL).send('page '.repeat(1_000))
    }
    const { url } = await gateway({ behind: [compression, handler] })
    for (let i = 0; i < 2; i++) {
      expect(gunzipSync((await request(`${url}/a`, { headers: gzip })).body).toString()).toContain('page')
    }
    expect(calls).toBe(1)
  })
})

test('a stage in front that changes what is written changes it for every client', async () => {
  const shout: RequestHandler = (_req, res, next) => {
    const upper = new Transform({ transform: (chunk, _encoding, done) => done(null, String(chunk).toUpperCase()) })
    const { write, end } = res
    upper.on('data', (chunk) => write.call(res, chunk, 'utf8'))
    upper.on('end', () => (end as () => void).call(res))
    res.write = ((chunk: Buffer) => upper.write(chunk)) as typeof res.write
    res.end = ((chunk?: Buffer) => (upper.end(chunk), res)) as typeof res.end
    next()
  }
  const { url } = await gateway({ before: [shout], behind: [page] })
  for (let i = 0; i < 3; i++) expect((await request(`${url}/a`)).text).toBe('PAGE')
})

describe('more than one cache in an app', () => {
  test('the same one twice in the way of a request is one', async () => {
    const one = cache()
    const { url, cache: stats } = await gateway({ handler: one, behind: [one as RequestHandler, page] })
    for (const told of ['stored', 'hit']) {
      const reply = await request(`${url}/a`, { timeoutMs: 3_000 })
      expect([reply.text, lines(reply.rawHeaders, 'cache-status').length]).toEqual(['page', 1])
      expect(reply.headers['cache-status']).toContain(told)
    }
    expect(stats.stats).toMatchObject({ hits: 1, misses: 1, stored: 1 })
  })

  test('with() has other rules on the same store, and purges reach both', async () => {
    const short = cache()
    const long = short.with({ defaultTtlMs: 60_000 })
    const plain: RequestHandler = (_req, res) => void res.end('no freshness')
    const app = express()
    app.get('/short', short, plain)
    app.get('/long', long, plain)
    const { url } = await using(serve(app))
    for (const path of ['/short', '/long']) await request(url + path)
    expect((await request(`${url}/short`)).headers['cache-status']).toContain('fwd=uri-miss')
    expect((await request(`${url}/long`)).headers['cache-status']).toContain('hit')
    expect(short.stats.responses).toBe(1)
    expect(await short.purge('/long')).toBe(1)
    await long.close()
  })

  test('with() checks its options as cache() does', () => {
    expect(() => cache().with({ defaultTtlMs: -1 })).toThrow(/defaultTtlMs/)
    const overrides = { store: memoryStore() } as CacheOverrides
    expect(() => cache().with(overrides)).toThrow(/store: is the same for all handlers of a cache/)
  })

  test('with() behind a cache for all: the first one decides', async () => {
    const all = cache()
    const { url } = await gateway({ handler: all, behind: [all.with({ defaultTtlMs: 9_000 }) as RequestHandler, page] })
    const reply = await request(`${url}/a`, { timeoutMs: 3_000 })
    expect([reply.text, lines(reply.rawHeaders, 'cache-status').length]).toEqual(['page', 1])
  })

  test('two of their own behind each other: each has its say', async () => {
    const inner = cache({ cacheStatus: 'inner', name: 'inner' })
    const { url, cache: outer } = await gateway({
      cache: { cacheStatus: 'outer' },
      behind: [inner as RequestHandler, page],
    })
    const first = await request(`${url}/a`)
    expect(lines(first.rawHeaders, 'cache-status')).toEqual([
      expect.stringMatching(/^inner; fwd=uri-miss.*stored/),
      expect.stringMatching(/^outer; fwd=uri-miss.*stored/),
    ])
    await outer.purge('/a')
    const second = await request(`${url}/a`)
    expect(lines(second.rawHeaders, 'cache-status')).toEqual([
      expect.stringMatching(/^inner; hit/),
      expect.stringMatching(/^outer; fwd=uri-miss.*stored/),
    ])
    expect(second.text).toBe('page')
    await inner.close()
  })

  test('with one store and spaces of their own they do not see each other’s', async () => {
    const store = memoryStore()
    const [one, two] = [cache({ store, space: 'one' }), cache({ store, space: 'two' })]
    const named =
      (name: string): RequestHandler =>
      (_req, res) =>
        void res.set(TTL).send(name)
    const app = express()
    app.use((req, res, next) => (req.get('x-two') === undefined ? one : two)(req, res, next))
    app.use((req, res, next) => named(req.get('x-two') === undefined ? 'one' : 'two')(req, res, next))
    const { url } = await using(serve(app))
    for (let i = 0; i < 2; i++) {
      expect((await request(`${url}/a`)).text).toBe('one')
      expect((await request(`${url}/a`, { headers: { 'x-two': '1' } })).text).toBe('two')
    }
  })
})

describe('close()', () => {
  test('lets everything through from then on, and stores nothing more', async () => {
    const { url, cache: handler } = await gateway({ behind: [page] })
    await request(`${url}/a`)
    await handler.close()
    for (let i = 0; i < 2; i++) {
      const reply = await request(`${url}/a`)
      expect([reply.text, reply.headers['cache-status']]).toEqual(['page', 'Postern; fwd=bypass; detail=closed'])
    }
    await handler.close()
  })

  test('does not disturb an answer that is on its way', async () => {
    const hold = gate()
    const handler: RequestHandler = async (_req, res) => {
      res.writeHead(200, TTL)
      res.write('first ')
      await hold.opened
      res.end('last')
    }
    const { url, cache: made } = await gateway({ behind: [handler] })
    const client = new Client(`${url}/a`)
    await eventually(() => client.text === 'first ')
    await made.close()
    hold.open()
    expect(await client.answer()).toEqual({ status: 200, text: 'first last', whole: true })
  })

  test('closes the store once', async () => {
    let closed = 0
    const inner = memoryStore()
    const store = Object.assign(inner, { close: () => void closed++ })
    const handler = cache({ store })
    await handler.close()
    await handler.close()
    expect(closed).toBe(1)
  })
})

import type { ServerResponse } from 'node:http'
import { eventually, type Reply, request } from '@postern/test-kit'
import type express from 'express'
import { describe, expect, it } from 'vitest'
import type { RouteConfig } from '../src/config.ts'
import { as, authenticates, cacheStatus, counting, dead, start, upstream } from './caching-support.ts'

const route: RouteConfig<'one'> = { prefix: '/', upstream: 'one', cache: true }

/** An upstream whose answers are given by hand. */
async function byHand() {
  const open: ServerResponse[] = []
  const started = await upstream((_req, res) => void open.push(res))
  const answer = (text: string, cacheControl = 'max-age=60'): void => {
    for (const res of open.splice(0)) res.writeHead(200, { 'cache-control': cacheControl }).end(text)
  }
  return { url: started.url, requests: started.requests, answer }
}

/** Sends so many equal requests and waits until all but the first wait for it. */
async function crowd(count: number, url: string, collapsed: () => number): Promise<Promise<Reply>[]> {
  const asked = Array.from({ length: count }, () => request(url))
  await eventually(() => expect(collapsed()).toBe(count - 1), { timeoutMs: 10_000 })
  return asked
}

/** Counts the clients that have left before their answer was whole. */
function countsLeft() {
  let count = 0
  const app = (before: express.Express): void => {
    before.use((_req, res, next) => {
      res.once('close', () => {
        if (!res.writableFinished) count++
      })
      next()
    })
  }
  return { app, left: () => count }
}

const outcome = (asked: Promise<Reply>): Promise<number | string> =>
  asked.then(
    (reply) => (reply.complete ? reply.status : 'cut'),
    (error: Error) => error.message,
  )

describe('a hundred equal requests at a time', () => {
  it('are one at the upstream, and take one place there', async () => {
    const origin = await byHand()
    const { gw, url } = await start({
      upstreams: { one: { targets: [origin.url], bulkhead: { maxInFlight: 1, maxQueued: 0 } } },
      routes: [route],
    })
    const asked = await crowd(100, `${url}/a`, () => gw.cache!.stats.collapsed)
    expect([origin.requests.length, gw.parts.one.bulkhead!.inFlight]).toEqual([1, 1])
    origin.answer('shared')
    const replies = await Promise.all(asked)
    expect(replies.map((reply) => [reply.status, reply.text])).toEqual(Array(100).fill([200, 'shared']))
    expect(replies.filter((reply) => cacheStatus(reply)!.includes('collapsed'))).toHaveLength(99)
    expect(origin.requests).toHaveLength(1)
    expect(gw.parts.one.bulkhead!.inFlight).toBe(0)
  })

  it('have each the id of their own request', async () => {
    const origin = await byHand()
    const { gw, url } = await start({
      logger: { skip: () => true },
      upstreams: { one: { targets: [origin.url] } },
      routes: [route],
    })
    const ids = Array.from({ length: 5 }, (_, i) => `request-${i}`)
    const asked = ids.map((id) => request(`${url}/a`, { headers: { 'x-request-id': id } }))
    await eventually(() => expect(gw.cache!.stats.collapsed).toBe(4))
    origin.answer('shared')
    expect((await Promise.all(asked)).map((reply) => reply.headers['x-request-id'])).toEqual(ids)
  })

  it('are one at the upstream also when the first client leaves', async () => {
    const origin = await byHand()
    const { app, left } = countsLeft()
    const { gw, url } = await start({ upstreams: { one: { targets: [origin.url] } }, routes: [route] }, app)
    const leaving = new AbortController()
    const first = request(`${url}/a`, { signal: leaving.signal }).catch(() => 'left')
    await eventually(() => expect(origin.requests).toHaveLength(1))
    const others = Array.from({ length: 99 }, () => request(`${url}/a`))
    await eventually(() => expect(gw.cache!.stats.collapsed).toBe(99))
    leaving.abort()
    expect(await first).toBe('left')
    await eventually(() => expect(left()).toBe(1))
    origin.answer('shared')
    const replies = await Promise.all(others)
    expect(replies.map((reply) => reply.text)).toEqual(Array(99).fill('shared'))
    expect(origin.requests).toHaveLength(1)
    expect((await request(`${url}/a`)).text).toBe('shared')
    expect(origin.requests).toHaveLength(1)
  })

  it('are all given up when all their clients leave, and the upstream is told', async () => {
    const origin = await byHand()
    const { gw, url } = await start({ upstreams: { one: { targets: [origin.url] } }, routes: [route] })
    const leaving = new AbortController()
    const asked = Array.from({ length: 10 }, () => request(`${url}/a`, { signal: leaving.signal }).catch(() => 'left'))
    await eventually(() => expect(gw.cache!.stats.collapsed).toBe(9))
    leaving.abort()
    await Promise.all(asked)
    await eventually(() => expect(origin.requests[0]!.aborted).toBe(true))
    await eventually(() => expect(gw.upstreams.one.targets[0]!.inFlight).toBe(0))
  })

  it('get one failure when there is nobody to ask', async () => {
    const { gw, url } = await start({
      upstreams: { one: { targets: [await dead()], retries: false } },
      routes: [route],
    })
    const replies = await Promise.all(Array.from({ length: 20 }, () => request(`${url}/a`)))
    for (const reply of replies) {
      expect([502, 503]).toContain(reply.status)
      expect(reply.headers['content-type']).toBe('application/problem+json')
    }
    expect(gw.cache!.stats.responses).toBe(0)
  })

  it('have each the fallback’s answer when there is nobody to ask', async () => {
    let fallbacks = 0
    const origin = await upstream((req) => void setTimeout(() => req.socket.destroy(), 50))
    const { url } = await start({
      upstreams: {
        one: {
          targets: [origin.url],
          retries: false,
          fallback: (_req, res) => {
            fallbacks++
            res.statusCode = 200
            res.end('sorry')
          },
        },
      },
      routes: [route],
    })
    const replies = await Promise.all(Array.from({ length: 20 }, () => request(`${url}/a`)))
    expect(replies.map((reply) => reply.text)).toEqual(Array(20).fill('sorry'))
    expect(fallbacks).toBe(20)
  })

  it('are each asked for when the answer is for nobody else', async () => {
    const origin = await upstream(counting('private'))
    const { url } = await start({ upstreams: { one: { targets: [origin.url] } }, routes: [route] })
    const replies = await Promise.all(Array.from({ length: 10 }, () => request(`${url}/a`)))
    expect(new Set(replies.map((reply) => reply.text)).size).toBe(10)
    expect(origin.requests).toHaveLength(10)
  })

  it('are each asked for when their callers were authenticated and the answer is not for all', async () => {
    const origin = await upstream(counting())
    const { url } = await start({
      upstreams: { one: { targets: [origin.url] } },
      routes: [{ ...route, handlers: authenticates }],
    })
    const replies = await Promise.all(Array.from({ length: 10 }, (_, i) => request(`${url}/a`, as(`user-${i}`))))
    expect(new Set(replies.map((reply) => reply.text)).size).toBe(10)
  })

  it('are one for each caller with partition: identity', async () => {
    const origin = await byHand()
    const { gw, url } = await start({
      upstreams: { one: { targets: [origin.url] } },
      routes: [{ ...route, cache: { partition: 'identity' }, handlers: authenticates }],
    })
    const asked = ['anna', 'bert', 'anna', 'bert'].map((user) => request(`${url}/a`, as(user)))
    await eventually(() => expect([origin.requests.length, gw.cache!.stats.collapsed]).toEqual([2, 2]))
    origin.answer('each')
    await Promise.all(asked)
    expect(origin.requests).toHaveLength(2)
  })

  it('are each asked for on a route that wants it so', async () => {
    const origin = await byHand()
    const { url } = await start({
      upstreams: { one: { targets: [origin.url] } },
      routes: [{ ...route, cache: { coalescing: false } }],
    })
    const asked = [1, 2, 3].map(() => request(`${url}/a`))
    await eventually(() => expect(origin.requests).toHaveLength(3))
    origin.answer('each')
    expect((await Promise.all(asked)).map((reply) => reply.text)).toEqual(['each', 'each', 'each'])
  })
})

describe('the deadline of the upstream', () => {
  it('holds for those who wait as well', async () => {
    const origin = await byHand()
    const { gw, url } = await start({
      upstreams: { one: { targets: [origin.url], timeouts: { totalMs: 300 }, retries: false } },
      routes: [route],
    })
    const startedAtMs = performance.now()
    const asked = await crowd(10, `${url}/a`, () => gw.cache!.stats.collapsed)
    const replies = await Promise.all(asked)
    expect(replies.map((reply) => reply.status)).toEqual(Array(10).fill(504))
    expect(replies[9]!.json()).toMatchObject({ status: 504 })
    expect(origin.requests).toHaveLength(1)
    // Not one after the other, nor the ten seconds that a request may wait for another.
    expect(performance.now() - startedAtMs).toBeLessThan(3_000)
  })

  // A client may shorten its own time (`X-Timeout: 200`). Were its failure that of all who wait, one client could have every
  // other one's request fail: they are asked for anew, with the time that they have.
  it('is each client’s own: who came later goes on when the first one’s time is over', async () => {
    const origin = await byHand()
    const { gw, url } = await start({
      upstreams: { one: { targets: [origin.url], deadline: { header: 'x-timeout' } } },
      routes: [route],
    })
    const hurried = request(`${url}/a`, { headers: { 'x-timeout': '200' } })
    await eventually(() => expect(origin.requests).toHaveLength(1))
    const patient = request(`${url}/a`)
    await eventually(() => expect(gw.cache!.stats.collapsed).toBe(1))
    expect((await hurried).status).toBe(504)
    await Promise.race([patient, eventually(() => expect(origin.requests).toHaveLength(2))])
    origin.answer('later')
    const reply = await patient
    expect([reply.status, reply.text]).toEqual([200, 'later'])
  })

  // Twenty clients with 100 ms wait for one that has all the time it wants. Their time over, none of them has anything left to
  // ask the upstream with: a request sent then is work that nobody waits for.
  it('is each client’s own: those who wait with less time than the first fail when it is over, and ask nobody', async () => {
    const origin = await byHand()
    const { gw, url } = await start({
      upstreams: { one: { targets: [origin.url], deadline: { header: 'x-timeout' } } },
      routes: [route],
    })
    const patient = request(`${url}/a`)
    await eventually(() => expect(origin.requests).toHaveLength(1))
    const hurried = Array.from({ length: 20 }, () => request(`${url}/a`, { headers: { 'x-timeout': '150' } }))
    await eventually(() => expect(gw.cache!.stats.collapsed).toBe(20))
    expect((await Promise.all(hurried)).map((reply) => reply.status)).toEqual(Array(20).fill(504))
    expect(origin.requests).toHaveLength(1)
    origin.answer('later')
    expect((await patient).text).toBe('later')
  })
})

describe('close()', () => {
  it('lets those who wait have their answer', async () => {
    const origin = await byHand()
    const { gw, url } = await start({ upstreams: { one: { targets: [origin.url] } }, routes: [route] })
    const asked = await crowd(20, `${url}/a`, () => gw.cache!.stats.collapsed)
    const closing = gw.close()
    origin.answer('shared')
    const replies = await Promise.all(asked)
    expect(replies.map((reply) => [reply.text, reply.headers.connection])).toEqual(Array(20).fill(['shared', 'close']))
    await closing
  })

  it('lets those who wait have their answer also when the first client has left', async () => {
    const origin = await byHand()
    const { app, left } = countsLeft()
    const { gw, url } = await start({ upstreams: { one: { targets: [origin.url] } }, routes: [route] }, app)
    const leaving = new AbortController()
    const first = request(`${url}/a`, { signal: leaving.signal }).catch(() => 'left')
    await eventually(() => expect(origin.requests).toHaveLength(1))
    const others = Array.from({ length: 5 }, () => request(`${url}/a`))
    await eventually(() => expect(gw.cache!.stats.collapsed).toBe(5))
    leaving.abort()
    await first
    await eventually(() => expect(left()).toBe(1))
    const closing = gw.close()
    origin.answer('shared')
    expect((await Promise.all(others)).map((reply) => reply.text)).toEqual(Array(5).fill('shared'))
    await closing
  })

  it('cuts those who wait when the time is over', async () => {
    const origin = await byHand()
    const { gw, url } = await start({
      upstreams: { one: { targets: [origin.url] } },
      routes: [route],
      shutdown: { graceMs: 100 },
    })
    const asked = await crowd(10, `${url}/a`, () => gw.cache!.stats.collapsed)
    const outcomes = asked.map(outcome)
    await gw.close()
    for (const each of await Promise.all(outcomes)) {
      expect([503, 504, 'cut', 'socket hang up', 'read ECONNRESET']).toContain(each)
    }
    expect(gw.upstreams.one.targets[0]!.inFlight).toBe(0)
  })

  it('ends a revalidation that is running, within its time', async () => {
    const open: ServerResponse[] = []
    const fresh = counting('max-age=0, stale-while-revalidate=60')
    const origin = await upstream((req, res, record) =>
      origin.requests.length === 1 ? fresh(req, res, record) : void open.push(res),
    )
    const { gw, url } = await start({
      upstreams: { one: { targets: [origin.url] } },
      routes: [route],
      shutdown: { graceMs: 200 },
    })
    await request(`${url}/a`)
    expect((await request(`${url}/a`)).text).toBe('/a 1')
    await eventually(() => expect(open).toHaveLength(1))
    const startedAtMs = performance.now()
    await gw.close()
    expect(performance.now() - startedAtMs).toBeLessThan(3_000)
    await eventually(() => expect(origin.requests[1]!.aborted).toBe(true))
    await eventually(() => expect(gw.cache!.stats.revalidating).toBe(0))
    expect(gw.upstreams.one.targets[0]!.inFlight).toBe(0)
  })

  it('leaves nothing stored, and can be asked twice', async () => {
    const origin = await upstream(counting())
    const { gw, url } = await start({ upstreams: { one: { targets: [origin.url] } }, routes: [route] })
    await request(`${url}/a`)
    expect(gw.cache!.stats.bytes).toBeGreaterThan(0)
    await Promise.all([gw.close(), gw.close()])
    expect(gw.cache!.stats).toMatchObject({ responses: 0, bytes: 0 })
  })
})

import { AsyncLocalStorage } from 'node:async_hooks'
import http from 'node:http'
import { type Deadline, exchangeOf, GatewayError } from '@postern/contracts'
import { attachUpgrades, deadline, proxy } from '@postern/proxy'
import {
  connectWebSocket,
  eventually,
  request,
  type Served,
  serve,
  startUpstream,
  startWebSocketUpstream,
} from '@postern/test-kit'
import express, { type RequestHandler } from 'express'
import { afterEach, describe, expect, it } from 'vitest'
import {
  type BulkheadOptions,
  type BulkheadRejection,
  bulkhead,
  bulkheadRejected,
  type LimitChange,
  limitChanged,
} from '../../src/index.ts'
import { held } from '../held.ts'
import { faultsOf } from '../support.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function served(app: http.RequestListener): Promise<Served> {
  const server = await serve(app)
  cleanups.push(() => server.close())
  return server
}

/** An app with a bulkhead of one place in front of a handler that answers when told to. */
async function startHeld(options: Partial<BulkheadOptions> = {}, ...before: RequestHandler[]) {
  const handler = held()
  const guard = bulkhead({ maxInFlight: 1, ...options } as BulkheadOptions)
  const app = express()
  if (before.length > 0) app.use(...before)
  app.use(guard, handler)
  const { url } = await served(app)
  return { app, guard, handler, url }
}

function deadlineIn(ms: number): Deadline {
  const atMs = performance.now() + ms
  return { atMs, signal: new AbortController().signal, remainingMs: () => atMs - performance.now() }
}

describe('bulkhead() in an Express app', () => {
  it('answers 503 with Retry-After when no place comes free in time', async () => {
    const { guard, handler, url } = await startHeld()
    const first = request(`${url}/first`)
    await handler.arrived(1)
    const startedMs = performance.now()
    const reply = await request(`${url}/second`)
    expect(performance.now() - startedMs).toBeGreaterThan(350)
    expect(reply.status).toBe(503)
    expect(reply.headers['retry-after']).toMatch(/^[123]$/)
    expect(reply.headers['content-type']).toBe('application/problem+json')
    expect(reply.headers['proxy-status']).toBe('postern; error=queue_timeout')
    expect(reply.json()).toMatchObject({ code: 'upstream_busy', status: 503 })
    handler.answerAll()
    expect((await first).text).toBe('/first')
    expect(handler.paths).toEqual(['/first'])
    expect(guard.stats).toEqual({ admitted: 1, rejected: 0, timedOut: 1, left: 0 })
  })

  it('lets in those who wait, in their order, as places come free', async () => {
    const { guard, handler, url } = await startHeld()
    const replies = []
    for (let i = 1; i <= 3; i++) {
      replies.push(request(`${url}/${i}`))
      await eventually(() => guard.inFlight + guard.queued === i)
    }
    for (let i = 1; i <= 3; i++) {
      await handler.arrived(i)
      expect(guard.inFlight).toBe(1)
      handler.answerAll()
    }
    expect((await Promise.all(replies)).map(({ status, text }) => [status, text])).toEqual([
      [200, '/1'],
      [200, '/2'],
      [200, '/3'],
    ])
    expect(handler.paths).toEqual(['/1', '/2', '/3'])
    await eventually(() => guard.inFlight === 0)
  })

  it('refuses at once when the queue is full', async () => {
    const { handler, url, guard } = await startHeld({ maxQueued: 0, random: () => 0.99 })
    const first = request(url)
    await handler.arrived(1)
    const startedMs = performance.now()
    const reply = await request(url)
    expect(performance.now() - startedMs).toBeLessThan(200)
    expect([reply.status, reply.headers['retry-after'], reply.headers['proxy-status']]).toEqual([
      503,
      '3',
      'postern; error=connection_limit_reached',
    ])
    handler.answerAll()
    await first
    expect(guard.stats.rejected).toBe(1)
  })

  it('does not spend a place on a client that has left the queue', async () => {
    const failures: unknown[] = []
    const { guard, handler, url } = await startHeld({ queueMs: 5_000 }, (req, res, next) => {
      exchangeOf(req, res).observe({ onExchangeClosed: ({ failure }) => failures.push(failure?.type) })
      next()
    })
    const first = request(`${url}/first`)
    await handler.arrived(1)
    const leaving = new AbortController()
    const left = request(`${url}/left`, { signal: leaving.signal }).catch(() => 'left')
    await eventually(() => guard.queued === 1)
    const last = request(`${url}/last`)
    await eventually(() => guard.queued === 2)
    leaving.abort()
    expect(await left).toBe('left')
    await eventually(() => guard.queued === 1)
    handler.answerAll()
    await handler.arrived(2)
    handler.answerAll()
    expect([(await first).status, (await last).status]).toEqual([200, 200])
    expect(handler.paths).toEqual(['/first', '/last'])
    expect(guard.stats).toMatchObject({ admitted: 2, left: 1 })
    await eventually(() => failures.length === 3)
    expect(failures).toEqual(['client_aborted', undefined, undefined])
  })

  it('gets its places back when clients leave in the middle of their answers', async () => {
    const guard = bulkhead({ maxInFlight: 5 })
    const app = express()
    app.use(guard, (_req, res) => void res.write('a part'))
    const { url } = await served(app)
    for (let round = 0; round < 3; round++) {
      const leaving = new AbortController()
      const replies = Array.from({ length: 5 }, () => request(url, { signal: leaving.signal }).catch(() => undefined))
      await eventually(() => guard.inFlight === 5)
      leaving.abort()
      await Promise.all(replies)
      await eventually(() => guard.inFlight === 0)
    }
    expect(guard.stats.admitted).toBe(15)
  })

  it('fails a request with 504 when its own deadline runs out in the queue', async () => {
    const { guard, handler, url } = await startHeld({}, (req, res, next) => {
      const ms = Number(req.headers['x-deadline-ms'] ?? Number.NaN)
      if (!Number.isNaN(ms)) exchangeOf(req, res).deadline = deadlineIn(ms)
      next()
    })
    const first = request(url)
    await handler.arrived(1)
    const patient = request(url, { headers: { 'x-deadline-ms': '60000' } })
    await eventually(() => guard.queued === 1)
    const startedMs = performance.now()
    const reply = await request(url, { headers: { 'x-deadline-ms': '60' } })
    expect(performance.now() - startedMs).toBeLessThan(300)
    expect([reply.status, reply.headers['retry-after'], reply.headers['proxy-status']]).toEqual([
      504,
      undefined,
      'postern; error=deadline_exceeded',
    ])
    expect(reply.json()).toMatchObject({ code: 'upstream_timeout' })
    expect((await request(url, { headers: { 'x-deadline-ms': '-1' } })).status).toBe(504)
    expect((await patient).status).toBe(503)
    handler.answerAll()
    await first
    expect(guard.stats).toEqual({ admitted: 1, rejected: 0, timedOut: 3, left: 0 })
  })

  it('answers with the fallback in place of a refusal, and refuses when the fallback passes', async () => {
    const { handler, url } = await startHeld({
      maxQueued: 0,
      fallback: (req, res, next) => {
        if (req.url === '/passes') next()
        else res.end('from the fallback')
      },
    })
    const first = request(url)
    await handler.arrived(1)
    const reply = await request(`${url}/any`)
    expect([reply.status, reply.text]).toEqual([200, 'from the fallback'])
    expect((await request(`${url}/passes`)).json()).toMatchObject({ code: 'upstream_busy' })
    handler.answerAll()
    await first
  })

  it("hands refusals to the app's error handler when asked to", async () => {
    const { app, handler, url } = await startHeld({ maxQueued: 0, errors: 'next', name: 'payments' })
    const seen: unknown[] = []
    app.use(((error, _req, res, _next) => {
      seen.push(error)
      res.status(error.status).set(error.headers).send('own words')
    }) as express.ErrorRequestHandler)
    const first = request(url)
    await handler.arrived(1)
    const reply = await request(url)
    expect([reply.status, reply.text]).toEqual([503, 'own words'])
    expect(reply.headers['retry-after']).toMatch(/^[123]$/)
    expect(seen[0]).toBeInstanceOf(GatewayError)
    expect((seen[0] as GatewayError).message).toContain('payments')
    handler.answerAll()
    await first
  })

  it('keeps the connection usable behind a refusal, with a body that nobody read', async () => {
    const { handler, url } = await startHeld({ maxQueued: 0 })
    const first = request(url)
    await handler.arrived(1)
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
    cleanups.push(() => agent.destroy())
    const refused = await request(url, { agent, method: 'POST', body: Buffer.alloc(300_000, 'x') })
    expect(refused.status).toBe(503)
    handler.answerAll()
    await first
    const reused: boolean[] = []
    const again = request(`${url}/again`, { agent, onResponse: (_res, req) => reused.push(req.reusedSocket) })
    await handler.arrived(2)
    handler.answerAll()
    expect((await again).text).toBe('/again')
    expect(reused).toEqual([true])
  })

  it('refuses everyone who waits when it is closed, and lets nobody wait from then on', async () => {
    const { guard, handler, url } = await startHeld({ queueMs: 60_000 })
    const first = request(url)
    await handler.arrived(1)
    const waiting = [request(url), request(url)]
    await eventually(() => guard.queued === 2)
    guard.close()
    guard.close()
    expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual([503, 503])
    expect((await request(url)).status).toBe(503)
    handler.answerAll()
    expect((await first).status).toBe(200)
    await eventually(() => guard.inFlight === 0)
    const later = request(url)
    await handler.arrived(2)
    handler.answerAll()
    expect((await later).status).toBe(200)
  })

  it('lets in at once as many as a raised limit allows', async () => {
    const { guard, handler, url } = await startHeld()
    const replies = [request(url), request(url), request(url)]
    await eventually(() => guard.queued === 2)
    guard.setLimit(3)
    await handler.arrived(3)
    expect([guard.limit, guard.inFlight, guard.queued]).toEqual([3, 3, 0])
    handler.answerAll()
    await Promise.all(replies)
  })

  it('counts a request once that meets it twice', async () => {
    const guard = bulkhead({ maxInFlight: 1, maxQueued: 0 })
    const app = express()
    app.use(guard)
    app.use(guard, (_req, res) => void res.end(`${guard.inFlight}`))
    const { url } = await served(app)
    expect((await request(url)).text).toBe('1')
    await eventually(() => guard.inFlight === 0)
    expect(guard.stats.admitted).toBe(1)
  })

  it('keeps each request in its own context, also when another one lets it in', async () => {
    const storage = new AsyncLocalStorage<string>()
    const guard = bulkhead({ maxInFlight: 1 })
    const release: (() => void)[] = []
    const app = express()
    app.use((req, _res, next) => storage.run(req.url, next))
    app.use(guard, (_req, res) => {
      const store = storage.getStore()
      release.push(() => res.end(store))
    })
    const { url } = await served(app)
    const one = request(`${url}/one`)
    await eventually(() => release.length === 1)
    const two = request(`${url}/two`)
    await eventually(() => guard.queued === 1)
    storage.run('/nobody', release.shift()!)
    await eventually(() => release.length === 1)
    release.shift()!()
    expect([(await one).text, (await two).text]).toEqual(['/one', '/two'])
  })

  it('leaves a handler that throws to the app, also for a request that had waited', async () => {
    const guard = bulkhead({ maxInFlight: 1 })
    const handler = held()
    const app = express()
    app.use(guard)
    app.use('/hold', handler)
    app.use('/throws', () => {
      throw new Error('broken')
    })
    app.use(((_error, _req, res, _next) => void res.status(500).end('broken')) as express.ErrorRequestHandler)
    const { url } = await served(app)
    const first = request(`${url}/hold`)
    await handler.arrived(1)
    const second = request(`${url}/throws`)
    await eventually(() => guard.queued === 1)
    handler.answerAll()
    expect([(await first).status, (await second).text]).toEqual([200, 'broken'])
    await eventually(() => guard.inFlight === 0)
  })

  it('tells of refusals and of changed limits on its channels', async () => {
    const rejections: BulkheadRejection[] = []
    const changes: LimitChange[] = []
    const onRejection = (message: BulkheadRejection) => void rejections.push(message)
    const onChange = (message: LimitChange) => void changes.push(message)
    bulkheadRejected.subscribe(onRejection)
    limitChanged.subscribe(onChange)
    cleanups.push(() => bulkheadRejected.unsubscribe(onRejection) && limitChanged.unsubscribe(onChange))
    const { guard, handler, url } = await startHeld({ maxQueued: 1, queueMs: 50, name: 'payments' })
    const first = request(url)
    await handler.arrived(1)
    const second = request(url)
    await eventually(() => guard.queued === 1)
    await request(url)
    await second
    expect(rejections.map(({ bulkhead, reason }) => [bulkhead, reason])).toEqual([
      ['payments', 'full'],
      ['payments', 'timeout'],
    ])
    expect(rejections[1]!.waitedMs).toBeGreaterThanOrEqual(49)
    guard.setLimit(7)
    guard.setLimit(7)
    expect(changes).toEqual([{ bulkhead: 'payments', limit: 7, previousLimit: 1 }])
    handler.answerAll()
    await first
  })

  it('is called bulkheadHandler in the stack', () => {
    const app = express()
    app.use(bulkhead({ maxInFlight: 1 }))
    expect(app.router.stack.map((layer) => layer.name)).toContain('bulkheadHandler')
  })

  it('refuses limits out of range, those of an adaptive one beyond its bounds', () => {
    expect(() => bulkhead({ maxInFlight: 1 }).setLimit(0)).toThrow(RangeError)
    expect(() => bulkhead({ maxInFlight: 1 }).setLimit(1.5)).toThrow(RangeError)
    const adaptive = bulkhead({ adaptive: { minLimit: 2, maxLimit: 50 } })
    expect(() => adaptive.setLimit(51)).toThrow('from 2 to 50')
    adaptive.setLimit(50)
    expect(adaptive.limit).toBe(50)
  })

  it('throws when it is made, not at the first request', () => {
    expect(faultsOf(() => bulkhead({}))).toHaveLength(1)
  })
})

describe('bulkhead() in front of proxy()', () => {
  it('keeps the upstream at its limit, and everyone is answered', async () => {
    let [open, most] = [0, 0]
    const upstream = await startUpstream((_req, res) => {
      most = Math.max(most, ++open)
      setTimeout(() => {
        open--
        res.end('done')
      }, 20)
    })
    cleanups.push(() => upstream.close())
    const guard = bulkhead({ maxInFlight: 3, maxQueued: 30, queueMs: 5_000 })
    const forward = proxy(upstream.url)
    cleanups.push(() => forward.close())
    const app = express()
    app.use(guard, forward)
    const { url } = await served(app)
    const replies = await Promise.all(Array.from({ length: 20 }, () => request(url)))
    expect(replies.every(({ status, text }) => status === 200 && text === 'done')).toBe(true)
    expect(most).toBe(3)
    await eventually(() => guard.inFlight === 0)
  })

  it('measures the upstream, and adapts its limit to it', async () => {
    const upstream = await startUpstream((_req, res) => void setTimeout(() => res.end(), 10))
    cleanups.push(() => upstream.close())
    const changes: number[] = []
    const onChange = ({ limit }: LimitChange) => void changes.push(limit)
    limitChanged.subscribe(onChange)
    cleanups.push(() => limitChanged.unsubscribe(onChange))
    const guard = bulkhead({ adaptive: { initialLimit: 4, sampleMs: 20, measureRequests: 5 }, maxQueued: 100 })
    const forward = proxy(upstream.url)
    cleanups.push(() => forward.close())
    const app = express()
    app.use(guard, forward)
    const { url } = await served(app)
    for (let round = 0; round < 10; round++) await Promise.all(Array.from({ length: 12 }, () => request(url)))
    // Held low while it measured, and grown since, as latency stays where it was.
    expect(changes[0]).toBe(3)
    expect(Math.max(...changes)).toBeGreaterThan(4)
  })

  it("ends the wait with the exchange's deadline, as the proxy would", async () => {
    const upstream = await startUpstream(() => {})
    cleanups.push(() => upstream.close())
    const guard = bulkhead({ maxInFlight: 1 })
    const forward = proxy(upstream.url)
    cleanups.push(() => forward.close())
    const app = express()
    app.use(deadline({ ms: 100 }), guard, forward)
    const { url } = await served(app)
    const replies = await Promise.all([request(url), request(url)])
    expect(replies.map(({ status, headers }) => [status, headers['proxy-status']])).toEqual([
      [504, 'postern; error=deadline_exceeded'],
      [504, 'postern; error=deadline_exceeded'],
    ])
    await eventually(() => guard.inFlight === 0)
  })

  it('holds a place for as long as a WebSocket is open', async () => {
    const upstream = await startWebSocketUpstream()
    cleanups.push(() => upstream.close())
    const guard = bulkhead({ maxInFlight: 1, maxQueued: 0 })
    const forward = proxy(upstream.url)
    cleanups.push(() => forward.close())
    const app = express()
    app.use(guard, forward)
    const { url, server } = await served(app)
    attachUpgrades(server, app)
    const socket = await connectWebSocket(url)
    expect(guard.inFlight).toBe(1)
    await expect(connectWebSocket(url)).rejects.toMatchObject({ status: 503 })
    expect((await request(url)).status).toBe(503)
    await socket.close()
    await eventually(() => guard.inFlight === 0)
  })
})

describe('bulkhead() in a bare server', () => {
  it('works alike', async () => {
    const guard = bulkhead({ maxInFlight: 1, queueMs: 30 })
    const handler = held()
    const { url } = await served((req, res) => guard(req, res, () => handler(req, res)))
    const first = request(`${url}/first`)
    await handler.arrived(1)
    expect((await request(url)).status).toBe(503)
    handler.answerAll()
    expect((await first).text).toBe('/first')
  })
})

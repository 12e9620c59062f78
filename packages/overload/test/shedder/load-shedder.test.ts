import http from 'node:http'
import { GatewayError } from '@postern/contracts'
import { attachUpgrades, proxy } from '@postern/proxy'
import { connectWebSocket, eventually, request, type Served, serve, startWebSocketUpstream } from '@postern/test-kit'
import express from 'express'
import fc from 'fast-check'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { type LoadShedderOptions, loadShedder, requestShed, type ShedRequest } from '../../src/index.ts'
import { PRIORITIES, type Priority } from '../../src/shedder/priority.ts'
import { held } from '../held.ts'
import { bareExchange, faultsOf, seeded } from '../support.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function served(app: http.RequestListener): Promise<Served> {
  const server = await serve(app)
  cleanups.push(() => server.close())
  return server
}

/** A delay that a test sets by hand. */
function dial() {
  let ms = 0
  return {
    delayMs: () => ms,
    set: (value: number) => {
      ms = value
    },
  }
}

async function startShop(options: LoadShedderOptions) {
  const shedder = loadShedder(options)
  cleanups.push(() => shedder.close())
  const handler = held()
  const app = express()
  app.use('/payments', shedder.as('critical'))
  app.use('/search', shedder.as('low'))
  app.use(shedder)
  app.use('/hold', handler)
  app.use((req, res) => void res.end(req.originalUrl))
  return { app, shedder, handler, ...(await served(app)) }
}

describe('loadShedder() in an Express app', () => {
  it('lets payments pass while browsing is shed', async () => {
    const delay = dial()
    const { url, shedder } = await startShop({ delaySource: delay })
    const statuses = async () =>
      Promise.all(['/payments', '/', '/search'].map(async (path) => (await request(url + path)).status))
    expect(await statuses()).toEqual([200, 200, 200])
    delay.set(80)
    expect(await statuses()).toEqual([200, 200, 503])
    delay.set(95)
    expect(await statuses()).toEqual([200, 503, 503])
    delay.set(500)
    expect(await statuses()).toEqual([503, 503, 503])
    delay.set(0)
    expect(await statuses()).toEqual([200, 200, 200])
    expect(shedder.stats).toEqual({
      critical: { admitted: 4, shed: 1 },
      high: { admitted: 0, shed: 0 },
      normal: { admitted: 3, shed: 2 },
      low: { admitted: 2, shed: 3 },
    })
  })

  it('answers a shed request with 503 and a Retry-After that is spread', async () => {
    const delay = dial()
    delay.set(1_000)
    const { url } = await startShop({ delaySource: delay, random: seeded(1) })
    const replies = await Promise.all(Array.from({ length: 60 }, () => request(url)))
    expect(replies[0]!.json()).toMatchObject({ code: 'overloaded', status: 503, title: 'Gateway overloaded' })
    expect(replies[0]!.headers['content-type']).toBe('application/problem+json')
    expect(new Set(replies.map(({ headers }) => headers['retry-after']))).toEqual(new Set(['1', '2', '3']))
    // The answer is made once; what it says of each request is its own.
    expect(new Set(replies.map((reply) => (reply.json() as { instance: string }).instance)).size).toBe(60)
  })

  it('sheds by what is in flight, and never lets in more than the limit', async () => {
    const { url, handler, shedder } = await startShop({ maxInFlight: 5, eventLoopDelayMs: false })
    const inside = Array.from({ length: 4 }, () => request(`${url}/hold`))
    await handler.arrived(4)
    expect((await request(`${url}/search`)).status).toBe(503)
    expect((await request(`${url}/payments`)).status).toBe(200)
    const last = request(`${url}/hold`)
    await handler.arrived(5)
    expect((await request(`${url}/payments`)).status).toBe(503)
    expect(shedder.inFlight).toBe(5)
    handler.answerAll()
    expect((await Promise.all([...inside, last])).map(({ status }) => status)).toEqual([200, 200, 200, 200, 200])
    await eventually(() => shedder.inFlight === 0)
  })

  it('counts a request once that meets two of its handlers, and the first decides', async () => {
    const delay = dial()
    const { url, handler, shedder } = await startShop({ delaySource: delay, maxInFlight: 100 })
    delay.set(95)
    // Met as critical first; as the normal request that it also is it would have been shed.
    expect((await request(`${url}/payments`)).status).toBe(200)
    delay.set(0)
    const inside = request(`${url}/hold`)
    await handler.arrived(1)
    expect(shedder.inFlight).toBe(1)
    handler.answerAll()
    await inside
    expect(shedder.stats.normal.admitted + shedder.stats.critical.admitted).toBe(2)
  })

  it('asks the app for the class of a request', async () => {
    const delay = dial()
    delay.set(95)
    const shedder = loadShedder({
      delaySource: delay,
      classify: (req) => (req.headers['x-plan'] === 'gold' ? 'critical' : 'low'),
    })
    const { url } = await served(express().use(shedder, (_req, res) => void res.end()))
    expect((await request(url, { headers: { 'x-plan': 'gold' } })).status).toBe(200)
    expect((await request(url)).status).toBe(503)
  })

  it('takes a request for a normal one when its classify fails, and warns once', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    cleanups.push(() => warn.mockRestore())
    const shedder = loadShedder({
      name: 'failing',
      classify: (req) => {
        if (req.url === '/throws') throw new Error('broken')
        return 'urgent' as Priority
      },
    })
    cleanups.push(() => shedder.close())
    const { url } = await served(express().use(shedder, (_req, res) => void res.end()))
    expect((await request(`${url}/throws`)).status).toBe(200)
    expect((await request(`${url}/other`)).status).toBe(200)
    expect(shedder.stats.normal.admitted).toBe(2)
    const warnings = warn.mock.calls.filter(
      ([, options]) => (options as { code?: string }).code === 'POSTERN_CLASSIFY_FAILED',
    )
    expect(warnings).toHaveLength(1)
  })

  it('keeps the connection usable behind a shed upload that nobody reads', async () => {
    const delay = dial()
    delay.set(1_000)
    const { url } = await startShop({ delaySource: delay })
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
    cleanups.push(() => agent.destroy())
    const shed = await request(url, { agent, method: 'POST', body: Buffer.alloc(1_000_000, 'x') })
    expect(shed.status).toBe(503)
    delay.set(0)
    const reused: boolean[] = []
    const reply = await request(`${url}/next`, { agent, onResponse: (_res, req) => reused.push(req.reusedSocket) })
    expect([reply.status, reply.text, reused]).toEqual([200, '/next', [true]])
  })

  it("hands shed requests to the app's error handler when asked to, each with an error of its own", async () => {
    const delay = dial()
    delay.set(1_000)
    const seen: unknown[] = []
    const app = express()
    app.use(loadShedder({ delaySource: delay, errors: 'next', random: () => 0 }))
    app.use(((error, _req, res, _next) => {
      seen.push(error)
      res.status(error.status).end('own words')
    }) as express.ErrorRequestHandler)
    const { url } = await served(app)
    expect([(await request(url)).text, (await request(url)).text]).toEqual(['own words', 'own words'])
    expect(seen[0]).toBeInstanceOf(GatewayError)
    expect(seen[0]).toMatchObject({ code: 'overloaded', headers: { 'retry-after': '1' } })
    expect(seen[0]).not.toBe(seen[1])
  })

  it('sheds upgrades as it sheds requests, and counts a WebSocket while it is open', async () => {
    const upstream = await startWebSocketUpstream()
    cleanups.push(() => upstream.close())
    const forward = proxy(upstream.url)
    cleanups.push(() => forward.close())
    const shedder = loadShedder({ maxInFlight: 1, eventLoopDelayMs: false })
    const app = express()
    app.use(shedder, forward)
    const { url, server } = await served(app)
    attachUpgrades(server, app)
    const socket = await connectWebSocket(url)
    expect(shedder.inFlight).toBe(1)
    await expect(connectWebSocket(url)).rejects.toMatchObject({ status: 503 })
    await socket.close()
    await eventually(() => shedder.inFlight === 0)
  })

  it('tells of what it sheds on its channel', async () => {
    const messages: ShedRequest[] = []
    const onShed = (message: ShedRequest) => void messages.push(message)
    requestShed.subscribe(onShed)
    cleanups.push(() => requestShed.unsubscribe(onShed))
    const delay = dial()
    delay.set(95)
    const { url } = await startShop({ delaySource: delay, name: 'edge' })
    await request(`${url}/search`)
    expect(messages).toMatchObject([{ shedder: 'edge', priority: 'low', cause: 'event_loop_delay' }])
    expect(messages[0]!.exchange.request).toHaveProperty('originalUrl', '/search')
  })

  it('shows how late the event loop is, and stops looking when it is closed', async () => {
    const delay = dial()
    const shedder = loadShedder({ delaySource: delay })
    delay.set(42)
    expect(shedder.eventLoopDelayMs).toBe(42)
    shedder.close()
    shedder.close()
    expect(shedder.eventLoopDelayMs).toBe(0)
  })

  it('has names in the stack', () => {
    const shedder = loadShedder({ maxInFlight: 10, eventLoopDelayMs: false })
    const app = express()
    app.use(shedder.as('high'), shedder)
    expect(app.router.stack.map((layer) => layer.name).slice(-2)).toEqual([
      'loadShedderRouteHandler',
      'loadShedderHandler',
    ])
  })

  it('refuses a class that there is not', () => {
    const shedder = loadShedder({ maxInFlight: 10, eventLoopDelayMs: false })
    expect(faultsOf(() => shedder.as('critcal' as Priority))).toEqual([
      expect.objectContaining({ path: 'priority', cure: 'did you mean "critical"?' }),
    ])
  })
})

describe('loadShedder(), whatever comes and goes', () => {
  it('never counts below zero or beyond its limit, and lets in or sheds each request exactly once', () => {
    const step = fc.oneof(
      {
        weight: 3,
        arbitrary: fc.record({ do: fc.constant('arrive' as const), priority: fc.constantFrom(...PRIORITIES) }),
      },
      { weight: 2, arbitrary: fc.record({ do: fc.constant('close' as const), at: fc.nat(10) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('delay' as const), ms: fc.nat(250) }) },
    )
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 150 }),
        fc.integer({ min: 1, max: 8 }),
        fc.integer(),
        (steps, max, seed) => {
          const delay = dial()
          const shedder = loadShedder({ maxInFlight: max, delaySource: delay, random: seeded(seed), errors: 'next' })
          const open: ReturnType<typeof bareExchange>[] = []
          let arrivals = 0
          for (const one of steps) {
            if (one.do === 'delay') delay.set(one.ms)
            else if (one.do === 'close') open.splice(one.at, 1)[0]?.close()
            else {
              arrivals++
              const exchange = bareExchange()
              exchange.request.gateway = exchange
              const told: unknown[] = []
              shedder.as(one.priority)(exchange.request, exchange.response, (error) => void told.push(error))
              expect(told).toHaveLength(1)
              if (told[0] === undefined) open.push(exchange)
            }
            expect(shedder.inFlight).toBe(open.length)
            expect(shedder.inFlight).toBeLessThanOrEqual(max)
          }
          const counts = Object.values(shedder.stats)
          expect(counts.reduce((sum, { admitted, shed }) => sum + admitted + shed, 0)).toBe(arrivals)
          shedder.close()
        },
      ),
    )
  })
})

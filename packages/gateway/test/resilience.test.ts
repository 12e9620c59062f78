import { createServer } from 'node:http'
import { ConfigError } from '@postern/contracts'
import type { RouteHandler } from '@postern/router'
import { eventually, refusedPort, request, startUpstream, type UpstreamHandler } from '@postern/test-kit'
import express from 'express'
import { afterEach, describe, expect, it } from 'vitest'
import { type GatewayConfig, gateway } from '../src/index.ts'

const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

async function upstream(handler: UpstreamHandler) {
  const started = await startUpstream(handler)
  closers.push(() => started.close())
  return started
}

async function dead(): Promise<string> {
  const port = await refusedPort()
  closers.push(() => port.close())
  return port.url
}

const saying =
  (text: string, status = 200): UpstreamHandler =>
  (_req, res) =>
    void res.writeHead(status).end(text)
const silent: UpstreamHandler = () => {}

async function start<Upstream extends string>(config: GatewayConfig<Upstream>) {
  const gw = gateway({ logger: false, ...config, shutdown: { graceMs: 200 } } as GatewayConfig<Upstream>)
  const app = express()
  app.use(gw)
  const server = createServer(app)
  gw.attach(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closers.push(() => gw.close())
  const { port } = server.address() as { port: number }
  return { gw, url: `http://127.0.0.1:${port}` }
}

function faultsOf(config: unknown): string[] {
  try {
    gateway(config as GatewayConfig)
  } catch (error) {
    if (error instanceof ConfigError)
      return error.faults.map((fault) => `${fault.path}: ${fault.cure ?? fault.message}`)
    throw error
  }
  return []
}

describe('a failing target', () => {
  it('costs nothing: the request is tried at another, and the dead one is left out', async () => {
    const good = await upstream(saying('good'))
    const { gw, url } = await start({
      upstreams: { both: { targets: [await dead(), good.url], strategy: 'round-robin' } },
      routes: [{ prefix: '/', upstream: 'both' }],
    })
    const replies = await Promise.all(Array.from({ length: 20 }, () => request(url)))
    expect(replies.map((reply) => reply.text)).toEqual(Array(20).fill('good'))
    // It is left out for a tenth of a second at first: on a slow machine that is over when the twenty are answered.
    await eventually(async () => {
      await request(url)
      expect(gw.upstreams.both.targets[0]!.eligible).toBe(false)
    })
    expect(gw.parts.both.proxy.stats.attempts.retries).toBeGreaterThan(0)
  })

  it('is not made up for when retries are off', async () => {
    const { url } = await start({
      upstreams: { one: { targets: [(await upstream(saying('no', 503))).url], retries: false } },
      routes: [{ prefix: '/', upstream: 'one' }],
    })
    expect((await request(url)).status).toBe(503)
  })

  it('is noticed by probes', async () => {
    let sound = false
    const target = await upstream((req, res) =>
      saying('x', req.url === '/healthz' && !sound ? 500 : 200)(req, res, target.last),
    )
    const { gw, url } = await start({
      upstreams: {
        one: {
          targets: [target.url],
          health: { path: '/healthz', intervalMs: 20, unhealthyAfter: 1 },
          panicThreshold: 0,
        },
      },
      routes: [{ prefix: '/', upstream: 'one' }],
    })
    await eventually(async () => expect((await request(url)).status).toBe(503))
    expect((await request(url)).headers['retry-after']).toBeDefined()
    sound = true
    await eventually(async () => expect((await request(url)).status).toBe(200))
    expect(gw.upstreams.one.targets[0]!.eligible).toBe(true)
  })
})

describe('a breaker', () => {
  it('answers 503 with Retry-After once its upstream has failed often enough, and asks it no more', async () => {
    const bad = await upstream(saying('no', 500))
    const { gw, url } = await start({
      upstreams: { bad: { targets: [bad.url], breaker: { consecutiveFailures: 3 }, outliers: false } },
      routes: [{ prefix: '/', upstream: 'bad' }],
    })
    for (let i = 0; i < 3; i++) expect((await request(url)).status).toBe(500)
    const reply = await request(url)
    expect([reply.status, Number(reply.headers['retry-after'])]).toEqual([503, 1])
    expect(reply.json()).toMatchObject({ code: 'circuit_open' })
    expect(bad.requests.length).toBe(3)
    expect(gw.parts.bad.breaker!.circuits).toMatchObject([{ state: 'open' }])
    gw.parts.bad.breaker!.reset()
    expect((await request(url)).status).toBe(500)
  })
})

describe('a fallback', () => {
  const sorry: GatewayConfig['routes'][number]['fallback'] = (req, res) => {
    res.statusCode = 200
    res.end(`sorry, ${req.gateway!.failure!.type}`)
  }

  it('of an upstream answers when nobody can be reached', async () => {
    const { url } = await start({
      upstreams: { none: { targets: [await dead()], fallback: sorry } },
      routes: [{ prefix: '/', upstream: 'none' }],
    })
    const reply = await request(url)
    expect([reply.status, reply.text]).toEqual([200, 'sorry, destination_unavailable'])
  })

  it('of an upstream answers when a circuit is open', async () => {
    const bad = await upstream(saying('no', 500))
    const { gw, url } = await start({
      upstreams: { bad: { targets: [bad.url], breaker: true, fallback: sorry } },
      routes: [{ prefix: '/', upstream: 'bad' }],
    })
    expect((await request(url)).status).toBe(500)
    gw.parts.bad.breaker!.isolate()
    expect((await request(url)).text).toBe('sorry, destination_unavailable')
  })

  it('of an upstream comes before that of the route', async () => {
    const { url } = await start({
      upstreams: { none: { targets: [await dead()], fallback: (_req, res) => void res.end('the upstream') } },
      routes: [{ prefix: '/', upstream: 'none', fallback: (_req, res) => void res.end('the route') }],
    })
    expect((await request(url)).text).toBe('the upstream')
  })

  it('leaves the error as it was when it calls next()', async () => {
    const { url } = await start({
      upstreams: { none: { targets: [await dead()], fallback: (_req, _res, next) => next() } },
      routes: [{ prefix: '/', upstream: 'none' }],
    })
    expect((await request(url)).json()).toMatchObject({ code: 'no_upstream' })
  })

  it('that throws leaves the error as it was', async () => {
    const { url } = await start({
      upstreams: {
        none: {
          targets: [await dead()],
          fallback: () => {
            throw new Error('no idea')
          },
        },
      },
      routes: [{ prefix: '/', upstream: 'none' }],
    })
    expect((await request(url)).status).toBe(503)
  })

  it('has no part in what the client did wrong', async () => {
    const good = await upstream(saying('good'))
    const { url } = await start({
      upstreams: { good: { targets: [good.url], maxRequestBodyBytes: 1, fallback: sorry } },
      routes: [{ prefix: '/', upstream: 'good' }],
    })
    expect((await request(url, { method: 'POST', body: 'long' })).status).toBe(413)
  })
})

describe('a bulkhead', () => {
  it('holds back what is over its limit, and refuses it soon', async () => {
    const slow = await upstream(silent)
    const { gw, url } = await start({
      upstreams: { slow: { targets: [slow.url], bulkhead: { maxInFlight: 2, maxQueued: 1, queueMs: 50 } } },
      routes: [{ prefix: '/', upstream: 'slow' }],
    })
    const leaving = new AbortController()
    const held = [1, 2].map(() => request(url, { signal: leaving.signal }).catch(() => 'left'))
    await eventually(() => expect(slow.requests.length).toBe(2))
    const replies = await Promise.all([request(url), request(url)])
    expect(replies.map((reply) => [reply.status, (reply.json() as { code: string }).code])).toEqual([
      [503, 'upstream_busy'],
      [503, 'upstream_busy'],
    ])
    const { inFlight, queued, limit } = gw.parts.slow.bulkhead!
    expect([inFlight, queued, limit]).toEqual([2, 0, 2])
    leaving.abort()
    await Promise.all(held)
    await eventually(() => expect(gw.parts.slow.bulkhead!.inFlight).toBe(0))
  })

  it('takes a number', async () => {
    const good = await upstream(saying('good'))
    const { gw, url } = await start({
      upstreams: { good: { targets: [good.url], bulkhead: 7 } },
      routes: [{ prefix: '/', upstream: 'good' }],
    })
    expect((await request(url)).text).toBe('good')
    expect(gw.parts.good.bulkhead!.limit).toBe(7)
  })

  it('shares the time of the exchange with the upstream', async () => {
    const slow = await upstream(silent)
    const { url } = await start({
      upstreams: {
        slow: { targets: [slow.url], bulkhead: { maxInFlight: 1, queueMs: 5_000 }, timeouts: { totalMs: 80 } },
      },
      routes: [{ prefix: '/', upstream: 'slow' }],
    })
    const replies = await Promise.all([request(url), request(url)])
    expect(replies.map((reply) => reply.status)).toEqual([504, 504])
  })
})

describe('shedding', () => {
  it('refuses the least important routes first', async () => {
    const slow = await upstream((req, res) => (req.url === '/pay' ? saying('paid')(req, res, slow.last) : undefined))
    const { gw, url } = await start({
      shedding: { maxInFlight: 4, eventLoopDelayMs: false, shares: { low: 0, normal: 0.25, high: 0.5 } },
      upstreams: { all: { targets: [slow.url] } },
      routes: [
        { path: '/browse', upstream: 'all', priority: 'low' },
        { path: '/hold', upstream: 'all', priority: 'critical' },
        { path: '/pay', upstream: 'all', priority: 'critical' },
      ],
    })
    const leaving = new AbortController()
    const held = [1, 2].map(() => request(`${url}/hold`, { signal: leaving.signal }).catch(() => 'left'))
    await eventually(() => expect(gw.shedder!.inFlight).toBe(2))
    const shed = await request(`${url}/browse`)
    expect([shed.status, shed.headers['retry-after'] !== undefined]).toEqual([503, true])
    expect(shed.json()).toMatchObject({ code: 'overloaded' })
    expect((await request(`${url}/pay`)).text).toBe('paid')
    leaving.abort()
    await Promise.all(held)
  })

  it('refuses redirects, fixed answers and branches as well, and what stands before a route behind it', async () => {
    const slow = await upstream(silent)
    const asked: string[] = []
    const before: RouteHandler = (req, _res, next) => {
      asked.push(String(req.url))
      next()
    }
    const { gw, url } = await start({
      shedding: { maxInFlight: 4, eventLoopDelayMs: false, shares: { low: 0, normal: 0.25, high: 0.5 } },
      upstreams: { all: { targets: [slow.url] } },
      routes: [
        { path: '/hold', upstream: 'all', priority: 'critical' },
        { path: '/redirect', redirect: { path: '/x' }, priority: 'low', before },
        { path: '/respond', respond: { status: 204 }, priority: 'low', before },
        { path: '/split', split: [{ id: 'a', weight: 1, respond: { status: 204 } }], priority: 'low', before },
      ],
    })
    const statuses = async () => {
      const replies = await Promise.all(['/redirect', '/respond', '/split'].map((path) => request(url + path)))
      return replies.map((reply) => reply.status)
    }
    expect(await statuses()).toEqual([302, 204, 204])
    expect(asked.splice(0).sort()).toEqual(['/redirect', '/respond', '/split'])
    const leaving = new AbortController()
    const held = [1, 2].map(() => request(`${url}/hold`, { signal: leaving.signal }).catch(() => 'left'))
    await eventually(() => expect(gw.shedder!.inFlight).toBe(2))
    expect(await statuses()).toEqual([503, 503, 503])
    expect(asked).toEqual([])
    leaving.abort()
    await Promise.all(held)
  })
})

describe('a configuration', () => {
  it('is told every fault of every part, by its path', () => {
    expect(
      faultsOf({
        upstreams: {
          a: {
            targets: ['http://127.0.0.1:1'],
            breaker: { failureRatio: 2 },
            bulkhead: { maxInFlight: 0 },
            retries: { attempts: 0 },
            fallback: 'sorry',
            helth: '/healthz',
          },
        },
        routes: [{ prefix: '/', upstream: 'a', priority: 'high', fallback: 1 }],
      }),
    ).toEqual([
      'upstreams.a.retries.attempts: expected a whole number from 1 to 10',
      'upstreams.a.helth: did you mean "health"?',
      'upstreams.a.breaker.failureRatio: not a number above 0 up to 1, or false',
      expect.stringMatching(/^upstreams\.a\.bulkhead\.maxInFlight: /),
      'upstreams.a.fallback: expected a handler (req, res, next)',
      'routes[0].priority: give the gateway shedding: { maxInFlight: … }',
      'routes[0].fallback: expected a handler (req, res, next)',
    ])
  })

  it('is told of a handler before a route that is none, at the place where it was written', () => {
    const route = { path: '/a', before: [() => {}, 'x'], fallback: () => {}, respond: { status: 204 } }
    const faults = faultsOf({ upstreams: {}, routes: [route] })
    expect(faults).toEqual(['routes[0].before[1]: expected a handler (req, res, next)'])
  })

  it('is told of a priority that does not exist', () => {
    expect(
      faultsOf({
        shedding: { maxInFlight: 1 },
        upstreams: { a: { targets: ['http://127.0.0.1:1'] } },
        routes: [{ prefix: '/', upstream: 'a', priority: 'urgent' }],
      }),
    ).toEqual([expect.stringMatching(/^routes\[0\]\.priority/)])
  })
})

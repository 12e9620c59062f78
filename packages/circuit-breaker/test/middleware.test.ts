import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import {
  createTarget,
  exchangeOf,
  failExchange,
  GatewayError,
  isRefusal,
  type Lease,
  type Target,
} from '@postern/contracts'
import { eventually, request, type Served, serve, startUpstream, type Upstream } from '@postern/test-kit'
import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express'
import { afterEach, describe, expect, it } from 'vitest'
import { CIRCUIT_BREAKER_PROBLEMS, type CircuitBreakerHandler, type CircuitBreakerOptions } from '../src/index.ts'
import { breakerOf, changes, FirstOf, failure } from './support.ts'

const opened: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const one of opened.splice(0)) await one.close()
})

async function served(app: http.RequestListener): Promise<Served> {
  const server = await serve(app)
  opened.push(server)
  return server
}

/** An upstream whose answers the test decides. */
async function upstreamOf(answer: (req: IncomingMessage, res: ServerResponse) => void): Promise<Upstream> {
  const upstream = await startUpstream(answer)
  opened.push(upstream)
  return upstream
}

/** The smallest proxy: one attempt, settled from what really happened on its connection. */
function forward(req: IncomingMessage, res: ServerResponse): void {
  const lease = exchangeOf(req, res).selection!.acquire()
  if (isRefusal(lease)) {
    const headers = { 'retry-after': String(Math.max(1, Math.ceil((lease.retryAfterMs ?? 0) / 1_000))) }
    const [code, definition] =
      lease.reason === 'circuit_open'
        ? (['circuit_open', CIRCUIT_BREAKER_PROBLEMS.circuit_open] as const)
        : (['no_upstream', { status: 503, title: 'No upstream available', detail: 'Try again later.' }] as const)
    failExchange(req, res, new GatewayError(code, definition, { headers }), 'respond')
    return
  }
  send(lease, req, res)
}

function send(lease: Lease, req: IncomingMessage, res: ServerResponse): void {
  const upstream = http.get(`${lease.target.origin}${req.url}`, { agent: false }, (answer) => {
    res.statusCode = answer.statusCode!
    answer.pipe(res)
    answer.once('close', () => lease.settle({ status: answer.statusCode!, headersMs: 1, totalMs: 2 }))
  })
  upstream.once('error', () => {
    const refused = failure('connection_refused', 'upstream')
    lease.settle(refused)
    const definition = { status: 502, title: 'Upstream failed', detail: 'The upstream failed.' }
    failExchange(req, res, new GatewayError('upstream_failed', definition, { failure: refused }), 'respond')
  })
}

function behindBalancer(breaker: CircuitBreakerHandler, ...targets: Target[]): Express {
  const pool = new FirstOf(targets)
  const app = express()
  app.use(
    (req, res, next) => {
      exchangeOf(req, res).selection = pool
      next()
    },
    breaker,
    forward,
  )
  return app
}

/** An app with one guarded route. */
function guarding(breaker: CircuitBreakerHandler, handler: RequestHandler): Express {
  const app = express()
  app.use('/rates', breaker, handler)
  return app
}

async function statuses(url: string, count: number): Promise<number[]> {
  const all: number[] = []
  for (let i = 0; i < count; i++) all.push((await request(url)).status)
  return all
}

const times = <T>(count: number, value: T): T[] => Array<T>(count).fill(value)

describe('circuitBreaker() in front of any handler', () => {
  it('is called circuitBreakerHandler in the stack', () => {
    const app = guarding(breakerOf(), (_req, res) => void res.end())
    expect(app.router.stack.map((layer) => layer.name)).toContain('circuitBreakerHandler')
  })

  it('answers 503 with Retry-After instead of calling a handler that keeps failing', async () => {
    let calls = 0
    const breaker = breakerOf({ openMs: 1_500, jitter: 0 })
    const app = await served(
      guarding(breaker, (_req, res) => {
        calls++
        res.status(500).end('internal details')
      }),
    )
    expect(await statuses(`${app.url}/rates`, 7)).toEqual(times(7, 500))
    await eventually(() => breaker.circuits[0]?.state === 'open')
    const reply = await request(`${app.url}/rates`)
    expect(calls).toBe(7)
    expect([reply.status, reply.headers['retry-after'], reply.headers['content-type']]).toEqual([
      503,
      '2',
      'application/problem+json',
    ])
    expect(reply.json()).toMatchObject({
      type: 'https://postern.dev/problems#circuit_open',
      title: 'Circuit open',
      status: 503,
      detail: 'The service is failing and is left alone for a moment. Try again later.',
      code: 'circuit_open',
    })
    expect(reply.text).not.toContain('circuit-breaker')
  })

  it('closes again after one good answer', async () => {
    let status = 500
    const breaker = breakerOf({ openMs: 20 })
    const app = await served(guarding(breaker, (_req, res) => void res.status(status).end()))
    await statuses(`${app.url}/rates`, 7)
    status = 200
    await eventually(() => breaker.circuits[0]?.state === 'half-open')
    expect(await statuses(`${app.url}/rates`, 20)).toEqual(times(20, 200))
    expect(breaker.circuits[0]?.state).toBe('closed')
  })

  it('counts what a handler throws, and what it passes to next(), by the answer that the app makes of it', async () => {
    const breaker = breakerOf()
    const app = guarding(breaker, (req) => {
      throw new Error(req.url)
    })
    const quiet: ErrorRequestHandler = (_error, _req, res, _next) => void res.status(500).end()
    app.use(quiet)
    const server = await served(app)
    await statuses(`${server.url}/rates`, 7)
    await eventually(() => breaker.circuits[0]?.state === 'open')
  })

  it('counts an upstream that failed though the head was out, and the client saw a 200 that was cut', async () => {
    const breaker = breakerOf()
    const server = await served(
      guarding(breaker, (req, res) => {
        res.write('half')
        const cut = failure('http_response_incomplete', 'upstream')
        const definition = { status: 502, title: 'Upstream failed', detail: 'The upstream failed.' }
        setImmediate(() =>
          failExchange(req, res, new GatewayError('upstream_failed', definition, { failure: cut }), 'respond'),
        )
      }),
    )
    for (let i = 0; i < 7; i++) await request(`${server.url}/rates`).catch(() => {})
    await eventually(() => breaker.circuits[0]?.state === 'open')
  })

  it('counts no client that leaves before its answer', async () => {
    const breaker = breakerOf()
    const server = await served(guarding(breaker, () => {}))
    for (let i = 0; i < 10; i++) {
      const controller = new AbortController()
      const left = request(`${server.url}/rates`, { signal: controller.signal }).catch(() => 'left')
      await eventually(() => server.sockets === 1)
      controller.abort()
      expect(await left).toBe('left')
      await eventually(() => server.sockets === 0)
    }
    await eventually(() => breaker.circuits[0]?.counts.ignored === 10)
    expect(breaker.circuits[0]).toMatchObject({ state: 'closed', counts: { successes: 0, failures: 0 } })
  })

  it('counts a 4xx as a healthy answer', async () => {
    const breaker = breakerOf()
    const server = await served(guarding(breaker, (_req, res) => void res.status(404).end()))
    await statuses(`${server.url}/rates`, 10)
    await eventually(() => breaker.circuits[0]?.counts.successes === 10)
  })

  it('counts slow answers as failures where slowMs says so', async () => {
    const breaker = breakerOf({ slowMs: 5 })
    const server = await served(guarding(breaker, (_req, res) => void setTimeout(() => res.end('late'), 15)))
    await statuses(`${server.url}/rates`, 7)
    await eventually(() => breaker.circuits[0]?.state === 'open')
    expect(breaker.circuits[0]?.counts).toMatchObject({ failures: 7, slow: 7 })
  })

  it('hands the error to the app with errors: next', async () => {
    const breaker = breakerOf({ errors: 'next', openMs: 60_000 })
    breaker.isolate()
    const app = guarding(breaker, () => {})
    const seen: unknown[] = []
    const page: ErrorRequestHandler = (error, _req, res, _next) => {
      seen.push(error)
      res.status(503).end('our own page')
    }
    app.use(page)
    const server = await served(app)
    expect((await request(`${server.url}/rates`)).text).toBe('our own page')
    expect(seen).toEqual([expect.objectContaining({ code: 'circuit_open', status: 503 })])
  })

  it('keeps two routes apart', async () => {
    const [one, two] = [breakerOf({ name: 'one' }), breakerOf({ name: 'two' })]
    const app = express()
    app.use('/one', one, (_req, res) => void res.status(500).end())
    app.use('/two', two, (_req, res) => void res.end('fine'))
    const server = await served(app)
    await statuses(`${server.url}/one`, 7)
    await eventually(() => one.circuits[0]?.state === 'open')
    expect(await statuses(`${server.url}/two`, 3)).toEqual(times(3, 200))
  })

  it('works in a bare server, too', async () => {
    const breaker = breakerOf()
    breaker.isolate()
    const server = await served((req, res) => breaker(req, res, () => res.end('never')))
    expect((await request(server.url)).status).toBe(503)
  })

  it('takes its probe’s word when the head is out, however long the body goes on', async () => {
    let mode: 'fail' | 'stream' = 'fail'
    const breaker = breakerOf({ openMs: 10, probeTimeoutMs: 40 })
    const server = await served(
      guarding(breaker, (_req, res) => {
        if (mode === 'fail') res.status(500).end()
        else res.write('data: first\n\n')
      }),
    )
    await statuses(`${server.url}/rates`, 7)
    mode = 'stream'
    await eventually(() => breaker.circuits[0]?.state === 'half-open')
    const controller = new AbortController()
    const stream = request(`${server.url}/rates`, { signal: controller.signal }).catch(() => {})
    await eventually(() => breaker.circuits[0]?.state === 'closed')
    controller.abort()
    await stream
  })

  it('opens again when its probe is never answered', async () => {
    const seen = changes()
    let mode: 'fail' | 'hang' | 'answer' = 'fail'
    const breaker = breakerOf({ openMs: 10, probeTimeoutMs: 40 })
    const server = await served(
      guarding(breaker, (_req, res) => {
        if (mode !== 'hang') res.status(mode === 'fail' ? 500 : 200).end()
      }),
    )
    await statuses(`${server.url}/rates`, 7)
    mode = 'hang'
    await eventually(() => breaker.circuits[0]?.state === 'half-open')
    const hanging = request(`${server.url}/rates`, { timeoutMs: 2_000 }).catch(() => {})
    await eventually(() => seen.at(-1)?.reason === 'time' && seen.some(({ reason }) => reason === 'probe_overdue'))
    mode = 'answer'
    await eventually(async () => (await request(`${server.url}/rates`)).status === 200)
    expect(breaker.circuits[0]?.state).toBe('closed')
    server.server.closeAllConnections()
    await hanging
  })
})

describe('circuitBreaker() between a balancer and a proxy', () => {
  it('sends two hundred requests at once to a half-open target as one', async () => {
    let mode: 'fail' | 'hold' = 'fail'
    const held: ServerResponse[] = []
    const upstream = await upstreamOf((_req, res) => {
      if (mode === 'hold') held.push(res)
      else res.writeHead(500).end()
    })
    const breaker = breakerOf({ openMs: 50 })
    const app = await served(behindBalancer(breaker, createTarget(upstream.url)))
    await statuses(app.url, 7)
    await eventually(() => breaker.circuits[0]?.state === 'half-open')
    mode = 'hold'
    const before = upstream.requests.length
    const agent = new http.Agent({ keepAlive: true, maxSockets: 200 })
    const replies = Array.from({ length: 200 }, () => request(app.url, { agent }))
    // All but the probe are answered while it is out.
    const refused: number[] = []
    for (const reply of replies) void reply.then(({ status }) => refused.push(status))
    await eventually(() => refused.length === 199 && held.length > 0)
    expect(upstream.requests.length - before).toBe(1)
    expect(refused).toEqual(times(199, 503))
    held[0]!.end('well again')
    const all = await Promise.all(replies)
    expect(all.filter(({ status }) => status === 200).map(({ text }) => text)).toEqual(['well again'])
    for (const reply of all) if (reply.status === 503) expect(reply.headers['retry-after']).toBe('1')
    await eventually(() => breaker.circuits[0]?.state === 'closed')
    agent.destroy()
  })

  it('goes round a target that refuses connections, and back to it when it is up', async () => {
    const down = await upstreamOf((_req, res) => void res.end('a'))
    const well = await upstreamOf((_req, res) => void res.end('b'))
    const { port } = down
    await down.close()
    const breaker = breakerOf({ openMs: 50, jitter: 0 })
    const app = await served(
      behindBalancer(breaker, createTarget({ url: down.url, id: 'a' }), createTarget({ url: well.url, id: 'b' })),
    )
    expect(await statuses(app.url, 7)).toEqual(times(7, 502))
    expect((await request(app.url)).text).toBe('b')
    const again = http.createServer((_req, res) => void res.end('a'))
    await new Promise<void>((resolve) => again.listen(port, '127.0.0.1', resolve))
    opened.push({ close: () => new Promise((resolve) => again.close(() => resolve())) })
    await eventually(async () => (await request(app.url)).text === 'a')
    expect(breaker.circuits.map(({ id, state }) => [id, state])).toEqual([
      ['a', 'closed'],
      ['b', 'closed'],
    ])
  })
})

describe('the fallback', () => {
  const stale = (req: IncomingMessage, res: ServerResponse): void => {
    res.setHeader('warning', '110 - "stale"')
    res.end(`yesterday's rates, ${req.method}`)
  }

  async function isolatedWith(options: CircuitBreakerOptions): Promise<Served> {
    const breaker = breakerOf(options)
    breaker.isolate()
    return served(guarding(breaker, () => {}))
  }

  it('answers while the circuit of its route is open', async () => {
    const server = await isolatedWith({ fallback: stale })
    const reply = await request(`${server.url}/rates`)
    expect([reply.status, reply.text, reply.headers.warning]).toEqual([200, "yesterday's rates, GET", '110 - "stale"'])
  })

  it('leaves the 503 as it was when it calls next()', async () => {
    const server = await isolatedWith({ fallback: (_req, _res, next) => next() })
    const reply = await request(`${server.url}/rates`)
    expect([reply.status, reply.headers['retry-after']]).toEqual([503, '60'])
  })

  it.each([
    ['throws', () => Promise.reject(new Error('no fallback either'))],
    [
      'throws at once',
      () => {
        throw new Error('no fallback either')
      },
    ],
  ])('leaves the 503 as it was when it %s', async (_, fallback) => {
    const server = await isolatedWith({ fallback })
    expect((await request(`${server.url}/rates`)).json()).toMatchObject({ code: 'circuit_open' })
  })

  it('answers when the circuits of all targets are open, and not when a target fails', async () => {
    const upstream = await upstreamOf((_req, res) => void res.end())
    await upstream.close()
    const breaker = breakerOf({ fallback: stale })
    const app = await served(behindBalancer(breaker, createTarget(upstream.url)))
    expect(await statuses(app.url, 7)).toEqual(times(7, 502))
    expect((await request(app.url)).text).toBe("yesterday's rates, GET")
  })

  it('with fallbackOn: failure answers when a target fails, too', async () => {
    const upstream = await upstreamOf((_req, res) => void res.end())
    await upstream.close()
    const breaker = breakerOf({ fallback: stale, fallbackOn: 'failure' })
    const app = await served(behindBalancer(breaker, createTarget(upstream.url)))
    expect(await statuses(app.url, 10)).toEqual(times(10, 200))
    expect(breaker.circuits[0]).toMatchObject({ state: 'open', counts: { failures: 7, rejected: 3 } })
  })

  it('on a route with fallbackOn: failure does not hide from the circuit that the handler failed', async () => {
    const broken: RequestHandler = (req, res) => {
      const definition = { status: 503, title: 'No upstream available', detail: 'Try again later.' }
      failExchange(req, res, new GatewayError('no_upstream', definition), 'respond')
    }
    const breaker = breakerOf({ fallback: stale, fallbackOn: 'failure' })
    const server = await served(guarding(breaker, broken))
    expect(await statuses(`${server.url}/rates`, 7)).toEqual(times(7, 200))
    await eventually(() => breaker.circuits[0]?.state === 'open')
    expect(await statuses(`${server.url}/rates`, 2)).toEqual([200, 200])
  })

  it('does not touch what the upstream answered: a 500 is an answer', async () => {
    const upstream = await upstreamOf((_req, res) => void res.writeHead(500).end('mine'))
    const breaker = breakerOf({ fallback: stale, fallbackOn: 'failure' })
    const app = await served(behindBalancer(breaker, createTarget(upstream.url)))
    expect((await request(app.url)).text).toBe('mine')
  })
})

describe('a tunnel behind a guarded route', () => {
  it('is a success, though its response never finishes', async () => {
    const breaker = breakerOf()
    const target = createTarget('http://127.0.0.1:1')
    const timings = { startedAtMs: 0, queueMs: 0, connectMs: 0, headersMs: 5, totalMs: undefined }
    const server = await served((req, res) =>
      breaker(req, res, () => {
        // As a proxy does that took the connection away from the response: the exchange is closed by hand.
        const exchange = exchangeOf(req, res)
        exchange.attempts.push({ target, kind: 'first', ...timings, status: 101, reused: false, failure: undefined })
        exchange.close()
        res.end()
      }),
    )
    await statuses(server.url, 3)
    expect(breaker.circuits[0]?.counts).toMatchObject({ successes: 3, failures: 0, ignored: 0 })
  })
})

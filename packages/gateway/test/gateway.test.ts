import { Agent, createServer, type Server } from 'node:http'
import { ConfigError } from '@postern/contracts'
import { connectWebSocket, eventually, request, serve, startUpstream, startWebSocketUpstream } from '@postern/test-kit'
import express from 'express'
import { afterEach, describe, expect, it } from 'vitest'
import { type GatewayConfig, gateway } from '../src/index.ts'

const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

async function upstream(name: string) {
  const started = await startUpstream((_req, res) => void res.end(name))
  closers.push(() => started.close())
  return started
}

/** A gateway in an Express app on a free port. */
async function start(config: GatewayConfig, behind?: (app: express.Express) => void) {
  const gw = gateway({ logger: false, ...config } as GatewayConfig)
  const app = express()
  app.use(gw)
  behind?.(app)
  const server = createServer(app)
  gw.attach(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closers.push(() => gw.close())
  const { port } = server.address() as { port: number }
  return { gw, app, server, url: `http://127.0.0.1:${port}` }
}

function faultsOf(config: unknown): string[] {
  try {
    gateway(config as GatewayConfig)
  } catch (error) {
    if (error instanceof ConfigError)
      return error.faults.map((fault) => `${fault.path}: ${fault.message}; ${fault.cure}`)
    throw error
  }
  return []
}

describe('requests', () => {
  it('go to the upstream of their route', async () => {
    const products = await upstream('products')
    const payments = await upstream('payments')
    const { url } = await start({
      upstreams: { products: { targets: [products.url] }, payments: { targets: [payments.url] } },
      routes: [
        { prefix: '/products', upstream: 'products' },
        { prefix: '/payments', upstream: 'payments' },
      ],
    })
    expect(String((await request(`${url}/products/1`)).body)).toBe('products')
    expect(String((await request(`${url}/payments`)).body)).toBe('payments')
    expect(products.requests[0]?.url).toBe('/products/1')
  })

  it('are shared among the targets of an upstream', async () => {
    const a = await upstream('a')
    const b = await upstream('b')
    const { url } = await start({
      upstreams: { both: { targets: [a.url, b.url], strategy: 'round-robin' } },
      routes: [{ prefix: '/', upstream: 'both' }],
    })
    const bodies = []
    for (let i = 0; i < 4; i++) bodies.push(String((await request(`${url}/`)).body))
    expect(bodies.sort()).toEqual(['a', 'a', 'b', 'b'])
  })

  it('go on to the app when no route matches', async () => {
    const only = await upstream('only')
    const { url } = await start(
      { upstreams: { only: { targets: [only.url] } }, routes: [{ path: '/only', upstream: 'only' }] },
      (app) => app.get('/own', (_req, res) => void res.send('the app')),
    )
    expect(String((await request(`${url}/own`)).body)).toBe('the app')
    expect((await request(`${url}/nowhere`)).status).toBe(404)
  })

  it('pass the handlers of their route before the upstream', async () => {
    const guarded = await upstream('guarded')
    const { url } = await start({
      upstreams: { guarded: { targets: [guarded.url] } },
      routes: [
        {
          prefix: '/guarded',
          upstream: 'guarded',
          handlers: (req, res, next) => {
            if (req.headers.authorization === 'Bearer good') return next()
            res.statusCode = 401
            res.end()
          },
        },
      ],
    })
    expect((await request(`${url}/guarded`)).status).toBe(401)
    expect(guarded.requests).toHaveLength(0)
    expect((await request(`${url}/guarded`, { headers: { authorization: 'Bearer good' } })).status).toBe(200)
  })

  it('are split between upstreams by weight', async () => {
    const stable = await upstream('stable')
    const canary = await upstream('canary')
    const { url } = await start({
      upstreams: { stable: { targets: [stable.url] }, canary: { targets: [canary.url] } },
      routes: [
        {
          prefix: '/',
          split: [
            { id: 'stable', weight: 0, upstream: 'stable' },
            { id: 'canary', weight: 1, upstream: 'canary' },
          ],
        },
      ],
    })
    expect(String((await request(`${url}/`)).body)).toBe('canary')
  })

  it('are answered 503 with Retry-After when no target is left', async () => {
    const { url } = await start({ upstreams: { none: { targets: [] } }, routes: [{ prefix: '/', upstream: 'none' }] })
    const answer = await request(`${url}/`)
    expect(answer.status).toBe(503)
    expect(answer.headers['retry-after']).toBe('1')
    expect(JSON.parse(String(answer.body)).code).toBe('no_upstream')
  })

  it('work in a bare server, with 404 for what no route matches', async () => {
    const only = await upstream('only')
    const gw = gateway({
      logger: false,
      upstreams: { only: { targets: [only.url] } },
      routes: [{ path: '/only', upstream: 'only' }],
    })
    const served = await serve(gw)
    closers.push(
      () => served.close(),
      () => gw.close(),
    )
    expect((await request(`${served.url}/only`)).status).toBe(200)
    expect((await request(`${served.url}/other`)).status).toBe(404)
  })
})

describe('a wrong configuration', () => {
  it('is refused with all its faults by path, and the nearest known names', () => {
    expect(
      faultsOf({
        upstreams: {
          products: { targets: ['nonsense'], timeouts: { headerMs: 1 } },
          payments: { targets: ['http://127.0.0.1:1'], strategy: 'round-robbin' },
        },
        routes: [
          { prefix: '/p', upstream: 'prodcts' },
          { prefix: 'x', upstream: 'payments' },
        ],
        loger: true,
        shutdown: { graceMs: -1 },
      }),
    ).toEqual([
      expect.stringMatching(/^loger: unknown option; did you mean "logger"/),
      expect.stringMatching(/^shutdown\.graceMs: expected a whole number/),
      expect.stringMatching(/^upstreams\.products\.targets\[0\]/),
      expect.stringMatching(/^upstreams\.products\.timeouts\.headerMs: unknown option; did you mean "headersMs"/),
      expect.stringMatching(/^upstreams\.payments\.strategy/),
      expect.stringMatching(/^routes\[0\]\.upstream: unknown upstream; did you mean "products"/),
      expect.stringMatching(/^routes\[1\]\.prefix/),
    ])
  })

  it('names what is not an option of an upstream, and where it belongs', () => {
    expect(
      faultsOf({
        upstreams: { a: { targets: ['http://127.0.0.1:1'], errors: 'next' } },
        routes: [{ prefix: '/', upstream: 'a' }],
      }),
    ).toEqual([
      expect.stringMatching(/^upstreams\.a\.errors: not an option of an upstream; set it for the whole gateway/),
    ])
  })

  it('is refused when it is no object at all', () => {
    expect(faultsOf(undefined)).toEqual([expect.stringMatching(/not a configuration/)])
  })
})

describe('attach', () => {
  it('sends WebSockets through the same app and routes', async () => {
    const events = await startWebSocketUpstream()
    closers.push(() => events.close())
    const { url } = await start({
      upstreams: { events: { targets: [events.url] } },
      routes: [{ path: '/events', upstream: 'events' }],
    })
    const socket = await connectWebSocket(`${url.replace('http', 'ws')}/events`)
    socket.send('hello')
    expect(String((await socket.next()).data)).toBe('hello')
    await expect(connectWebSocket(`${url.replace('http', 'ws')}/nowhere`)).rejects.toThrow('404')
    socket.close()
  })

  it('sets the limits of the server', async () => {
    const server = createServer()
    server.on('request', () => {})
    const gw = gateway({ logger: false, upstreams: {}, routes: [], server: { headersTimeoutMs: 1234 } })
    expect(gw.attach(server)).toBe(server)
    expect(server.headersTimeout).toBe(1234)
    await gw.close()
  })

  it('asks for the app when the server has several listeners', () => {
    const server: Server = createServer(() => {})
    server.on('request', () => {})
    const gw = gateway({ logger: false, upstreams: {}, routes: [] })
    expect(() => gw.attach(server)).toThrow(/name it: attach\(server, app\)/)
  })
})

describe('close', () => {
  it('lets requests under way finish, closes their connections, and takes no new ones', async () => {
    let release: (() => void) | undefined
    const slow = await startUpstream((_req, res) => {
      release = () => res.end('done')
    })
    closers.push(() => slow.close())
    const { gw, url } = await start({
      upstreams: { slow: { targets: [slow.url] } },
      routes: [{ prefix: '/', upstream: 'slow' }],
    })
    const answer = request(`${url}/`)
    await eventually(() => expect(release).toBeDefined())
    const closing = gw.close()
    await expect(request(`${url}/`)).rejects.toThrow(/ECONNREFUSED/)
    release?.()
    expect((await answer).status).toBe(200)
    expect((await answer).headers.connection).toBe('close')
    await closing
  })

  it('does not wait for keep-alive connections, whether their answer had begun before or not', async () => {
    const releases: (() => void)[] = []
    const slow = await startUpstream((req, res) => {
      if (req.url === '/begun') res.write('begun, ')
      releases.push(() => res.end('done'))
    })
    closers.push(() => slow.close())
    const { gw, url } = await start({
      upstreams: { slow: { targets: [slow.url] } },
      routes: [{ prefix: '/', upstream: 'slow' }],
    })
    const agent = new Agent({ keepAlive: true })
    closers.push(() => agent.destroy())
    let begun = false
    const waiting = request(`${url}/`, { agent })
    const streaming = request(`${url}/begun`, { agent, onResponse: () => (begun = true) })
    await eventually(() => expect([releases.length, begun]).toEqual([2, true]))
    const startedAt = performance.now()
    const closing = gw.close()
    for (const release of releases) release()
    expect((await waiting).headers.connection).toBe('close')
    expect((await streaming).text).toBe('begun, done')
    await closing
    // Their keep-alive alone would have held it for five seconds.
    expect(performance.now() - startedAt).toBeLessThan(3_000)
  })

  it('cuts what is still under way when the time is over', async () => {
    const never = await startUpstream(() => {})
    closers.push(() => never.close())
    const { gw, url } = await start({
      upstreams: { never: { targets: [never.url] } },
      routes: [{ prefix: '/', upstream: 'never' }],
      shutdown: { graceMs: 50 },
    })
    const answer = request(`${url}/`).then(
      (got) => got.status,
      (error: Error) => error.message,
    )
    await eventually(() => expect(never.requests.length + never.sockets).toBeGreaterThan(0))
    await gw.close()
    expect([503, 'socket hang up', 'read ECONNRESET']).toContain(await answer)
  })
})

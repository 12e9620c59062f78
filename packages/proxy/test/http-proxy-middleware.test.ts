import http, { type ClientRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import { ConfigError } from '@postern/contracts'
import { attachUpgrades, type HttpProxyMiddlewareOptions, httpProxyMiddleware, proxy } from '@postern/proxy'
import {
  answer,
  connectWebSocket,
  eventually,
  type HandshakeRefused,
  refusedPort,
  request,
  serve,
  staleOnReuse,
  startRawUpstream,
  startUpstream,
  startWebSocketUpstream,
  unhandled,
  valuesOf,
} from '@postern/test-kit'
import express, { type RequestHandler } from 'express'
import { fixRequestBody, type Plugin, responseInterceptor } from 'http-proxy-middleware'
import { describe, expect, test } from 'vitest'
import { gateway, using } from './support/gateway.ts'

const via = 'http-proxy-middleware'

async function start(options: HttpProxyMiddlewareOptions, before?: readonly RequestHandler[]) {
  const upstream = await using(startUpstream())
  const transport = httpProxyMiddleware(options)
  const gate = await gateway({ via, target: upstream.url, transport, ...(before === undefined ? null : { before }) })
  return { upstream, gate }
}

/** The faults of options that are refused. */
function faultsOf(options: object): ConfigError['faults'] {
  try {
    httpProxyMiddleware(options as HttpProxyMiddlewareOptions)
  } catch (error) {
    if (error instanceof ConfigError) return error.faults
    throw error
  }
  throw new Error('the options were accepted')
}

describe('handlers', () => {
  test('proxyReq sees the real request and response and changes the outgoing head', async () => {
    const seen: unknown[] = []
    const { upstream, gate } = await start({
      on: {
        proxyReq(proxyReq, req, res) {
          seen.push(
            req.url,
            req.headers['x-mine'],
            res.headersSent,
            (req as { gateway?: object }).gateway !== undefined,
          )
          proxyReq.setHeader('x-added', 'yes')
          proxyReq.removeHeader('x-mine')
        },
      },
    })
    await request(`${gate.url}/path?q=1`, { headers: { 'x-mine': 'm' } })
    expect(seen).toEqual(['/path?q=1', 'm', false, true])
    expect(upstream.last.headers['x-added']).toBe('yes')
    expect(upstream.last.headers['x-mine']).toBeUndefined()
  })

  test('proxyReq runs for requests with Expect too', async () => {
    const { upstream, gate } = await start({
      on: { proxyReq: (proxyReq) => void proxyReq.setHeader('x-user', 'ours') },
    })
    const reply = await request(gate.url, {
      method: 'POST',
      headers: { expect: '100-continue', 'x-user': 'forged' },
      body: 'x',
    })
    expect(reply.status).toBe(200)
    expect(upstream.last.all('x-user')).toEqual(['ours'])
  })

  test('proxyRes changes headers, status and reason; lines that it leaves alone stay separate', async () => {
    const upstream = await using(
      startRawUpstream(
        answer(
          'HTTP/1.1 200 OK\r\nX-Twice: 1\r\nX-Twice: 2\r\nX-Gone: g\r\nSet-Cookie: a=1\r\nX-Old: o\r\nContent-Length: 2\r\n\r\nok',
        ),
      ),
    )
    const transport = httpProxyMiddleware({
      on: {
        proxyRes(proxyRes, _req, res) {
          proxyRes.headers['X-New'] = 'n'
          proxyRes.headers['x-old'] = 'changed'
          delete proxyRes.headers['x-gone']
          proxyRes.headers['set-cookie']!.push('b=2')
          proxyRes.statusCode = 202
          proxyRes.statusMessage = 'Taken'
          res.setHeader('x-own', 'w')
        },
      },
    })
    const gate = await gateway({ via, target: upstream.url, transport })
    const reply = await request(gate.url)
    expect([reply.status, reply.statusMessage, reply.text]).toEqual([202, 'Taken', 'ok'])
    expect(reply.headers).toMatchObject({ 'x-new': 'n', 'x-old': 'changed', 'x-own': 'w' })
    expect(reply.headers['x-gone']).toBeUndefined()
    expect(reply.headers['set-cookie']).toEqual(['a=1', 'b=2'])
    expect(valuesOf(reply.rawHeaders, 'x-twice')).toEqual(['1', '2'])
  })

  test('start and end frame an exchange, and a handler may listen to the body beside us', async () => {
    const events: string[] = []
    const { gate } = await start({
      on: {
        start: (req) => void events.push(`start ${req.url}`),
        proxyReq: () => void events.push('proxyReq'),
        proxyRes(proxyRes) {
          events.push('proxyRes')
          proxyRes.once('data', () => events.push('data'))
        },
        end: (_req, res) => void events.push(`end ${res.statusCode}`),
      },
    })
    expect((await request(`${gate.url}/x`)).complete).toBe(true)
    await eventually(() => events.length === 5)
    expect(events).toEqual(['start /x', 'proxyReq', 'proxyRes', 'data', 'end 200'])
  })

  test('plugins are called once, with the emitter, and their own events work', async () => {
    const events: string[] = []
    let made = 0
    const plugin: Plugin = (proxyServer, options) => {
      made++
      events.push(`selfHandleResponse ${options.selfHandleResponse}`)
      proxyServer.on('custom' as never, ((value: number) => events.push(`custom ${value}`)) as never)
      proxyServer.once('proxyRes', (_proxyRes, req, res) => {
        events.push(`proxyRes ${req instanceof http.IncomingMessage} ${res instanceof http.ServerResponse}`)
        proxyServer.emit('custom' as never, 1 as never)
      })
    }
    const transport = httpProxyMiddleware({ plugins: [plugin] })
    const upstreams = [await using(startUpstream()), await using(startUpstream())]
    for (const upstream of upstreams) {
      const gate = await gateway({ via, target: upstream.url, transport })
      expect((await request(gate.url)).status).toBe(200)
    }
    expect(made).toBe(1)
    expect(events).toEqual(['selfHandleResponse true', 'proxyRes true true', 'custom 1'])
  })

  test('error is told of failures, and what it writes goes nowhere', async () => {
    const told: unknown[] = []
    const nobody = await using(refusedPort())
    const transport = httpProxyMiddleware({
      on: {
        error(error, req, res) {
          const answering = res as ServerResponse & { status(code: number): { json(body: object): void } }
          told.push((error as { code?: string }).code, req.url)
          answering.status(418).json({ mine: true })
          if (!answering.headersSent) answering.writeHead(500, { 'x-mine': '1' })
          answering.setHeader('x-mine', '1')
          answering.end('mine')
        },
      },
    })
    const app = express().use(proxy({ target: nobody.url, transport }))
    const served = await using(serve(app))
    const reply = await request(`${served.url}/x`)
    expect(reply.status).toBe(502)
    expect(reply.headers['x-mine']).toBeUndefined()
    expect(reply.json()).toMatchObject({ code: 'upstream_failed' })
    expect(told).toEqual(['ECONNREFUSED', '/x'])
  })

  const boom = (): never => {
    throw new Error('boom')
  }
  test.each<[string, HttpProxyMiddlewareOptions['on'] & object]>([
    ['start', { start: boom }],
    ['proxyReq', { proxyReq: boom }],
    ['proxyRes', { proxyRes: boom }],
  ])('a throw in %s is a 500 and no more', async (_, on) => {
    const watch = unhandled()
    const { upstream, gate } = await start({ on })
    for (let i = 0; i < 2; i++) {
      const reply = await request(gate.url, { method: 'POST', body: 'x' })
      expect(reply.status).toBe(500)
      expect(reply.headers['proxy-status']).toBe('postern; error=proxy_internal_error')
      expect(reply.text).not.toContain('boom')
    }
    expect(gate.settled).toMatchObject([{ outcome: { side: 'gateway' } }, { outcome: { side: 'gateway' } }])
    await eventually(() => upstream.sockets === 0 && gate.handler.stats.active === 0)
    expect(await watch.stop()).toEqual([])
  })

  test.each<[string, HttpProxyMiddlewareOptions['on'] & object]>([
    ['error', { error: boom }],
    ['end', { end: boom }],
  ])('a throw in %s changes no answer and is told to the logger', async (event, on) => {
    const watch = unhandled()
    const lines: string[] = []
    const line = (text: string): void => void lines.push(text)
    const logger = { info: () => {}, warn: line, error: line }
    const { upstream, gate } = await start({ on, logger })
    if (event === 'error') await upstream.close()
    expect((await request(gate.url)).status).toBe(event === 'error' ? 502 : 200)
    await eventually(() => lines.some((text) => text === `a handler of "${event}" failed: Error: boom`))
    expect(await watch.stop()).toEqual([])
  })

  test("a rejection of an async handler fails the attempt; once the answer is over it is nobody's", async () => {
    const watch = unhandled()
    const upstream = await using(startUpstream((_req, res) => void res.write('begun')))
    const transport = httpProxyMiddleware({
      on: {
        async proxyRes() {
          await new Promise((resolve) => setImmediate(resolve))
          boom()
        },
      },
    })
    const gate = await gateway({ via, target: upstream.url, transport })
    const reply = await request(gate.url)
    expect(reply.complete).toBe(false)
    expect(gate.settled).toMatchObject([{ outcome: { type: 'proxy_internal_error' } }])
    const quick = await start({ on: { proxyRes: () => Promise.reject(new Error('late')) } })
    await request(quick.gate.url).catch(() => {})
    expect(await watch.stop()).toEqual([])
  })

  test('a handler that destroys the request or the response ends the attempt, not the process', async () => {
    const watch = unhandled()
    const early = await start({ on: { proxyReq: (proxyReq) => void proxyReq.destroy() } })
    expect((await request(early.gate.url)).status).toBe(502)
    const late = await start({ on: { proxyRes: (proxyRes) => void proxyRes.destroy() } })
    expect((await request(late.gate.url).catch(() => ({ complete: false }))).complete).toBe(false)
    await eventually(() => early.gate.handler.stats.active + late.gate.handler.stats.active === 0)
    expect(await watch.stop()).toEqual([])
  })

  test('a handler that writes to the response gets its client cut off, and the process lives', async () => {
    const watch = unhandled()
    const { gate } = await start({ on: { proxyRes: (_proxyRes, _req, res) => void res.writeHead(200).write('mine') } })
    const reply = await request(gate.url).catch(() => ({ complete: false }))
    expect(reply.complete).toBe(false)
    await eventually(() => gate.handler.stats.active === 0)
    expect(await watch.stop()).toEqual([])
  })

  test('fixRequestBody() and our own rebuilding of a parsed body do not add up', async () => {
    const { upstream, gate } = await start({ on: { proxyReq: fixRequestBody as never } }, [
      express.json(),
      express.urlencoded(),
    ])
    const json = await request(gate.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"a":1}',
    })
    expect(json.status).toBe(200)
    expect(upstream.last.body.toString()).toBe('{"a":1}')
    expect(
      (await request(gate.url, { method: 'POST', headers: { 'content-type': 'text/plain' }, body: 'x' })).status,
    ).toBe(200)
    expect(upstream.last.body.toString()).toBe('x')
  })

  test("a body written beside the client's is a 500", async () => {
    const { gate } = await start({ on: { proxyReq: (proxyReq: ClientRequest) => void proxyReq.write('mine') } })
    const reply = await request(gate.url, { method: 'POST', body: 'theirs' })
    expect(reply.status).toBe(500)
  })

  test('a thousand requests leave no listener on server, agent or emitter', async () => {
    let emitter: { listenerCount(event: string): number } | undefined
    const sockets = new Set<unknown>()
    const { gate } = await start({
      plugins: [(proxyServer) => void (emitter = proxyServer as never)],
      on: {
        proxyReq: (proxyReq, req) => {
          sockets.add(proxyReq.socket)
          expect((req.socket as unknown as { server: http.Server }).server.listenerCount('close')).toBeLessThan(5)
          expect(proxyReq.socket!.listenerCount('data')).toBeLessThan(4)
          expect(proxyReq.socket!.listenerCount('close')).toBeLessThan(6)
        },
      },
    })
    const agent = new http.Agent({ keepAlive: true })
    for (let i = 0; i < 1_000; i++) expect((await request(gate.url, { agent })).status).toBe(200)
    agent.destroy()
    expect(sockets.size).toBe(1)
    for (const event of ['error', 'proxyReq', 'proxyRes']) expect(emitter!.listenerCount(event)).toBeLessThanOrEqual(2)
  })
})

describe('options', () => {
  test('headers, auth and localAddress go out; the credentials of a client come first', async () => {
    const { upstream, gate } = await start({
      headers: { 'X-Team': 'shop' },
      auth: 'user:secret',
      localAddress: '127.0.0.1',
    })
    await request(gate.url, { headers: { 'x-team': 'forged' } })
    expect(upstream.last.all('x-team')).toEqual(['shop'])
    expect(upstream.last.headers.authorization).toBe(`Basic ${Buffer.from('user:secret').toString('base64')}`)
    await request(gate.url, { headers: { authorization: 'Bearer theirs' } })
    expect(upstream.last.headers.authorization).toBe('Bearer theirs')
  })

  test("logger gets http-proxy-middleware's own lines", async () => {
    const lines: string[] = []
    const line = (text: string): void => void lines.push(text)
    const { upstream, gate } = await start({ logger: { info: line, warn: line, error: line } })
    await request(`${gate.url}/a`)
    expect(lines).toEqual([`[HPM] GET /a -> http://127.0.0.1:${upstream.port}/a [200]`])
  })

  test('an agent of the user is used, keeps its own bound, and survives the proxy', async () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
    const { upstream, gate } = await start({ agent })
    await Promise.all([1, 2, 3, 4].map(() => request(gate.url)))
    expect(upstream.connections).toBe(1)
    await gate.handler.close()
    expect(Object.values(agent.freeSockets).flat()).toHaveLength(1)
    agent.destroy()
  })

  test("the second try after a stale connection goes round the pool of the user's agent too", async () => {
    const upstream = await using(startRawUpstream([staleOnReuse(), staleOnReuse(), answer()]))
    const agent = new http.Agent({ keepAlive: true })
    const gate = await gateway({ via, target: upstream.url, transport: httpProxyMiddleware({ agent }) })
    await Promise.all([request(gate.url), request(gate.url)])
    expect((await request(gate.url)).status).toBe(200)
    expect(upstream.connections).toHaveLength(3)
    agent.destroy()
  })

  test('ejectPlugins leaves only the plugins that are given', async () => {
    const seen: string[] = []
    const { gate } = await start({
      ejectPlugins: true,
      on: { proxyRes: () => void seen.push('on') },
      plugins: [(proxyServer) => void proxyServer.on('proxyRes', () => void seen.push('plugin'))],
    })
    expect((await request(gate.url)).status).toBe(200)
    expect(seen).toEqual(['plugin'])
  })

  test.each([
    'target',
    'router',
    'forward',
    'ws',
    'selfHandleResponse',
    'pathFilter',
    'pathRewrite',
    'changeOrigin',
    'xfwd',
    'followRedirects',
    'timeout',
    'proxyTimeout',
    'autoRewrite',
    'hostRewrite',
    'protocolRewrite',
    'cookieDomainRewrite',
    'cookiePathRewrite',
    'secure',
    'ssl',
  ])('%s belongs to proxy() and is refused with the cure', (option) => {
    const faults = faultsOf({ [option]: 'value' })
    expect(faults).toMatchObject([{ path: option, received: 'value' }])
    expect(faults[0]!.cure!.length).toBeGreaterThan(10)
  })

  test('all faults at once, mistyped names with the right one', () => {
    const faults = faultsOf({
      heders: {},
      on: { proxyRequest() {}, proxyRes: 'x', error: undefined },
      auth: 'no-colon',
      plugins: {},
      logger: { info() {} },
      agent: {},
      localAddress: 1,
      ejectPlugins: 'yes',
      headers: { 'bad name': 'x', 'x-ok': 'a\r\nb', 'Transfer-Encoding': 'chunked', Host: 'a' },
    })
    expect(faults.map(({ path }) => path)).toEqual([
      'heders',
      'on.proxyRequest',
      'on.proxyRes',
      'auth',
      'plugins',
      'logger',
      'agent',
      'localAddress',
      'ejectPlugins',
      'headers.bad name',
      'headers.x-ok',
      'headers.Transfer-Encoding',
      'headers.Host',
    ])
    expect(faults[0]!.cure).toBe('did you mean "headers"?')
    expect(faults[1]!.cure).toContain('proxyRe')
    expect(JSON.stringify(faults)).not.toContain('no-colon')
  })

  test('responseInterceptor() is refused, with what to use instead', () => {
    const faults = faultsOf({ on: { proxyRes: responseInterceptor(async (buffer) => buffer) } })
    expect(faults).toMatchObject([{ path: 'on.proxyRes' }])
    expect(faults[0]!.cure).toContain('transforms')
  })

  test('HTTP/2 upstreams are refused at start', () => {
    expect(() => proxy({ target: 'https://a.test', allowH2: true, transport: httpProxyMiddleware() })).toThrow(
      /allowH2/,
    )
  })
})

describe('upgrades', () => {
  async function startWs(options: HttpProxyMiddlewareOptions, target: string, before: readonly RequestHandler[] = []) {
    const app = express()
    for (const each of before) app.use(each)
    const handler = proxy({ target, transport: httpProxyMiddleware(options) })
    app.use(handler)
    const served = await serve(app)
    attachUpgrades(served.server, app)
    return using({
      url: served.url,
      handler,
      close: async () => {
        await served.close()
        await handler.close({ graceMs: 200 })
      },
    })
  }

  test('a WebSocket passes both ways, with its sub-protocol, and the handlers see it', async () => {
    const events: string[] = []
    const upstream = await using(startWebSocketUpstream())
    const gate = await startWs(
      {
        headers: { 'x-team': 'shop' },
        on: {
          proxyReqWs(proxyReq: ClientRequest, req: IncomingMessage) {
            events.push(`proxyReqWs ${req.url}`)
            proxyReq.setHeader('x-added', 'yes')
          },
          open: (proxySocket) => void events.push(`open ${proxySocket.remotePort}`),
          close: (proxyRes) => void events.push(`close ${proxyRes.statusCode}`),
        },
      },
      upstream.url,
    )
    const socket = await connectWebSocket(`${gate.url}/chat?room=1`, ['chat.v2', 'chat.v1'])
    expect(socket.protocol).toBe('chat.v2')
    for (const text of ['hello', 'x'.repeat(100_000)]) {
      socket.send(text)
      expect((await socket.next()).data.toString()).toBe(text)
    }
    expect(upstream.webSockets[0]).toMatchObject({
      url: '/chat?room=1',
      headers: { 'x-team': 'shop', 'x-added': 'yes', 'x-forwarded-for': '127.0.0.1' },
    })
    expect(gate.handler.stats.tunnels).toBe(1)
    expect((await socket.close(1000)).code).toBe(1000)
    await eventually(() => gate.handler.stats.tunnels === 0 && upstream.sockets === 0)
    await eventually(() => events.length === 3)
    expect(events).toEqual(['proxyReqWs /chat?room=1', `open ${upstream.port}`, 'close 101'])
  })

  test('what is mounted in front applies to upgrades too', async () => {
    const upstream = await using(startWebSocketUpstream())
    const gate = await startWs({}, upstream.url, [(_req, res) => void res.status(403).send('no')])
    const refused = (await connectWebSocket(gate.url).catch((error) => error)) as HandshakeRefused
    expect(refused.status).toBe(403)
    expect(upstream.webSockets).toHaveLength(0)
  })

  test('an upstream that refuses the upgrade is quoted', async () => {
    const upstream = await using(
      startUpstream((_req, res) => res.writeHead(401, { 'x-why': 'who' }).end('who are you')),
    )
    const gate = await startWs({}, upstream.url)
    const refused = (await connectWebSocket(gate.url).catch((error) => error)) as HandshakeRefused
    expect(refused).toMatchObject({ status: 401, body: 'who are you' })
    expect(refused.headers['x-why']).toBe('who')
    await eventually(() => gate.handler.stats.active === 0)
  })

  test('an upstream that is not there: 502; a throwing handler: 500', async () => {
    const watch = unhandled()
    const nobody = await using(refusedPort())
    const away = await startWs({}, nobody.url)
    expect(((await connectWebSocket(away.url).catch((error) => error)) as HandshakeRefused).status).toBe(502)
    const upstream = await using(startWebSocketUpstream())
    const throwing = await startWs(
      {
        on: {
          proxyReqWs() {
            throw new Error('boom')
          },
        },
      },
      upstream.url,
    )
    expect(((await connectWebSocket(throwing.url).catch((error) => error)) as HandshakeRefused).status).toBe(500)
    await eventually(() => upstream.sockets === 0)
    expect(await watch.stop()).toEqual([])
  })
})

import http, { type ClientRequest, type ServerResponse } from 'node:http'
import { type HttpProxyMiddlewareOptions, harden, httpProxyMiddleware, proxy } from '@postern/proxy'
import {
  answer,
  eventually,
  refusedPort,
  request,
  serve,
  startRawUpstream,
  startUpstream,
  unhandled,
  valuesOf,
} from '@postern/test-kit'
import express, { type RequestHandler } from 'express'
import { fixRequestBody, type Plugin } from 'http-proxy-middleware'
import { describe, expect, test } from 'vitest'
import { gateway, using } from '../support/gateway.ts'

const via = 'http-proxy-middleware'

async function start(options: HttpProxyMiddlewareOptions, before?: readonly RequestHandler[]) {
  const upstream = await using(startUpstream())
  const transport = httpProxyMiddleware(options)
  const gate = await gateway({ via, target: upstream.url, transport, ...(before === undefined ? null : { before }) })
  return { upstream, gate }
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
        Reflect.apply(proxyServer.emit, proxyServer, ['custom', 1])
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
    harden(served.server)
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
      plugins: [
        (proxyServer) => {
          emitter = proxyServer as never
        },
      ],
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

import type { ClientRequest, IncomingMessage } from 'node:http'
import { attachUpgrades, type HttpProxyMiddlewareOptions, harden, httpProxyMiddleware, proxy } from '@postern/proxy'
import {
  connectWebSocket,
  eventually,
  type HandshakeRefused,
  refusedPort,
  serve,
  startUpstream,
  startWebSocketUpstream,
  unhandled,
} from '@postern/test-kit'
import express, { type RequestHandler } from 'express'
import { describe, expect, test } from 'vitest'
import { using } from '../support/gateway.ts'

describe('upgrades', () => {
  async function startWs(options: HttpProxyMiddlewareOptions, target: string, before: readonly RequestHandler[] = []) {
    const app = express()
    for (const each of before) app.use(each)
    const handler = proxy({ target, transport: httpProxyMiddleware(options) })
    app.use(handler)
    const served = await serve(app)
    harden(served.server)
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
      startUpstream((_req, res) => void res.writeHead(401, { 'x-why': 'who' }).end('who are you')),
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

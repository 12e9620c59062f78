import http from 'node:http'
import { ConfigError } from '@postern/contracts'
import { attachUpgrades, httpProxyMiddleware, proxy, undiciTransport } from '@postern/proxy'
import {
  answerThen,
  certificates,
  closeUnanswered,
  connectWebSocket,
  eventually,
  HandshakeRefused,
  neverAnswer,
  type RawScript,
  rawRequest,
  refusedPort,
  request,
  serve,
  startRawUpstream,
  startUpstream,
  startWebSocketUpstream,
} from '@postern/test-kit'
import express from 'express'
import { describe, expect, test } from 'vitest'
import { WebSocketServer } from 'ws'
import { gate, rawClient, startApp, using } from './behaviour.ts'
import { TRANSPORTS } from './support/gateway.ts'

const KEY = 'dGhlIHNhbXBsZSBub25jZQ=='

/** A handshake as text; `protocol` other than websocket leaves the WebSocket fields out. */
function handshake(path = '/', headers: Record<string, string> = {}, protocol = 'websocket'): string {
  const fields: Record<string, string> = {
    host: 'shop.test',
    connection: 'Upgrade',
    upgrade: protocol,
    ...(protocol === 'websocket' && { 'sec-websocket-key': KEY, 'sec-websocket-version': '13' }),
    ...headers,
  }
  const lines = Object.entries(fields).filter(([, value]) => value !== '')
  return `GET ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`
}

const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\n'

/** Switches to `foo` and sends every byte back; answers the client's end with its own. */
const echoFoo: RawScript = async (connection) => {
  const head = await connection.nextRequest()
  if (head === undefined) return
  const { socket } = connection
  socket.write(SWITCH)
  const early = connection.received.subarray(head.length)
  if (early.length > 0) socket.write(early)
  socket.on('data', (chunk) => socket.write(chunk))
}

describe('WebSockets through the app', () => {
  test('messages come back through Express and a selection made in front', async () => {
    const a = await using(startWebSocketUpstream())
    const b = await using(startWebSocketUpstream())
    const app = await startApp({ to: [a.url, b.url], upgrades: true })
    for (const text of ['one', 'two']) {
      const client = await connectWebSocket(`${app.url}/live?room=1`)
      client.send(text)
      expect((await client.next()).data.toString()).toBe(text)
      expect(await client.close()).toMatchObject({ code: 1000 })
    }
    expect([a.webSockets.length, b.webSockets.length]).toEqual([1, 1])
    expect(a.webSockets[0]!.url).toBe('/live?room=1')
    await eventually(() => expect(app.outcomes).toMatchObject([{ status: 101 }, { status: 101 }]))
    expect(app.exchanges.map((exchange) => exchange.failure)).toEqual([undefined, undefined])
  })

  test('the chosen sub-protocol and compression pass, both negotiated by the ends', async () => {
    const upstream = await using(startWebSocketUpstream({ chooseProtocol: (offered) => [...offered][1]! }))
    const app = await startApp({ to: upstream.url, upgrades: true })
    const client = await connectWebSocket(app.url, ['chat.v1', 'chat.v2'], { perMessageDeflate: true })
    expect(client.protocol).toBe('chat.v2')
    expect(client.extensions).toContain('permessage-deflate')
    client.send('x'.repeat(100_000))
    expect((await client.next()).data.length).toBe(100_000)
    await client.close()
  })

  test.each(TRANSPORTS)('edits of the sub-protocols reach both ends ($via)', async ({ via }) => {
    const upstream = await using(startWebSocketUpstream())
    const app = await startApp({
      to: upstream.url,
      upgrades: true,
      proxy: { transport: via === 'undici' ? undiciTransport() : httpProxyMiddleware() },
      before: (it) =>
        it.use((req, _res, next) => {
          const { outgoing } = req.gateway!
          outgoing.editRequestHeader({ op: 'remove', name: 'sec-websocket-protocol' })
          if (req.path === '/some') {
            outgoing.editRequestHeader({ op: 'append', name: 'Sec-WebSocket-Protocol', value: 'chat.v1' })
          } else outgoing.editResponseHeader({ op: 'set', name: 'Sec-WebSocket-Protocol', value: 'bearer' })
          next()
        }),
    })
    for (const [path, upstreamSaw, clientSaw] of [
      ['/some', 'chat.v1', 'chat.v1'],
      ['/none', undefined, 'bearer'],
    ] as const) {
      const client = await connectWebSocket(`${app.url}${path}`, ['bearer', 'a.b.c', 'chat.v1'])
      expect(upstream.webSockets.at(-1)!.headers['sec-websocket-protocol']).toBe(upstreamSaw)
      expect(client.protocol).toBe(clientSaw)
      client.send('hello')
      expect((await client.next()).data.toString()).toBe('hello')
      await client.close()
    }
  })

  test('messages of several megabytes arrive whole, both ways at once', async () => {
    const upstream = await using(startWebSocketUpstream({ perMessageDeflate: false }))
    const app = await startApp({ to: upstream.url, upgrades: true })
    const client = await connectWebSocket(app.url, [], { maxPayload: 64 << 20, perMessageDeflate: false })
    const messages = [1, 2, 3, 4].map((fill) => Buffer.alloc(3 << 20, fill))
    for (const message of messages) client.send(message)
    for (const message of messages) expect((await client.next()).data.equals(message)).toBe(true)
    await client.close()
    await eventually(() => expect(app.exchanges[0]!.responseBodyBytes).toBeGreaterThan(12 << 20))
    expect(app.exchanges[0]!.requestBodyBytes).toBeGreaterThan(12 << 20)
  })

  test('an upstream that speaks TLS', async () => {
    const upstream = await using(startUpstream(undefined, { tls: true }))
    const wss = new WebSocketServer({ server: upstream.server as http.Server })
    wss.on('connection', (socket) => socket.on('message', (data) => socket.send(data)))
    const app = await startApp({
      to: { url: upstream.url, tls: { ca: certificates().ca.cert } },
      upgrades: true,
    })
    const client = await connectWebSocket(app.url)
    client.send('over tls')
    expect((await client.next()).data.toString()).toBe('over tls')
    await client.close()
  })

  test('a client that speaks TLS', async () => {
    const upstream = await using(startWebSocketUpstream())
    const app = await startApp({ to: upstream.url, upgrades: true, serve: { tls: true } })
    const client = await connectWebSocket(app.url.replace('https', 'wss'), [], { ca: certificates().ca.cert })
    client.send('over tls')
    expect((await client.next()).data.toString()).toBe('over tls')
    expect(upstream.webSockets[0]!.headers['x-forwarded-proto']).toBe('https')
    await client.close()
  })

  test('headers of the app and cookies of both sides are on the 101', async () => {
    const upstream = await using(
      startRawUpstream(answerThen(SWITCH.replace('\r\n\r\n', '\r\nSet-Cookie: up=1\r\n\r\n'), 'wait')),
    )
    const app = await startApp({
      to: upstream.url,
      upgrades: true,
      before: (it) => it.use((_req, res, next) => void (res.set('x-edge', 'yes'), res.cookie('edge', '1'), next())),
    })
    const client = await rawClient(app.port, handshake('/', {}, 'foo'))
    await client.has('\r\n\r\n')
    expect(client.text).toMatch(/^HTTP\/1\.1 101 /)
    expect(client.text).toMatch(/x-edge: yes/i)
    expect(client.text).toMatch(/set-cookie: edge=1/i)
    expect(client.text).toMatch(/set-cookie: up=1/i)
  })

  test('200 of them, opened and closed, leave nothing open', async () => {
    const upstream = await using(startWebSocketUpstream())
    const app = await startApp({ to: upstream.url, upgrades: true })
    const before = { ...listeners(app.server) }
    for (let round = 0; round < 4; round++) {
      const clients = await Promise.all(Array.from({ length: 50 }, () => connectWebSocket(app.url)))
      expect(app.handler.stats.tunnels).toBe(50)
      for (const [i, client] of clients.entries()) {
        if (i % 3 === 0) client.socket.terminate()
        else if (i % 3 === 1) client.socket.close()
        else upstream.webSockets[round * 50 + i]!.socket.terminate()
      }
      await Promise.all(clients.map((client) => client.ended))
    }
    await eventually(() => expect(app.handler.stats).toMatchObject({ tunnels: 0, active: 0 }))
    await eventually(() => expect([app.sockets, upstream.sockets]).toEqual([0, 0]))
    expect(app.handler.stats.targets).toMatchObject([{ inFlight: 0, queued: 0 }])
    expect(listeners(app.server)).toEqual(before)
    await eventually(() => expect(app.finished.length).toBe(200))
  })
})

function listeners(server: http.Server): Record<string, number> {
  return Object.fromEntries(server.eventNames().map((name) => [String(name), server.listenerCount(name)]))
}

describe('back-pressure in a tunnel', () => {
  test('a client that does not read holds the upstream back', async () => {
    let written = 0
    const upstream = await using(
      startRawUpstream(async ({ socket, nextRequest }) => {
        await nextRequest()
        socket.write(SWITCH)
        flood(socket, (bytes) => {
          written += bytes
        })
      }),
    )
    const app = await startApp({ to: upstream.url, upgrades: true })
    const client = await rawClient(app.port, handshake('/', {}, 'foo'))
    await client.has('101')
    client.socket.pause()
    const held = await settles(() => written)
    expect(held).toBeLessThan(TOTAL)
    client.socket.resume()
    await eventually(() => expect(client.bytes).toBeGreaterThanOrEqual(TOTAL), { timeoutMs: 15_000 })
  })

  test('an upstream that does not read holds the client back', async () => {
    let read = 0
    const upstream = await using(
      startRawUpstream(async ({ socket, nextRequest }) => {
        await nextRequest()
        socket.removeAllListeners('data')
        socket.pause()
        socket.write(SWITCH)
        socket.on('data', (chunk) => {
          read += chunk.length
        })
        socket.pause()
      }),
    )
    const app = await startApp({ to: upstream.url, upgrades: true })
    const client = await rawClient(app.port, handshake('/', {}, 'foo'))
    await client.has('101')
    let written = 0
    flood(client.socket, (bytes) => {
      written += bytes
    })
    expect(await settles(() => written)).toBeLessThan(TOTAL)
    upstream.connections[0]!.socket.resume()
    await eventually(() => expect(read).toBeGreaterThanOrEqual(TOTAL), { timeoutMs: 15_000 })
  })
})

/** More than all the socket buffers between two ends of this machine hold. */
const TOTAL = 96 << 20

/** Writes 96 MiB as fast as the other side takes it. */
function flood(socket: import('node:net').Socket, count: (bytes: number) => void): void {
  const chunk = Buffer.alloc(1 << 18)
  let left = TOTAL
  const write = () => {
    while (left > 0) {
      left -= chunk.length
      count(chunk.length)
      if (!socket.write(chunk)) {
        socket.once('drain', write)
        return
      }
    }
  }
  write()
}

/** The value once it has stood still for 200 ms. */
async function settles(ask: () => number): Promise<number> {
  let last = -1
  let since = performance.now()
  return eventually(
    () => {
      const value = ask()
      if (value !== last) {
        last = value
        since = performance.now()
      }
      if (performance.now() - since < 200 || value === 0) throw new Error('still moving')
      return value
    },
    { timeoutMs: 15_000 },
  )
}

describe('what stands in front applies to upgrades', () => {
  test('a refusal of authentication is a proper 401 and nothing reaches the upstream', async () => {
    const upstream = await using(startRawUpstream(neverAnswer()))
    const app = await startApp({
      to: upstream.url,
      upgrades: true,
      before: (it) => it.use((_req, res) => void res.status(401).set('www-authenticate', 'Bearer').json({ no: true })),
    })
    const error = await connectWebSocket(app.url).catch((each: HandshakeRefused) => each)
    expect(error).toBeInstanceOf(HandshakeRefused)
    expect(error).toMatchObject({ status: 401, body: '{"no":true}' })
    expect((error as HandshakeRefused).headers['www-authenticate']).toBe('Bearer')
    expect(upstream.connections).toEqual([])
    await eventually(() => expect(app.sockets).toBe(0))
  })

  test("app.use('/admin', deny) refuses, while another path is tunnelled", async () => {
    const upstream = await using(startWebSocketUpstream())
    const app = await startApp({
      to: upstream.url,
      upgrades: true,
      before: (it) => it.use('/admin', (_req, res) => void res.sendStatus(403)),
    })
    await expect(connectWebSocket(`${app.url}/admin/live`)).rejects.toMatchObject({ status: 403 })
    await (await connectWebSocket(`${app.url}/live`)).close()
    expect(upstream.webSockets.map((each) => each.url)).toEqual(['/live'])
  })

  test('an unmatched path gets the 404 of the app, and the socket is closed', async () => {
    const upstream = await using(startWebSocketUpstream())
    const app = await startApp({ to: upstream.url, mount: '/api', upgrades: true })
    const reply = await rawRequest(app.port, [handshake('/other'), 'GET /api/x HTTP/1.1\r\nhost: a\r\n\r\n'])
    expect(reply.endedBy).toBe('end')
    expect(reply.parsed.responses.map((each) => each.status)).toEqual([404])
    expect(reply.response.headers.connection).toBe('close')
    await eventually(() => expect(app.sockets).toBe(0))
  })

  test('a middleware that throws is a 500 of the app', async () => {
    const upstream = await using(startWebSocketUpstream())
    const app = await startApp({
      to: upstream.url,
      upgrades: true,
      before: (it) => {
        it.set('env', 'test')
        it.use(async (req) => {
          if (req.path === '/later') await Promise.resolve()
          throw new Error('broken')
        })
      },
    })
    for (const path of ['/now', '/later']) {
      const reply = await rawRequest(app.port, handshake(path))
      expect(reply.response.status).toBe(500)
      expect(reply.endedBy).toBe('end')
    }
    expect(upstream.webSockets).toEqual([])
  })

  test('a hook that throws is a 500', async () => {
    const upstream = await using(startWebSocketUpstream())
    const onRequest = () => {
      throw new Error('broken')
    }
    const app = await startApp({ to: upstream.url, upgrades: true, proxy: { onRequest } })
    await expect(connectWebSocket(app.url)).rejects.toMatchObject({ status: 500 })
    expect(upstream.webSockets).toEqual([])
    expect(app.handler.stats.active).toBe(0)
  })

  test('two proxies in one app: each tunnel belongs to the one that matched', async () => {
    const a = await using(startWebSocketUpstream())
    const b = await using(startWebSocketUpstream())
    const other = await using(Promise.resolve(proxy(b.url)))
    const app = await startApp({ to: a.url, mount: '/a', upgrades: true, after: (it) => void it.use('/b', other) })
    const [one, two] = await Promise.all([connectWebSocket(`${app.url}/a/x`), connectWebSocket(`${app.url}/b/y`)])
    one.send('to a')
    two.send('to b')
    expect((await one.next()).data.toString()).toBe('to a')
    expect((await two.next()).data.toString()).toBe('to b')
    expect(a.webSockets.map((each) => each.url)).toEqual(['/x'])
    expect(b.webSockets.map((each) => each.url)).toEqual(['/y'])
    expect([app.handler.stats.tunnels, other.stats.tunnels]).toEqual([1, 1])
    await Promise.all([one.close(), two.close()])
  })
})

describe('attachUpgrades', () => {
  test('twice with the same app is one dispatcher', async () => {
    const upstream = await using(startWebSocketUpstream())
    const app = await startApp({ to: upstream.url })
    const it = app.server.listeners('request')[0] as Parameters<typeof attachUpgrades>[1]
    attachUpgrades(app.server, it)
    attachUpgrades(app.server, it)
    expect(app.server.listenerCount('upgrade')).toBe(1)
    const client = await connectWebSocket(app.url)
    client.send('once')
    expect((await client.next()).data.toString()).toBe('once')
    await client.close()
    expect(upstream.webSockets.length).toBe(1)
  })

  test('with another app is a ConfigError that names the cure', async () => {
    const server = http.createServer()
    attachUpgrades(server, express() as never)
    expect(() => attachUpgrades(server, express() as never)).toThrow(ConfigError)
    expect(() => attachUpgrades(server, express() as never)).toThrow(/mount the other inside it/)
  })

  test('the returned function lets go, so that another app may have the server', async () => {
    const server = http.createServer() as http.Server & { shouldUpgradeCallback?: unknown }
    const asked = server.shouldUpgradeCallback
    const detach = attachUpgrades(server, express() as never)
    detach()
    detach()
    expect(server.listenerCount('upgrade')).toBe(0)
    expect(server.shouldUpgradeCallback).toBe(asked)
    attachUpgrades(server, express() as never)
    expect(server.listenerCount('upgrade')).toBe(1)
  })

  // The second call's function was made of a constant that only the first call ever set: calling it threw.
  test('the function of a second call lets go too', () => {
    const server = http.createServer()
    const app = express() as never
    attachUpgrades(server, app)
    const again = attachUpgrades(server, app)
    again()
    expect(server.listenerCount('upgrade')).toBe(0)
  })

  test('an old function lets nothing go that a later call has attached', () => {
    const server = http.createServer()
    const app = express() as never
    const first = attachUpgrades(server, app)
    first()
    attachUpgrades(server, app)
    first()
    expect(server.listenerCount('upgrade')).toBe(1)
    expect(() => attachUpgrades(server, express() as never)).toThrow(ConfigError)
  })
})

describe('an upstream that does not upgrade', () => {
  test('its refusal is the answer, the connection is closed, and bytes behind it are never a request', async () => {
    const upstream = await using(
      startUpstream((_req, res) => void res.writeHead(403, { 'x-why': 'no' }).end('not for you')),
    )
    upstream.server.on('upgrade', () => {})
    upstream.server.removeAllListeners('upgrade')
    const app = await startApp({ to: upstream.url, upgrades: true })
    const smuggled = 'GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n'
    const reply = await rawRequest(app.port, [handshake('/live') + smuggled, smuggled])
    expect(reply.parsed.responses.map((each) => each.status)).toEqual([403])
    expect(reply.response.body.toString()).toBe('not for you')
    expect(reply.response.headers).toMatchObject({ 'x-why': 'no', connection: 'close' })
    expect(upstream.requests.map((each) => each.url)).toEqual(['/live'])
    expect(app.exchanges.length).toBe(1)
    await eventually(() => expect(app.outcomes).toMatchObject([{ status: 403 }]))
    expect(app.handler.stats.tunnels).toBe(0)
  })

  // Node takes its own drain listener off a socket that it hands over, so that a refusal longer than the socket's
  // buffer was written to there and no further, and the client hung.
  test('a refusal of 4 MiB arrives whole', async () => {
    const body = Buffer.alloc(4 << 20, 0x61)
    const upstream = await using(startUpstream((_req, res) => void res.writeHead(200).end(body)))
    const app = await startApp({ to: upstream.url, upgrades: true })
    const reply = await rawRequest(app.port, handshake(), { timeoutMs: 5_000 })
    expect(reply.endedBy).toBe('end')
    expect(reply.response.complete).toBe(true)
    expect(reply.response.body.length).toBe(body.length)
  })

  test('upstream down: 502 on the socket', async () => {
    const nobody = await using(refusedPort())
    const app = await startApp({ to: nobody.url, upgrades: true })
    const reply = await rawRequest(app.port, handshake())
    expect(reply.response.status).toBe(502)
    expect(reply.response.headers['content-type']).toBe('application/problem+json')
    expect(reply.endedBy).toBe('end')
    expect(app.exchanges[0]!.failure).toMatchObject({ type: 'connection_refused' })
  })

  test('upstream that closes without an answer: 502', async () => {
    const upstream = await using(startRawUpstream(closeUnanswered()))
    const app = await startApp({ to: upstream.url, upgrades: true })
    expect((await rawRequest(app.port, handshake())).response.status).toBe(502)
  })

  test('upstream that never answers: 504 when the headers timer is over', async () => {
    const upstream = await using(startRawUpstream(neverAnswer()))
    const app = await startApp({ to: upstream.url, upgrades: true, proxy: { timeouts: { headersMs: 60 } } })
    expect((await rawRequest(app.port, handshake())).response.status).toBe(504)
    await eventually(() => expect(upstream.sockets).toBe(0))
  })

  // RFC 9110 §7.8: a server must not switch to a protocol that was not asked for. The client would have been told that
  // it got what it asked.
  test('upstream that switches to another protocol than was asked: 502', async () => {
    const upstream = await using(startRawUpstream(answerThen(SWITCH, 'wait')))
    const app = await startApp({ to: upstream.url, upgrades: true })
    const reply = await rawRequest(app.port, handshake())
    expect(reply.response.status).toBe(502)
    expect(app.exchanges[0]!.failure).toMatchObject({ type: 'http_upgrade_failed', side: 'upstream' })
    await eventually(() => expect(upstream.sockets).toBe(0))
  })
})

describe('a 101 that is none', () => {
  test('without an Upgrade field: 502', async () => {
    const upstream = await using(startRawUpstream(answerThen('HTTP/1.1 101 Switching Protocols\r\n\r\nxyz', 'wait')))
    const app = await startApp({ to: upstream.url, upgrades: true })
    expect((await rawRequest(app.port, handshake())).response.status).toBe(502)
    await eventually(() => expect(upstream.sockets).toBe(0))
  })

  test('on a plain request: 502', async () => {
    const upstream = await using(startRawUpstream(answerThen(SWITCH, 'wait')))
    const app = await startApp({ to: upstream.url, upgrades: true })
    expect((await request(app.url)).status).toBe(502)
    await eventually(() => expect(upstream.sockets).toBe(0))
  })
})

describe('requests to upgrade that are not passed on as such', () => {
  test.each(['h2c', 'H2C', 'TLS/1.2', 'h2c, websocket'])(
    'Upgrade: %s is served as the plain request that it also is',
    async (protocol) => {
      const upstream = await using(startUpstream())
      const app = await startApp({ to: upstream.url, upgrades: true })
      const reply = await rawRequest(
        app.port,
        handshake(
          '/x',
          { upgrade: protocol, connection: 'Upgrade, HTTP2-Settings', 'http2-settings': 'AAMAAABk' },
          'h2c',
        ),
        { responses: 1 },
      )
      expect(reply.response.status).toBe(200)
      const { headers } = upstream.last
      expect([headers.upgrade, headers['http2-settings']]).toEqual([undefined, undefined])
      expect(headers.connection ?? '').not.toMatch(/upgrade/i)
    },
  )

  test.each([
    ['no key', { 'sec-websocket-key': '' }],
    ['a short key', { 'sec-websocket-key': 'c2hvcnQ=' }],
    ['no version', { 'sec-websocket-version': '' }],
    ['another version', { 'sec-websocket-version': '8' }],
    ['a body', { 'content-length': '5' }],
    ['a chunked body', { 'transfer-encoding': 'chunked' }],
  ])('a WebSocket handshake with %s is a 400 and reaches no upstream', async (_name, headers) => {
    const upstream = await using(startRawUpstream(neverAnswer()))
    const app = await startApp({ to: upstream.url, upgrades: true })
    const reply = await rawRequest(app.port, `${handshake('/', headers)}hello`)
    expect(reply.response.status).toBe(400)
    expect(reply.endedBy).not.toBe('timeout')
    expect(upstream.connections).toEqual([])
  })

  test('a handshake by POST is a 400', async () => {
    const upstream = await using(startRawUpstream(neverAnswer()))
    const app = await startApp({ to: upstream.url, upgrades: true })
    const reply = await rawRequest(app.port, handshake().replace('GET', 'POST'))
    expect(reply.response.status).toBe(400)
    expect(upstream.connections).toEqual([])
  })

  test('without attachUpgrades an upgrade request is served as a plain one', async () => {
    const upstream = await using(startUpstream())
    const app = await startApp({ to: upstream.url })
    const reply = await rawRequest(app.port, handshake(), { responses: 1 })
    expect(reply.response.status).toBe(200)
    expect(upstream.last.headers.upgrade).toBeUndefined()
  })
})

describe('other protocols', () => {
  test('Upgrade: foo tunnels raw bytes, early ones too', async () => {
    const upstream = await using(startRawUpstream(echoFoo))
    const app = await startApp({ to: upstream.url, upgrades: true })
    const client = await rawClient(app.port, `${handshake('/', {}, 'foo')}early\0\xff`)
    await client.has('101')
    client.socket.write(Buffer.from([0, 1, 2, 255]))
    await client.has('\r\n\r\nearly\0\xff\0\x01\x02\xff')
    expect(upstream.received).toMatch(/\r\nupgrade: foo\r\n/)
    expect(app.exchanges[0]!.requestBodyBytes).toBe(11)
  })

  test('bytes that come while the app still decides are not lost', async () => {
    const upstream = await using(startRawUpstream(echoFoo))
    const decided = gate()
    const app = await startApp({
      to: upstream.url,
      upgrades: true,
      before: (it) => it.use((_req, _res, next) => void decided.promise.then(() => next())),
    })
    const client = await rawClient(app.port, `${handshake('/', {}, 'foo')}one,`)
    await eventually(() => expect(app.exchanges.length).toBe(1))
    client.socket.write('two,')
    const big = 'x'.repeat(500_000)
    client.socket.write(big)
    decided.open()
    await client.has(`\r\n\r\none,two,${big}`)
  })

  test('bytes that the upstream sends behind its 101 arrive', async () => {
    const upstream = await using(startRawUpstream(answerThen(`${SWITCH}welcome`, 'wait')))
    const app = await startApp({ to: upstream.url, upgrades: true })
    const client = await rawClient(app.port, handshake('/', {}, 'foo'))
    await client.has('\r\n\r\nwelcome')
  })

  test('a client that has said all still hears the rest', async () => {
    const upstream = await using(
      startRawUpstream(async ({ socket, nextRequest }) => {
        await nextRequest()
        socket.write(SWITCH)
        socket.on('end', () => setTimeout(() => socket.end('last words'), 30))
        socket.allowHalfOpen = true
      }),
    )
    const app = await startApp({ to: upstream.url, upgrades: true })
    const client = await rawClient(app.port, handshake('/', {}, 'foo'))
    await client.has('101')
    client.socket.end('all said')
    await client.has('last words')
    await eventually(() => expect(client.ended).toBe(true))
    expect(upstream.received).toContain('all said')
    await eventually(() => expect(app.outcomes).toMatchObject([{ status: 101 }]))
  })

  test('an upstream that has said all still hears the rest', async () => {
    const upstream = await using(
      startRawUpstream(async ({ socket, nextRequest }) => {
        await nextRequest()
        socket.end(`${SWITCH}all said`)
      }),
    )
    const app = await startApp({ to: upstream.url, upgrades: true })
    const client = await rawClient(app.port, handshake('/', {}, 'foo'))
    await client.has('all said')
    await eventually(() => expect(client.ended).toBe(true))
    client.socket.write('last words')
    await eventually(() => expect(upstream.received).toContain('last words'))
    client.socket.end()
    await eventually(() => expect(app.handler.stats.tunnels).toBe(0))
    await eventually(() => expect(app.outcomes).toMatchObject([{ status: 101 }]))
  })
})

describe('ends that break', () => {
  test('a client that vanishes during the handshake cancels the upstream', async () => {
    const upstream = await using(startRawUpstream(neverAnswer()))
    const app = await startApp({ to: upstream.url, upgrades: true })
    for (const leave of ['end', 'resetAndDestroy'] as const) {
      const client = await rawClient(app.port, handshake())
      await eventually(() => expect(upstream.sockets).toBe(1))
      client.socket[leave]()
      await eventually(() => expect(upstream.sockets).toBe(0), { timeoutMs: 1_000 })
    }
    await eventually(() => expect(app.sockets).toBe(0))
    await eventually(() => expect(app.outcomes).toMatchObject([{ type: 'client_aborted' }, { type: 'client_aborted' }]))
    expect(app.handler.stats.active).toBe(0)
  })

  // Behind a 101 there is nothing to answer: the failure of a tunnel went to the error handler of the app, which
  // answered 502 into a response that had long been taken off its socket.
  test.each(['respond', 'next'] as const)(
    'an upstream that resets closes the client; no handler runs (%s)',
    async (errors) => {
      const upstream = await using(startRawUpstream(echoFoo))
      const handled: unknown[] = []
      const app = await startApp({
        to: upstream.url,
        upgrades: true,
        proxy: { errors },
        after: (it) =>
          it.use(((error, _req, res, _next) => {
            handled.push(error)
            res.status(502).end()
          }) as express.ErrorRequestHandler),
      })
      const client = await rawClient(app.port, `${handshake('/', {}, 'foo')}ping`)
      await client.has('ping')
      upstream.connections[0]!.socket.resetAndDestroy()
      await eventually(() => expect(client.closed || client.ended).toBe(true))
      client.socket.end()
      await eventually(() => expect(app.finished.length).toBe(1))
      expect(app.finished[0]!.failure).toMatchObject({ type: 'connection_terminated', phase: 'tunnel' })
      expect(app.outcomes).toMatchObject([{ type: 'connection_terminated', side: 'upstream' }])
      expect(handled).toEqual([])
      expect(client.text).not.toContain('502')
      expect(app.finished[0]!.response.statusCode).toBe(101)
      await eventually(() => expect(app.handler.stats).toMatchObject({ tunnels: 0, active: 0 }))
    },
  )

  test('a client that resets closes the upstream, and is nobody’s failure', async () => {
    const upstream = await using(startRawUpstream(echoFoo))
    const app = await startApp({ to: upstream.url, upgrades: true })
    const client = await rawClient(app.port, `${handshake('/', {}, 'foo')}ping`)
    await client.has('ping')
    client.socket.resetAndDestroy()
    await eventually(() => expect(upstream.sockets).toBe(0))
    await eventually(() => expect(app.outcomes).toMatchObject([{ type: 'client_aborted', side: 'client' }]))
  })

  test('a tunnel idle beyond all timers stays open', async () => {
    const upstream = await using(startRawUpstream(echoFoo))
    const app = await startApp({
      to: upstream.url,
      upgrades: true,
      proxy: { timeouts: { headersMs: 400, bodyIdleMs: 100, totalMs: 100 } },
    })
    const client = await rawClient(app.port, handshake('/', {}, 'foo'))
    await client.has('101')
    const later = gate()
    setTimeout(later.open, 600)
    await later.promise
    client.socket.write('still here')
    await client.has('still here')
  })
})

describe('a plain server without Express', () => {
  test('tunnels through http.createServer(proxy(url))', async () => {
    const upstream = await using(startWebSocketUpstream())
    const handler = await using(Promise.resolve(proxy(upstream.url)))
    const served = await using(serve(handler))
    attachUpgrades(served.server, handler)
    const client = await connectWebSocket(served.url)
    client.send('plain')
    expect((await client.next()).data.toString()).toBe('plain')
    await client.close()
    expect((await request(served.url)).status).toBe(426)
  })
})

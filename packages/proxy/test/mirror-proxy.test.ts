import type { ServerResponse } from 'node:http'
import { httpProxyMiddleware, type MirrorOptions, type ProxyOptions, undiciTransport } from '@postern/proxy'
import {
  connectWebSocket,
  eventually,
  garbage,
  neverAnswer,
  neverRead,
  rawRequest,
  refusedPort,
  request,
  resetAtOnce,
  startRawUpstream,
  startUpstream,
  startWebSocketUpstream,
} from '@postern/test-kit'
import express from 'express'
import { describe, expect, test } from 'vitest'
import { type App, rawClient, startApp, using } from './behaviour.ts'

const TRANSPORTS = [
  ['undici', undiciTransport],
  ['http-proxy-middleware', () => httpProxyMiddleware()],
] as const

describe.each(TRANSPORTS)('proxy({ mirror }) over %s', (_name, transport) => {
  async function appWith(
    to: string,
    mirror: MirrorOptions,
    options: ProxyOptions = {},
    more: object = {},
  ): Promise<App> {
    return startApp({ to, proxy: { transport: transport(), mirror, ...options }, ...more })
  }

  /** What became of the copies, once none is under way. */
  async function copiesOf(app: App, expected: object): Promise<void> {
    await eventually(() => expect(app.handler.stats.mirror).toMatchObject({ inFlight: 0, ...expected }))
  }

  test('the upstream and the mirror get the same request, and the client the answer of the upstream', async () => {
    const upstream = await using(startUpstream())
    const mirror = await using(startUpstream((_req, res) => void res.writeHead(500).end('from the mirror')))
    const app = await appWith(upstream.url, { target: `${mirror.url}/copy` })
    const headers = { 'x-team': 'shop', authorization: 'Bearer secret', 'x-postern-mirror': 'forged' }
    const reply = await request(`${app.url}/things?a=1`, { headers })
    expect(reply.status).toBe(200)
    expect(reply.json()).toMatchObject({ url: '/things?a=1' })
    await copiesOf(app, { sent: 1, answered: 1, failed: 0, dropped: 0 })
    expect(upstream.requests).toHaveLength(1)
    expect(upstream.last.headers).toMatchObject({ 'x-team': 'shop', authorization: 'Bearer secret' })
    expect(upstream.last.headers['x-postern-mirror']).toBe(undefined)
    expect(mirror.last).toMatchObject({ method: 'GET', url: '/copy/things?a=1' })
    expect(mirror.last.all('x-postern-mirror')).toEqual(['1'])
    expect(mirror.last.headers).toMatchObject({ 'x-team': 'shop', 'x-forwarded-for': '127.0.0.1' })
    expect(mirror.last.headers.authorization).toBe(undefined)
    expect(app.exchanges[0]!.attempts).toHaveLength(1)
    expect(app.outcomes).toMatchObject([{ status: 200 }])
  })

  test('a streamed body reaches both, byte for byte', async () => {
    const upstream = await using(startUpstream())
    const mirror = await using(startUpstream())
    const app = await appWith(upstream.url, { target: mirror.url, methods: ['POST'] })
    const body = Buffer.from(Array.from({ length: 50_000 }, (_, i) => i % 251))
    const reply = await request(app.url, { method: 'POST', body })
    expect(reply.json()).toMatchObject({ bodyBytes: 50_000 })
    await copiesOf(app, { sent: 1, answered: 1 })
    expect([upstream.last.body.equals(body), mirror.last.body.equals(body)]).toEqual([true, true])
  })

  test('a body that a parser had read reaches both', async () => {
    const upstream = await using(startUpstream())
    const mirror = await using(startUpstream())
    const more = { before: (inner: express.Express) => void inner.use(express.json()) }
    const app = await appWith(upstream.url, { target: mirror.url, methods: ['POST'] }, {}, more)
    const headers = { 'content-type': 'application/json' }
    expect((await request(app.url, { method: 'POST', body: '{"a":1}', headers })).status).toBe(200)
    await copiesOf(app, { answered: 1 })
    expect([upstream.last.body.toString(), mirror.last.body.toString()]).toEqual(['{"a":1}', '{"a":1}'])
  })

  test('a body over the limit reaches the upstream whole, and the mirror not at all', async () => {
    const upstream = await using(startUpstream())
    const mirror = await using(startUpstream())
    const app = await appWith(upstream.url, { target: mirror.url, methods: ['POST'], maxBodyBytes: 1_000 })
    const headers = { 'transfer-encoding': 'chunked' }
    for (const extra of [{}, { headers }]) {
      const reply = await request(app.url, { method: 'POST', body: Buffer.alloc(200_000), ...extra })
      expect(reply.json()).toMatchObject({ bodyBytes: 200_000 })
    }
    await copiesOf(app, { sent: 0, dropped: 2 })
    expect(mirror.connections).toBe(0)
  })

  test('an upload that breaks off is never sent to the mirror', async () => {
    const upstream = await using(startUpstream())
    const mirror = await using(startUpstream())
    const app = await appWith(upstream.url, { target: mirror.url, methods: ['POST'] })
    const client = await rawClient(app.port, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf')
    await eventually(() => expect(upstream.requests[0]?.body.toString()).toBe('half'))
    client.socket.destroy()
    await copiesOf(app, { sent: 0, dropped: 1 })
    expect(mirror.connections).toBe(0)
  })

  test('a request whose upstream cannot be reached leaves no copy behind that waits for its body', async () => {
    const port = await using(refusedPort())
    const mirror = await using(startUpstream())
    const app = await appWith(port.url, { target: mirror.url, methods: ['POST'], maxInFlight: 1 })
    for (let i = 1; i <= 3; i++) {
      expect((await request(app.url, { method: 'POST', body: 'a body' })).status).toBe(502)
      await eventually(() => expect(app.handler.stats.mirror).toMatchObject({ inFlight: 0 }))
    }
    const { sent, dropped } = app.handler.stats.mirror!
    expect(sent + dropped).toBe(3)
  })

  const BROKEN = [
    ['refuses', () => refusedPort()],
    ['resets', () => startRawUpstream(resetAtOnce())],
    ['hangs', () => startRawUpstream(neverAnswer())],
    ['does not read', () => startRawUpstream(neverRead())],
    ['answers garbage', () => startRawUpstream(garbage())],
  ] as const

  test.each(BROKEN)(
    'a mirror that %s changes nothing: same answers, at once, with a budget that is used up',
    async (_what, start) => {
      const upstream = await using(startUpstream())
      const broken = await using(start() as Promise<{ readonly url: string; close(): Promise<void> }>)
      const mirror: MirrorOptions = { target: broken.url, methods: ['GET', 'POST'], maxInFlight: 4, timeoutMs: 300 }
      const app = await appWith(upstream.url, mirror)
      const startedAt = performance.now()
      const replies = await Promise.all(
        Array.from({ length: 30 }, (_, i) =>
          request(`${app.url}/${i}`, i % 2 === 0 ? {} : { method: 'POST', body: Buffer.alloc(10_000) }),
        ),
      )
      expect(performance.now() - startedAt).toBeLessThan(3_000)
      expect(replies.map((reply) => reply.status)).toEqual(replies.map(() => 200))
      await copiesOf(app, { answered: 0 })
      const { failed, dropped } = app.handler.stats.mirror!
      expect([failed > 0, failed + dropped]).toEqual([true, 30])
      expect(app.exchanges.every((exchange) => exchange.failure === undefined)).toBe(true)
      expect(app.outcomes).toMatchObject(replies.map(() => ({ status: 200 })))
    },
  )

  test('upgrades are not copied', async () => {
    const upstream = await using(startWebSocketUpstream())
    const mirror = await using(startUpstream())
    const app = await appWith(upstream.url, { target: mirror.url }, {}, { upgrades: true })
    const socket = await connectWebSocket(`${app.url.replace('http', 'ws')}/chat`)
    await using({ close: async () => socket.close() })
    expect(app.handler.stats.mirror).toMatchObject({ sent: 0, dropped: 0 })
    expect(mirror.connections).toBe(0)
  })

  test('close() does not wait for the mirror', async () => {
    const upstream = await using(startUpstream())
    const mirror = await using(startRawUpstream(neverAnswer()))
    const app = await appWith(upstream.url, { target: mirror.url, timeoutMs: 60_000 })
    expect((await request(app.url)).status).toBe(200)
    await eventually(() => expect(mirror.connections[0]?.received.length).toBeGreaterThan(0))
    const startedAt = performance.now()
    await app.handler.close()
    expect(performance.now() - startedAt).toBeLessThan(2_000)
    await copiesOf(app, { failed: 1 })
    await eventually(() => expect(mirror.sockets).toBe(0))
  })

  test('no copy is made of a request that is refused', async () => {
    const upstream = await using(startUpstream())
    const mirror = await using(startUpstream())
    const app = await appWith(upstream.url, { target: mirror.url })
    const answer = await rawRequest(app.port, 'GET /a/../b HTTP/1.1\r\nHost: a\r\n\r\n', { responses: 1 })
    expect(answer.response.status).toBe(400)
    expect(app.handler.stats.mirror).toMatchObject({ sent: 0, dropped: 0 })
  })
})

test('handlers, headers and credentials of httpProxyMiddleware are for the target alone', async () => {
  const upstream = await using(startUpstream())
  const mirror = await using(startUpstream())
  let answers = 0
  const transport = httpProxyMiddleware({
    auth: 'user:password',
    headers: { 'x-key': 'of the target' },
    on: {
      proxyRes: (_proxyRes, _req, res) => {
        ;(res as ServerResponse).setHeader('x-answers', String(++answers))
      },
    },
  })
  const app = await startApp({ to: upstream.url, proxy: { transport, mirror: { target: mirror.url } } })
  expect((await request(app.url)).headers['x-answers']).toBe('1')
  await eventually(() => expect(app.handler.stats.mirror).toMatchObject({ answered: 1 }))
  expect(upstream.last.headers).toMatchObject({ 'x-key': 'of the target', authorization: expect.any(String) })
  expect(mirror.last.headers['x-key']).toBe(undefined)
  expect(mirror.last.headers.authorization).toBe(undefined)
  expect(answers).toBe(1)
})

test('faults of the options of a mirror are told with all others', () => {
  const options = { target: 'http://127.0.0.1:1', mirror: { target: 'nowhere', sahre: 1 }, maxHops: 0 }
  return expect(startApp({ to: options.target, proxy: options as never })).rejects.toMatchObject({
    faults: [{ path: 'mirror.sahre', cure: 'did you mean "share"?' }, { path: 'maxHops' }],
  })
})

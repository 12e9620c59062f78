import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import {
  answer,
  certificates,
  eventually,
  request,
  staleOnReuse,
  startRawUpstream,
  startUpstream,
  unhandled,
} from '@postern/test-kit'
import { describe, expect, test } from 'vitest'
import { gateway, TRANSPORTS, using } from '../support/gateway.ts'

describe.each(TRANSPORTS)('connections by $via', ({ via }) => {
  test('requests one after the other share a connection', async () => {
    const upstream = await using(startUpstream())
    const gate = await gateway({ via, target: upstream.url })
    for (let i = 0; i < 5; i++)
      expect((await request(gate.url, { method: i % 2 === 0 ? 'GET' : 'POST' })).status).toBe(200)
    expect(upstream.connections).toBe(1)
    expect(gate.settled.map(({ attempt }) => attempt.reused)).toEqual([false, true, true, true, true])
    expect(gate.settled[0]!.attempt.connectMs).toBeGreaterThan(0)
    expect(gate.settled[1]!.attempt.connectMs).toBe(0)
  })

  test('uploads in chunks do not cost the connection', async () => {
    const upstream = await using(startUpstream())
    const gate = await gateway({ via, target: upstream.url })
    for (let i = 0; i < 3; i++) {
      await request(gate.url, { method: 'POST', headers: { 'transfer-encoding': 'chunked' }, body: 'x' })
    }
    expect(upstream.connections).toBe(1)
  })

  test('an idle connection is closed after keepAliveMs', async () => {
    const upstream = await using(startUpstream())
    const gate = await gateway({ via, target: upstream.url, connections: { keepAliveMs: 60 } })
    await request(gate.url)
    expect(upstream.sockets).toBe(1)
    await eventually(() => upstream.sockets === 0, { timeoutMs: 2_500 })
  })

  test('no more connections than the bound, and the rest wait for a place', async () => {
    const upstream = await using(startUpstream((_req, res) => void setTimeout(() => res.end('ok'), 20)))
    const gate = await gateway({ via, target: upstream.url, connections: { max: 4 }, timeouts: { queueMs: 5_000 } })
    const replies = await Promise.all(Array.from({ length: 24 }, () => request(gate.url)))
    expect(replies.every((reply) => reply.status === 200)).toBe(true)
    expect(upstream.connections).toBeLessThanOrEqual(4)
  })

  test('two hundred requests at once, each with its own answer', async () => {
    const watch = unhandled()
    const upstream = await using(
      startUpstream((req, res) => {
        const chunks: Buffer[] = []
        req.on('data', (chunk: Buffer) => chunks.push(chunk))
        req.on('end', () => res.end(`${req.url} ${Buffer.concat(chunks)}`))
      }),
    )
    const gate = await gateway({ via, target: upstream.url })
    const replies = await Promise.all(
      Array.from({ length: 200 }, (_, i) => request(`${gate.url}/${i}`, { method: 'POST', body: `body ${i}` })),
    )
    expect(replies.map((reply) => reply.text)).toEqual(Array.from({ length: 200 }, (_, i) => `/${i} body ${i}`))
    await eventually(() => gate.handler.stats.active === 0)
    expect(await watch.stop()).toEqual([])
  })

  test.each(['close', 'reset'] as const)(
    'a stale connection (%s): GET is sent once more on a new one',
    async (ending) => {
      // The upstream closed the idle connection just as it was taken again. http-proxy-middleware alone answers 504 then.
      const upstream = await using(startRawUpstream([staleOnReuse(ending), answer()]))
      const gate = await gateway({ via, target: upstream.url })
      expect((await request(gate.url)).status).toBe(200)
      expect((await request(gate.url)).status).toBe(200)
      expect(upstream.connections).toHaveLength(2)
      expect(gate.settled.map(({ attempt }) => [attempt.reused, attempt.failure?.type])).toEqual([
        [false, undefined],
        [true, 'connection_terminated'],
        [false, undefined],
      ])
    },
  )

  test('the second try never goes over another idle connection, which may be as stale', async () => {
    const upstream = await using(startRawUpstream([staleOnReuse(), staleOnReuse(), staleOnReuse(), answer()]))
    const gate = await gateway({ via, target: upstream.url })
    await Promise.all([1, 2, 3].map(() => request(gate.url)))
    expect(upstream.connections).toHaveLength(3)
    const reply = await request(gate.url)
    expect(reply.status).toBe(200)
    expect(upstream.connections).toHaveLength(4)
  })

  test.each(['close', 'reset'] as const)(
    'a stale connection (%s): POST gets 502 and is executed once at most',
    async (ending) => {
      const upstream = await using(startRawUpstream([staleOnReuse(ending), answer()]))
      const gate = await gateway({ via, target: upstream.url })
      await request(gate.url)
      const reply = await request(gate.url, { method: 'POST', body: 'order' })
      expect(reply.status).toBe(502)
      expect(upstream.received.split('POST ').length - 1).toBeLessThanOrEqual(1)
      expect(upstream.connections).toHaveLength(1)
    },
  )

  test('an upstream on a Unix socket', async () => {
    const socketPath = join(tmpdir(), `postern-${randomUUID()}.sock`)
    const upstream = await using(startUpstream(undefined, { socketPath }))
    const gate = await gateway({ via, target: `unix:${socketPath}` })
    for (let i = 0; i < 2; i++) {
      const reply = await request(`${gate.url}/over/unix?i=${i}`, { method: 'POST', body: 'x' })
      expect(reply.json()).toMatchObject({ method: 'POST', url: `/over/unix?i=${i}`, bodyBytes: 1 })
    }
    expect(upstream.connections).toBe(1)
    await rm(socketPath, { force: true })
  })

  test('a Unix socket that is not there: 502', async () => {
    const gate = await gateway({ via, target: `unix:${join(tmpdir(), `postern-${randomUUID()}.sock`)}` })
    const reply = await request(gate.url)
    expect(reply.status).toBe(502)
    expect(reply.headers['proxy-status']).toBe('postern; error=connection_refused')
  })

  test('an upstream on IPv6', async (context) => {
    const { createServer } = await import('node:http')
    const server = createServer((req, res) => res.end(req.headers.host))
    const listening = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false)).listen(0, '::1', () => resolve(true))
    })
    if (!listening) context.skip('this machine has no ::1')
    const { port } = server.address() as { port: number }
    const gate = await gateway({ via, target: `http://[::1]:${port}` })
    expect((await request(gate.url)).text).toBe(`[::1]:${port}`)
    server.close()
  })

  test('close() lets go of the connections', async () => {
    const upstream = await using(startUpstream())
    const gate = await gateway({ via, target: upstream.url })
    await request(gate.url)
    expect(upstream.sockets).toBe(1)
    await gate.handler.close()
    await eventually(() => upstream.sockets === 0, { timeoutMs: 1_000 })
  })

  test('close() cuts what is still going on when its grace is over', async () => {
    const upstream = await using(startUpstream((_req, res) => void res.write('never ends')))
    const gate = await gateway({ via, target: upstream.url })
    const reply = request(gate.url)
    await eventually(() => upstream.requests.length === 1)
    await gate.handler.close({ graceMs: 20 })
    await eventually(() => upstream.sockets === 0, { timeoutMs: 1_000 })
    expect((await reply).complete).toBe(false)
  })
})

describe.each(TRANSPORTS)('TLS by $via', ({ via }) => {
  const { ca, client, server, strangeClient } = certificates()

  test('a certificate of a trusted authority, by name and by address', async () => {
    const upstream = await using(startUpstream(undefined, { tls: true }))
    for (const target of [upstream.url, `https://localhost:${upstream.port}`]) {
      const gate = await gateway({ via, target, tls: { ca: ca.cert } })
      for (let i = 0; i < 2; i++) expect((await request(gate.url, { method: 'POST', body: 'x' })).status).toBe(200)
      await gate.handler.close()
    }
    expect(upstream.connections).toBe(2)
  })

  test('a preserved client Host decides neither the name that is sent nor the one that is verified', async () => {
    const names: (string | false | null)[] = []
    const upstream = await using(
      startUpstream(
        (req: IncomingMessage, res) => {
          names.push((req.socket as TLSSocket & { servername: string | false | null }).servername)
          res.end(req.headers.host)
        },
        { tls: true },
      ),
    )
    const gate = await gateway({
      via,
      target: `https://localhost:${upstream.port}`,
      tls: { ca: ca.cert },
      host: 'preserve',
    })
    const reply = await request(gate.url, { headers: { host: 'elsewhere.test' } })
    expect(reply.text).toBe('elsewhere.test')
    expect(names).toEqual(['localhost'])
  })

  test('servername replaces the name of the URL', async () => {
    const { wrongHost } = certificates()
    const upstream = await using(startUpstream(undefined, { tls: { cert: wrongHost.cert, key: wrongHost.key } }))
    const gate = await gateway({ via, target: upstream.url, tls: { ca: ca.cert, servername: 'elsewhere.test' } })
    expect((await request(gate.url)).status).toBe(200)
  })

  test.each([
    ['of an unknown authority', server, undefined],
    ['that signed itself', certificates().selfSigned, ca.cert],
    ['for another name', certificates().wrongHost, ca.cert],
    ['that has run out', certificates().expired, ca.cert],
  ])('a certificate %s: 502 tls_certificate_error', async (_, pair, authority) => {
    const upstream = await using(startUpstream(undefined, { tls: { cert: pair.cert, key: pair.key } }))
    const gate = await gateway({
      via,
      target: `https://localhost:${upstream.port}`,
      ...(authority === undefined ? null : { tls: { ca: authority } }),
    })
    const reply = await request(gate.url, { method: 'POST', body: 'secret' })
    expect(reply.status).toBe(502)
    expect(reply.headers['proxy-status']).toBe('postern; error=tls_certificate_error')
    expect(upstream.requests).toHaveLength(0)
    expect(gate.settled).toMatchObject([{ outcome: { type: 'tls_certificate_error', phase: 'connect' } }])
  })

  test('rejectUnauthorized: false accepts any, for those who ask for it', async () => {
    const upstream = await using(startUpstream(undefined, { tls: certificates().selfSigned }))
    const gate = await gateway({ via, target: upstream.url, tls: { rejectUnauthorized: false } })
    expect((await request(gate.url)).status).toBe(200)
  })

  test('a client certificate is shown', async () => {
    const upstream = await using(
      startUpstream(
        (req: IncomingMessage, res) => {
          res.end((req.socket as TLSSocket).getPeerCertificate().subject.CN)
        },
        { tls: { ...server, ca: ca.cert, requestCert: true, rejectUnauthorized: true } },
      ),
    )
    const gate = await gateway({ via, target: upstream.url, tls: { ca: ca.cert, cert: client.cert, key: client.key } })
    expect((await request(gate.url)).text).toBe('test-client')
    const stranger = await gateway({ via, target: upstream.url, tls: { ca: ca.cert, ...strangeClient } })
    expect((await request(stranger.url)).status).toBe(502)
    const nobody = await gateway({ via, target: upstream.url, tls: { ca: ca.cert } })
    expect((await request(nobody.url)).status).toBe(502)
  })

  test('plain HTTP where TLS is expected: 502 tls_protocol_error', async () => {
    const upstream = await using(
      startRawUpstream(async (connection) => {
        await connection.receivedBytes(1)
        connection.socket.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n')
      }),
    )
    const gate = await gateway({ via, target: `https://127.0.0.1:${upstream.port}` })
    const reply = await request(gate.url)
    expect(reply.status).toBe(502)
    expect(reply.headers['proxy-status']).toBe('postern; error=tls_protocol_error')
  })
})

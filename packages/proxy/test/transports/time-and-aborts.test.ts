import net from 'node:net'
import { Readable } from 'node:stream'
import {
  answer,
  blackholeTarget,
  cutBody,
  eventually,
  neverAnswer,
  neverRead,
  type RawScript,
  rawRequest,
  rawResponse,
  request,
  startRawUpstream,
  startUpstream,
} from '@postern/test-kit'
import { describe, expect, test } from 'vitest'
import { EVERYWHERE, gateway, using } from '../support/gateway.ts'

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
const MIB = 1_048_576

/** So many bytes of a body that nobody needs. */
function* filler(bytes: number): Generator<Buffer> {
  const piece = Buffer.alloc(65_536, 'x')
  for (let sent = 0; sent < bytes; sent += piece.length) yield piece
}

describe.each(EVERYWHERE)('time by $via under $under', (where) => {
  test('an upstream that never answers: 504 after headersMs, and its connection is given up', async () => {
    const upstream = await using(startRawUpstream(neverAnswer()))
    const gate = await gateway({ ...where, target: upstream.url, timeouts: { headersMs: 80 } })
    const started = performance.now()
    const reply = await request(gate.url)
    expect(reply.status).toBe(504)
    expect(reply.headers['proxy-status']).toBe('postern; error=http_response_timeout')
    expect(performance.now() - started).toBeGreaterThanOrEqual(75)
    await eventually(() => upstream.sockets === 0)
    expect(gate.settled).toMatchObject([{ outcome: { type: 'http_response_timeout', phase: 'headers' } }])
  })

  test('headersMs begins when the request has been written, not before', async () => {
    const upstream = await using(
      startUpstream((req, res) => {
        req.resume().on('end', () => res.end('ok'))
      }),
    )
    const gate = await gateway({ ...where, target: upstream.url, timeouts: { headersMs: 100 } })
    const slow = Readable.from(
      (async function* () {
        for (let i = 0; i < 6; i++) {
          await new Promise((resolve) => setTimeout(resolve, 40))
          yield Buffer.from('part')
        }
      })(),
    )
    const reply = await request(gate.url, { method: 'POST', body: slow })
    expect(reply.status).toBe(200)
  })

  test('a connection that is never made: 504 after connectMs', async () => {
    const nowhere = await using(blackholeTarget())
    const gate = await gateway({ ...where, target: nowhere.url, timeouts: { connectMs: 100 } })
    const reply = await request(gate.url)
    expect(reply.status).toBe(504)
    expect(reply.headers['proxy-status']).toBe('postern; error=connection_timeout')
    expect(gate.settled).toMatchObject([
      { outcome: { type: 'connection_timeout', phase: 'connect', side: 'upstream' } },
    ])
  })

  test('a body that stalls is cut after bodyIdleMs', async () => {
    const upstream = await using(startRawUpstream(cutBody('content-length', 'wait')))
    const gate = await gateway({ ...where, target: upstream.url, timeouts: { bodyIdleMs: 80 } })
    const raw = await rawRequest(gate.port, GET)
    expect(raw.endedBy).not.toBe('timeout')
    expect(raw.response.status).toBe(200)
    expect(raw.response.complete).toBe(false)
    await eventually(() => upstream.sockets === 0)
    expect(gate.settled).toMatchObject([{ outcome: { type: 'connection_read_timeout', phase: 'body' } }])
  })

  test('an event stream may be silent for longer than bodyIdleMs', async () => {
    const upstream = await using(
      startUpstream((_req, res) => {
        res.writeHead(200, { 'content-type': 'text/event-stream' })
        res.write('data: 1\n\n')
        setTimeout(() => res.end('data: 2\n\n'), 300)
      }),
    )
    const gate = await gateway({ ...where, target: upstream.url, timeouts: { bodyIdleMs: 80 } })
    const reply = await request(gate.url)
    expect(reply.complete).toBe(true)
    expect(reply.text).toBe('data: 1\n\ndata: 2\n\n')
  })

  test('the first event of a stream arrives at once', async () => {
    const upstream = await using(
      startUpstream((_req, res) => {
        res.writeHead(200, { 'content-type': 'text/event-stream' })
        res.write('data: 1\n\n')
      }),
    )
    const gate = await gateway({ ...where, target: upstream.url })
    const socket = net.connect(gate.port, '127.0.0.1').setEncoding('latin1')
    socket.write(GET)
    let text = ''
    socket.on('data', (chunk: string) => {
      text += chunk
    })
    await eventually(() => text.includes('data: 1'), { timeoutMs: 1_000 })
    socket.destroy()
  })

  test('the head of an answer arrives before its body has begun', async () => {
    const upstream = await using(
      startUpstream((_req, res) => {
        res.writeHead(200, { 'content-type': 'text/plain' }).flushHeaders()
      }),
    )
    const gate = await gateway({ ...where, target: upstream.url })
    const raw = await rawRequest(gate.port, GET, { timeoutMs: 300 })
    expect(raw.text).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
  })

  test('a client that stops sending its body gets 408', async () => {
    const upstream = await using(startUpstream())
    const gate = await gateway({ ...where, target: upstream.url, timeouts: { bodyIdleMs: 80 } })
    const raw = await rawRequest(gate.port, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhello', {
      responses: 1,
    })
    expect(raw.response.status).toBe(408)
    await eventually(() => upstream.sockets === 0)
    expect(gate.settled).toMatchObject([{ outcome: { type: 'client_timeout', side: 'client' } }])
  })

  test('an upstream that does not read an upload is told apart from a client that does not send', async () => {
    const upstream = await using(startRawUpstream(neverRead()))
    const gate = await gateway({ ...where, target: upstream.url, timeouts: { bodyIdleMs: 150 } })
    const reply = await request(gate.url, { method: 'POST', body: Readable.from(filler(64 * MIB)), timeoutMs: 9_000 })
    expect(reply.status).toBe(504)
    expect(gate.settled).toMatchObject([{ outcome: { type: 'connection_write_timeout', side: 'upstream' } }])
  })
})

describe.each(EVERYWHERE)('aborts by $via under $under', (where) => {
  test.each([
    ['before the answer', neverAnswer(), ''],
    ['in the middle of the answer', cutBody('content-length', 'wait'), 'hello'],
  ])("a client that leaves %s takes the upstream's request with it", async (_, script, seen) => {
    const upstream = await using(startRawUpstream(script))
    const gate = await gateway({ ...where, target: upstream.url })
    const socket = net.connect(gate.port, '127.0.0.1')
    let received = ''
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      received += chunk.toString()
    })
    socket.write(GET)
    await eventually(() => upstream.received.includes('\r\n\r\n') && received.endsWith(seen))
    socket.destroy()
    await eventually(() => upstream.sockets === 0, { timeoutMs: 1_000 })
    await eventually(() => gate.settled.length === 1)
    expect(gate.settled).toMatchObject([{ outcome: { type: 'client_aborted', side: 'client' } }])
    await eventually(() => gate.handler.stats.active === 0)
  })

  test("a client that leaves in the middle of its upload takes the upstream's request with it", async () => {
    const upstream = await using(startRawUpstream(neverAnswer()))
    const gate = await gateway({ ...where, target: upstream.url })
    const socket = net.connect(gate.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nhello')
    await eventually(() => upstream.received.includes('hello'))
    socket.destroy()
    await eventually(() => upstream.sockets === 0, { timeoutMs: 1_000 })
    await eventually(() => gate.settled.length === 1)
    expect((gate.settled[0]!.outcome as { side?: string }).side).toBe('client')
  })

  test('a client that leaves while the connection is being made leaves nothing behind', async () => {
    const nowhere = await using(blackholeTarget())
    const gate = await gateway({ ...where, target: nowhere.url, timeouts: { connectMs: 200 } })
    const socket = net.connect(gate.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write(GET)
    await eventually(() => gate.handler.stats.active === 1)
    socket.destroy()
    await eventually(() => gate.handler.stats.active === 0, { timeoutMs: 1_000 })
    expect(gate.settled).toMatchObject([{ outcome: { type: 'client_aborted' } }])
  })

  test('an answer that comes while the client still uploads 50 MiB gets through', async () => {
    const upstream = await using(
      startUpstream((req, res) => {
        res.writeHead(413, { 'content-type': 'text/plain' }).end('too large')
        req.resume()
      }),
    )
    const gate = await gateway({ ...where, target: upstream.url })
    const reply = await request(gate.url, { method: 'POST', body: Readable.from(filler(50 * MIB)), timeoutMs: 20_000 })
    expect(reply.status).toBe(413)
    expect(reply.text).toBe('too large')
    await eventually(() => gate.handler.stats.active === 0)
    expect(gate.settled).toMatchObject([{ outcome: { status: 413 } }])
  })

  test('such an answer gets through from an upstream that reads no further, and its connection is not reused', async () => {
    const stops: RawScript = async (connection) => {
      await connection.receivedBytes(1_000)
      connection.socket.pause()
      connection.socket.write(rawResponse('too large', {}, '413 Content Too Large'))
    }
    const upstream = await using(startRawUpstream([stops, answer()]))
    const gate = await gateway({ ...where, target: upstream.url })
    const reply = await request(gate.url, { method: 'POST', body: Readable.from(filler(50 * MIB)), timeoutMs: 20_000 })
    expect(reply.status).toBe(413)
    await eventually(() => gate.handler.stats.active === 0)
    expect((await request(gate.url)).text).toBe('ok')
    expect(upstream.connections).toHaveLength(2)
  })

  test("behind such an answer the client's connection serves its next request", async () => {
    const upstream = await using(
      startUpstream((req, res) => {
        if (req.method === 'GET') res.end('next')
        else res.writeHead(413).end()
      }),
    )
    const gate = await gateway({ ...where, target: upstream.url })
    const head = `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${4 * MIB}\r\n\r\n`
    const raw = await rawRequest(gate.port, [head, Buffer.alloc(4 * MIB), GET], { responses: 2, timeoutMs: 8_000 })
    expect(raw.parsed.responses.map((each) => each.status)).toEqual([413, 200])
  })

  test('a slow client holds the upstream back instead of filling the memory', async () => {
    let sent = 0
    function* counted(): Generator<Buffer> {
      for (const piece of filler(256 * MIB)) {
        sent += piece.length
        yield piece
      }
    }
    const upstream = await using(startUpstream((_req, res) => void Readable.from(counted()).pipe(res)))
    const gate = await gateway({ ...where, target: upstream.url })
    const socket = net.connect(gate.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.pause().write(GET)
    // It stands still once all the buffers on the way are full.
    let before = -1
    await eventually(
      () => {
        const still = sent > 0 && sent === before
        before = sent
        return still
      },
      { intervalMs: 200 },
    )
    expect(sent).toBeLessThan(64 * MIB)
    socket.destroy()
    await eventually(() => upstream.sockets === 0)
  })
})

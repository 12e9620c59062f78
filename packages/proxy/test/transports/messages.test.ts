import { createHash, randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import {
  answer,
  rawRequest,
  rawResponse,
  request,
  startRawUpstream,
  startUpstream,
  type UpstreamHandler,
} from '@postern/test-kit'
import { describe, expect, test } from 'vitest'
import { EVERYWHERE, gateway, using } from '../support/gateway.ts'

const MIB = 1_048_576

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** Bytes in pieces of odd sizes, so that no piece is a whole number of anything. */
function pieces(bytes: Buffer): Readable {
  const list: Buffer[] = []
  for (let at = 0, size = 1; at < bytes.length; at += size, size = ((size * 7) % 65_521) + 1) {
    list.push(bytes.subarray(at, at + size))
  }
  return Readable.from(list)
}

describe.each(EVERYWHERE)('messages by $via under $under', (where) => {
  const start = async (handler?: UpstreamHandler) => {
    const upstream = await using(startUpstream(handler))
    return { upstream, gate: await gateway({ ...where, target: upstream.url }) }
  }

  test.each(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])(
    '%s goes there and its answer comes back',
    async (method) => {
      const { upstream, gate } = await start()
      const body = method === 'POST' || method === 'PUT' || method === 'PATCH' ? 'hello' : undefined
      const reply = await request(`${gate.url}/a/b?c=d&e`, { method, ...(body === undefined ? null : { body }) })
      expect(reply.status).toBe(200)
      expect(reply.complete).toBe(true)
      expect(reply.json()).toMatchObject({ method, url: '/a/b?c=d&e', bodyBytes: body?.length ?? 0 })
      expect(upstream.requests).toHaveLength(1)
      expect(upstream.last.body.toString()).toBe(body ?? '')
      expect(upstream.last.complete).toBe(true)
    },
  )

  test('HEAD gets the head of the answer, with its length and without its body', async () => {
    const { upstream, gate } = await start((_req, res) => {
      res.writeHead(200, { 'content-length': 1234, 'content-type': 'text/plain' }).end()
    })
    const raw = await rawRequest(gate.port, 'HEAD /x HTTP/1.1\r\nHost: a\r\n\r\nGET /y HTTP/1.1\r\nHost: a\r\n\r\n', {
      methods: ['HEAD', 'HEAD'],
      responses: 2,
    })
    expect(raw.parsed.fault).toBeUndefined()
    expect(raw.response.status).toBe(200)
    expect(raw.response.headers['content-length']).toBe('1234')
    expect(upstream.requests[0]!.method).toBe('HEAD')
  })

  test.each([204, 304])('a %i has no body and the connection goes on', async (status) => {
    const { gate } = await start((_req, res) => {
      res.writeHead(status, { etag: '"1"' }).end()
    })
    const two = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(2)
    const raw = await rawRequest(gate.port, two, { responses: 2 })
    expect(raw.parsed.fault).toBeUndefined()
    expect(raw.parsed.responses.map((each) => each.status)).toEqual([status, status])
    expect(raw.response.headers.etag).toBe('"1"')
    expect(raw.response.headers['transfer-encoding']).toBeUndefined()
    expect(raw.parsed.leftover).toHaveLength(0)
  })

  test('a Content-Length on a 204 is dropped, and one on a 304 is kept', async () => {
    const upstream = await using(
      startRawUpstream(async (connection) => {
        for (;;) {
          const bytes = await connection.nextRequest()
          if (bytes === undefined) return
          const status = bytes.includes('/204') ? '204 No Content' : '304 Not Modified'
          connection.socket.write(`HTTP/1.1 ${status}\r\n${bytes.includes('/204') ? '' : 'Content-Length: 7\r\n'}\r\n`)
        }
      }),
    )
    const gate = await gateway({ ...where, target: upstream.url })
    const none = await rawRequest(gate.port, 'GET /204 HTTP/1.1\r\nHost: a\r\n\r\n', { responses: 1 })
    expect(none.response.headers['content-length']).toBeUndefined()
    const kept = await rawRequest(gate.port, 'GET /304 HTTP/1.1\r\nHost: a\r\n\r\n', { responses: 1 })
    expect(kept.response.status).toBe(304)
    expect(kept.response.headers['content-length']).toBe('7')
  })

  test.each([
    ['GET', 'content-length'],
    ['GET', 'chunked'],
    ['DELETE', 'chunked'],
    ['OPTIONS', 'chunked'],
    ['POST', 'content-length'],
    ['POST', 'chunked'],
  ])('a %s with a body keeps it, and its %s framing', async (method, framing) => {
    const upstream = await using(startRawUpstream(answer()))
    const gate = await gateway({ ...where, target: upstream.url })
    const framed =
      framing === 'chunked'
        ? 'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'
        : 'Content-Length: 5\r\n\r\nhello'
    const raw = await rawRequest(gate.port, `${method} /search HTTP/1.1\r\nHost: a\r\n${framed}`, { responses: 1 })
    expect(raw.response.status).toBe(200)
    const [head, body] = upstream.received.toLowerCase().split('\r\n\r\n', 2)
    expect(head!.split('\r\n')[0]).toBe(`${method.toLowerCase()} /search http/1.1`)
    if (framing === 'chunked') {
      expect(head).toContain('\r\ntransfer-encoding: chunked')
      expect(head).not.toContain('content-length')
      expect(upstream.received.slice(head!.length + 4)).toBe('5\r\nhello\r\n0\r\n\r\n')
    } else {
      expect(head).toContain('\r\ncontent-length: 5')
      expect(head).not.toContain('transfer-encoding')
      expect(body).toBe('hello')
    }
  })

  test('a POST without a body says so with Content-Length: 0', async () => {
    const { upstream, gate } = await start()
    const raw = await rawRequest(gate.port, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n', { responses: 1 })
    expect(raw.response.status).toBe(200)
    expect(upstream.last.headers['content-length']).toBe('0')
    expect(upstream.last.headers['transfer-encoding']).toBeUndefined()
  })

  test('a GET without a body gets no framing at all', async () => {
    const { upstream, gate } = await start()
    await request(gate.url)
    expect(upstream.last.headers['content-length']).toBeUndefined()
    expect(upstream.last.headers['transfer-encoding']).toBeUndefined()
  })

  test('8 MiB go up and come back byte for byte', async () => {
    const { upstream, gate } = await start((req, res) => {
      res.writeHead(200, { 'content-type': 'application/octet-stream' })
      req.pipe(res)
    })
    const bytes = randomBytes(8 * MIB)
    const reply = await request(gate.url, { method: 'POST', body: pieces(bytes), timeoutMs: 25_000 })
    expect(reply.complete).toBe(true)
    expect(reply.body).toHaveLength(bytes.length)
    expect(sha256(reply.body)).toBe(sha256(bytes))
    expect(sha256(upstream.last.body)).toBe(sha256(bytes))
  })

  test('8 MiB with a Content-Length go up and come back with one', async () => {
    const bytes = randomBytes(8 * MIB)
    const { upstream, gate } = await start((req, res) => {
      req.resume().on('end', () => res.writeHead(200, { 'content-length': bytes.length }).end(bytes))
    })
    const reply = await request(gate.url, { method: 'PUT', body: bytes, timeoutMs: 25_000 })
    expect(reply.headers['content-length']).toBe(String(bytes.length))
    expect(sha256(reply.body)).toBe(sha256(bytes))
    expect(upstream.last.headers['content-length']).toBe(String(bytes.length))
    expect(sha256(upstream.last.body)).toBe(sha256(bytes))
  })

  test('a body that ends with its connection arrives whole', async () => {
    const upstream = await using(
      startRawUpstream(async (connection) => {
        await connection.nextRequest()
        connection.socket.end('HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nto the end')
      }),
    )
    const gate = await gateway({ ...where, target: upstream.url })
    const reply = await request(gate.url)
    expect(reply.complete).toBe(true)
    expect(reply.text).toBe('to the end')
  })

  test('status, reason and an unusual but valid status code pass', async () => {
    const upstream = await using(startRawUpstream(answer(rawResponse('x', {}, '299 Odd But Fine'))))
    const gate = await gateway({ ...where, target: upstream.url })
    const reply = await request(gate.url)
    expect(reply.status).toBe(299)
    expect(reply.statusMessage).toBe('Odd But Fine')
  })

  test('trailers that were announced come through', async () => {
    const { gate } = await start((_req, res) => {
      res.writeHead(200, { trailer: 'x-checksum' })
      res.write('body')
      res.addTrailers({ 'x-checksum': 'abc' })
      res.end()
    })
    const reply = await request(gate.url, { headers: { te: 'trailers' } })
    expect(reply.text).toBe('body')
    expect(reply.headers.trailer).toBe('x-checksum')
    expect(reply.trailers).toEqual({ 'x-checksum': 'abc' })
  })

  test('103 Early Hints come through before the answer', async () => {
    const { gate } = await start((_req, res) => {
      res.writeEarlyHints({ link: '</a.css>; rel=preload' }, () => res.end('ok'))
    })
    const reply = await request(gate.url)
    expect(reply.text).toBe('ok')
    expect(reply.informational.map(({ statusCode, headers }) => [statusCode, headers.link])).toEqual([
      [103, '</a.css>; rel=preload'],
    ])
  })

  test('a 100 Continue that nobody waits for never reaches the client', async () => {
    const upstream = await using(startRawUpstream(answer(`HTTP/1.1 100 Continue\r\n\r\n${rawResponse('late')}`)))
    const gate = await gateway({ ...where, target: upstream.url })
    const reply = await request(gate.url, { method: 'POST', body: 'x' })
    expect(reply.informational).toHaveLength(0)
    // undici takes it for a malformed answer; node:http passes over it, as RFC 9110 §15.2 allows.
    if (where.via === 'undici') expect(reply.status).toBe(502)
    else expect(reply.text).toBe('late')
  })

  test('Expect: 100-continue is settled at the edge and forged headers go nowhere with it', async () => {
    // http-proxy-middleware alone skips its `proxyReq` handlers for such requests; what they guard is then open.
    const { upstream, gate } = await start()
    const raw = await rawRequest(
      gate.port,
      [
        'POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nX-Forwarded-For: 6.6.6.6\r\nProxy-Authorization: Basic eA==\r\nContent-Length: 2\r\n\r\n',
        'hi',
      ],
      { responses: 1 },
    )
    expect(raw.parsed.responses.map((each) => each.status)).toEqual([100, 200])
    expect(upstream.last.body.toString()).toBe('hi')
    expect(upstream.last.headers.expect).toBeUndefined()
    expect(upstream.last.headers['proxy-authorization']).toBeUndefined()
    expect(upstream.last.all('x-forwarded-for')).toEqual(['127.0.0.1'])
  })

  test('requests of one client connection are answered in their order', async () => {
    const { gate } = await start((req, res) => {
      // The first is the slowest.
      setTimeout(() => res.end(req.url), req.url === '/1' ? 60 : 0)
    })
    const bytes = ['/1', '/2', '/3'].map((path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`).join('')
    const raw = await rawRequest(gate.port, bytes, { responses: 3 })
    expect(raw.parsed.responses.map((each) => each.body.toString())).toEqual(['/1', '/2', '/3'])
  })
})

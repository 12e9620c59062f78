import { once } from 'node:events'
import { Agent } from 'node:http'
import http2 from 'node:http2'
import type https from 'node:https'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { Readable } from 'node:stream'
import type * as kit from '@postern/test-kit'
import {
  answer,
  answerThenClose,
  badStatus,
  blackholeTarget,
  certificates,
  connectWebSocket,
  cutBody,
  dribble,
  eventually,
  extraBytes,
  HandshakeRefused,
  halfHead,
  interimStorm,
  parseResponses,
  rawRequest,
  rawResponse,
  refusedPort,
  request,
  resetAtOnce,
  resetUnanswered,
  serve,
  staleOnReuse,
  startRawUpstream,
  startUpstream,
  startWebSocketUpstream,
  unhandled,
} from '@postern/test-kit'
import express from 'express'
import { afterEach, describe, expect, test } from 'vitest'

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.close()))
})
async function using<Part extends { close(): Promise<void> }>(part: Promise<Part>): Promise<Part> {
  open.push(await part)
  return part
}

describe('startUpstream', () => {
  test('records requests and echoes them', async () => {
    const upstream = await using(startUpstream())
    const reply = await request(`${upstream.url}/a?b=c`, {
      method: 'POST',
      headers: ['X-Odd', '1', 'x-odd', '2', 'Host', 'example.test'],
      body: 'hello',
    })
    expect(reply.json()).toMatchObject({ method: 'POST', url: '/a?b=c', bodyBytes: 5 })
    expect(upstream.last).toMatchObject({ method: 'POST', url: '/a?b=c', complete: true, aborted: false })
    expect(upstream.last.body.toString()).toBe('hello')
    expect(upstream.last.all('x-odd')).toEqual(['1', '2'])
    expect(upstream.connections).toBe(1)
    await eventually(() => upstream.sockets === 0)
  })

  test('records a streamed body, its trailers, and interim responses', async () => {
    const upstream = await using(
      startUpstream((req, res) => {
        res.writeEarlyHints({ link: '</a.css>; rel=preload' })
        req.resume().on('end', () => {
          res.writeHead(201, { trailer: 'x-sum' })
          res.write('done')
          res.addTrailers({ 'x-sum': '7' })
          res.end()
        })
      }),
    )
    const reply = await request(upstream.url, {
      method: 'PUT',
      body: Readable.from([Buffer.from('ab'), Buffer.from('cd')]),
    })
    expect(upstream.last.body.toString()).toBe('abcd')
    expect(upstream.last.headers['transfer-encoding']).toBe('chunked')
    expect(reply).toMatchObject({ status: 201, text: 'done', trailers: { 'x-sum': '7' }, complete: true })
    expect(reply.informational.map((each) => each.statusCode)).toEqual([103])
  })

  test('sees a client that leaves before the answer', async () => {
    const upstream = await using(startUpstream(() => {}))
    const abort = new AbortController()
    const reply = request(upstream.url, { signal: abort.signal })
    reply.catch(() => {})
    await eventually(() => upstream.requests.length === 1)
    expect(upstream.last.aborted).toBe(false)
    abort.abort()
    await expect(reply).rejects.toThrow('aborted')
    await eventually(() => upstream.last.aborted)
  })

  test('speaks TLS that the CA of the kit vouches for', async () => {
    const upstream = await using(startUpstream(undefined, { tls: true }))
    expect(upstream.url).toMatch(/^https:/)
    const reply = await request(upstream.url, { ca: certificates().ca.cert })
    expect(reply.status).toBe(200)
    await expect(request(upstream.url)).rejects.toThrow(/certificate/)
  })

  test('speaks HTTP/2 and HTTP/1.1 by ALPN', async () => {
    const upstream = await using(startUpstream(undefined, { http2: true }))
    const ca = certificates().ca.cert
    expect((await request(upstream.url, { ca })).status).toBe(200)
    const session = http2.connect(upstream.url, { ca })
    const stream = session.request({ ':path': '/two', ':method': 'POST' })
    stream.end('xyz')
    const [headers] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders]
    stream.resume()
    await once(stream, 'close')
    session.close()
    expect(headers[':status']).toBe(200)
    expect(upstream.last).toMatchObject({ url: '/two', httpVersion: '2.0' })
    expect(upstream.last.body.toString()).toBe('xyz')
  })

  test('listens on a Unix socket', async () => {
    const socketPath = path.join(os.tmpdir(), `postern-kit-${process.pid}.sock`)
    const upstream = await using(startUpstream(undefined, { socketPath }))
    expect(upstream.url).toBe(`unix:${socketPath}`)
    const socket = net.connect(socketPath)
    socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
    const [bytes] = (await once(socket, 'data')) as [Buffer]
    socket.destroy()
    expect(bytes.toString()).toMatch(/^HTTP\/1\.1 200/)
  })
})

describe('certificates', () => {
  const ca = certificates().ca.cert
  const verdict = async (tls: https.ServerOptions, client: object = {}) => {
    const served = await using(serve((_req, res) => void res.end('ok'), { tls }))
    return request(served.url, { ca, ...client }).then(
      (reply) => reply.status,
      (error: NodeJS.ErrnoException) => error.code,
    )
  }

  test('each server certificate gets the verdict that its name says', async () => {
    const { server, expired, wrongHost, selfSigned } = certificates()
    expect(await verdict(server)).toBe(200)
    expect(await verdict(expired)).toBe('CERT_HAS_EXPIRED')
    expect(await verdict(wrongHost)).toBe('ERR_TLS_CERT_ALTNAME_INVALID')
    expect(await verdict(selfSigned)).toBe('DEPTH_ZERO_SELF_SIGNED_CERT')
  })

  test('mutual TLS takes the client certificate and refuses the strange one', async () => {
    const { server, client, strangeClient } = certificates()
    const mutual = { ...server, ca, requestCert: true, rejectUnauthorized: true }
    expect(await verdict(mutual, client)).toBe(200)
    expect(await verdict(mutual, strangeClient)).not.toBe(200)
    expect(await verdict(mutual)).not.toBe(200)
  })
})

describe('raw upstream scripts', () => {
  test('answer serves several requests on one connection', async () => {
    const upstream = await using(startRawUpstream(answer()))
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    expect((await request(upstream.url, { agent })).text).toBe('ok')
    expect((await request(upstream.url, { agent, method: 'POST', body: 'abc' })).text).toBe('ok')
    agent.destroy()
    expect(upstream.connections).toHaveLength(1)
    expect(upstream.received).toContain('\r\n\r\nabc')
    await eventually(() => upstream.sockets === 0)
  })

  test('a cut body is seen as incomplete, with either framing and either ending', async () => {
    for (const framing of ['content-length', 'chunked'] as const) {
      for (const ending of ['close', 'reset'] as const) {
        const upstream = await using(startRawUpstream(cutBody(framing, ending)))
        const reply = await request(upstream.url)
        expect(reply, `${framing} ${ending}`).toMatchObject({
          status: 200,
          text: 'hello',
          complete: false,
          aborted: true,
        })
      }
    }
  })

  test.each([
    ['resetAtOnce', resetAtOnce(), /ECONNRESET|socket hang up/],
    ['resetUnanswered', resetUnanswered(), /ECONNRESET|socket hang up/],
    ['half a head, then closed', halfHead('close'), /ECONNRESET|socket hang up|Parse Error/],
  ])('%s gives no answer', async (_name, script, message) => {
    const upstream = await using(startRawUpstream(script))
    await expect(request(upstream.url)).rejects.toThrow(message)
  })

  test('a dribbled answer arrives whole', async () => {
    const upstream = await using(startRawUpstream(dribble(rawResponse('slow'), 1)))
    expect((await request(upstream.url)).text).toBe('slow')
  })

  test('interim responses come in front of the final one', async () => {
    const upstream = await using(startRawUpstream(interimStorm(5)))
    const reply = await request(upstream.url)
    expect(reply.informational).toHaveLength(5)
    expect(reply.status).toBe(200)
  })

  test('a stale connection serves once and resets as it is reused', async () => {
    const upstream = await using(startRawUpstream(staleOnReuse()))
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    expect((await request(upstream.url, { agent })).text).toBe('ok')
    await expect(request(upstream.url, { agent })).rejects.toThrow(/ECONNRESET|socket hang up/)
    agent.destroy()
  })

  test('scripts by connection: the first closes, the rest answer', async () => {
    const upstream = await using(startRawUpstream([resetAtOnce(), answer()]))
    await expect(request(upstream.url)).rejects.toThrow()
    expect((await request(upstream.url)).status).toBe(200)
    expect((await request(upstream.url)).status).toBe(200)
  })

  test('a bad status and extra bytes stand on the wire as written', async () => {
    const bad = await using(startRawUpstream(badStatus('1000')))
    expect((await rawRequest(bad.port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n', { timeoutMs: 100 })).text).toMatch(
      /^HTTP\/1\.1 1000 /,
    )
    const extra = await using(startRawUpstream(extraBytes()))
    const { parsed } = await rawRequest(extra.port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n', { responses: 2 })
    expect(parsed.responses.map((each) => each.body.toString())).toEqual(['ok', 'poison'])
  })
})

describe('addresses', () => {
  test('refusedPort refuses', async () => {
    const { url } = await using(refusedPort())
    await expect(request(url)).rejects.toThrow('ECONNREFUSED')
  })

  test('blackholeTarget lets every connection hang', async () => {
    const { port } = await using(blackholeTarget())
    const sockets = [0, 1, 2].map(() => net.connect(port, '127.0.0.1').on('error', () => {}))
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(sockets.map((socket) => socket.connecting)).toEqual([true, true, true])
    for (const socket of sockets) socket.destroy()
  })
})

describe('rawRequest and parseResponses', () => {
  test('reads until the server closes', async () => {
    const upstream = await using(startRawUpstream(answerThenClose('HTTP/1.1 200 OK\r\n\r\nto the end')))
    const reply = await rawRequest(upstream.port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    expect(reply.endedBy).toBe('end')
    expect(reply.response).toMatchObject({ status: 200, framing: 'close', complete: true })
    expect(reply.response.body.toString()).toBe('to the end')
  })

  test('sends a list in parts', async () => {
    const upstream = await using(startUpstream())
    const reply = await rawRequest(
      upstream.port,
      ['POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n', 'ab', 'cd'],
      { responses: 1, gapMs: 5 },
    )
    expect(reply.endedBy).toBe('responses')
    expect(upstream.last.body.toString()).toBe('abcd')
  })

  const parse = (text: string, options?: kit.ParseResponsesOptions) =>
    parseResponses(Buffer.from(text, 'latin1'), options)

  test('keeps pipelined responses apart and knows HEAD', () => {
    const { responses, leftover, fault } = parse(
      'HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n' +
        'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nX-T: 1\r\n\r\nHTTP/1.1 20',
      { methods: ['HEAD', 'GET'] },
    )
    expect(responses.map((each) => [each.status, each.framing, each.body.toString(), each.complete])).toEqual([
      [103, 'none', '', true],
      [200, 'none', '', true],
      [200, 'chunked', 'abc', true],
    ])
    expect(responses[2]!.trailers).toEqual({ 'x-t': '1' })
    expect(leftover.toString()).toBe('HTTP/1.1 20')
    expect(fault).toBeUndefined()
  })

  test.each([
    ['a short body', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc'],
    ['no last chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n'],
    ['a chunk cut', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc'],
    ['no trailer end', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n'],
    ['a body to the end of an open connection', 'HTTP/1.1 200 OK\r\n\r\nabc'],
  ])('%s is not complete', (_name, text) => {
    const { responses } = parse(text)
    expect(responses).toHaveLength(1)
    expect(responses[0]!.complete).toBe(false)
    expect(responses[0]!.body.toString()).toBe('abc')
  })

  test.each([
    ['both framings', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab'],
    ['a bare LF', 'HTTP/1.1 200 OK\nX: 1\r\n\r\n'],
    ['a fold', 'HTTP/1.1 200 OK\r\nX: 1\r\n 2\r\n\r\n'],
    ['a four-digit status', 'HTTP/1.1 1000 OK\r\n\r\n'],
    ['text behind the end', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nError\r\n\r\n'],
    ['a bad chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n'],
  ])('%s is a fault', (_name, text) => {
    expect(parse(text).fault).toBeTypeOf('string')
  })
})

describe('the rest', () => {
  test('serve serves an Express app', async () => {
    const app = express()
    app.get('/x', (_req, res) => void res.send('from express'))
    const served = await using(serve(app))
    expect((await request(`${served.url}/x`)).text).toBe('from express')
  })

  test('a WebSocket echoes, chooses a protocol, compresses and closes', async () => {
    const upstream = await using(startWebSocketUpstream())
    const ws = await connectWebSocket(upstream.wsUrl, ['chat', 'other'])
    ws.send('hello')
    expect((await ws.next()).data.toString()).toBe('hello')
    expect(ws.protocol).toBe('chat')
    expect(ws.extensions).toContain('permessage-deflate')
    expect(await ws.close(4000)).toMatchObject({ code: 4000 })
    await eventually(() => expect(upstream.webSockets[0]!.end).toMatchObject({ code: 4000 }))
  })

  test('a refused handshake tells status and body', async () => {
    const served = await using(serve((_req, res) => void res.writeHead(403).end('no')))
    const refusal = await connectWebSocket(served.url).catch((error: unknown) => error)
    expect(refusal).toBeInstanceOf(HandshakeRefused)
    expect(refusal).toMatchObject({ status: 403, body: 'no' })
  })

  test('eventually gives the last reason when it gives up', async () => {
    await expect(eventually(() => expect(1).toBe(2), { timeoutMs: 20 })).rejects.toThrow('expected 1 to be 2')
    await expect(eventually(() => false, { timeoutMs: 20 })).rejects.toThrow('still false')
  })

  test('unhandled is silent about what was handled', async () => {
    const recorder = unhandled()
    await Promise.reject(new Error('handled')).catch(() => {})
    expect(await recorder.stop()).toEqual([])
  })

  test('unhandled records what nobody handles', async () => {
    const others = process.listeners('unhandledRejection')
    process.removeAllListeners('unhandledRejection')
    try {
      const recorder = unhandled()
      void Promise.reject(new Error('lost'))
      expect(await recorder.stop()).toMatchObject([{ message: 'lost' }])
    } finally {
      for (const other of others) process.on('unhandledRejection', other)
    }
  })
})

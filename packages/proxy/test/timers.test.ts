import { Readable } from 'node:stream'
import {
  blackholeTarget,
  eventually,
  halfHead,
  neverAnswer,
  neverRead,
  rawRequest,
  request,
  startRawUpstream,
  startUpstream,
} from '@postern/test-kit'
import { describe, expect, test } from 'vitest'
import { gate, rawClient, startApp, using } from './behaviour.ts'

/** All timers far away, so that a test sees the one that it sets. */
const FAR = { queueMs: 20_000, connectMs: 20_000, headersMs: 20_000, bodyIdleMs: 20_000, totalMs: 0 }

describe('the queue timer', () => {
  test('503 queue_timeout with Retry-After; the one in flight is served on', async () => {
    const hold = gate()
    const upstream = await using(startUpstream((_req, res) => void hold.promise.then(() => res.end('held'))))
    const app = await startApp({
      to: upstream.url,
      proxy: { timeouts: { ...FAR, queueMs: 50 }, connections: { max: 1 } },
    })
    const first = request(app.url)
    await eventually(() => expect(upstream.requests.length).toBe(1))
    const second = await request(app.url)
    expect(second.status).toBe(503)
    expect(second.headers['retry-after']).toMatch(/^[1-9]/)
    expect(second.headers['proxy-status']).toBe('postern; error=queue_timeout')
    expect(app.exchanges[1]!.failure).toMatchObject({ type: 'queue_timeout', phase: 'queue', side: 'gateway' })
    expect(app.exchanges[1]!.attempts[0]!.failure).toBe(app.exchanges[1]!.failure)
    hold.open()
    expect((await first).text).toBe('held')
  })
})

describe('the connect timer', () => {
  test('504 connection_timeout where connecting neither succeeds nor fails', async () => {
    const nowhere = await using(blackholeTarget())
    const app = await startApp({ to: nowhere.url, proxy: { timeouts: { ...FAR, connectMs: 100 } } })
    const reply = await request(app.url)
    expect(reply.status).toBe(504)
    expect(reply.headers['proxy-status']).toBe('postern; error=connection_timeout')
    expect(app.exchanges[0]!.attempts).toMatchObject([{ failure: { type: 'connection_timeout', phase: 'connect' } }])
    expect(app.outcomes).toMatchObject([{ type: 'connection_timeout', side: 'upstream' }])
  })

  test('places are free again behind it', async () => {
    const nowhere = await using(blackholeTarget())
    const app = await startApp({
      to: nowhere.url,
      proxy: { timeouts: { ...FAR, connectMs: 60 }, connections: { max: 1 } },
    })
    for (let i = 0; i < 3; i++) expect((await request(app.url)).status).toBe(504)
    expect(app.handler.stats).toMatchObject({ active: 0, targets: [{ inFlight: 0, queued: 0 }] })
  })
})

describe('the headers timer', () => {
  test.each([
    ['nothing', neverAnswer()],
    ['half a head', halfHead()],
  ])('504 http_response_timeout when %s comes, and the connection is given up', async (_name, script) => {
    const upstream = await using(startRawUpstream(script))
    const app = await startApp({ to: upstream.url, proxy: { timeouts: { ...FAR, headersMs: 60 } } })
    const reply = await request(app.url)
    expect(reply.status).toBe(504)
    expect(app.exchanges[0]!.failure).toMatchObject({ type: 'http_response_timeout', phase: 'headers' })
    await eventually(() => expect(upstream.sockets).toBe(0))
  })

  test('does not run while the client still uploads', async () => {
    const upstream = await using(startUpstream())
    const app = await startApp({ to: upstream.url, proxy: { timeouts: { ...FAR, headersMs: 400 } } })
    const body = new Readable({ read() {} })
    const replied = request(app.url, { method: 'POST', body })
    for (let i = 0; i < 8; i++) {
      body.push('x')
      await eventually(() => expect(upstream.last.body.length).toBe(i + 1))
      await pause(80)
    }
    body.push(null)
    expect(await replied).toMatchObject({ status: 200 })
  })

  test('runs from the end of the upload', async () => {
    const upstream = await using(startRawUpstream(neverAnswer()))
    const app = await startApp({ to: upstream.url, proxy: { timeouts: { ...FAR, headersMs: 60 } } })
    const reply = await request(app.url, { method: 'POST', body: 'all of it' })
    expect(reply.status).toBe(504)
    expect(app.exchanges[0]!.failure).toMatchObject({ type: 'http_response_timeout', phase: 'headers' })
  })
})

describe('the body idle timer', () => {
  test.each(['content-length', 'chunked'])('an answer (%s) that stops is cut', async (framing) => {
    const upstream = await using(
      startUpstream((_req, res) => {
        if (framing === 'content-length') res.setHeader('content-length', 100)
        res.write('begun')
      }),
    )
    const app = await startApp({ to: upstream.url, proxy: { timeouts: { ...FAR, bodyIdleMs: 60 } } })
    const reply = await request(app.url)
    expect(reply).toMatchObject({ status: 200, text: 'begun', complete: false })
    expect(app.exchanges[0]!.failure).toMatchObject({
      type: 'connection_read_timeout',
      phase: 'body',
      side: 'upstream',
    })
    await eventually(() => expect(upstream.sockets).toBe(0))
  })

  test('an answer that goes on, however slowly, is not', async () => {
    const upstream = await using(
      startUpstream(async (_req, res) => {
        for (let i = 0; i < 10; i++) {
          res.write('.')
          await pause(60)
        }
        res.end()
      }),
    )
    const app = await startApp({ to: upstream.url, proxy: { timeouts: { ...FAR, bodyIdleMs: 400 } } })
    expect(await request(app.url)).toMatchObject({ text: '..........', complete: true })
  })

  test('an upload that stops is answered 408 and the connection closed', async () => {
    const upstream = await using(startUpstream())
    const app = await startApp({ to: upstream.url, proxy: { timeouts: { ...FAR, bodyIdleMs: 60 } } })
    const reply = await rawRequest(app.port, 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nbegun')
    expect(reply.response.status).toBe(408)
    expect(reply.response.headers.connection).toBe('close')
    expect(reply.endedBy).not.toBe('timeout')
    expect(app.exchanges[0]!.failure).toMatchObject({ type: 'client_timeout', phase: 'request', side: 'client' })
    await eventually(() => expect(upstream.sockets).toBe(0))
  })

  test('an upload that the upstream does not take is a 504, and not the client’s fault', async () => {
    const upstream = await using(startRawUpstream(neverRead()))
    const app = await startApp({ to: upstream.url, proxy: { timeouts: { ...FAR, bodyIdleMs: 150 } } })
    const client = await rawClient(app.port, 'POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n')
    const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`
    for (let i = 0; i < 400; i++) client.socket.write(chunk)
    await client.has('504 Gateway Timeout')
    expect(app.exchanges[0]!.failure).toMatchObject({ type: 'connection_write_timeout', side: 'upstream' })
  })

  test('a client that does not take its answer is cut, and the upstream is let go', async () => {
    const upstream = await using(startUpstream((_req, res) => void res.end(Buffer.alloc(64 << 20))))
    const app = await startApp({ to: upstream.url, proxy: { timeouts: { ...FAR, bodyIdleMs: 150 } } })
    const client = await rawClient(app.port, 'GET / HTTP/1.1\r\nhost: a\r\n\r\n')
    await client.has('200 OK')
    client.socket.pause()
    await eventually(() =>
      expect(app.exchanges[0]!.failure).toMatchObject({ type: 'client_timeout', phase: 'body', side: 'client' }),
    )
    await eventually(() => expect(upstream.sockets).toBe(0))
    await eventually(() => expect(app.sockets).toBe(0))
  })

  // The hook of the app took its time; nobody was idle. The client was told 408.
  test('does not run while a hook of the app waits', async () => {
    const upstream = await using(startUpstream())
    const onResponse = () => pause(700)
    const app = await startApp({ to: upstream.url, proxy: { timeouts: { ...FAR, bodyIdleMs: 300 }, onResponse } })
    expect(await request(app.url)).toMatchObject({ status: 200, complete: true })
    const big = await using(startUpstream((_req, res) => void res.end(Buffer.alloc(1 << 20))))
    const other = await startApp({ to: big.url, proxy: { timeouts: { ...FAR, bodyIdleMs: 300 }, onResponse } })
    expect(await request(other.url)).toMatchObject({ status: 200, complete: true })
  })
})

describe('the total timer', () => {
  test('504 deadline_exceeded before the head', async () => {
    const upstream = await using(startRawUpstream(neverAnswer()))
    const app = await startApp({ to: upstream.url, proxy: { timeouts: { ...FAR, totalMs: 60 } } })
    const reply = await request(app.url)
    expect(reply.status).toBe(504)
    expect(app.exchanges[0]!.attempts).toMatchObject([{ failure: { type: 'deadline_exceeded', side: 'gateway' } }])
    expect(app.outcomes).toMatchObject([{ type: 'deadline_exceeded' }])
    await eventually(() => expect(upstream.sockets).toBe(0))
  })

  test('a cut behind the head, though bytes keep coming', async () => {
    const upstream = await using(
      startUpstream((_req, res) => {
        const timer = setInterval(() => res.write('.'), 10)
        res.once('close', () => clearInterval(timer))
      }),
    )
    const app = await startApp({ to: upstream.url, proxy: { timeouts: { ...FAR, totalMs: 300 } } })
    expect(await request(app.url)).toMatchObject({ status: 200, complete: false })
    expect(app.exchanges[0]!.failure).toMatchObject({ type: 'deadline_exceeded', phase: 'body' })
  })

  test('504 while the request waits in the queue, which it then leaves', async () => {
    const upstream = await using(startRawUpstream(neverAnswer()))
    const app = await startApp({
      to: upstream.url,
      proxy: { timeouts: { ...FAR, totalMs: 80 }, connections: { max: 1 } },
    })
    const replies = await Promise.all([request(app.url), request(app.url)])
    expect(replies.map((reply) => reply.status)).toEqual([504, 504])
    // The place of the first may be the second's for a moment; nobody keeps one.
    expect(app.handler.stats).toMatchObject({ active: 0, targets: [{ inFlight: 0, queued: 0 }] })
  })

  test('504 while a hook waits, and nothing is sent when it is done', async () => {
    const upstream = await using(startUpstream())
    const hook = gate()
    const app = await startApp({
      to: upstream.url,
      proxy: { timeouts: { ...FAR, totalMs: 60 }, onRequest: () => hook.promise },
    })
    expect((await request(app.url)).status).toBe(504)
    hook.open()
    await pause(30)
    expect(upstream.requests).toEqual([])
    expect(app.outcomes).toEqual([])
  })

  test('0 switches each of them off', async () => {
    const upstream = await using(
      startUpstream(async (_req, res) => {
        await pause(60)
        res.write('a')
        await pause(60)
        res.end('b')
      }),
    )
    const timeouts = { queueMs: 0, connectMs: 0, headersMs: 0, bodyIdleMs: 0, totalMs: 0 }
    const app = await startApp({ to: upstream.url, proxy: { timeouts } })
    expect(await request(app.url)).toMatchObject({ text: 'ab', complete: true })
  })
})

function pause(ms: number): Promise<void> {
  const over = gate()
  setTimeout(over.open, ms)
  return over.promise
}

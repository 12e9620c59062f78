import type http from 'node:http'
import { eventually, request, startUpstream } from '@postern/test-kit'
import { describe, expect, test } from 'vitest'
import { gate, rawClient, startApp, using } from './behaviour.ts'

/** An upstream of server-sent events; the test writes them. */
async function startEvents(type = 'text/event-stream') {
  const streams: http.ServerResponse[] = []
  const upstream = await using(
    startUpstream((_req, res) => {
      res.writeHead(200, { 'content-type': type, 'cache-control': 'no-cache' })
      res.flushHeaders()
      streams.push(res)
    }),
  )
  return { upstream, streams }
}

function pause(ms: number): Promise<void> {
  const over = gate()
  setTimeout(over.open, ms)
  return over.promise
}

describe('server-sent events', () => {
  test('the head arrives before any event does', async () => {
    const { upstream, streams } = await startEvents()
    const app = await startApp({ to: upstream.url })
    const client = await rawClient(app.port, 'GET /events HTTP/1.1\r\nhost: a\r\n\r\n')
    await client.has('content-type: text/event-stream')
    expect(streams.length).toBe(1)
  })

  test.each([['text/event-stream'], ['text/event-stream; charset=utf-8'], ['application/grpc-web+proto']])(
    '%s, silent far longer than the idle timer, is not cut',
    async (type) => {
      const { upstream, streams } = await startEvents(type)
      const app = await startApp({ to: upstream.url, proxy: { timeouts: { bodyIdleMs: 30, headersMs: 5_000 } } })
      const client = await rawClient(app.port, 'GET /events HTTP/1.1\r\nhost: a\r\n\r\n')
      await client.has('200 OK')
      await pause(250)
      streams[0]!.write('data: late\n\n')
      await client.has('data: late')
      expect(client.closed).toBe(false)
      streams[0]!.end()
      await eventually(() => expect(app.outcomes).toMatchObject([{ status: 200 }]))
    },
  )

  test('another type, silent so long, is cut: the rule is for streams of events alone', async () => {
    const { upstream, streams } = await startEvents('text/plain')
    const app = await startApp({ to: upstream.url, proxy: { timeouts: { bodyIdleMs: 60 } } })
    const reply = await request(app.url, { onResponse: () => void streams[0]!.write('begun') })
    expect(reply).toMatchObject({ text: 'begun', complete: false })
    expect(app.exchanges[0]!.failure).toMatchObject({ type: 'connection_read_timeout', phase: 'body' })
  })

  test('each small event arrives before the next is written', async () => {
    const { upstream, streams } = await startEvents()
    const app = await startApp({ to: upstream.url })
    const client = await rawClient(app.port, 'GET /events HTTP/1.1\r\nhost: a\r\n\r\n')
    await client.has('200 OK')
    for (let i = 0; i < 20; i++) {
      streams[0]!.write(`data: ${i}\n\n`)
      await client.has(`data: ${i}\n\n`)
    }
  })

  test('a client that leaves cancels the upstream, and is nobody’s failure', async () => {
    const { upstream, streams } = await startEvents()
    const app = await startApp({ to: upstream.url })
    const client = await rawClient(app.port, 'GET /events HTTP/1.1\r\nhost: a\r\n\r\n')
    await client.has('200 OK')
    streams[0]!.write('data: 1\n\n')
    await client.has('data: 1')
    client.socket.destroy()
    await eventually(() => expect(upstream.requests[0]!.aborted).toBe(true), { timeoutMs: 1_000 })
    await eventually(() => expect(upstream.sockets).toBe(0))
    await eventually(() => expect(app.outcomes).toMatchObject([{ type: 'client_aborted', side: 'client' }]))
    await eventually(() => expect(app.handler.stats).toMatchObject({ active: 0, targets: [{ inFlight: 0 }] }))
  })

  test('an upstream that breaks off cuts the client, so that the end looks like none', async () => {
    const { upstream, streams } = await startEvents()
    const app = await startApp({ to: upstream.url })
    const replied = request(app.url, { onResponse: () => void streams[0]!.write('data: 1\n\n') })
    await eventually(() => expect(streams.length).toBe(1))
    await eventually(() => expect(app.exchanges[0]!.responseBodyBytes).toBe(9))
    upstream.cut()
    expect(await replied).toMatchObject({ text: 'data: 1\n\n', complete: false })
    expect(app.exchanges[0]!.failure).toMatchObject({ type: 'http_response_incomplete', side: 'upstream' })
  })

  test('the total timer, when it is on, ends them too', async () => {
    const { upstream } = await startEvents()
    const app = await startApp({ to: upstream.url, proxy: { timeouts: { totalMs: 300 } } })
    const reply = await request(app.url)
    expect(reply).toMatchObject({ status: 200, complete: false })
    expect(app.exchanges[0]!.failure).toMatchObject({ type: 'deadline_exceeded', phase: 'body', side: 'gateway' })
  })
})

import { createHash, randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { certificates, eventually, type RecordedRequest, request, startUpstream, valuesOf } from '@postern/test-kit'
import { describe, expect, test } from 'vitest'
import { gateway, using } from '../support/gateway.ts'

const { ca } = certificates()

/** A gateway that offers HTTP/2 to a target which takes it. */
async function start(handler?: Parameters<typeof startUpstream>[0], options: Parameters<typeof startUpstream>[1] = {}) {
  const upstream = await using(startUpstream(handler, { http2: true, ...options }))
  const gate = await gateway({ via: 'undici', target: upstream.url, tls: { ca: ca.cert }, allowH2: true })
  return { upstream, gate, last: (): RecordedRequest => upstream.requests.at(-1)! }
}

describe('a target that speaks HTTP/2', () => {
  test('is spoken to in HTTP/2, over one connection for many requests at a time', async () => {
    const { upstream, gate } = await start()
    const replies = await Promise.all(Array.from({ length: 20 }, (_, i) => request(`${gate.url}/${i}?q=${i}`)))
    expect(replies.every((reply) => reply.status === 200 && reply.complete)).toBe(true)
    expect(new Set(upstream.requests.map((seen) => seen.httpVersion))).toEqual(new Set(['2.0']))
    expect(new Set(upstream.requests.map((seen) => seen.url)).size).toBe(20)
    expect(upstream.connections).toBe(1)
  })

  test('gets bodies of any length byte for byte, with and without an announced length', async () => {
    const { gate, last } = await start((req, res) => {
      req.on('end', () => void res.end('thanks'))
      req.resume()
    })
    const body = randomBytes(3_000_000)
    for (const sent of [body, Readable.from([body.subarray(0, 1_000_000), body.subarray(1_000_000)])]) {
      const reply = await request(gate.url, { method: 'POST', body: sent })
      expect(reply.text).toBe('thanks')
      expect(createHash('sha256').update(last().body).digest('hex')).toBe(
        createHash('sha256').update(body).digest('hex'),
      )
    }
  })

  test('sends bodies of any length back, and HEAD and 204 without one', async () => {
    const body = randomBytes(3_000_000)
    const { gate } = await start((req, res) => {
      if (req.url === '/none') res.writeHead(204).end()
      else res.end(body)
    })
    expect((await request(gate.url)).body.equals(body)).toBe(true)
    expect(await request(gate.url, { method: 'HEAD' })).toMatchObject({ status: 200, text: '', complete: true })
    expect(await request(`${gate.url}/none`)).toMatchObject({ status: 204, text: '', complete: true })
  })

  test('gets no hop-by-hop header, and who the client is as ever', async () => {
    const { gate, last } = await start()
    await request(gate.url, {
      headers: { connection: 'close, x-hop', 'x-hop': '1', 'x-forwarded-for': '6.6.6.6', 'x-kept': '1' },
    })
    const { headers } = last()
    expect(headers['x-hop']).toBeUndefined()
    expect(headers['x-kept']).toBe('1')
    expect(headers['x-forwarded-for']).toBe('127.0.0.1')
    expect(valuesOf(last().rawHeaders, 'via')).toEqual(['1.1 postern'])
  })

  test('keeps several Set-Cookie lines apart', async () => {
    const { gate } = await start((_req, res) => {
      res.setHeader('set-cookie', ['a=1', 'b=2'])
      res.end()
    })
    expect((await request(gate.url)).headers['set-cookie']).toEqual(['a=1', 'b=2'])
  })

  test('that resets the stream in the middle of a body has the client cut, never a short body that looks whole', async () => {
    const { gate } = await start((_req, res) => {
      res.write('half')
      setTimeout(() => res.destroy(new Error('broken')), 20)
    })
    const reply = await request(gate.url).catch((error: Error) => error)
    if (!(reply instanceof Error)) expect(reply.complete).toBe(false)
    await eventually(() => expect(gate.settled).toHaveLength(1))
    expect(gate.settled[0]!.outcome).toMatchObject({
      type: 'http_response_incomplete',
      phase: 'body',
      side: 'upstream',
    })
  })

  test('hears at once of a client that leaves', async () => {
    let isReset = false
    const { gate, upstream } = await start((req) => {
      req.on('aborted', () => {
        isReset = true
      })
    })
    const leave = new AbortController()
    const reply = request(gate.url, { signal: leave.signal }).catch(() => {})
    await eventually(() => expect(upstream.requests).toHaveLength(1))
    leave.abort()
    await reply
    await eventually(() => expect(isReset).toBe(true))
    expect(gate.settled[0]!.outcome).toMatchObject({ type: 'client_aborted', side: 'client' })
  })
})

test('a target that does not take the offer is spoken to in HTTP/1.1', async () => {
  const upstream = await using(startUpstream(undefined, { tls: true }))
  const gate = await gateway({ via: 'undici', target: upstream.url, tls: { ca: ca.cert }, allowH2: true })
  expect((await request(gate.url, { method: 'POST', body: 'x' })).status).toBe(200)
  expect(upstream.requests[0]!.httpVersion).toBe('1.1')
})

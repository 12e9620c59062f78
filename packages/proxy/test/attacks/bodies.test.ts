import type { IncomingMessage } from 'node:http'
import { Transform } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { exchangeOf } from '@postern/contracts'
import { answerThen, neverRead, rawResponse } from '@postern/test-kit'
import express from 'express'
import { describe, expect, it } from 'vitest'
import { firstSeen, type Gate, gate, head, seenValues } from './support.ts'

function post(body: string, ...lines: string[]): string {
  const length = Buffer.byteLength(body, 'latin1')
  return `${head('POST /x HTTP/1.1', 'Host: a', ...lines, `Content-Length: ${length}`)}${body}`
}

function inChunks(body: string, ...lines: string[]): string {
  const chunks = `${Buffer.byteLength(body, 'latin1').toString(16)}\r\n${body}\r\n0\r\n\r\n`
  return `${head('POST /x HTTP/1.1', 'Host: a', ...lines, 'Transfer-Encoding: chunked')}${chunks}`
}

async function send(gateway: Gate, bytes: string): Promise<number> {
  return (await gateway.ask(bytes, { responses: 1 })).response.status
}

const JSON_TYPE = 'Content-Type: application/json'
const FORM_TYPE = 'Content-Type: application/x-www-form-urlencoded'
const ODD_JSON = '{ "b" : 1.0, "a":[ 1e3 ], "b": "\\u0041" }'

describe('A body that nobody has parsed', () => {
  it.each([
    ['with a length', post],
    ['in chunks', inChunks],
  ])('%s goes on byte for byte, also behind parsers of other types', async (_how, make) => {
    const gateway = await gate({ before: [express.json(), express.urlencoded({ extended: true })] })
    const every = Array.from({ length: 256 }, (_, i) => String.fromCharCode(i)).join('')
    expect(await send(gateway, make(every, 'Content-Type: application/octet-stream'))).toBe(200)
    expect(firstSeen(gateway).rest).toContain(every)
  })

  it('keeps its content coding: nothing is inflated', async () => {
    const gateway = await gate()
    const bomb = gzipSync(Buffer.alloc(1_000_000)).toString('latin1')
    expect(await send(gateway, post(bomb, JSON_TYPE, 'Content-Encoding: gzip'))).toBe(200)
    expect(firstSeen(gateway).rest).toBe(bomb)
    expect(seenValues(gateway, 'content-encoding')).toEqual(['gzip'])
  })

  it('of JSON that a parser would choke on is none of the gateway’s business', async () => {
    const gateway = await gate()
    const deep = '['.repeat(50_000)
    expect(await send(gateway, post(deep, JSON_TYPE))).toBe(200)
    expect(firstSeen(gateway).rest).toBe(deep)
  })
})

describe('A body that a parser has read', () => {
  it('is written once more, with its own length', async () => {
    const gateway = await gate({ before: [express.json()] })
    expect(await send(gateway, post(ODD_JSON, JSON_TYPE))).toBe(200)
    expect(firstSeen(gateway).rest).toBe('{"b":"A","a":[1000]}')
    expect(seenValues(gateway, 'content-length')).toEqual(['20'])
    expect(seenValues(gateway, 'transfer-encoding')).toEqual([])
  })

  it('in chunks is written with a length', async () => {
    const gateway = await gate({ before: [express.json()] })
    expect(await send(gateway, inChunks('{"a":1}', JSON_TYPE))).toBe(200)
    expect(firstSeen(gateway).rest).toBe('{"a":1}')
    expect(seenValues(gateway, 'content-length')).toEqual(['7'])
    expect(seenValues(gateway, 'transfer-encoding')).toEqual([])
  })

  const keepBytes = (req: IncomingMessage, _res: unknown, bytes: Buffer) => Object.assign(req, { rawBody: bytes })

  it('goes on byte for byte where the app kept the bytes', async () => {
    const gateway = await gate({ before: [express.json({ verify: keepBytes })] })
    expect(await send(gateway, post(ODD_JSON, JSON_TYPE))).toBe(200)
    expect(firstSeen(gateway).rest).toBe(ODD_JSON)
  })

  // `verify` sees the bytes behind the inflating: to call them gzip would hand the upstream a body that it cannot read.
  it.each([
    ['with a length', post],
    ['in chunks', inChunks],
  ])('compressed, %s, where the app kept the bytes, goes on inflated and says so', async (_how, make) => {
    const gateway = await gate({ before: [express.json({ verify: keepBytes })] })
    expect(await send(gateway, make(gzipSync(ODD_JSON).toString('latin1'), JSON_TYPE, 'Content-Encoding: gzip'))).toBe(
      200,
    )
    expect(firstSeen(gateway).rest).toBe(ODD_JSON)
    expect(seenValues(gateway, 'content-encoding')).toEqual([])
  })

  it('compressed is written inflated, and says so', async () => {
    const gateway = await gate({ before: [express.json()] })
    expect(await send(gateway, post(gzipSync('{"a":1}').toString('latin1'), JSON_TYPE, 'Content-Encoding: gzip'))).toBe(
      200,
    )
    expect(firstSeen(gateway).rest).toBe('{"a":1}')
    expect(seenValues(gateway, 'content-encoding')).toEqual([])
  })

  // A text parser mounted for JSON leaves the text itself, which is not to be quoted once more.
  it('as text stays that text, also when its type says JSON', async () => {
    const gateway = await gate({ before: [express.text({ type: '*/*' })] })
    expect(await send(gateway, post(ODD_JSON, JSON_TYPE))).toBe(200)
    expect(firstSeen(gateway).rest).toBe(ODD_JSON)
  })

  it('as text, its length unknown, its type JSON: it could be a JSON string as well, and is not guessed', async () => {
    const gateway = await gate({ before: [express.text({ type: '*/*' })] })
    expect(await send(gateway, inChunks(ODD_JSON, JSON_TYPE))).toBe(500)
    expect(gateway.upstream.received).toBe('')
  })

  it('as a bare JSON string is a JSON string again', async () => {
    const gateway = await gate({ before: [express.json({ strict: false })] })
    expect(await send(gateway, post('"a\\u0041"', JSON_TYPE))).toBe(200)
    expect(firstSeen(gateway).rest).toBe('"aA"')
  })

  it('as bytes goes on byte for byte', async () => {
    const gateway = await gate({ before: [express.raw({ type: '*/*' })] })
    expect(await send(gateway, post(ODD_JSON, JSON_TYPE))).toBe(200)
    expect(firstSeen(gateway).rest).toBe(ODD_JSON)
  })

  it.each([true, false])(
    'as a form cannot grow fields or lines by its names and values (extended: %s)',
    async (extended) => {
      const gateway = await gate({ before: [express.urlencoded({ extended })] })
      const form = 'a%0d%0aContent-Disposition%3a=1&b%26admin%3d1=2&c=%0d%0a--x&d=%3D%26%25%2B+'
      expect(await send(gateway, post(form, FORM_TYPE))).toBe(200)
      const { rest } = firstSeen(gateway)
      expect(rest).not.toMatch(/[\r\n]/)
      expect([...new URLSearchParams(rest)]).toEqual([...new URLSearchParams(form)])
      expect(seenValues(gateway, 'content-length')).toEqual([String(rest.length)])
    },
  )

  it('as a form is not confused by names of JavaScript itself', async () => {
    const gateway = await gate({ before: [express.urlencoded({ extended: true })] })
    expect(await send(gateway, post('__proto__[x]=1&constructor=2&hasOwnProperty=3', FORM_TYPE))).toBe(200)
    expect(({} as { x?: unknown }).x).toBeUndefined()
  })

  it('and not understood ends there: nothing is forwarded', async () => {
    const gateway = await gate({ before: [express.json()] })
    expect(await send(gateway, post('{"a":', JSON_TYPE))).toBe(400)
    expect(gateway.upstream.received).toBe('')
  })

  it('in part cannot be made again: a named error, nothing forwarded, nothing hangs', async () => {
    const gateway = await gate({
      before: [
        (req, _res, next) => {
          req.once('data', () => {
            req.pause()
            next()
          })
        },
      ],
    })
    const answered = await gateway.ask([post('x'.repeat(10)).slice(0, -5), 'xxxxx'], { responses: 1 })
    expect(answered.response.status).toBe(500)
    expect(JSON.parse(answered.response.body.toString())).toMatchObject({ code: 'body_already_read' })
    expect(gateway.upstream.received).toBe('')
  })

  it('by code that left nothing cannot be made again', async () => {
    const gateway = await gate({
      before: [
        (req, _res, next) => {
          req.resume()
          req.once('end', () => next())
        },
      ],
    })
    expect(await send(gateway, post('hello'))).toBe(500)
    expect(gateway.upstream.received).toBe('')
  })
})

describe('A body over the limit', () => {
  it('is refused by its Content-Length, before anything is read or sent', async () => {
    const gateway = await gate({ maxRequestBodyBytes: 10 })
    const answered = await gateway.ask(head('POST /x HTTP/1.1', 'Host: a', 'Content-Length: 11'), { responses: 1 })
    expect(answered.response.status).toBe(413)
    expect(gateway.upstream.received).toBe('')
  })

  it('is refused in chunks once it passes the limit, and the upstream never sees its end', async () => {
    const gateway = await gate({ maxRequestBodyBytes: 10 })
    const answered = await gateway.ask(
      [
        head('POST /x HTTP/1.1', 'Host: a', 'Transfer-Encoding: chunked'),
        '8\r\n12345678\r\n',
        '8\r\n12345678\r\n',
        '0\r\n\r\n',
      ],
      { responses: 1 },
    )
    expect(answered.response.status).toBe(413)
    await expect.poll(() => gateway.upstream.sockets).toBe(0)
    expect(gateway.upstream.received).toContain('12345678')
    expect(gateway.upstream.received).not.toMatch(/12345678[\s\S]*12345678|\r\n0\r\n/)
    expect(gateway.handler.stats.active).toBe(0)
  })

  it('of exactly the limit passes', async () => {
    const gateway = await gate({ maxRequestBodyBytes: 10 })
    expect(await send(gateway, inChunks('0123456789'))).toBe(200)
    expect(await send(gateway, post('0123456789'))).toBe(200)
  })

  it('is refused when a parser has read it', async () => {
    const gateway = await gate({ maxRequestBodyBytes: 10, before: [express.text()] })
    expect(await send(gateway, inChunks('0123456789!', 'Content-Type: text/plain'))).toBe(413)
    expect(gateway.upstream.received).toBe('')
  })
})

describe('The client’s connection, when its upload was given up half way,', () => {
  // An answer before the end of the upload leaves bytes on the connection: they are read and dropped, or the connection
  // is closed; never are they taken for the next request, and never does the next request hang behind them.
  const NEXT = head('GET /next HTTP/1.1', 'Host: a')

  async function goesOnOrCloses(gateway: Gate, upload: readonly string[], status: number): Promise<void> {
    const answered = await gateway.ask([...upload, NEXT], { responses: 2, timeoutMs: 5_000, gapMs: 50 })
    expect(answered.endedBy).not.toBe('timeout')
    const statuses = answered.parsed.responses.map((each) => each.status)
    expect(statuses[0]).toBe(status)
    // What stands in the body is read as a request by nobody.
    const later = gateway.upstream.connections.slice(status === 413 && gateway.upstream.connections.length < 2 ? 0 : 1)
    const seen = later.map((each) => each.received.toString('latin1')).join('')
    expect(seen.slice(0, 10)).toBe(statuses.length > 1 ? 'GET /next ' : '')
    expect(seen).not.toContain('/smuggled')
  }

  const big = `${head('GET /smuggled HTTP/1.1', 'Host: a')}`.padEnd(1_000_000, 'x')

  it('serves the next request or closes: the body was over the limit', async () => {
    const gateway = await gate({ maxRequestBodyBytes: 10 })
    await goesOnOrCloses(gateway, [inChunks(big)], 413)
  })

  it('serves the next request or closes: the body was over the limit by its length', async () => {
    const gateway = await gate({ maxRequestBodyBytes: 10 })
    await goesOnOrCloses(gateway, [post(big)], 413)
  })

  it('serves the next request or closes: the upstream reset the connection', async () => {
    const gateway = await gate({
      upstream: [
        async (connection) => {
          await connection.receivedBytes(300)
          connection.socket.resetAndDestroy()
        },
        answerThen(rawResponse(), 'wait'),
      ],
    })
    const cut = 500_000
    const whole = post(big)
    await goesOnOrCloses(gateway, [whole.slice(0, cut), whole.slice(cut)], 502)
  })

  it('serves the next request or closes: the upstream did not read, and time ran out', async () => {
    const gateway = await gate({
      upstream: [neverRead(), answerThen(rawResponse(), 'wait')],
      timeouts: { bodyIdleMs: 200 },
    })
    const answered = gateway.ask([post('y'.repeat(20_000_000)), NEXT], { responses: 2, timeoutMs: 8_000 })
    const { parsed, endedBy } = await answered
    expect(parsed.responses[0]?.status).toBe(504)
    expect(endedBy).not.toBe('timeout')
  })

  it('serves the next request or closes: the upstream answered early', async () => {
    const gateway = await gate({
      upstream: [
        async (connection) => {
          await connection.receivedBytes(300)
          connection.socket.write(rawResponse('too large', {}, '413 Content Too Large'))
        },
        answerThen(rawResponse(), 'wait'),
      ],
    })
    const whole = post(big)
    await goesOnOrCloses(gateway, [whole.slice(0, 500_000), whole.slice(500_000)], 413)
  })

  it('serves the next request or closes: a transform of the body failed', async () => {
    const gateway = await gate({
      transforms: {
        request: () => new Transform({ transform: (_chunk, _encoding, done) => done(new Error('broken')) }),
      },
    })
    const answered = await gateway.ask([post(big), NEXT], { responses: 2, timeoutMs: 5_000 })
    expect(answered.endedBy).not.toBe('timeout')
    expect(answered.parsed.responses[0]!.status).toBe(500)
  })

  it('is closed when the client stopped sending: the body will never be whole', async () => {
    const gateway = await gate({ timeouts: { bodyIdleMs: 100 } })
    const answered = await gateway.ask(head('POST /x HTTP/1.1', 'Host: a', 'Content-Length: 100'), { timeoutMs: 3_000 })
    expect(answered.response.status).toBe(408)
    expect(answered.endedBy).toBe('end')
    await expect.poll(() => gateway.upstream.sockets).toBe(0)
  })

  it('counts what was forwarded and nothing else', async () => {
    const counted: number[] = []
    const gateway = await gate({
      before: [
        (req, res, next) => {
          exchangeOf(req, res).observe({ onExchangeClosed: (exchange) => counted.push(exchange.requestBodyBytes) })
          next()
        },
      ],
    })
    expect(await send(gateway, inChunks('hello'))).toBe(200)
    await expect.poll(() => counted).toEqual([5])
  })
})

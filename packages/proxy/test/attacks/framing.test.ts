import { proxy } from '@postern/proxy'
import { answer, answerThen, rawRequest, rawResponse, serve, startRawUpstream } from '@postern/test-kit'
import express, { type ErrorRequestHandler } from 'express'
import { describe, expect, it } from 'vitest'
import {
  expectRefused,
  firstSeen,
  type Gate,
  gate,
  HOSTS,
  head,
  requestLines,
  SMUGGLED,
  seenValues,
  using,
} from './support.ts'

/*
 * Messages whose end two programs could see in different places. Whoever answers, Node's parser or the proxy: one error
 * answer, the connection closed, and not one byte upstream. Each request carries a second one, `/smuggled`, where the
 * wrong reading of its framing would find it.
 */

const CL_TE = 'a Content-Length together with Transfer-Encoding'
const chunked = `5\r\nhello\r\n0\r\n\r\n${SMUGGLED}`

interface Refusal {
  readonly name: string
  readonly bytes: string
  readonly statuses?: readonly number[]
}

function post(...lines: string[]): string {
  return head('POST /x HTTP/1.1', 'Host: a', ...lines)
}

const REFUSED: readonly Refusal[] = [
  // A1
  { name: `${CL_TE}, the length first`, bytes: `${post('Content-Length: 5', 'Transfer-Encoding: chunked')}${chunked}` },
  { name: `${CL_TE}, the length last`, bytes: `${post('Transfer-Encoding: chunked', 'Content-Length: 5')}${chunked}` },
  { name: `${CL_TE}, the length 0`, bytes: `${post('Content-Length: 0', 'Transfer-Encoding: chunked')}${chunked}` },
  // A2
  { name: 'a transfer coding "xchunked"', bytes: `${post('Transfer-Encoding: xchunked')}${chunked}` },
  { name: 'a transfer coding in quotes', bytes: `${post('Transfer-Encoding: "chunked"')}${chunked}` },
  {
    name: 'a transfer coding "chunked" twice in one line',
    bytes: `${post('Transfer-Encoding: chunked, chunked')}${chunked}`,
  },
  {
    name: 'two Transfer-Encoding lines',
    bytes: `${post('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked')}${chunked}`,
  },
  {
    name: 'two Transfer-Encoding lines, the second an unknown one',
    bytes: `${post('Transfer-Encoding: chunked', 'Transfer-Encoding: cow')}${chunked}`,
  },
  {
    name: 'two Transfer-Encoding lines, the first "identity"',
    bytes: `${post('Transfer-Encoding: identity', 'Transfer-Encoding: chunked')}${chunked}`,
  },
  { name: 'a transfer coding behind a vertical tab', bytes: `${post('Transfer-Encoding: \x0bchunked')}${chunked}` },
  { name: 'a transfer coding with a parameter', bytes: `${post('Transfer-Encoding: chunked;q=1')}${chunked}` },
  // A3
  {
    name: 'an empty Transfer-Encoding beside a Content-Length',
    bytes: `${post('Transfer-Encoding:', 'Content-Length: 5')}hello`,
  },
  { name: 'an empty Transfer-Encoding', bytes: `${post('Transfer-Encoding:')}${chunked}` },
  { name: 'a transfer coding "gzip"', bytes: `${post('Transfer-Encoding: gzip')}${chunked}` },
  { name: 'a transfer coding "gzip, chunked"', bytes: `${post('Transfer-Encoding: gzip, chunked')}${chunked}` },
  { name: 'a transfer coding "chunked, identity"', bytes: `${post('Transfer-Encoding: chunked, identity')}${chunked}` },
  { name: 'a transfer coding "identity"', bytes: `${post('Transfer-Encoding: identity')}${chunked}` },
  {
    name: 'a transfer coding in a GET',
    bytes: `${head('GET /x HTTP/1.1', 'Host: a', 'Transfer-Encoding: identity')}${SMUGGLED}`,
  },
  // A4
  {
    name: 'Transfer-Encoding in an HTTP/1.0 request',
    bytes: `${head('POST /x HTTP/1.0', 'Host: a', 'Transfer-Encoding: chunked')}${chunked}`,
  },
  {
    name: 'Transfer-Encoding in a kept-alive HTTP/1.0 request',
    bytes: `${head('POST /x HTTP/1.0', 'Host: a', 'Connection: keep-alive', 'Transfer-Encoding: chunked')}${chunked}`,
  },
  // A5
  { name: 'two different Content-Lengths', bytes: `${post('Content-Length: 5', 'Content-Length: 0')}hello${SMUGGLED}` },
  { name: 'an empty Content-Length, then another', bytes: `${post('Content-Length:', 'Content-Length: 5')}hello` },
  { name: 'a list of different Content-Lengths', bytes: `${post('Content-Length: 5, 0')}hello${SMUGGLED}` },
  { name: 'a list of equal Content-Lengths', bytes: `${post('Content-Length: 5, 5')}hello${SMUGGLED}` },
  // A6
  ...[
    '+5',
    '-0',
    '-5',
    '0x5',
    '5_0',
    '1 2',
    '5.0',
    '5;',
    "'5'",
    '5a',
    '',
    '1e1',
    '99999999999999999999',
    '18446744073709551621',
    '9007199254740993',
  ].map((length) => ({
    name: `a Content-Length of ${JSON.stringify(length)}`,
    bytes: `${post(`Content-Length: ${length}`)}hello${SMUGGLED}`,
  })),
  { name: 'a Content-Length with a form feed', bytes: `${post('Content-Length: \x0c5')}hello${SMUGGLED}` },
  // A7
  { name: 'a space before the colon', bytes: `${post('Content-Length : 5')}hello` },
  { name: 'a tab before the colon', bytes: `${post('Transfer-Encoding\t: chunked')}${chunked}` },
  { name: 'a CR before the colon', bytes: `${post('Transfer-Encoding\r: chunked')}${chunked}` },
  {
    name: 'a space before the first header name',
    bytes: `POST /x HTTP/1.1\r\n Content-Length: 5\r\nHost: a\r\n\r\nhello`,
  },
  { name: 'a header line without a name', bytes: `${post(': x')}` },
  { name: 'a header line without a colon', bytes: `${post('X-Odd')}` },
  { name: 'a NUL in a header name', bytes: `${post('X-\0Odd: 1')}` },
  { name: 'a NUL in a header value', bytes: `${post('X-Odd: a\0b')}` },
  { name: 'a control byte in a header value', bytes: `${post('X-Odd: a\x01b')}` },
  { name: 'a DEL in a header value', bytes: `${post('X-Odd: a\x7fb')}` },
  { name: 'a byte beyond ASCII in a header name', bytes: `${post('X-\xe9: 1')}` },
  // A8
  { name: 'a folded header line', bytes: `${post('X-Odd: a\r\n b')}` },
  { name: 'a folded Transfer-Encoding', bytes: `${post('Transfer-Encoding:\r\n chunked')}${chunked}` },
  { name: 'a folded Content-Length', bytes: `${post('Content-Length:\r\n\t5')}hello` },
  // A9
  { name: 'bare LF behind the request line', bytes: 'GET /x HTTP/1.1\nHost: a\r\n\r\n' },
  { name: 'bare LF behind a header line', bytes: 'GET /x HTTP/1.1\r\nHost: a\nX-Odd: 1\r\n\r\n' },
  { name: 'bare LF for the empty line', bytes: 'GET /x HTTP/1.1\r\nHost: a\r\n\n' },
  { name: 'bare CR between two headers', bytes: 'GET /x HTTP/1.1\r\nHost: a\rX-Odd: 1\r\n\r\n' },
  { name: 'CR LF CR and a letter for the empty line', bytes: `GET /x HTTP/1.1\r\nHost: a\r\n\rX${SMUGGLED}` },
  { name: 'two CRs before the LF', bytes: 'GET /x HTTP/1.1\r\nHost: a\r\r\n\r\n' },
  // A19
  { name: 'a target in authority-form', bytes: head('GET a:80 HTTP/1.1', 'Host: a:80') },
  { name: 'a target in asterisk-form', bytes: head('OPTIONS * HTTP/1.1', 'Host: a') },
  // A21
  { name: 'a request line without a version (HTTP/0.9)', bytes: 'GET /x\r\n\r\n', statuses: [400, 505] },
  { name: 'the version HTTP/0.9', bytes: head('GET /x HTTP/0.9', 'Host: a'), statuses: [400, 505] },
  { name: 'the version HTTP/2.0', bytes: head('GET /x HTTP/2.0', 'Host: a'), statuses: [400, 505] },
  { name: 'the version HTTP/1.10', bytes: head('GET /x HTTP/1.10', 'Host: a'), statuses: [400, 505] },
  { name: 'the version HTTP/1.2', bytes: head('GET /x HTTP/1.2', 'Host: a'), statuses: [400, 505] },
  { name: 'the version http/1.1 in small letters', bytes: head('GET /x http/1.1', 'Host: a'), statuses: [400, 505] },
  { name: 'the preface of HTTP/2', bytes: `${head('PRI * HTTP/2.0')}SM\r\n\r\n`, statuses: [400, 505] },
  { name: 'RTSP', bytes: head('DESCRIBE /x RTSP/1.0', 'Host: a'), statuses: [400, 505] },
  { name: 'ICE', bytes: head('SOURCE /x ICE/1.0', 'Host: a'), statuses: [400, 505] },
]

describe.each(HOSTS)('A request that two programs could end in different places, to %s, is refused', (where) => {
  it.each(REFUSED)('$name', async ({ bytes, statuses = [400, 501] }) => {
    const gateway = await gate({ in: where })
    const answered = await gateway.ask(bytes)
    expectRefused(gateway, answered, ...statuses)
    expect(answered.endedBy).toBe('end')
  })

  it('a CONNECT, without a tunnel', async () => {
    const gateway = await gate({ in: where })
    const answered = await gateway.ask(`${head('CONNECT a:443 HTTP/1.1', 'Host: a:443')}${SMUGGLED}`)
    expectRefused(gateway, answered, 400, 405, 501)
    expect(answered.endedBy).toBe('end')
  })
})

// Such a server is a mistake of its owner's; what the parser then lets through is still written anew, in one clear form.
describe('A request that two programs could end in different places, to a server told to parse leniently,', () => {
  it.each(REFUSED)('is refused, or arrives in one clear form: $name', async ({ bytes }) => {
    const gateway = await gate({ in: 'a bare server', serve: { server: { insecureHTTPParser: true } } })
    const framed = /smuggled/.test(bytes) ? 2 : 1
    const { parsed } = await gateway.ask(bytes, { responses: framed, timeoutMs: 300 })
    const { received } = gateway.upstream
    if (parsed.responses[0]?.status !== 200) expect(received).toBe('')
    expect(received.replaceAll('\r\n', '')).not.toMatch(/[\r\n]/)
    expect(received).not.toMatch(/\r\n[ \t]|HTTP\/1\.0/i)
    for (const part of received.split('\r\n\r\n'))
      expect(part.match(/^(?:content-length|transfer-encoding):/gim) ?? []).not.toHaveLength(2)
    expect(requestLines(gateway)).toHaveLength(parsed.responses.filter((each) => each.status === 200).length)
  })
})

describe('A request that is refused for its form, where the app answers errors itself,', () => {
  it('is the last on its connection all the same', async () => {
    const problems: unknown[] = []
    const upstream = await using(startRawUpstream(answer()))
    const app = express()
    app.use(proxy({ target: upstream.url, errors: 'next' }))
    app.use(((error: { code: string }, _req, res, _next) => {
      problems.push(error.code)
      res.status(400).send('mine')
    }) as ErrorRequestHandler)
    const served = await using(serve(app))
    for (const bytes of [head('GET /../x HTTP/1.1', 'Host: a'), head('GET /x HTTP/1.1', 'Host: a', 'Host: b')]) {
      const answered = await rawRequest(served.port, `${bytes}${SMUGGLED}`)
      expect(answered.parsed.responses.map((each) => each.body.toString())).toEqual(['mine'])
      expect(answered.response.headers.connection).toBe('close')
      expect(answered.endedBy).toBe('end')
    }
    expect(problems).toEqual(['bad_request_target', 'bad_host'])
    expect(upstream.received).toBe('')
  })
})

describe('A request whose body turns out malformed', () => {
  const BAD_CHUNKS: readonly (readonly [name: string, body: string])[] = [
    ['a chunk size with a sign', '+5\r\nhello\r\n0\r\n\r\n'],
    ['a chunk size with 0x', '0x5\r\nhello\r\n0\r\n\r\n'],
    ['a chunk size with an underscore', '5_\r\nhello\r\n0\r\n\r\n'],
    ['an empty chunk size', '\r\nhello\r\n0\r\n\r\n'],
    ['a negative chunk size', '-5\r\nhello\r\n0\r\n\r\n'],
    ['a chunk size behind a space', ' 5\r\nhello\r\n0\r\n\r\n'],
    ['a chunk size beyond 64 bits', '10000000000000005\r\nhello\r\n0\r\n\r\n'],
    ['bare LF behind the chunk size', '5\nhello\r\n0\r\n\r\n'],
    ['bare LF in a chunk extension', '5;a\nb\r\nhello\r\n0\r\n\r\n'],
    ['bare CR in a chunk extension', '5;a\rb\r\nhello\r\n0\r\n\r\n'],
    ['two bytes more than the chunk has', '5\r\nhelloXX0\r\n\r\n'],
    ['no CRLF behind the chunk', '5\r\nhello0\r\n\r\n'],
    ['bare LF behind the chunk', '5\r\nhello\n0\r\n\r\n'],
  ]

  it.each(BAD_CHUNKS)('is cut: %s', async (_name, body) => {
    const gateway = await gate()
    const answered = await gateway.ask(`${post('Transfer-Encoding: chunked')}${body}${SMUGGLED}`)
    expect(answered.endedBy).not.toBe('timeout')
    expect(answered.parsed.responses.map((each) => each.status)).toEqual([400])
    await expectCutUpstream(gateway)
  })

  it.each(BAD_CHUNKS)('is cut behind a good chunk: %s', async (_name, body) => {
    const gateway = await gate()
    const good = `${post('Transfer-Encoding: chunked')}4\r\ngood\r\n`
    const answered = await gateway.ask([good, `${body}${SMUGGLED}`])
    expect(answered.endedBy).not.toBe('timeout')
    expect(answered.parsed.responses.map((each) => each.status)).toEqual([400])
    expect(firstSeen(gateway).rest).toMatch(/^4\r\ngood/)
    await expectCutUpstream(gateway)
  })

  it('is cut when its last chunk never comes', async () => {
    const gateway = await gate()
    const answered = await gateway.ask(`${post('Transfer-Encoding: chunked')}5\r\nhello\r\n`, { halfClose: true })
    expect(answered.endedBy).not.toBe('timeout')
    expect(answered.parsed.responses.filter((each) => each.status < 300)).toEqual([])
    await expectCutUpstream(gateway)
  })

  it('is cut when it ends before its Content-Length', async () => {
    const gateway = await gate()
    const answered = await gateway.ask(`${post('Content-Length: 10')}hello`, { halfClose: true })
    expect(answered.endedBy).not.toBe('timeout')
    expect(answered.parsed.responses.filter((each) => each.status < 300)).toEqual([])
    await expectCutUpstream(gateway)
  })

  it('is refused once its chunk extensions pass 16 KiB', async () => {
    const gateway = await gate()
    const answered = await gateway.ask(
      `${post('Transfer-Encoding: chunked')}5;${'a'.repeat(20_000)}\r\nhello\r\n0\r\n\r\n`,
    )
    expect([400, 413]).toContain(answered.response.status)
    await expectCutUpstream(gateway)
  })

  /** The upstream saw the request begin at most, never end, and its connection is gone. */
  async function expectCutUpstream(gateway: Gate): Promise<void> {
    await expect.poll(() => gateway.handler.stats.active).toBe(0)
    await expect.poll(() => gateway.upstream.sockets).toBe(0)
    expect(gateway.upstream.received.split('\r\n\r\n').slice(1).join('')).not.toMatch(/(^|\n)0/)
    expect(gateway.upstream.received).not.toContain('smuggled')
    expect(requestLines(gateway).length).toBeLessThanOrEqual(1)
  }
})

describe.each(HOSTS)('A request through %s', (where) => {
  it('with more header fields than Node keeps is answered 431', async () => {
    const gateway = await gate({ in: where, serve: { server: { maxHeaderSize: 65_536 } } })
    const many = Array.from({ length: 1_200 }, (_, i) => `a${i}: 1`)
    const answered = await gateway.ask(`${head('POST /x HTTP/1.1', 'Host: a', ...many, 'Content-Length: 5')}hello`)
    expectRefused(gateway, answered, 431)
  })

  it('with more header fields than the server was told to keep is answered 431', async () => {
    const gateway = await gate({ in: where })
    gateway.server.maxHeadersCount = 50
    const many = Array.from({ length: 60 }, (_, i) => `a${i}: 1`)
    const answered = await gateway.ask(`${head('POST /x HTTP/1.1', 'Host: a', ...many, 'Content-Length: 5')}hello`)
    expectRefused(gateway, answered, 431)
  })

  it('with a Trailer header and no chunks is forwarded without it', async () => {
    const gateway = await gate({ in: where })
    const answered = await gateway.ask(`${post('Trailer: X-Sum', 'Content-Length: 5')}hello`, { responses: 1 })
    expect(answered.response.status).toBe(200)
    expect(seenValues(gateway, 'trailer')).toEqual([])
    expect(firstSeen(gateway).rest).toBe('hello')
  })

  it('loses its trailers, and none of them becomes a header', async () => {
    const gateway = await gate({ in: where })
    const answered = await gateway.ask(
      `${post('Trailer: X-User', 'Transfer-Encoding: chunked')}5\r\nhello\r\n0\r\nX-User: root\r\nAuthorization: Basic eA==\r\nHost: evil\r\n\r\n`,
      { responses: 1 },
    )
    expect(answered.response.status).toBe(200)
    expect(firstSeen(gateway).raw.toLowerCase()).not.toMatch(/x-user|evil|trailer|authorization/)
    expect(firstSeen(gateway).rest).toBe('5\r\nhello\r\n0\r\n\r\n')
  })

  it('with endless trailers is cut', async () => {
    const gateway = await gate({ in: where })
    const trailers = Array.from({ length: 3_000 }, (_, i) => `a${i}: ${'x'.repeat(20)}`).join('\r\n')
    const answered = await gateway.ask(`${post('Transfer-Encoding: chunked')}5\r\nhello\r\n0\r\n${trailers}\r\n\r\n`)
    expect([400, 413, 431]).toContain(answered.response.status)
    await expect.poll(() => gateway.upstream.sockets).toBe(0)
    expect(gateway.upstream.received).not.toContain('0\r\n\r\n')
  })

  it.each(['GET', 'HEAD', 'DELETE', 'OPTIONS'])('a %s keeps its body with its Content-Length', async (method) => {
    const gateway = await gate({ in: where })
    const bytes = `${head(`${method} /x HTTP/1.1`, 'Host: a', 'Content-Length: 36')}${SMUGGLED.padEnd(36, 'x').slice(0, 36)}`
    const answered = await gateway.ask(bytes, { responses: 1, methods: [method] })
    expect(answered.response.status).toBe(200)
    expect(seenValues(gateway, 'content-length')).toEqual(['36'])
    expect(seenValues(gateway, 'transfer-encoding')).toEqual([])
    expect(firstSeen(gateway).rest).toBe(bytes.slice(-36))
  })

  it.each(['GET', 'HEAD', 'DELETE', 'OPTIONS'])('a %s keeps its chunked body', async (method) => {
    const gateway = await gate({ in: where })
    const answered = await gateway.ask(
      `${head(`${method} /x HTTP/1.1`, 'Host: a', 'Transfer-Encoding: chunked')}5\r\nhello\r\n0\r\n\r\n`,
      { responses: 1, methods: [method] },
    )
    expect(answered.response.status).toBe(200)
    expect(seenValues(gateway, 'transfer-encoding')).toEqual(['chunked'])
    expect(seenValues(gateway, 'content-length')).toEqual([])
    expect(firstSeen(gateway).rest).toBe('5\r\nhello\r\n0\r\n\r\n')
  })

  it.each(['POST', 'PUT', 'PATCH', 'DELETE', 'GET'])(
    'a %s with a Content-Length of 0 stays without a body',
    async (method) => {
      const gateway = await gate({ in: where })
      const answered = await gateway.ask(head(`${method} /x HTTP/1.1`, 'Host: a', 'Content-Length: 0'), {
        responses: 1,
      })
      expect(answered.response.status).toBe(200)
      expect(firstSeen(gateway).rest).toBe('')
      expect(seenValues(gateway, 'transfer-encoding')).toEqual([])
    },
  )

  it('is written again in the one clear form: a length with leading zeros', async () => {
    const gateway = await gate({ in: where })
    const answered = await gateway.ask(`${post('Content-Length: 0005')}hello`, { responses: 1 })
    expect(answered.response.status).toBe(200)
    expect(seenValues(gateway, 'content-length')).toEqual(['5'])
    expect(firstSeen(gateway).rest).toBe('hello')
  })

  it('is written again in the one clear form: chunk sizes, extensions, capitals', async () => {
    const gateway = await gate({ in: where })
    const answered = await gateway.ask(`${post('Transfer-Encoding: CHUNKED')}0005;x=y\r\nhello\r\n00\r\n\r\n`, {
      responses: 1,
    })
    expect(answered.response.status).toBe(200)
    expect(seenValues(gateway, 'transfer-encoding')).toEqual(['chunked'])
    expect(firstSeen(gateway).rest).toBe('5\r\nhello\r\n0\r\n\r\n')
  })

  it('with "Expect: 100-continue" is told to go on, once, and then answered', async () => {
    const gateway = await gate({ in: where })
    const answered = await gateway.ask([post('Expect: 100-continue', 'Content-Length: 5'), 'hello'], { responses: 1 })
    expect(answered.parsed.responses.map((each) => each.status)).toEqual([100, 200])
    expect(seenValues(gateway, 'expect')).toEqual([])
    expect(firstSeen(gateway).rest).toBe('hello')
  })

  it.each(['y 100-continue', '100-continue, 100-continue', ' 100-CONTINUE', '"100-continue"'])(
    'with "Expect: %s" keeps its framing',
    async (expectation) => {
      const gateway = await gate({ in: where })
      const answered = await gateway.ask(`${post(`Expect: ${expectation}`, 'Content-Length: 5')}hello`, {
        responses: 1,
      })
      expect([200, 417]).toContain(answered.response.status)
      expect(gateway.upstream.received.replace(/^[\s\S]*\r\n\r\n/, '')).toBe(
        answered.response.status === 200 ? 'hello' : '',
      )
    },
  )

  it('with an expectation that nobody knows is answered 417', async () => {
    const gateway = await gate({ in: where })
    const answered = await gateway.ask(`${post('Expect: the-inquisition', 'Content-Length: 5')}hello`, { responses: 1 })
    expect(answered.response.status).toBe(417)
    expect(gateway.upstream.received).toBe('')
  })

  it('of length 0 with an expectation does not swallow the request behind it', async () => {
    const gateway = await gate({ in: where })
    const answered = await gateway.ask(`${post('Expect: 100-continue', 'Content-Length: 0')}${SMUGGLED}`, {
      responses: 2,
    })
    expect(answered.parsed.responses.filter((each) => each.status === 200)).toHaveLength(2)
    expect(requestLines(gateway)).toEqual(['POST /x HTTP/1.1', 'GET /smuggled HTTP/1.1'])
  })

  it('with "Connection: close" is the last one: what stands behind it is not run', async () => {
    const gateway = await gate({ in: where })
    const answered = await gateway.ask(`${head('GET /x HTTP/1.1', 'Host: a', 'Connection: close')}${SMUGGLED}`)
    expect(answered.endedBy).not.toBe('timeout')
    expect(gateway.upstream.received).not.toContain('smuggled')
  })

  it('with junk behind it is answered, and the junk is refused', async () => {
    const gateway = await gate({ in: where })
    const answered = await gateway.ask(`${post('Content-Length: 5')}helloJUNK\r\n\r\n`)
    expect(answered.endedBy).not.toBe('timeout')
    expect(requestLines(gateway).length).toBeLessThanOrEqual(1)
    expect(gateway.upstream.received).not.toContain('JUNK')
  })

  it('is one request upstream, however its bytes are cut into packets', async () => {
    const gateway = await gate({ in: where })
    const whole = `${post('Content-Length: 5')}hello${head('GET /second HTTP/1.1', 'Host: a')}`
    const parts = Array.from({ length: Math.ceil(whole.length / 7) }, (_, i) => whole.slice(i * 7, i * 7 + 7))
    const answered = await gateway.ask(parts, { responses: 2, gapMs: 1 })
    expect(answered.parsed.responses.map((each) => each.status)).toEqual([200, 200])
    expect(requestLines(gateway)).toEqual(['POST /x HTTP/1.1', 'GET /second HTTP/1.1'])
  })
})

describe('The connection to the upstream', () => {
  it('is not used again when the request on it was not completed', async () => {
    // The upstream answers early, after the head, while the client still owes half of the body.
    const early = answerThen(rawResponse('early'), 'wait')
    const gateway = await gate({
      upstream: [
        async (c) => {
          await c.receivedBytes(30)
          c.socket.write(rawResponse('early'))
        },
        early,
      ],
    })
    await gateway.ask(`${post('Content-Length: 1000')}half`, { responses: 1 })
    const answered = await gateway.ask(head('GET /next HTTP/1.1', 'Host: a'), { responses: 1 })
    expect(answered.response.status).toBe(200)
    expect(gateway.upstream.connections).toHaveLength(2)
    expect(gateway.upstream.connections[0]!.received.toString()).not.toContain('/next')
  })
})

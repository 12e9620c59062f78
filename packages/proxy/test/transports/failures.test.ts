import type { FailureType } from '@postern/contracts'
import {
  answer,
  answerThen,
  answerThenClose,
  badStatus,
  bothFramings,
  closeUnanswered,
  cutBody,
  eventually,
  extraBytes,
  garbage,
  halfHead,
  interimStorm,
  type RawScript,
  rawRequest,
  rawResponse,
  refusedPort,
  request,
  resetAtOnce,
  resetUnanswered,
  startRawUpstream,
  twoLengths,
  unaskedSwitch,
  unhandled,
} from '@postern/test-kit'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { EVERYWHERE, gateway, using } from '../support/gateway.ts'

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'

/** What an upstream does, what the client is told, and what is learnt about the target. */
const BEFORE_HEADERS: readonly [string, RawScript, readonly FailureType[]][] = [
  ['resets as it accepts', resetAtOnce(), ['connection_terminated']],
  ['resets behind the request', resetUnanswered(), ['connection_terminated']],
  ['closes behind the request', closeUnanswered(), ['connection_terminated']],
  ['closes in the middle of its head', halfHead('close'), ['connection_terminated', 'http_protocol_error']],
  ['resets in the middle of its head', halfHead('reset'), ['connection_terminated', 'http_protocol_error']],
  ['answers something that is not HTTP', garbage(), ['http_protocol_error']],
  ['states both framings', bothFramings(), ['http_protocol_error']],
  ['states two lengths', twoLengths(), ['http_protocol_error']],
  [
    'states a malformed length',
    answerThenClose('HTTP/1.1 200 OK\r\nContent-Length: 2x\r\n\r\nok'),
    ['http_protocol_error'],
  ],
  [
    'states a negative length',
    answerThenClose('HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok'),
    ['http_protocol_error'],
  ],
  [
    'uses a coding that is not chunked',
    answerThenClose('HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok'),
    ['http_protocol_error'],
  ],
  ['answers 000', badStatus('000'), ['http_protocol_error']],
  ['answers 099', badStatus('099'), ['http_protocol_error']],
  ['answers 600', badStatus('600'), ['http_protocol_error']],
  ['answers 1000', badStatus('1000'), ['http_protocol_error']],
  ['answers abc', badStatus('abc'), ['http_protocol_error']],
  ['switches to another protocol unasked', unaskedSwitch(), ['http_protocol_error']],
  [
    'answers 101 and names no protocol',
    answerThen('HTTP/1.1 101 Switching Protocols\r\n\r\n', 'wait'),
    ['http_protocol_error'],
  ],
  ['sends interim responses without end', interimStorm(5_000), ['http_protocol_error']],
  [
    'sends a head without end',
    answerThen(`HTTP/1.1 200 OK\r\n${'X-Long: 0123456789\r\n'.repeat(5_000)}`, 'wait'),
    ['http_response_header_section_size'],
  ],
  [
    'sends one endless header',
    answerThen(`HTTP/1.1 200 OK\r\nX-Long: ${'a'.repeat(100_000)}`, 'wait'),
    ['http_response_header_section_size'],
  ],
  [
    'has a NUL in a header',
    answerThenClose('HTTP/1.1 200 OK\r\nX-Odd: a\0b\r\nContent-Length: 2\r\n\r\nok'),
    ['http_protocol_error'],
  ],
  [
    'has a bare CR in a header',
    answerThenClose('HTTP/1.1 200 OK\r\nX-Odd: a\rX-B: b\r\nContent-Length: 2\r\n\r\nok'),
    ['http_protocol_error'],
  ],
]

describe.each(EVERYWHERE)('failures by $via under $under', (where) => {
  let watch: ReturnType<typeof unhandled>
  beforeEach(() => {
    watch = unhandled()
  })
  afterEach(async () => {
    expect(await watch.stop()).toEqual([])
  })

  const start = async (script: RawScript) => {
    const upstream = await using(startRawUpstream(script))
    return { upstream, gate: await gateway({ ...where, target: upstream.url }) }
  }

  test('refused: 502 as a problem, with Proxy-Status and without a word about the upstream', async () => {
    const nobody = await using(refusedPort())
    const gate = await gateway({ ...where, target: nobody.url })
    const reply = await request(gate.url)
    expect(reply.status).toBe(502)
    expect(reply.headers['content-type']).toBe('application/problem+json')
    expect(reply.headers['proxy-status']).toBe('postern; error=connection_refused')
    expect(reply.json()).toMatchObject({ status: 502, code: 'upstream_failed' })
    expect(reply.text).not.toContain(String(nobody.port))
    expect(reply.text).not.toContain('127.0.0.1')
    expect(gate.settled).toMatchObject([
      { outcome: { type: 'connection_refused', phase: 'connect', side: 'upstream' } },
    ])
  })

  test('a name that does not resolve: 502', async () => {
    const gate = await gateway({ ...where, target: 'http://no-such-host.invalid' })
    const reply = await request(gate.url)
    expect(reply.status).toBe(502)
    expect(reply.headers['proxy-status']).toBe('postern; error=dns_error')
  })

  test.each(BEFORE_HEADERS)('an upstream that %s: 502, once', async (_, script, types) => {
    const { upstream, gate } = await start(script)
    const raw = await rawRequest(gate.port, GET, { responses: 1 })
    expect(raw.parsed.fault).toBeUndefined()
    const { response } = raw
    expect(response.status).toBe(502)
    expect(response.complete).toBe(true)
    expect(response.headers['content-type']).toBe('application/problem+json')
    expect(gate.settled).toHaveLength(1)
    const { outcome } = gate.settled[0]!
    expect(types).toContain((outcome as { type?: FailureType }).type)
    expect((outcome as { side?: string }).side).toBe('upstream')
    // What came from there goes nowhere.
    expect(raw.text).not.toMatch(/x-odd|x-long|wiki|not-http/i)
    await eventually(() => upstream.sockets === 0)
  })

  test('a few interim responses are no storm', async () => {
    const { gate } = await start(interimStorm(20))
    const reply = await request(gate.url)
    expect(reply.text).toBe('ok')
    expect(reply.informational).toHaveLength(20)
  })

  test.each([
    ['with a length', cutBody('content-length', 'close')],
    ['with a length, by a reset', cutBody('content-length', 'reset')],
    ['in chunks', cutBody('chunked', 'close')],
    ['in chunks, by a reset', cutBody('chunked', 'reset')],
    ['that ends with its connection, by a reset', answerThen('HTTP/1.1 200 OK\r\n\r\nhello', 'reset')],
    [
      'in malformed chunks',
      answerThen('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n', 'wait'),
    ],
  ])('a body %s that breaks off is cut at the client too, never finished', async (_, script) => {
    const { gate } = await start(script)
    const raw = await rawRequest(gate.port, GET)
    expect(raw.endedBy).not.toBe('timeout')
    // Where head and fault came in one piece, not even the head may have gone out.
    expect(raw.parsed.responses.filter((each) => each.complete)).toEqual([])
    expect(raw.text).not.toContain('\r\n0\r\n')
    await eventually(() => gate.settled.length === 1)
    expect(gate.settled).toMatchObject([
      { outcome: { type: 'http_response_incomplete', phase: 'body', side: 'upstream' } },
    ])
  })

  test('an HTTP/1.0 client is told by a reset that a body without a length is short', async () => {
    const { gate } = await start(answerThen('HTTP/1.1 200 OK\r\n\r\nhello', 'reset'))
    const raw = await rawRequest(gate.port, 'GET / HTTP/1.0\r\n\r\n')
    expect(raw.response.framing).toBe('close')
    expect(raw.endedBy).toBe('reset')
  })

  test('a Trailer announcement without chunks is dropped and the process lives on', async () => {
    // node:http throws when a head with Trailer and without chunked coding is written.
    const { gate } = await start(answer(rawResponse('ok', { Trailer: 'X-T' })))
    for (let i = 0; i < 2; i++) {
      const reply = await request(gate.url)
      expect(reply.status).toBe(200)
      expect(reply.headers.trailer).toBeUndefined()
    }
  })

  test.each(['Set-Cookie', 'Upgrade, Connection', 'Content-Length, Transfer-Encoding, Host'])(
    'forbidden trailers (%s) never reach the client',
    async (names) => {
      const lines = names.split(', ').map((name) => `${name}: 1\r\n`)
      const { gate } = await start(
        answer(
          `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: ${names}, X-Fine\r\n\r\n2\r\nok\r\n0\r\n${lines.join('')}X-Fine: 1\r\n\r\n`,
        ),
      )
      const raw = await rawRequest(gate.port, GET, { responses: 1 })
      for (const { headers, trailers } of raw.parsed.responses) {
        const announced = headers.trailer ?? ''
        for (const name of names.toLowerCase().split(', ')) {
          expect(trailers[name]).toBeUndefined()
          expect(announced).not.toContain(name)
        }
      }
      expect(raw.endedBy).not.toBe('timeout')
    },
  )

  test("bytes behind the end of an answer are not the next client's answer", async () => {
    const { gate } = await start(extraBytes())
    for (let i = 0; i < 4; i++) {
      const reply = await request(gate.url)
      expect(reply.headers['x-poison']).toBeUndefined()
      if (reply.status === 200) expect(reply.text).toBe('ok')
      else expect(reply.status).toBe(502)
    }
  })

  test('after every failure the next request is served as if nothing had been', async () => {
    const scripts = [resetAtOnce(), garbage(), cutBody('chunked'), bothFramings(), answer()]
    const upstream = await using(startRawUpstream(scripts))
    const gate = await gateway({ ...where, target: upstream.url })
    for (const _ of scripts.slice(1)) await rawRequest(gate.port, GET, { responses: 1, timeoutMs: 500 })
    const reply = await request(gate.url)
    expect(reply.text).toBe('ok')
    await eventually(() => gate.handler.stats.active === 0)
  })
})

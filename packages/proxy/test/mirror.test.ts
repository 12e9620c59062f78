import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { type ConfigFault, Exchange, exchangeFinished, isFailure } from '@postern/contracts'
import {
  type DroppedMirror,
  httpProxyMiddleware,
  type MirrorFailure,
  type MirrorOptions,
  mirrorDropped,
  mirrorSettled,
  type SettledMirror,
  type Transport,
  undiciTransport,
} from '@postern/proxy'
import {
  answerThenClose,
  badStatus,
  blackholeTarget,
  cutBody,
  eventually,
  garbage,
  halfHead,
  interimStorm,
  neverAnswer,
  neverRead,
  type RawScript,
  refusedPort,
  resetAtOnce,
  resetUnanswered,
  startRawUpstream,
  startUpstream,
  type Unhandled,
  unaskedSwitch,
  unhandled,
} from '@postern/test-kit'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Mirror, type MirroredRequest } from '../src/mirror/mirror.ts'
import { resolveMirror } from '../src/mirror/options.ts'
import { using } from './behaviour.ts'

const SETTINGS = {
  maxConnections: 1_024,
  connectMs: 5_000,
  keepAliveMs: 4_000,
  maxResponseHeaderBytes: 16_384,
  http2: false,
}

const TRANSPORTS: readonly (readonly [string, () => Transport])[] = [
  ['undici', undiciTransport],
  ['http-proxy-middleware', () => httpProxyMiddleware()],
]

/** A mirror, with everything that it told. Closed behind the test. */
async function mirrorTo(
  target: string,
  options: Partial<MirrorOptions> = {},
  transport: Transport = undiciTransport(),
) {
  const failures: MirrorFailure[] = []
  const faults: ConfigFault[] = []
  const resolved = resolveMirror({ target, onError: (failure) => void failures.push(failure), ...options }, faults)
  expect(faults).toEqual([])
  const mirror = new Mirror(resolved!, transport, SETTINGS)
  await using(mirror)
  return { mirror, failures }
}

function newExchange(): Exchange {
  const req = new IncomingMessage(new Socket())
  return new Exchange(req, new ServerResponse(req))
}

function get(path = '/', headers: readonly string[] = []): MirroredRequest {
  return { method: 'GET', path, headers, body: undefined, contentLength: undefined, upgrade: undefined }
}

function post(body: MirroredRequest['body'], contentLength?: number): MirroredRequest {
  const headers = ['content-type', 'text/plain']
  return { method: 'POST', path: '/orders', headers, body, contentLength, upgrade: undefined }
}

let watched: Unhandled
let settled: SettledMirror[] = []
let dropped: DroppedMirror[] = []
const onSettled = (message: SettledMirror) => void settled.push(message)
const onDropped = (message: DroppedMirror) => void dropped.push(message)

beforeEach(() => {
  watched = unhandled()
  settled = []
  dropped = []
  mirrorSettled.subscribe(onSettled)
  mirrorDropped.subscribe(onDropped)
})

afterEach(async () => {
  mirrorSettled.unsubscribe(onSettled)
  mirrorDropped.unsubscribe(onDropped)
  expect(await watched.stop()).toEqual([])
})

describe.each(TRANSPORTS)('over %s', (_name, transport) => {
  test('a request without a body is copied: method, path, query and headers', async () => {
    const upstream = await using(startUpstream())
    const { mirror } = await mirrorTo(`${upstream.url}/shadow`, {}, transport())
    expect(mirror.begin(newExchange(), get('/things?a=1&b=%20', ['x-team', 'shop', 'via', '1.1 postern']))).toBe(
      undefined,
    )
    await eventually(() => expect(mirror.stats).toMatchObject({ answered: 1, inFlight: 0 }))
    expect(upstream.last).toMatchObject({ method: 'GET', url: '/shadow/things?a=1&b=%20' })
    expect(upstream.last.headers).toMatchObject({
      'x-team': 'shop',
      'x-postern-mirror': '1',
      via: '1.1 postern',
      host: `127.0.0.1:${upstream.port}`,
    })
    expect(mirror.stats).toEqual({ sent: 1, dropped: 0, failed: 0, answered: 1, inFlight: 0 })
    expect(settled).toMatchObject([{ target: { id: `${upstream.url}/shadow` }, outcome: { status: 200 } }])
  })

  test('a body that passes by is copied whole, and only once it is whole', async () => {
    const upstream = await using(startUpstream())
    const { mirror } = await mirrorTo(upstream.url, { methods: ['POST'] }, transport())
    const copy = mirror.begin(newExchange(), post('stream'))!
    copy.write(Buffer.from('one, '))
    copy.write(Buffer.from('two'))
    expect(mirror.stats).toMatchObject({ sent: 0, inFlight: 1 })
    copy.end()
    copy.write(Buffer.from('too late'))
    copy.end()
    copy.abort()
    await eventually(() => expect(mirror.stats).toEqual({ sent: 1, dropped: 0, failed: 0, answered: 1, inFlight: 0 }))
    expect(upstream.requests).toHaveLength(1)
    expect(upstream.last).toMatchObject({ method: 'POST', url: '/orders', complete: true })
    expect(upstream.last.body.toString()).toBe('one, two')
    expect(upstream.last.headers).toMatchObject({ 'content-length': '8', 'content-type': 'text/plain' })
    expect(upstream.last.headers['transfer-encoding']).toBe(undefined)
  })

  test('a body that a parser had read is copied at once', async () => {
    const upstream = await using(startUpstream())
    const { mirror } = await mirrorTo(upstream.url, { methods: ['POST'] }, transport())
    expect(mirror.begin(newExchange(), post(Buffer.from('{"a":1}'), 7))).toBe(undefined)
    await eventually(() => expect(mirror.stats.answered).toBe(1))
    expect(upstream.last.body.toString()).toBe('{"a":1}')
  })

  test('a body that turns out to be empty is copied as none', async () => {
    const upstream = await using(startUpstream())
    const { mirror } = await mirrorTo(upstream.url, { methods: ['POST'] }, transport())
    mirror.begin(newExchange(), post('stream'))!.end()
    await eventually(() => expect(mirror.stats.answered).toBe(1))
    expect(upstream.last).toMatchObject({ complete: true, body: Buffer.alloc(0) })
  })

  test('connections are used again, and an answer of any status is an answer', async () => {
    const upstream = await using(startUpstream((_req, res) => void res.writeHead(500).end('x'.repeat(1_000))))
    const { mirror, failures } = await mirrorTo(upstream.url, {}, transport())
    for (let i = 1; i <= 5; i++) {
      mirror.begin(newExchange(), get())
      await eventually(() => expect(mirror.stats.answered).toBe(i))
    }
    expect(upstream.connections).toBe(1)
    expect(failures).toEqual([])
    expect(settled.map((each) => !isFailure(each.outcome) && each.outcome.status)).toEqual([500, 500, 500, 500, 500])
  })

  const MISBEHAVING: readonly (readonly [string, RawScript, string])[] = [
    ['resets', resetAtOnce(), 'connection_terminated'],
    ['resets behind the request', resetUnanswered(), 'connection_terminated'],
    ['closes unanswered', answerThenClose(''), 'connection_terminated'],
    ['never answers', neverAnswer(), 'http_response_timeout'],
    ['stops in the head', halfHead(), 'http_response_timeout'],
    ['answers garbage', garbage(), 'http_protocol_error'],
    ['answers a status that is none', badStatus('099'), 'http_protocol_error'],
    ['cuts its body', cutBody('content-length'), 'http_response_incomplete'],
    ['switches protocols unasked', unaskedSwitch(), 'http_protocol_error'],
    ['never ends its body', cutBody('chunked', 'wait'), 'connection_read_timeout'],
  ]

  test.each(MISBEHAVING)(
    'a mirror that %s is counted as failed, and nothing else happens',
    async (_what, script, type) => {
      const upstream = await using(startRawUpstream(script))
      const { mirror, failures } = await mirrorTo(upstream.url, { timeoutMs: 150 }, transport())
      const exchange = newExchange()
      mirror.begin(exchange, get())
      await eventually(() => expect(mirror.stats).toEqual({ sent: 1, dropped: 0, failed: 1, answered: 0, inFlight: 0 }))
      expect(failures).toMatchObject([{ exchange, failure: { type, side: 'upstream' } }])
      expect(settled).toMatchObject([{ exchange, outcome: { type } }])
      expect([exchange.failure, exchange.attempts, exchange.closed]).toEqual([undefined, [], false])
      // Its connection is given up as well.
      await eventually(() => expect(upstream.sockets).toBe(0))
    },
  )

  test('a mirror that refuses connections, or does not exist, is counted as failed', async () => {
    const port = await using(refusedPort())
    const { mirror, failures } = await mirrorTo(port.url, {}, transport())
    mirror.begin(newExchange(), get())
    await eventually(() => expect(mirror.stats).toMatchObject({ failed: 1, inFlight: 0 }))
    expect(failures).toMatchObject([{ failure: { type: 'connection_refused', phase: 'connect' } }])
  })

  test('a mirror behind a black hole costs no longer than the time of a copy', async () => {
    const hole = await using(blackholeTarget())
    const { mirror, failures } = await mirrorTo(hole.url, { timeoutMs: 100 }, transport())
    mirror.begin(newExchange(), get())
    await eventually(() => expect(mirror.stats).toMatchObject({ failed: 1, inFlight: 0 }), { timeoutMs: 1_500 })
    expect(failures).toMatchObject([{ failure: { type: 'connection_timeout', phase: 'connect' } }])
  })

  test('a mirror that does not read a body costs no longer than the time of a copy', async () => {
    const upstream = await using(startRawUpstream(neverRead()))
    const options = { methods: ['POST'], maxBodyBytes: 2 ** 26, timeoutMs: 200 }
    const { mirror, failures } = await mirrorTo(upstream.url, options, transport())
    mirror.begin(newExchange(), post(Buffer.alloc(2 ** 25), 2 ** 25))
    await eventually(() => expect(mirror.stats).toMatchObject({ failed: 1, inFlight: 0 }))
    // undici hands the whole body to the kernel's care at once, and then waits for the head.
    const type = expect.stringMatching(/^(?:connection_write|http_response)_timeout$/)
    expect(failures).toMatchObject([{ failure: { type, side: 'upstream' } }])
  })

  test('an answer without end is given up once its status and a megabyte are there', async () => {
    const upstream = await using(
      startUpstream((_req, res) => {
        const more = (): void =>
          void (res.destroyed || (res.write(Buffer.alloc(65_536)) ? setImmediate(more) : res.once('drain', more)))
        more()
      }),
    )
    const { mirror } = await mirrorTo(upstream.url, {}, transport())
    mirror.begin(newExchange(), get())
    await eventually(() => expect(mirror.stats).toMatchObject({ answered: 1, inFlight: 0 }))
    await eventually(() => expect(upstream.sockets).toBe(0))
  })

  test('interim answers are passed over', async () => {
    const upstream = await using(startRawUpstream(interimStorm(30)))
    const { mirror } = await mirrorTo(upstream.url, {}, transport())
    mirror.begin(newExchange(), get())
    await eventually(() => expect(mirror.stats).toMatchObject({ answered: 1, inFlight: 0 }))
  })

  test('beyond maxInFlight nothing is copied until a place is free', async () => {
    const held: (() => void)[] = []
    const upstream = await using(startUpstream((_req, res) => void held.push(() => res.end())))
    const { mirror } = await mirrorTo(upstream.url, { maxInFlight: 2, methods: ['GET', 'POST'] }, transport())
    mirror.begin(newExchange(), get('/1'))
    const copy = mirror.begin(newExchange(), post('stream'))!
    expect(mirror.begin(newExchange(), get('/3'))).toBe(undefined)
    expect(mirror.begin(newExchange(), post('stream'))).toBe(undefined)
    expect(mirror.stats).toMatchObject({ sent: 1, dropped: 2, inFlight: 2 })
    expect(dropped.map((each) => each.reason)).toEqual(['over_budget', 'over_budget'])
    copy.end()
    await eventually(() => expect(held.length).toBe(2))
    for (const answer of held.splice(0)) answer()
    await eventually(() => expect(mirror.stats).toMatchObject({ answered: 2, inFlight: 0 }))
    mirror.begin(newExchange(), get('/5'))
    await eventually(() => expect(held.length).toBe(1))
    for (const answer of held) answer()
    await eventually(() => expect(mirror.stats).toEqual({ sent: 3, dropped: 2, failed: 0, answered: 3, inFlight: 0 }))
    expect(upstream.connections).toBeLessThanOrEqual(2)
  })

  test('close() cuts what is under way, makes no more copies and may be called twice', async () => {
    const upstream = await using(startRawUpstream(neverAnswer()))
    const { mirror, failures } = await mirrorTo(upstream.url, { methods: ['GET', 'POST'] }, transport())
    mirror.begin(newExchange(), get())
    const copy = mirror.begin(newExchange(), post('stream'))!
    await eventually(() => expect(upstream.connections[0]?.received.length).toBeGreaterThan(0))
    await mirror.close()
    copy.write(Buffer.from('late'))
    copy.end()
    expect(mirror.begin(newExchange(), get())).toBe(undefined)
    await mirror.close()
    expect(mirror.stats).toEqual({ sent: 1, dropped: 1, failed: 1, answered: 0, inFlight: 0 })
    expect(failures).toMatchObject([{ failure: { type: 'destination_unavailable', side: 'gateway' } }])
    expect(dropped).toMatchObject([{ reason: 'closing' }])
    await eventually(() => expect(upstream.sockets).toBe(0))
  })
})

describe('what is copied', () => {
  test('a body over the limit is given up: announced before anything is kept, unannounced when it is over', async () => {
    const upstream = await using(startUpstream())
    const { mirror } = await mirrorTo(upstream.url, { methods: ['POST'], maxBodyBytes: 10 })
    expect(mirror.begin(newExchange(), post('stream', 11))).toBe(undefined)
    expect(mirror.begin(newExchange(), post(Buffer.alloc(11), 11))).toBe(undefined)
    const copy = mirror.begin(newExchange(), post('stream'))!
    copy.write(Buffer.alloc(10))
    copy.write(Buffer.alloc(1))
    copy.write(Buffer.alloc(1))
    copy.end()
    expect(mirror.stats).toEqual({ sent: 0, dropped: 3, failed: 0, answered: 0, inFlight: 0 })
    expect(dropped.map((each) => each.reason)).toEqual(['body_too_large', 'body_too_large', 'body_too_large'])
    const whole = mirror.begin(newExchange(), post('stream', 10))!
    whole.write(Buffer.from('0123456789'))
    whole.end()
    await eventually(() => expect(mirror.stats.answered).toBe(1))
    expect(upstream.requests.map((each) => each.body.toString())).toEqual(['0123456789'])
  })

  test('a body that breaks off is not copied', async () => {
    const upstream = await using(startUpstream())
    const { mirror } = await mirrorTo(upstream.url, { methods: ['POST'] })
    const copy = mirror.begin(newExchange(), post('stream', 100))!
    copy.write(Buffer.from('half'))
    copy.abort()
    copy.abort()
    copy.end()
    expect(mirror.stats).toEqual({ sent: 0, dropped: 1, failed: 0, answered: 0, inFlight: 0 })
    expect(dropped).toMatchObject([{ reason: 'body_incomplete' }])
    expect(upstream.connections).toBe(0)
  })

  test('a body that nobody goes on feeding gives its place back when the exchange is over', async () => {
    const { mirror } = await mirrorTo('http://127.0.0.1:1', { methods: ['POST'], maxInFlight: 1 })
    const exchange = newExchange()
    mirror.begin(exchange, post('stream'))!.write(Buffer.from('half'))
    expect(mirror.stats.inFlight).toBe(1)
    exchange.close()
    expect(mirror.stats).toEqual({ sent: 0, dropped: 1, failed: 0, answered: 0, inFlight: 0 })
    mirror.begin(exchange, post('stream'))!.end()
    expect(mirror.stats).toMatchObject({ sent: 0, dropped: 2, inFlight: 0 })
  })

  test('what happens to a chunk after it was shown changes no copy', async () => {
    const upstream = await using(startUpstream())
    const { mirror } = await mirrorTo(upstream.url, { methods: ['POST'] })
    const copy = mirror.begin(newExchange(), post('stream'))!
    const chunk = Buffer.from('as it was')
    copy.write(chunk)
    chunk.fill(0)
    copy.end()
    await eventually(() => expect(mirror.stats.answered).toBe(1))
    expect(upstream.last.body.toString()).toBe('as it was')
  })

  test('any body in any chunks arrives as it was', async () => {
    const upstream = await using(startUpstream())
    const { mirror } = await mirrorTo(upstream.url, { methods: ['POST'] })
    const chunks = fc.array(fc.uint8Array({ maxLength: 3_000 }), { maxLength: 8 })
    await fc.assert(
      fc.asyncProperty(chunks, fc.boolean(), async (parts, announced) => {
        const body = Buffer.concat(parts)
        const before = upstream.requests.length
        const copy = mirror.begin(newExchange(), post('stream', announced ? body.length : undefined))!
        for (const part of parts) copy.write(Buffer.from(part))
        copy.end()
        await eventually(() => upstream.requests.length > before && upstream.last.complete, { intervalMs: 1 })
        return upstream.last.body.equals(body)
      }),
      { numRuns: 30 },
    )
  })

  test('only the methods that were named, and never an upgrade', async () => {
    const upstream = await using(startUpstream())
    const { mirror } = await mirrorTo(upstream.url)
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'get']) mirror.begin(newExchange(), { ...get(), method })
    mirror.begin(newExchange(), { ...get(), upgrade: 'websocket' })
    expect(mirror.stats).toEqual({ sent: 0, dropped: 0, failed: 0, answered: 0, inFlight: 0 })
    for (const method of ['GET', 'HEAD', 'OPTIONS']) mirror.begin(newExchange(), { ...get(), method })
    await eventually(() => expect(mirror.stats.answered).toBe(3))
    expect(upstream.requests.map((each) => each.method).sort()).toEqual(['GET', 'HEAD', 'OPTIONS'])
  })

  test('a share of the requests, drawn for each', async () => {
    const upstream = await using(startUpstream())
    const draws = [0.1, 0.25, 0.249, 0.9]
    const { mirror } = await mirrorTo(upstream.url, { share: 0.25, random: () => draws.shift()! })
    for (const path of ['/1', '/2', '/3', '/4']) mirror.begin(newExchange(), get(path))
    await eventually(() => expect(mirror.stats).toMatchObject({ sent: 2, answered: 2, dropped: 0 }))
    expect(upstream.requests.map((each) => each.url).sort()).toEqual(['/1', '/3'])
  })

  test('share 0 copies nothing', async () => {
    const upstream = await using(startUpstream())
    const { mirror } = await mirrorTo(upstream.url, { share: 0, random: () => 0 })
    mirror.begin(newExchange(), get())
    expect(mirror.stats.sent).toBe(0)
  })

  test('the base path of the mirror stands in front, also of the root', async () => {
    const upstream = await using(startUpstream())
    const { mirror } = await mirrorTo(`${upstream.url}/base/`)
    for (const path of ['/', '/?q', '/a']) mirror.begin(newExchange(), get(path))
    await eventually(() => expect(mirror.stats.answered).toBe(3))
    expect(upstream.requests.map((each) => each.url).sort()).toEqual(['/base', '/base/a', '/base?q'])
  })
})

describe('headers of the copy', () => {
  const SENT = [
    ...['Authorization', 'Bearer secret', 'COOKIE', 'sid=1', 'x_api_key', 'k', 'X-Auth-Token', 't'],
    ...['x-tenant-key', 'v', 'accept', '*/*', 'X-Env', 'forged', 'x_env', 'forged'],
  ]

  test('credentials do not go to the mirror: headers in any spelling, and parameters of the query', async () => {
    const upstream = await using(startUpstream())
    const { mirror } = await mirrorTo(upstream.url, { removeHeaders: ['X-Tenant-Key'] })
    const headers = SENT.slice()
    mirror.begin(newExchange(), get('/a?access_token=s&b=1&api%5Fkey=s', headers))
    await eventually(() => expect(mirror.stats.answered).toBe(1))
    const sent = upstream.last.rawHeaders.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase())
    expect(sent).toEqual(expect.arrayContaining(['accept', 'x-env']))
    for (const name of ['authorization', 'cookie', 'x_api_key', 'x-auth-token', 'x-tenant-key']) {
      expect(sent).not.toContain(name)
    }
    expect(upstream.last.url).toBe('/a?b=1')
    // The request itself keeps them.
    expect(headers).toEqual(SENT)
  })

  test('credentials go there when that was asked for', async () => {
    const upstream = await using(startUpstream())
    const { mirror } = await mirrorTo(upstream.url, { credentials: 'pass' })
    mirror.begin(newExchange(), get('/a?access_token=s', SENT))
    await eventually(() => expect(mirror.stats.answered).toBe(1))
    expect(upstream.last.headers).toMatchObject({ authorization: 'Bearer secret', cookie: 'sid=1' })
    expect(upstream.last.url).toBe('/a?access_token=s')
  })

  test('what the options set stands in place of what the client sent, in any spelling', async () => {
    const upstream = await using(startUpstream())
    const { mirror } = await mirrorTo(upstream.url, { headers: { 'X-Env': 'shadow' } })
    mirror.begin(newExchange(), get('/', [...SENT, 'X-Postern-Mirror', '0']))
    await eventually(() => expect(mirror.stats.answered).toBe(1))
    expect(upstream.last.all('x-env')).toEqual(['shadow'])
    expect(upstream.last.all('x_env')).toEqual([])
    expect(upstream.last.all('x-postern-mirror')).toEqual(['1'])
  })
})

describe('nothing of it reaches the request itself', () => {
  test('an onError that throws or rejects is contained', async () => {
    const port = await using(refusedPort())
    let told = 0
    const onError = (): never => {
      told++
      throw new Error('a fault of the app')
    }
    const { mirror } = await mirrorTo(port.url, { onError })
    mirror.begin(newExchange(), get())
    await eventually(() => expect(mirror.stats.failed).toBe(1))
    const { mirror: other } = await mirrorTo(port.url, { onError: (async () => onError()) as never })
    other.begin(newExchange(), get())
    await eventually(() => expect(other.stats.failed).toBe(1))
    expect(told).toBe(2)
  })

  test('a random that throws, and a transport that throws, are contained', async () => {
    const { mirror } = await mirrorTo('http://127.0.0.1:1', {
      share: 0.5,
      random: () => {
        throw new Error('a fault of the app')
      },
    })
    expect(mirror.begin(newExchange(), get())).toBe(undefined)
    expect(mirror.stats).toMatchObject({ sent: 0, inFlight: 0 })
    const throwing: Transport = {
      ...undiciTransport(),
      connect: () => ({
        dispatch: () => {
          throw new Error('a fault of the transport')
        },
        close: async () => {},
        destroy: async () => {},
      }),
    }
    const { mirror: other, failures } = await mirrorTo('http://127.0.0.1:1', {}, throwing)
    other.begin(newExchange(), get())
    expect(other.stats).toEqual({ sent: 1, dropped: 0, failed: 1, answered: 0, inFlight: 0 })
    expect(failures).toMatchObject([{ failure: { type: 'proxy_internal_error', side: 'gateway' } }])
  })

  test('handlers of a transport cannot write to the real response', async () => {
    const upstream = await using(startUpstream())
    const seen: unknown[] = []
    const transport = httpProxyMiddleware({
      on: {
        proxyRes: (_proxyRes, _req, res) => {
          seen.push(res)
          ;(res as ServerResponse).setHeader('x-leaked', 'yes')
        },
      },
    })
    const { mirror } = await mirrorTo(upstream.url, {}, transport)
    const finished: unknown[] = []
    const onFinished = (exchange: unknown) => void finished.push(exchange)
    exchangeFinished.subscribe(onFinished)
    const exchange = newExchange()
    mirror.begin(exchange, get())
    await eventually(() => expect(mirror.stats.answered).toBe(1))
    expect(seen).toHaveLength(1)
    expect(seen[0]).not.toBe(exchange.response)
    expect(exchange.response.hasHeader('x-leaked')).toBe(false)
    exchange.close()
    exchangeFinished.unsubscribe(onFinished)
    expect(finished).toEqual([exchange])
  })

  test('its timer keeps no process alive', async () => {
    const silent: Transport = {
      ...undiciTransport(),
      connect: () => ({ dispatch: () => {}, close: async () => {}, destroy: async () => {} }),
    }
    const { mirror } = await mirrorTo('http://127.0.0.1:1', {}, silent)
    const timers = () => process.getActiveResourcesInfo().filter((each) => each === 'Timeout').length
    const before = timers()
    mirror.begin(newExchange(), get())
    expect([mirror.stats.inFlight, timers()]).toEqual([1, before])
  })

  test('a copy goes on when the client has left', async () => {
    const upstream = await using(startUpstream())
    const { mirror } = await mirrorTo(upstream.url)
    const exchange = newExchange()
    mirror.begin(exchange, get())
    exchange.close()
    await eventually(() => expect(mirror.stats.answered).toBe(1))
  })
})

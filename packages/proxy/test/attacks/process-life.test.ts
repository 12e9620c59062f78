import { execFile } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import { exchangeOf } from '@postern/contracts'
import {
  answer,
  answerThen,
  answerThenClose,
  badStatus,
  bothFramings,
  closeUnanswered,
  cutBody,
  eventually,
  garbage,
  halfHead,
  interimStorm,
  neverAnswer,
  type RawScript,
  rawResponse,
  refusedPort,
  resetAfter,
  resetAtOnce,
  resetUnanswered,
  startRawUpstream,
  unhandled,
} from '@postern/test-kit'
import { describe, expect, it } from 'vitest'
import { type Gate, gate, HOSTS, head, using } from './support.ts'

const GET = head('GET /x HTTP/1.1', 'Host: a')
const POST = head('POST /x HTTP/1.1', 'Host: a', 'Content-Length: 1000')
const UPGRADE = head(
  'GET /ws HTTP/1.1',
  'Host: a',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
)
const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'
const HALF = 'HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nhello'

/** A raw client that never minds how it ends. */
function connect(gateway: Gate): net.Socket {
  const socket = net.connect(gateway.port, '127.0.0.1')
  socket.on('error', () => {})
  return socket
}

/** Nothing is left of what went before: no exchange, no connection of a client, no connection in use to the upstream. */
async function expectQuiet(gateway: Gate, upstreamSockets = 0): Promise<void> {
  await eventually(() => {
    expect(gateway.handler.stats.active).toBe(0)
    expect(gateway.handler.stats.tunnels).toBe(0)
    expect(gateway.handler.stats.targets.every((each) => each.inFlight === 0 && each.queued === 0)).toBe(true)
    expect(gateway.sockets).toBe(0)
    expect(gateway.upstream.sockets).toBe(upstreamSockets)
  })
}

interface ClientStage {
  readonly stage: string
  readonly says: string
  readonly upstream: RawScript
  /** Whether the upstream sees the request at this stage, so that the client waits for it to arrive there. */
  readonly arrives: boolean
  /** Bytes of the answer that the client waits for before it leaves. */
  readonly awaits?: number
}

const CLIENT_STAGES: readonly ClientStage[] = [
  { stage: 'before its head', says: '', upstream: answer(), arrives: false },
  { stage: 'in its head', says: 'GET /x HTTP/1.1\r\nHost', upstream: answer(), arrives: false },
  { stage: 'before the answer', says: GET, upstream: neverAnswer(), arrives: true },
  { stage: 'in its upload', says: `${POST}half`, upstream: neverAnswer(), arrives: true },
  {
    stage: 'in a chunked upload',
    says: `${head('POST /x HTTP/1.1', 'Host: a', 'Transfer-Encoding: chunked')}5\r\nhe`,
    upstream: neverAnswer(),
    arrives: true,
  },
  { stage: 'behind half an answer', says: GET, upstream: answerThen(HALF, 'wait'), arrives: true, awaits: 60 },
  { stage: 'between two requests', says: GET, upstream: answerThenClose(), arrives: true, awaits: 40 },
  { stage: 'in an upgrade handshake', says: UPGRADE, upstream: neverAnswer(), arrives: true },
  { stage: 'in a tunnel', says: UPGRADE, upstream: answerThen(SWITCH, 'wait'), arrives: true, awaits: 70 },
]

describe.each(HOSTS)('The process goes on, in %s, and nothing is left, when the client', (where) => {
  it.each(
    CLIENT_STAGES.flatMap((each) => [
      { ...each, how: 'resets' as const },
      { ...each, how: 'ends' as const },
    ]),
  )('$how $stage', async ({ says, upstream, arrives, awaits = 0, how }) => {
    const died = unhandled()
    const gateway = await gate({ in: where, upstream, upgrades: true })
    const client = connect(gateway)
    let received = 0
    client.on('data', (chunk) => {
      received += chunk.length
    })
    await new Promise((resolve) => client.once('connect', resolve))
    client.write(says)
    await eventually(() => gateway.sockets === 1)
    if (arrives) await eventually(() => gateway.upstream.received.length > 0)
    await eventually(() => received >= awaits)
    if (how === 'resets') client.resetAndDestroy()
    else client.destroy()
    await expectQuiet(gateway)
    // The server still serves.
    expect((await gateway.ask(head('GET /.. HTTP/1.1', 'Host: a'))).response.status).toBe(400)
    expect(await died.stop()).toEqual([])
  })
})

const UPSTREAM_STAGES: readonly { stage: string; upstream: RawScript; says: string; status: number | 'cut' }[] = [
  { stage: 'at once', upstream: resetAtOnce(), says: GET, status: 502 },
  { stage: 'at once, during an upload', upstream: resetAtOnce(), says: `${POST}half`, status: 502 },
  { stage: 'in the request’s head', upstream: resetAfter(20), says: GET, status: 502 },
  { stage: 'behind the request', upstream: resetUnanswered(), says: GET, status: 502 },
  { stage: 'behind the request, without a reset', upstream: closeUnanswered(), says: GET, status: 502 },
  { stage: 'in the upload', upstream: resetAfter(120), says: `${POST}half`, status: 502 },
  { stage: 'in its head', upstream: halfHead('reset'), says: GET, status: 502 },
  { stage: 'in its head, without a reset', upstream: halfHead('close'), says: GET, status: 502 },
  { stage: 'in its body', upstream: cutBody('content-length', 'reset'), says: GET, status: 'cut' },
  { stage: 'in its chunked body', upstream: cutBody('chunked', 'reset'), says: GET, status: 'cut' },
  { stage: 'in its chunked body, without a reset', upstream: cutBody('chunked', 'close'), says: GET, status: 'cut' },
  { stage: 'at once, in an upgrade handshake', upstream: resetAtOnce(), says: UPGRADE, status: 502 },
  { stage: 'behind an upgrade handshake', upstream: resetUnanswered(), says: UPGRADE, status: 502 },
  {
    stage: 'in the answer to an upgrade handshake',
    upstream: answerThen(SWITCH.slice(0, 40), 'reset'),
    says: UPGRADE,
    status: 502,
  },
]

describe.each(HOSTS)(
  'The process goes on, in %s, the client has one answer or a cut, when the upstream resets',
  (where) => {
    it.each(UPSTREAM_STAGES)('$stage', async ({ upstream, says, status }) => {
      const died = unhandled()
      const gateway = await gate({ in: where, upstream, upgrades: true })
      const answered = await gateway.ask(says, {
        ...(status === 'cut' ? {} : { responses: 1 }),
        timeoutMs: 1_000,
      })
      const finals = answered.parsed.responses
      expect(answered.parsed.fault).toBeUndefined()
      expect(answered.parsed.leftover).toHaveLength(0)
      expect(finals).toHaveLength(1)
      if (status === 'cut') {
        expect(finals[0]!.complete).toBe(false)
        expect(finals[0]!.body.toString()).toBe('hello')
        expect(answered.endedBy).not.toBe('timeout')
      } else expect(finals[0]!.status).toBe(status)
      await expectQuiet(gateway)
      expect(await died.stop()).toEqual([])
    })

    it('between two requests, and in a tunnel', async () => {
      const died = unhandled()
      const gateway = await gate({ in: where, upstream: [answer(), answerThen(SWITCH, 'reset')], upgrades: true })
      await gateway.ask(GET, { responses: 1 })
      gateway.upstream.connections[0]!.socket.resetAndDestroy()
      await expectQuiet(gateway)
      const answered = await gateway.ask(UPGRADE)
      expect(answered.response.status).toBe(101)
      expect(answered.endedBy).not.toBe('timeout')
      await expectQuiet(gateway)
      expect(await died.stop()).toEqual([])
    })
  },
)

const FAULTY: readonly { what: string; upstream: RawScript }[] = [
  { what: 'is garbage', upstream: garbage() },
  { what: 'has both framings', upstream: bothFramings() },
  { what: 'has the status 000', upstream: badStatus('000') },
  { what: 'has the status 099', upstream: badStatus('099') },
  { what: 'has the status 1000', upstream: badStatus('1000') },
  { what: 'comes behind 2,000 interim ones', upstream: interimStorm(2_000) },
  { what: 'never comes', upstream: closeUnanswered() },
]

describe('What the gateway itself answers', () => {
  it.each(FAULTY)(
    'is one answer, and tells nothing of the upstream, when the upstream’s $what',
    async ({ upstream }) => {
      const died = unhandled()
      const gateway = await gate({ upstream, timeouts: { headersMs: 500 } })
      const answered = await gateway.ask(
        head('GET /secret/path?token=abc HTTP/1.1', 'Host: shop.test', 'Cookie: a=b'),
        { responses: 1 },
      )
      expect(answered.parsed.responses.filter((each) => each.status >= 200)).toHaveLength(1)
      expect(answered.response.status).toBe(502)
      expectTellsNothing(gateway, answered.text)
      expect(await died.stop()).toEqual([])
    },
  )

  it.each([
    ['the upstream refuses', async () => (await using(refusedPort())).url],
    ['the upstream’s name is unknown', async () => 'http://no-such-host.invalid:1234'],
    [
      'the upstream does not speak TLS',
      async () => (await using(startRawUpstream(garbage()))).url.replace('http:', 'https:'),
    ],
    ['the Unix socket is not there', async () => 'unix:/run/no-such-socket.sock'],
  ])('tells nothing of the upstream when %s', async (_why, target) => {
    const gateway = await gate({ target: await target(), timeouts: { connectMs: 1_000 } })
    const answered = await gateway.ask(head('GET /secret/path?token=abc HTTP/1.1', 'Host: shop.test'), {
      responses: 1,
      timeoutMs: 8_000,
    })
    expect([502, 504]).toContain(answered.response.status)
    expectTellsNothing(gateway, answered.text)
    expect(answered.text).not.toMatch(/no-such|invalid|\.sock|ENOENT|ENOTFOUND|EAI/)
  })

  it.each(['/secret/<script>alert(1)</script>/../x', '/secret%00<svg>', '/secret//x?<b>'])(
    'repeats nothing of the request: %s',
    async (target) => {
      const gateway = await gate()
      const answered = await gateway.ask(head(`GET ${target} HTTP/1.1`, 'Host: shop.test', 'X-Request-Id: <script>'))
      expect(answered.response.status).toBe(400)
      expect(answered.text).not.toMatch(/script|svg|<b>/)
      expectTellsNothing(gateway, answered.text)
    },
  )

  it('is no header but what belongs to the error, when it comes in place of an answer', async () => {
    const gateway = await gate({
      upstream: bothFramings(),
      before: [
        (_req, res, next) => {
          res.setHeader('Content-Encoding', 'gzip')
          res.setHeader('ETag', '"1"')
          next()
        },
      ],
    })
    const answered = await gateway.ask(GET, { responses: 1 })
    expect(answered.response.headers['content-encoding']).toBeUndefined()
    expect(answered.response.headers.etag).toBeUndefined()
    expect(JSON.parse(answered.response.body.toString())).toMatchObject({ status: 502, code: 'upstream_failed' })
  })

  function expectTellsNothing(gateway: Gate, text: string): void {
    expect(text).not.toMatch(
      /127\.0\.0\.1|localhost|secret|token|shop\.test|Error:|node:|\bat .*:[0-9]+|undici|ECONN|\.ts\b/,
    )
    expect(text).not.toContain(String(gateway.upstream.port))
  }
})

describe('A hook that', () => {
  const THROWS = () => {
    throw new Error('inner 10.0.0.1')
  }
  const REJECTS = () => Promise.reject(new Error('inner 10.0.0.1'))
  it.each([
    ['throws before the request', { onRequest: THROWS }],
    ['rejects before the request', { onRequest: REJECTS }],
    ['throws before the answer', { onResponse: THROWS }],
    ['rejects before the answer', { onResponse: REJECTS }],
    ['throws where a path is rewritten', { rewritePath: THROWS }],
    ['throws where a transform is made', { transforms: { response: THROWS } }],
  ])('%s ends its own exchange, with 500, once', async (_when, options) => {
    const died = unhandled()
    const gateway = await gate(options)
    const answered = await gateway.ask(GET, { responses: 1 })
    expect(answered.response.status).toBe(500)
    expect(answered.text).not.toMatch(/inner|10\.0\.0\.1/)
    await eventually(() => gateway.handler.stats.active === 0)
    expect(await died.stop()).toEqual([])
  })

  it.each([
    ['a body with a length', rawResponse('hello'), 'hello'],
    ['a chunked body', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n', 'hello'],
    ['an empty body', rawResponse(''), ''],
    ['no body', 'HTTP/1.1 204 No Content\r\n\r\n', ''],
  ])('takes its time before the answer loses nothing of it: %s', async (_what, bytes, body) => {
    const gateway = await gate({
      upstream: answer(bytes),
      onResponse: async (_exchange, response) => {
        await new Promise((resolve) => setTimeout(resolve, 30))
        response.headers['x-late'] = 'yes'
      },
    })
    const answered = await gateway.ask(GET, { responses: 1 })
    expect(answered.endedBy).toBe('responses')
    expect(answered.response.headers['x-late']).toBe('yes')
    expect(answered.response.body.toString()).toBe(body)
    await eventually(() => gateway.handler.stats.active === 0)
  })

  it.each(['onRequest', 'onResponse'] as const)(
    'never comes back (%s) is left when the client leaves',
    async (hook) => {
      const gateway = await gate({ [hook]: () => new Promise<void>(() => {}) })
      const client = connect(gateway)
      client.write(GET)
      await eventually(() => gateway.handler.stats.active === 1)
      client.resetAndDestroy()
      await eventually(() => gateway.handler.stats.active === 0)
    },
  )

  it('answers by itself has the only answer', async () => {
    const died = unhandled()
    const gateway = await gate({
      onRequest: (exchange) => {
        exchange.response.statusCode = 418
        exchange.response.end('mine')
      },
    })
    const answered = await gateway.ask(GET, { responses: 1 })
    expect(answered.response.status).toBe(418)
    expect(gateway.upstream.received).toBe('')
    await eventually(() => gateway.handler.stats.active === 0)
    expect(await died.stop()).toEqual([])
  })
})

describe('Three hundred exchanges given up at random', () => {
  it('leave listeners, sockets and counters where they were', async () => {
    const died = unhandled()
    const slow: RawScript = async (connection) => {
      while ((await connection.nextRequest()) !== undefined) {
        for (const part of ['HTTP/1.1 200 OK\r\n', 'Content-Length: 20\r\n\r\n', '0123456789', '0123456789']) {
          await new Promise((resolve) => setTimeout(resolve, 2))
          if (connection.socket.destroyed) return
          connection.socket.write(part)
        }
      }
    }
    const listeners: (() => number)[] = []
    const gateway = await gate({
      upstream: slow,
      upgrades: true,
      before: [
        (req, res, next) => {
          exchangeOf(req, res)
          listeners.push(() => res.listenerCount('close') + req.listenerCount('data') + res.listenerCount('drain'))
          next()
        },
      ],
    })
    const before = process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0)
    const kinds = [GET, POST, `${POST}${'x'.repeat(500)}`, `${POST}${'x'.repeat(1000)}`, UPGRADE, GET.slice(0, 20)]
    for (let round = 0; round < 10; round++) {
      await Promise.all(
        Array.from({ length: 30 }, (_, i) => {
          const client = connect(gateway)
          client.resume()
          client.write(kinds[(round + i) % kinds.length]!)
          // A different phase each time, from before the head to behind the answer.
          return new Promise<void>((resolve) => {
            setTimeout(
              () => {
                if (i % 3 === 0) client.resetAndDestroy()
                else client.destroy()
                resolve()
              },
              (i * 7 + round * 3) % 16,
            )
          })
        }),
      )
    }
    await eventually(() => gateway.handler.stats.active === 0 && gateway.sockets === 0)
    const [target] = gateway.handler.stats.targets
    expect(target).toMatchObject({ inFlight: 0, queued: 0 })
    // What is left are idle connections in the pool, and they serve.
    expect((await gateway.ask(GET, { responses: 1 })).response.body.toString()).toBe('01234567890123456789')
    await gateway.handler.close({ graceMs: 500 })
    await eventually(() => gateway.upstream.sockets === 0)
    expect(listeners.length).toBeGreaterThan(200)
    for (const count of listeners) expect(count()).toBeLessThanOrEqual(1)
    expect(process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0)).toBe(before)
    expect(await died.stop()).toEqual([])
  })
})

describe('A process that has closed its server', () => {
  const CHILD = `
    import http from 'node:http'
    import { harden, proxy } from '@postern/proxy'
    const handler = proxy({
      target: process.env.TARGET,
      timeouts: { totalMs: 600_000, headersMs: 600_000, bodyIdleMs: 600_000, queueMs: 600_000, connectMs: 600_000 },
      connections: { keepAliveMs: 600_000 },
    })
    const server = harden(http.createServer(handler))
    server.listen(0, '127.0.0.1', () => {
      const req = http.get({ port: server.address().port, host: '127.0.0.1', agent: false }, (res) => {
        res.resume()
        res.on('end', () => {
          console.log(res.statusCode)
          server.close()
          server.closeAllConnections()
          if (process.env.CLOSE === 'yes') handler.close()
        })
      })
    })`

  it.each(['yes', 'no'])(
    'ends: no timer and no idle connection of the proxy keeps it alive (handler closed: %s)',
    async (close) => {
      const upstream = await using(startRawUpstream(answer()))
      const child = execFile(
        process.execPath,
        ['--conditions=@postern/source', '--input-type=module', '--eval', CHILD],
        { cwd: import.meta.dirname, env: { ...process.env, TARGET: upstream.url, CLOSE: close }, timeout: 20_000 },
      )
      let output = ''
      child.stdout!.on('data', (text: string) => {
        output += text
      })
      const [code] = (await once(child, 'close')) as [number | null]
      expect([output.trim(), code]).toEqual(['200', 0])
    },
  )
})

describe('close()', () => {
  it('lets what is under way finish, refuses what is new, and frees every connection', async () => {
    const release: (() => void)[] = []
    const gateway = await gate({
      upstream: async (connection) => {
        while ((await connection.nextRequest()) !== undefined) {
          await new Promise<void>((resolve) => release.push(resolve))
          connection.socket.write(rawResponse('late'))
        }
      },
    })
    const underWay = gateway.ask(GET, { responses: 1, timeoutMs: 5_000 })
    await eventually(() => release.length === 1)
    const closed = gateway.handler.close({ graceMs: 5_000 })
    const refused = await gateway.ask(GET)
    expect(refused.response.status).toBe(503)
    expect(refused.response.headers.connection).toBe('close')
    expect(refused.response.headers['retry-after']).toBe('1')
    release[0]!()
    expect((await underWay).response.body.toString()).toBe('late')
    await closed
    await eventually(() => gateway.upstream.sockets === 0)
  })

  it('cuts what has not finished when the grace is over', async () => {
    const gateway = await gate({ upstream: neverAnswer() })
    const underWay = gateway.ask(GET, { responses: 1, timeoutMs: 5_000 })
    await eventually(() => gateway.handler.stats.active === 1)
    await gateway.handler.close({ graceMs: 50 })
    const answered = await underWay
    expect(answered.endedBy).not.toBe('timeout')
    await eventually(() => gateway.handler.stats.active === 0 && gateway.upstream.sockets === 0)
  })
})

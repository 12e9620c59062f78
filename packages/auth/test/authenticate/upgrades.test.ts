import net from 'node:net'
import { proxy } from '@postern/proxy'
import {
  connectWebSocket,
  eventually,
  type HandshakeRefused,
  rawRequest,
  startWebSocketUpstream,
  type WebSocketUpstream,
} from '@postern/test-kit'
import { describe, expect, test } from 'vitest'
import { identityRefused, identityVerified } from '../../src/channels.ts'
import type { SchemeStrategy } from '../../src/passport/scheme-strategy.ts'
import { identityOf, type Verdict, verified } from '../../src/scheme.ts'
import { type Api, afterwards, guarded, told, using } from '../support/api.ts'
import { challengeOf, testScheme, verdictOn } from './support.ts'

async function tunnel(strategy: SchemeStrategy): Promise<Api & { readonly upstream: WebSocketUpstream }> {
  const upstream = await using(startWebSocketUpstream())
  const forward = proxy({ target: upstream.url })
  afterwards(() => forward.close({ graceMs: 1_000 }))
  const app = await guarded(strategy, { upgrades: true, last: forward as never, failureLimit: { afterFailures: 3 } })
  return Object.defineProperties(
    { upstream } as Api & { upstream: WebSocketUpstream },
    Object.getOwnPropertyDescriptors(app),
  )
}

function refusalFrom(url: string, headers: Record<string, string> = {}): Promise<HandshakeRefused> {
  return connectWebSocket(url, [], { headers }).then(
    () => expect.unreachable('the handshake went through'),
    (error: unknown) => error as HandshakeRefused,
  )
}

const HANDSHAKE =
  'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'

describe('a WebSocket', () => {
  test('is opened for who is known, and carries messages', async () => {
    const verifications = told(identityVerified)
    const app = await tunnel(testScheme('one'))
    const socket = await connectWebSocket(app.url, [], { headers: { one: 'good:a' } })
    socket.send('hello')
    expect((await socket.next()).data.toString()).toBe('hello')
    await socket.close()
    expect(verifications.map(({ identity }) => identity.subject)).toEqual(['a'])
  })

  test('is refused by an answer on the socket, which ends then; the upstream hears nothing', async () => {
    const refusals = told(identityRefused)
    const app = await tunnel(testScheme('one'))
    const missing = await refusalFrom(app.url)
    expect([missing.status, missing.headers['www-authenticate'], JSON.parse(missing.body).code]).toEqual([
      401,
      challengeOf('one'),
      'authentication_required',
    ])
    const wrong = await refusalFrom(app.url, { one: 'bad' })
    expect([wrong.status, wrong.headers['www-authenticate'], JSON.parse(wrong.body).code]).toEqual([
      401,
      challengeOf('one', 'invalid_token'),
      'invalid_credentials',
    ])
    await eventually(() => app.served.sockets === 0)
    expect([app.upstream.sockets, app.reached, refusals.length]).toEqual([0, 0, 2])
    const raw = await rawRequest(app.served.port, `${HANDSHAKE}\r\n`)
    expect([raw.response.status, raw.response.complete, raw.endedBy]).toEqual([401, true, 'end'])
  })

  test('guesses by handshakes are counted like all others', async () => {
    const app = await tunnel(testScheme('one'))
    const statuses: number[] = []
    for (let i = 0; i < 4; i++) statuses.push((await refusalFrom(app.url, { one: 'bad' })).status)
    expect(statuses).toEqual([401, 401, 401, 429])
    expect((await app.ask({ one: 'bad' })).status).toBe(429)
  })

  test('frames that come before the answer are not lost, and not read as HTTP', async () => {
    let finish: ((verdict: Verdict) => void) | undefined
    const app = await tunnel(testScheme('one', { verify: () => new Promise((resolve) => void (finish = resolve)) }))
    let answer = ''
    const socket = net.connect(app.served.port, '127.0.0.1')
    afterwards(() => socket.destroy())
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1')
    })
    // A masked text frame "hi", behind the head.
    const frame = Buffer.of(0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69)
    socket.write(Buffer.concat([Buffer.from(`${HANDSHAKE}one: x\r\n\r\n`), frame]))
    await eventually(() => finish !== undefined)
    finish!(verified(identityOf('one', 'a')))
    await eventually(() => answer.startsWith('HTTP/1.1 101') && answer.endsWith('hi'))
  })

  test('a client that leaves while it is found out who he is has no tunnel opened for him', async () => {
    let asked = 0
    let finish: (verdict: Verdict) => void = () => {}
    const slow = testScheme('one', {
      verify: () => {
        asked++
        return new Promise((resolve) => void (finish = resolve))
      },
    })
    const app = await tunnel(slow)
    const socket = net.connect(app.served.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write(`${HANDSHAKE}one: x\r\n\r\n`)
    await eventually(() => asked === 1)
    socket.destroy()
    await eventually(() => app.served.sockets === 0)
    finish(verified(identityOf('one', 'a')))
    await new Promise((resolve) => setImmediate(resolve))
    expect([app.reached, app.upstream.webSockets.length, app.upstream.sockets]).toEqual([0, 0, 0])
  })
})

test('no listener is left behind on a connection that serves many requests', async () => {
  const app = await guarded(testScheme('one', { verify: async (credentials) => verdictOn('one', credentials) }), {
    failureLimit: false,
  })
  const counts = new Set<string>()
  app.served.server.on('request', (req, res) => {
    res.once('close', () => {
      const { socket } = req
      counts.add(
        JSON.stringify(
          socket
            .eventNames()
            .map((name) => [String(name), socket.listenerCount(name)])
            .sort(),
        ),
      )
    })
  })
  const lines = Array.from(
    { length: 30 },
    (_, i) => `GET / HTTP/1.1\r\nHost: a\r\none: ${i % 2 === 0 ? 'good:a' : 'bad'}\r\n\r\n`,
  )
  const answer = await rawRequest(app.served.port, lines.join(''), { responses: 30 })
  expect(answer.parsed.responses.map(({ status }) => status)).toEqual(lines.map((_, i) => (i % 2 === 0 ? 200 : 401)))
  expect(counts.size).toBeLessThan(4)
})

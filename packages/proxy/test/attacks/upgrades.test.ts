import net from 'node:net'
import { exchangeOf } from '@postern/contracts'
import { answer, answerThen, rawResponse, unhandled } from '@postern/test-kit'
import { describe, expect, it } from 'vitest'
import { expectRefused, firstSeen, gate, HOSTS, head, requestLines, SMUGGLED, seenValues } from './support.ts'

const KEY = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='

function handshake(target: string, ...lines: string[]): string {
  return head(
    `GET ${target} HTTP/1.1`,
    'Host: a',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    KEY,
    ...lines,
  )
}

describe.each(HOSTS)('An upgrade through %s', (where) => {
  it.each(['200 OK', '400 Bad Request', '403 Forbidden', '426 Upgrade Required', '500 Odd'])(
    'that the upstream answers "%s" opens no tunnel: what stands behind it goes nowhere',
    async (status) => {
      const gateway = await gate({ in: where, upgrades: true, upstream: answer(rawResponse('no', {}, status)) })
      const answered = await gateway.ask([`${handshake('/ws')}${SMUGGLED}`, SMUGGLED])
      expect(answered.response.status).toBe(Number(status.slice(0, 3)))
      expect(answered.parsed.responses).toHaveLength(1)
      expect(answered.endedBy).not.toBe('timeout')
      expect(requestLines(gateway)).toEqual(['GET /ws HTTP/1.1'])
      await expect.poll(() => gateway.handler.stats.active, { interval: 2 }).toBe(0)
    },
  )

  it('that the upstream answers with a switch to something else is refused', async () => {
    const odd = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n'
    const gateway = await gate({ in: where, upgrades: true, upstream: answerThen(odd, 'wait') })
    const answered = await gateway.ask([handshake('/ws'), SMUGGLED])
    expect(answered.response.status).toBe(502)
    expect(requestLines(gateway)).toEqual(['GET /ws HTTP/1.1'])
  })

  it('to h2c is never offered upstream', async () => {
    for (const upgrades of [true, false]) {
      const gateway = await gate({ in: where, upgrades })
      const bytes = head(
        'GET /x HTTP/1.1',
        'Host: a',
        'Connection: Upgrade, HTTP2-Settings',
        'Upgrade: h2c',
        'HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA',
      )
      const answered = await gateway.ask([bytes, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'], { timeoutMs: 500 })
      expect([200, 501]).toContain(answered.parsed.responses[0]!.status)
      expect(gateway.upstream.received).not.toMatch(/h2c|settings|PRI/i)
    }
  })

  it.each([
    ['without a key', handshake('/ws').replace(`${KEY}\r\n`, '')],
    ['with a key that is none', handshake('/ws').replace(KEY, 'Sec-WebSocket-Key: short')],
    ['of another version', handshake('/ws').replace('Version: 13', 'Version: 8')],
    ['by POST', handshake('/ws').replace('GET', 'POST')],
    ['with a body', `${handshake('/ws', 'Content-Length: 5')}hello`],
    ['with a chunked body', `${handshake('/ws', 'Transfer-Encoding: chunked')}5\r\nhello\r\n0\r\n\r\n`],
    [
      'with both framings',
      `${handshake('/ws', 'Content-Length: 5', 'Transfer-Encoding: chunked')}5\r\nhello\r\n0\r\n\r\n`,
    ],
    ['with a dot segment', handshake('/public/../admin')],
    ['with two Hosts', handshake('/ws', 'Host: b')],
  ])('that is malformed is refused on its connection: %s', async (_how, bytes) => {
    const gateway = await gate({ in: where, upgrades: true })
    const answered = await gateway.ask(bytes)
    expectRefused(gateway, answered, 400)
    expect(answered.endedBy).not.toBe('timeout')
  })

  it('in HTTP/1.0 opens no tunnel', async () => {
    const gateway = await gate({ in: where, upgrades: true })
    const answered = await gateway.ask([handshake('/ws').replace('HTTP/1.1', 'HTTP/1.0'), SMUGGLED])
    expect([200, 400]).toContain(answered.response.status)
    expect(seenUpgrade(gateway.upstream.received)).toBe(false)
  })

  it('without "Connection: upgrade" is a plain request', async () => {
    const gateway = await gate({ in: where, upgrades: true })
    const answered = await gateway.ask(handshake('/ws').replace('Connection: Upgrade\r\n', ''), { responses: 1 })
    expect(answered.response.status).toBe(200)
    expect(seenValues(gateway, 'upgrade')).toEqual([])
  })

  it('is a plain request where upgrades are not attached', async () => {
    const gateway = await gate({ in: where })
    const answered = await gateway.ask(handshake('/ws'), { responses: 1 })
    expect(answered.response.status).toBe(200)
    expect(seenValues(gateway, 'upgrade')).toEqual([])
    expect(firstSeen(gateway).rest).toBe('')
  })

  it('that the client gives up during the handshake leaves nothing behind, whichever way it leaves', async () => {
    const died = unhandled()
    const gateway = await gate({ in: where, upgrades: true, upstream: () => {} })
    for (let i = 0; i < 20; i++) {
      const socket = net.connect(gateway.port, '127.0.0.1')
      socket.on('error', () => {})
      socket.write(handshake('/ws'))
      await expect.poll(() => gateway.handler.stats.active, { interval: 2 }).toBe(1)
      if (i % 2 === 0) socket.resetAndDestroy()
      else socket.end()
      await expect.poll(() => gateway.handler.stats.active, { interval: 2 }).toBe(0)
      socket.destroy()
    }
    await expect.poll(() => gateway.upstream.sockets).toBe(0)
    await expect.poll(() => gateway.sockets).toBe(0)
    expect(gateway.handler.stats.tunnels).toBe(0)
    expect(await died.stop()).toEqual([])
  })

  it('is answered, and the connection closed, when the client has sent much before the answer', async () => {
    const gateway = await gate({ in: where, upgrades: true, upstream: answer(rawResponse('no', {}, '403 Forbidden')) })
    const answered = await gateway.ask([handshake('/ws'), 'x'.repeat(500_000)])
    expect(answered.endedBy).not.toBe('timeout')
    expect(requestLines(gateway)).toHaveLength(1)
    expect(gateway.upstream.received).not.toContain('xxx')
    await expect.poll(() => gateway.sockets).toBe(0)
  })
})

describe('An upgrade', () => {
  it.each(['/admin', '/Admin/ws', 'http://a/admin'])(
    'meets the rule that stands before the proxy: %s',
    async (target) => {
      const gateway = await gate({ upgrades: true })
      const answered = await gateway.ask([handshake(target), SMUGGLED])
      expectRefused(gateway, answered, 403)
    },
  )

  it('carries the identity that the gateway set and none that the client sent', async () => {
    const gateway = await gate({
      upgrades: true,
      before: [
        (req, res, next) => {
          exchangeOf(req, res).outgoing.setReserved('X-Auth-User', 'alice')
          next()
        },
      ],
      upstream: answer(rawResponse('no', {}, '403 Forbidden')),
    })
    await gateway.ask(
      handshake('/ws', 'X-Auth-User: root', 'X_Auth_User: root', 'X-Forwarded-For: 6.6.6.6').replace(
        'Connection: Upgrade',
        'Connection: Upgrade, X-Auth-User',
      ),
    )
    expect(seenValues(gateway, 'x-auth-user')).toEqual(['alice'])
    expect(firstSeen(gateway).raw).not.toMatch(/root|6\.6\.6\.6/)
  })

  it.each([
    [
      'throws',
      () => {
        throw new Error('inner 10.0.0.1')
      },
    ],
    ['rejects', () => Promise.reject(new Error('inner 10.0.0.1'))],
  ])('is answered 500 when a hook %s', async (_how, onRequest) => {
    const died = unhandled()
    const gateway = await gate({ upgrades: true, onRequest })
    const answered = await gateway.ask(handshake('/ws'))
    expectRefused(gateway, answered, 500)
    expect(answered.text).not.toMatch(/inner|10\.0\.0\.1/)
    expect(await died.stop()).toEqual([])
  })

  it('that no handler takes is answered, not dropped', async () => {
    const gateway = await gate({ upgrades: true, mount: '/ws' })
    const answered = await gateway.ask(handshake('/elsewhere'))
    expectRefused(gateway, answered, 404)
  })
})

function seenUpgrade(received: string): boolean {
  return /^upgrade:/im.test(received)
}

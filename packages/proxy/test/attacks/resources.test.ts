import net from 'node:net'
import { cutBody, eventually, halfHead, neverAnswer, neverRead, type RawConnection } from '@postern/test-kit'
import { describe, expect, it } from 'vitest'
import { expectRefused, firstSeen, type Gate, gate, HOSTS, head, SMUGGLED } from './support.ts'

const GET = head('GET /x HTTP/1.1', 'Host: a')

/** A client that says these bytes, one every so many milliseconds, and tells what came back and when it was cut. */
function dripping(gateway: Gate, bytes: string, everyMs: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = net.connect(gateway.port, '127.0.0.1')
    let received = ''
    let at = 0
    const timer = setInterval(() => socket.write(bytes.charAt(at++ % bytes.length)), everyMs)
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1')
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      clearInterval(timer)
      resolve(received)
    })
  })
}

describe.each(HOSTS)('Slow clients of %s, on a hardened server', (where) => {
  const times = { headersTimeoutMs: 200, requestTimeoutMs: 400 }

  it.each([
    ['a head that never ends', 'GET /x HTTP/1.1\r\nHost: a\r\nX-Slow: '],
    ['a head of endless headers', 'a: b\r\n'],
  ])('get 408 or are cut: %s', async (_how, bytes) => {
    const gateway = await gate({ in: where, harden: times })
    const cut = dripping(gateway, bytes, 20)
    expect((await gateway.ask(GET, { responses: 1 })).response.status).toBe(200)
    expect(await cut).toMatch(/^(?:HTTP\/1\.1 40[08] |$)/)
    expect(gateway.upstream.connections).toHaveLength(1)
  })

  it('are cut when they connect and say nothing', async () => {
    const gateway = await gate({ in: where, harden: times })
    const answered = gateway.ask('', { timeoutMs: 5_000 })
    expect((await gateway.ask(GET, { responses: 1 })).response.status).toBe(200)
    expect((await answered).endedBy).not.toBe('timeout')
  })

  it.each([
    ['with a length', head('POST /x HTTP/1.1', 'Host: a', 'Content-Length: 1000')],
    ['in chunks', `${head('POST /x HTTP/1.1', 'Host: a', 'Transfer-Encoding: chunked')}100\r\n`],
  ])('get 408 or are cut: a body %s that never ends; the upstream sees no end of it', async (_how, start) => {
    const gateway = await gate({ in: where, harden: times })
    const socket = net.connect(gateway.port, '127.0.0.1')
    socket.on('error', () => {})
    let received = ''
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1')
    })
    socket.write(start)
    const timer = setInterval(() => socket.write('x'), 20)
    expect((await gateway.ask(GET, { responses: 1 })).response.status).toBe(200)
    await new Promise((resolve) => socket.once('close', resolve))
    clearInterval(timer)
    expect(received).toMatch(/^(?:HTTP\/1\.1 408 |$)/)
    await expect.poll(() => gateway.handler.stats.active).toBe(0)
    await eventually(() => gateway.upstream.connections.every((each) => each.ended || each.received.includes('GET')))
  })

  it('that keep a thousand idle connections open do not keep others from being served', async () => {
    const gateway = await gate({ in: where, harden: { headersTimeoutMs: 2_000, requestTimeoutMs: 4_000 } })
    const idle = Array.from({ length: 1_000 }, () => net.connect(gateway.port, '127.0.0.1').on('error', () => {}))
    await eventually(() => gateway.sockets >= 1_000)
    expect((await gateway.ask(GET, { responses: 1 })).response.status).toBe(200)
    await expect.poll(() => gateway.sockets, { timeout: 5_000 }).toBe(0)
    for (const socket of idle) socket.destroy()
  })
})

describe('harden()', () => {
  it('keeps the time for a head within the time for its request', async () => {
    const gateway = await gate({ harden: { requestTimeoutMs: 300 } })
    expect(gateway.server.headersTimeout).toBe(300)
    const answered = await gateway.ask('GET /x HTTP/1.1\r\n', { timeoutMs: 5_000 })
    expect(answered.endedBy).not.toBe('timeout')
  })
})

const MIB = 1_048_576

/** Sends a body of so many bytes as fast as it is taken; `written` is what has left this process's buffers. */
function pourer(total: number) {
  const poured = { written: 0, ended: false }
  const script = async (connection: RawConnection) => {
    if ((await connection.nextRequest()) === undefined) return
    const { socket } = connection
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${total}\r\n\r\n`)
    const chunk = Buffer.alloc(65_536)
    let queued = 0
    const pour = () => {
      while (queued < total && !socket.destroyed) {
        queued += chunk.length
        const ready = socket.write(chunk, () => {
          poured.written += chunk.length
        })
        if (!ready) return
      }
    }
    socket.on('drain', pour)
    socket.once('close', () => {
      poured.ended = true
    })
    pour()
  }
  return { poured, script }
}

/** Waits until a number has stopped growing. */
async function settled(read: () => number): Promise<number> {
  let last = -1
  for (;;) {
    const now = read()
    if (now === last) return now
    last = now
    await new Promise((resolve) => setTimeout(resolve, 150))
  }
}

describe('A client that does not read', () => {
  it('holds the upstream back: of 100 MiB less than 16 MiB leave it', async () => {
    const { poured, script } = pourer(100 * MIB)
    const gateway = await gate({ upstream: script })
    const client = net.connect(gateway.port, '127.0.0.1')
    client.pause()
    client.write(GET)
    await eventually(() => poured.written > 0)
    expect(await settled(() => poured.written)).toBeLessThan(16 * MIB)
    // It is held back, not cut: once it reads, it gets the rest.
    let received = 0
    client.on('data', (chunk) => {
      received += chunk.length
    })
    client.resume()
    await eventually(() => received > 100 * MIB, { timeoutMs: 20_000 })
    client.destroy()
  })

  it('is cut when it reads nothing for longer than the idle time, and the upstream is let go', async () => {
    const { poured, script } = pourer(100 * MIB)
    const gateway = await gate({ upstream: script, timeouts: { bodyIdleMs: 200 } })
    const client = net.connect(gateway.port, '127.0.0.1')
    client.on('error', () => {})
    client.pause()
    client.write(GET)
    await eventually(() => poured.ended)
    await expect.poll(() => gateway.handler.stats.active).toBe(0)
    await expect.poll(() => gateway.sockets).toBe(0)
    client.destroy()
  })
})

describe('An upstream that does not read', () => {
  it('holds the client back: of 100 MiB less than 16 MiB leave it', async () => {
    const gateway = await gate({ upstream: neverRead(), timeouts: { bodyIdleMs: 500 } })
    const client = net.connect(gateway.port, '127.0.0.1')
    client.on('error', () => {})
    client.write(head('POST /x HTTP/1.1', 'Host: a', `Content-Length: ${100 * MIB}`))
    const chunk = Buffer.alloc(65_536)
    let written = 0
    const pour = () => {
      while (!client.destroyed) {
        const ready = client.write(chunk, (error) => {
          if (!error) written += chunk.length
        })
        if (!ready) return
      }
    }
    client.on('drain', pour)
    pour()
    await eventually(() => written > 0)
    expect(await settled(() => written)).toBeLessThan(16 * MIB)
    // Nobody reads the client's connection meanwhile, so that its leaving is seen no later than by the idle time.
    client.destroy()
    await expect.poll(() => gateway.handler.stats.active).toBe(0)
    for (const { socket } of gateway.upstream.connections) socket.resume()
    await expect.poll(() => gateway.upstream.sockets).toBe(0)
  })
})

describe('An upstream that stops', () => {
  it('before it answers: 504, and its connection is closed', async () => {
    const gateway = await gate({ upstream: neverAnswer(), timeouts: { headersMs: 100 } })
    const answered = await gateway.ask(GET, { responses: 1 })
    expect(answered.response.status).toBe(504)
    await expect.poll(() => gateway.upstream.sockets).toBe(0)
  })

  it('in its head: 504, and its connection is closed', async () => {
    const gateway = await gate({ upstream: halfHead(), timeouts: { headersMs: 100 } })
    const answered = await gateway.ask(GET, { responses: 1 })
    expect(answered.response.status).toBe(504)
    await expect.poll(() => gateway.upstream.sockets).toBe(0)
  })

  it.each(['content-length', 'chunked'] as const)('in a body (%s): the client sees that it is cut', async (framing) => {
    const gateway = await gate({ upstream: cutBody(framing, 'wait'), timeouts: { bodyIdleMs: 100 } })
    const answered = await gateway.ask(GET)
    expect(answered.endedBy).not.toBe('timeout')
    expect(answered.response.complete).toBe(false)
    expect(answered.response.body.toString()).toBe('hello')
    await expect.poll(() => gateway.upstream.sockets).toBe(0)
  })
})

describe.each(HOSTS)('A head over the limits, to %s,', (where) => {
  it.each([
    ['one long header', head('GET /x HTTP/1.1', 'Host: a', `X-Long: ${'x'.repeat(20_000)}`), [431]],
    [
      'many headers',
      head(
        'GET /x HTTP/1.1',
        'Host: a',
        ...Array.from({ length: 900 }, (_, i) => `X-Header-${i}-${'x'.repeat(20)}: ${i}`),
      ),
      [431],
    ],
    ['a long target', head(`GET /${'x'.repeat(20_000)} HTTP/1.1`, 'Host: a'), [414, 431]],
    ['a long query', head(`GET /?${'x'.repeat(20_000)} HTTP/1.1`, 'Host: a'), [414, 431]],
  ])('is refused: %s', async (_what, bytes, statuses) => {
    const gateway = await gate({ in: where })
    expectRefused(gateway, await gateway.ask(`${bytes}${SMUGGLED}`), ...statuses)
  })
})

describe('Names made to collide', () => {
  it('as integers, in a head as large as the server takes, pass or are refused whole', async () => {
    const gateway = await gate({ serve: { server: { maxHeaderSize: 262_144 } } })
    const names = (count: number) => Array.from({ length: count }, (_, i) => `${1_000_000 + i * 65_536}: 1`)
    const passed = await gateway.ask(head('GET /x HTTP/1.1', 'Host: a', ...names(900)), { responses: 1 })
    expect(passed.response.status).toBe(200)
    expect(firstSeen(gateway).headers.filter(([name]) => /^[0-9]+$/.test(name))).toHaveLength(900)
    const refused = await gateway.ask(head('GET /x HTTP/1.1', 'Host: a', ...names(10_000)))
    expect(refused.response.status).toBe(431)
  })
})

describe('A server of its own limits', () => {
  it('drops connections beyond the most it was told to hold', async () => {
    const gateway = await gate({ harden: { maxConnections: 5 } })
    const held = Array.from({ length: 5 }, () => net.connect(gateway.port, '127.0.0.1').on('error', () => {}))
    await expect.poll(() => gateway.sockets).toBe(5)
    const answered = await gateway.ask(GET)
    expect(answered.bytes).toHaveLength(0)
    for (const socket of held) socket.destroy()
  })
})

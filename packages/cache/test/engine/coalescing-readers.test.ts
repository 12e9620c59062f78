import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import net from 'node:net'
import { eventually } from '@postern/test-kit'
import type { RequestHandler } from 'express'
import { expect, test } from 'vitest'
import { memoryStore } from '../../src/index.ts'
import { afterwards, Client, gate, gateway, origin } from './support.ts'

const MIB = 1_048_576
const PIECE = Buffer.alloc(64 * 1_024, 'postern ')

/** More than the sockets between two processes hold. */
const PIECES = 320
const BYTES = PIECES * PIECE.length

const LARGE = { store: () => memoryStore({ maxBytes: 256 * MIB, maxObjectBytes: 64 * MIB }) }

/** Sends a large body as fast as it is taken. */
function large(begin: Promise<void>) {
  return origin(async (_req, res) => {
    res.writeHead(200, { 'cache-control': 'max-age=60' })
    res.write(PIECE)
    await begin
    for (let i = 1; i < PIECES && !res.destroyed; i++) if (!res.write(PIECE)) await once(res, 'drain')
    res.end()
  })
}

test('a first client that does not read does not slow the second one, nor is the body heaped up in its response', async () => {
  const begin = gate()
  const upstream = await large(begin.opened)
  const responses: ServerResponse[] = []
  const note: RequestHandler = (_req, res, next) => {
    responses.push(res)
    next()
  }
  const { url } = await gateway({ target: upstream, before: [note], cache: { store: LARGE.store() } })
  const first = new Client(`${url}/a`, { paused: true })
  await first.head
  const second = new Client(`${url}/a`)
  await eventually(() => second.bytes > 0)
  begin.open()
  expect(await second.whole).toBe(true)
  expect(second.bytes).toBe(BYTES)
  expect(responses[0]!.writableLength).toBeLessThan(MIB)
  first.read()
  expect(await first.whole).toBe(true)
  expect(first.bytes).toBe(BYTES)
  expect(upstream.requests).toHaveLength(1)
})

test('one of those who wait that does not read slows nobody, and gets all when it reads', async () => {
  const begin = gate()
  const upstream = await large(begin.opened)
  const { url } = await gateway({ target: upstream, cache: { store: LARGE.store() } })
  const first = new Client(`${url}/a`)
  await eventually(() => first.bytes > 0)
  const slow = new Client(`${url}/a`, { paused: true })
  await slow.head
  const third = new Client(`${url}/a`)
  await eventually(() => third.bytes > 0)
  begin.open()
  for (const client of [first, third]) {
    expect(await client.whole).toBe(true)
    expect(client.bytes).toBe(BYTES)
  }
  slow.read()
  expect(await slow.whole).toBe(true)
  expect(slow.bytes).toBe(BYTES)
})

test('with all of them slow the upstream waits, and goes on when one reads again', async () => {
  const begin = gate()
  const upstream = await large(begin.opened)
  const { url } = await gateway({ target: upstream, cache: { store: LARGE.store() } })
  const first = new Client(`${url}/a`, { paused: true })
  await first.head
  const second = new Client(`${url}/a`, { paused: true })
  await second.head
  begin.open()
  await new Promise((resolve) => setTimeout(resolve, 100))
  expect(upstream.last.closed).toBe(false)
  first.read()
  expect(await first.whole).toBe(true)
  second.leave()
  expect(first.bytes).toBe(BYTES)
})

test('a slow client that leaves does not leave the upstream waiting for it', async () => {
  const begin = gate()
  const upstream = await large(begin.opened)
  const { url, served } = await gateway({ target: upstream, cache: { store: LARGE.store() } })
  const first = new Client(`${url}/a`, { paused: true })
  await first.head
  const second = new Client(`${url}/a`, { paused: true })
  await second.head
  begin.open()
  await new Promise((resolve) => setTimeout(resolve, 100))
  first.leave()
  await eventually(() => served.sockets === 1)
  second.read()
  expect(await second.whole).toBe(true)
  expect(second.bytes).toBe(BYTES)
})

// One client sends two requests in a row and the first one hangs: the answer to the second can only be kept, little of
// it. Whoever asked for the same got what there was, and no more for as long as the first request hung.
test('a client whose answer stands in line behind a stalled one does not hold up those who share it', async () => {
  const pieces = 40
  const piece = Buffer.alloc(16 * 1_024, 'x')
  const handler: RequestHandler = async (req, res, next) => {
    if (req.path === '/stalled') return
    if (req.path !== '/shared') {
      next()
      return
    }
    res.writeHead(200, { 'cache-control': 'max-age=60' })
    for (let i = 0; i < pieces; i++) if (!res.write(piece)) await once(res, 'drain')
    res.end()
  }
  const { url, port, cache } = await gateway({ behind: [handler] })
  const socket = net.connect(port, '127.0.0.1')
  afterwards(() => socket.destroy())
  socket.write('GET /stalled HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')
  socket.write(`GET /shared HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`)
  // A request of its own, to know that both have arrived.
  await new Client(`${url}/other`).whole
  const other = new Client(`${url}/shared`)
  expect(await Promise.race([other.whole, new Promise((resolve) => setTimeout(resolve, 2_000, 'hangs'))])).toBe(true)
  expect(other.bytes).toBe(pieces * piece.length)
  expect(cache.stats.collapsed).toBe(1)
})

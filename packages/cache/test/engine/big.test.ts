import { once } from 'node:events'
import http, { type ServerResponse } from 'node:http'
import { harden, proxy } from '@postern/proxy'
import { eventually, request, serve } from '@postern/test-kit'
import express, { type RequestHandler } from 'express'
import { describe, expect, test } from 'vitest'
import { cache } from '../../src/index.ts'
import { Client, gate, gateway, origin, using } from './support.ts'

const MIB = 1_048_576
const PIECE = Buffer.alloc(64 * 1_024, 'postern ')
const PIECES = 1_024
const BYTES = PIECES * PIECE.length

/** Memory of this process, garbage left out. */
function memoryBytes(): number {
  globalThis.gc!()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

/** Sends 64 MiB as fast as it is taken, and notes how much that was. */
async function big(headers: Record<string, string> = { 'cache-control': 'max-age=60' }) {
  const sent = { bytes: 0 }
  const upstream = await origin(async (_req, res) => {
    res.writeHead(200, headers)
    for (let i = 0; i < PIECES && !res.destroyed; i++) {
      sent.bytes += PIECE.length
      if (!res.write(PIECE)) await Promise.race([once(res, 'drain'), once(res, 'close')])
    }
    res.end()
  })
  return { upstream, sent }
}

/** Reads an answer, keeps nothing of it, and looks at the memory now and then. */
async function drained(url: string): Promise<{ bytes: number; peakBytes: number; whole: boolean }> {
  let bytes = 0
  let peakBytes = 0
  let looked = 0
  const client = new Client(url, { paused: true })
  const head = await client.head
  head.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes - looked < 4 * MIB) return
    looked = bytes
    peakBytes = Math.max(peakBytes, memoryBytes())
  })
  return { whole: await client.whole, bytes, peakBytes }
}

describe('64 MiB that are not stored', () => {
  test.each<[string, Record<string, string>]>([
    ['since they may not be', { 'cache-control': 'no-store' }],
    ['by their announced length', { 'cache-control': 'max-age=60', 'content-length': String(BYTES) }],
    ['as it turns out on the way', { 'cache-control': 'max-age=60' }],
  ])('(%s) go through, and the memory stays as it was', async (_name, headers) => {
    const { upstream } = await big(headers)
    const { url, cache } = await gateway({ target: upstream })
    await request(`${url}/warm`, { method: 'HEAD', headers: { 'cache-control': 'no-store' } })
    const before = memoryBytes()
    const { whole, bytes, peakBytes } = await drained(`${url}/a`)
    expect([whole, bytes]).toEqual([true, BYTES])
    expect(peakBytes - before).toBeLessThan(28 * MIB)
    expect(cache.stats).toMatchObject({ responses: 0, stored: 0 })
  })

  test('go to two clients at once, and the memory stays within what is kept for one that is behind', async () => {
    const { upstream } = await big()
    const { url } = await gateway({ target: upstream })
    const before = memoryBytes()
    const [one, two] = await Promise.all([drained(`${url}/a`), drained(`${url}/a`)])
    expect([one.whole, one.bytes, two.whole, two.bytes]).toEqual([true, BYTES, true, BYTES])
    expect(Math.max(one.peakBytes, two.peakBytes) - before).toBeLessThan(48 * MIB)
  })
})

describe('a client that does not read', () => {
  test.each<[string, Record<string, string>]>([
    ['what is not stored', { 'cache-control': 'no-store' }],
    ['what is being stored', { 'cache-control': 'max-age=60' }],
  ])('stops the upstream (%s); when it reads it gets everything', async (_name, headers) => {
    const { upstream, sent } = await big(headers)
    const responses: ServerResponse[] = []
    const note: RequestHandler = (_req, res, next) => {
      responses.push(res)
      next()
    }
    const { url } = await gateway({ target: upstream, before: [note] })
    const client = new Client(`${url}/a`, { paused: true })
    await client.head
    // Stands still: what the sockets in between hold is out, and no more comes.
    let last = -1
    await eventually(
      () => {
        const isSame = sent.bytes === last
        last = sent.bytes
        return isSame && sent.bytes > 0
      },
      { intervalMs: 150 },
    )
    expect(sent.bytes).toBeLessThan(BYTES / 2)
    expect(responses[0]!.writableLength).toBeLessThan(MIB)
    client.read()
    expect(await client.whole).toBe(true)
    expect(client.bytes).toBe(BYTES)
  })

  test('and leaves: the upstream’s answer is given up', async () => {
    const { upstream } = await big()
    const { url, cache } = await gateway({ target: upstream })
    const client = new Client(`${url}/a`, { paused: true })
    await client.head
    client.leave()
    await eventually(() => upstream.last.closed)
    expect(cache.stats.responses).toBe(0)
  })
})

describe('maxPendingBytes', () => {
  test('bounds what all responses on their way hold together; one beyond it is passed on and not stored', async () => {
    const hold = gate()
    const upstream = await origin(async (_req, res) => {
      res.writeHead(200, { 'cache-control': 'max-age=60' })
      res.write(Buffer.alloc(60_000))
      await hold.opened
      res.end('end')
    })
    const { url, cache } = await gateway({ target: upstream, cache: { maxPendingBytes: 100_000 } })
    const first = new Client(`${url}/first`)
    await eventually(() => first.bytes === 60_000)
    const second = new Client(`${url}/second`)
    await eventually(() => second.bytes === 60_000)
    hold.open()
    for (const client of [first, second]) {
      expect(await client.whole).toBe(true)
      expect(client.bytes).toBe(60_003)
    }
    expect(cache.stats.stored).toBe(1)
    // Given back: there is room again.
    await request(`${url}/third`)
    await request(`${url}/fourth`)
    expect(cache.stats.stored).toBe(3)
  })

  test('is given back by those that are cut, left or purged', async () => {
    const upstream = await origin((req, res) => {
      if (req.url === '/good') {
        res.writeHead(200, { 'cache-control': 'max-age=60' }).end(Buffer.alloc(60_000))
        return
      }
      res.writeHead(200, { 'cache-control': 'max-age=60' })
      res.write(Buffer.alloc(60_000))
      if (req.url === '/cut') setTimeout(() => res.destroy(), 5)
    })
    const { url, cache, served } = await gateway({ target: upstream, cache: { maxPendingBytes: 100_000 } })
    for (let round = 0; round < 5; round++) {
      await new Client(`${url}/cut`).whole
      const left = new Client(`${url}/left`)
      await eventually(() => left.bytes === 60_000)
      left.leave()
      await eventually(() => served.sockets === 0)
    }
    await request(`${url}/good`)
    expect(cache.stats.responses).toBe(1)
  })
})

test('purges on a server that is never idle leave nothing in memory', async () => {
  const holds: ReturnType<typeof gate>[] = []
  const upstream = await origin(async (req, res) => {
    if (req.url!.startsWith('/slow')) {
      const hold = gate()
      holds.push(hold)
      await hold.opened
    }
    res.writeHead(200, { 'cache-control': 'max-age=60' }).end('x')
  })
  const { url, cache } = await gateway({ target: upstream })
  // One request is always on its way: each begins before the one before it ends.
  let running = new Client(`${url}/slow/first`)
  await eventually(() => holds.length === 1)
  const filler = 'y'.repeat(1_000)
  const round = async (from: number): Promise<void> => {
    for (let i = from; i < from + 5_000; i++) await cache.purge(`http://shop.example/${i}/${filler}`)
    const next = new Client(`${url}/slow/${from}`)
    await eventually(() => holds.length >= 2)
    holds.shift()!.open()
    await running.whole
    running = next
  }
  await round(0)
  const before = memoryBytes()
  for (let i = 1; i <= 4; i++) await round(i * 5_000)
  expect(memoryBytes() - before).toBeLessThan(8 * MIB)
  for (const hold of holds) hold.open()
  await running.whole
})

test('thousands of clients that leave in the middle leave nothing in memory', async () => {
  let running = 0
  const upstream = await using(
    serve((_req, res) => {
      running++
      res.once('close', () => running--)
      res.writeHead(200, { 'cache-control': 'max-age=60' })
      res.write('x'.repeat(10_000))
    }),
  )
  const handler = await using(cache())
  const forward = await using(proxy(upstream.url))
  const app = express()
  app.use(handler, forward as RequestHandler)
  const { url, server } = await using(serve(app))
  harden(server)
  /** Resolves when the client has left, in mid-body. */
  const leaves = (path: string): Promise<void> =>
    new Promise((resolve) => {
      const req = http.get(url + path, { agent: false }, (res) => {
        res.on('error', () => {})
        res.once('data', () => req.destroy())
        res.once('close', resolve)
      })
      req.on('error', () => {})
    })
  const crowd = async (): Promise<void> => {
    await Promise.all(Array.from({ length: 50 }, (_, i) => leaves(`/${i % 10}`)))
    await eventually(() => running === 0)
  }
  for (let i = 0; i < 10; i++) await crowd()
  const before = memoryBytes()
  for (let i = 0; i < 20; i++) await crowd()
  expect(memoryBytes() - before).toBeLessThan(6 * MIB)
  expect(handler.stats).toMatchObject({ responses: 0, stored: 0 })
})

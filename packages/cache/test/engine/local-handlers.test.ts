import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually, type Reply, request } from '@postern/test-kit'
import express, { type RequestHandler } from 'express'
import { describe, expect, test } from 'vitest'
import { ask, gate, gateway } from './support.ts'

const TTL = { 'cache-control': 'max-age=60' }

/** Fields that are of the answer itself, and not of its way. */
function fieldsOf({ headers }: Reply): Record<string, unknown> {
  const {
    'cache-status': _status,
    'transfer-encoding': _coding,
    'content-length': _length,
    connection: _connection,
    date: _date,
    age: _age,
    ...fields
  } = headers
  return fields
}

/** The answer without a cache, then a miss, then a hit. */
async function threeTimes(handler: RequestHandler, options: Parameters<typeof request>[1] = {}) {
  const bare = await gateway({ behind: [handler], cache: { bypass: () => true } })
  const { url } = await gateway({ behind: [handler] })
  return [
    await request(`${bare.url}/a`, options),
    await request(`${url}/a`, options),
    await request(`${url}/a`, options),
  ] as const
}

const HANDLERS: Record<string, RequestHandler> = {
  'res.json()': (_req, res) => void res.set(TTL).json({ a: [1, 2, { b: 'ü' }] }),
  'res.send(text)': (_req, res) => void res.set(TTL).send('text ü'),
  'res.send(buffer)': (_req, res) =>
    void res
      .set(TTL)
      .type('png')
      .send(Buffer.from([0, 255, 128])),
  'res.send() of nothing': (_req, res) => void res.set(TTL).send(),
  'res.sendStatus(404)': (_req, res) => void res.set(TTL).sendStatus(404),
  'res.redirect()': (_req, res) => void res.set(TTL).redirect(301, '/there'),
  'res.end() of a text': (_req, res) => void res.writeHead(200, TTL).end('plain'),
  'res.end() with an encoding': (_req, res) => void res.writeHead(200, TTL).end('c3bc', 'hex'),
  'res.end() of latin1': (_req, res) => void res.writeHead(200, TTL).end('ü', 'latin1'),
  'res.end() of a Uint8Array': (_req, res) => void res.writeHead(200, TTL).end(new Uint8Array([1, 2, 3])),
  'res.end() without content': (_req, res) => void res.writeHead(200, TTL).end(),
  'res.write() of several encodings': (_req, res) => {
    res.writeHead(200, TTL)
    res.write('Zm9v', 'base64')
    res.write('ü')
    res.write('')
    res.write(Buffer.from('!'))
    res.end('ff', 'hex')
  },
  'res.setHeader() and an implicit head': (_req, res) => {
    res.statusCode = 203
    res.statusMessage = 'Quite'
    res.setHeader('Cache-Control', 'max-age=60')
    res.setHeader('X-Many', ['1', '2'])
    res.setHeader('X-Number', 7)
    res.write('a')
    res.end('b')
  },
  'writeHead() with a reason': (_req, res) => void res.writeHead(200, 'Fine', TTL).end('x'),
  'writeHead() with a list': (_req, res) =>
    void res.writeHead(200, ['Cache-Control', 'max-age=60', 'X-A', '1', 'X-A', '2']).end('x'),
  'writeHead() with a reason and a list': (_req, res) =>
    void res.writeHead(200, 'Fine', ['Cache-Control', 'max-age=60']).end('x'),
  'writeHead() with lists of values': (_req, res) => void res.writeHead(200, { ...TTL, 'X-A': ['1', '2'] }).end('x'),
  'writeHead() over setHeader()': (_req, res) => {
    res.setHeader('X-A', 'set')
    res.setHeader('X-B', 'set')
    res.writeHead(200, { ...TTL, 'x-a': 'written' }).end('x')
  },
  'flushHeaders()': (_req, res) => {
    res.set(TTL)
    res.flushHeaders()
    res.end('behind')
  },
  '204': (_req, res) => void res.set(TTL).status(204).end(),
  'a Content-Length of its own': (_req, res) => {
    res.writeHead(200, { ...TTL, 'content-length': 4 })
    res.write('ab')
    res.end('cd')
  },
}

describe.each(Object.entries(HANDLERS))('%s', (_name, handler) => {
  test.each(['GET', 'HEAD'])('is answered to %s as without a cache, from the store as well', async (method) => {
    const [bare, miss, hit] = await threeTimes(handler, { method })
    for (const reply of [miss, hit]) {
      expect([reply.status, reply.statusMessage]).toEqual([bare.status, bare.statusMessage])
      expect(reply.body.equals(bare.body)).toBe(true)
      expect(fieldsOf(reply)).toEqual(fieldsOf(bare))
    }
    expect(miss.headers['content-length']).toBe(bare.headers['content-length'])
    expect(miss.headers['cache-status']).toContain('stored')
    expect(hit.headers['cache-status']).toContain('hit')
  })
})

describe("Express's own ETag and 304", () => {
  const handler: RequestHandler = (_req, res) => void res.set(TTL).json({ a: 1 })

  test('work on a miss, on a hit and where the client insists', async () => {
    const { url } = await gateway({ behind: [handler] })
    const etag = (await request(`${url}/other`)).headers.etag!
    const have = { 'if-none-match': etag }
    for (const headers of [have, have, { ...have, 'cache-control': 'no-cache' }]) {
      const reply = await request(`${url}/a`, { headers })
      expect([reply.status, reply.text, reply.headers.etag]).toEqual([304, '', etag])
    }
    expect((await request(`${url}/a`)).json()).toEqual({ a: 1 })
  })

  test('a handler that sets no Cache-Control is validated with it for every client', async () => {
    let calls = 0
    const dynamic: RequestHandler = (_req, res) => void res.json({ calls: Math.ceil(++calls / 2) })
    const { url } = await gateway({ behind: [dynamic] })
    const bodies: unknown[] = []
    for (let i = 0; i < 4; i++) bodies.push((await request(`${url}/a`)).json())
    expect(bodies).toEqual([{ calls: 1 }, { calls: 1 }, { calls: 2 }, { calls: 2 }])
    expect(calls).toBe(4)
  })
})

test('res.sendFile() is answered from the store, whole, in ranges and with 304, and its ranges on a miss', async () => {
  const path = join(tmpdir(), `postern-local-${process.pid}.txt`)
  await writeFile(path, '0123456789')
  let calls = 0
  const handler: RequestHandler = (_req, res) => {
    calls++
    res.sendFile(path, { maxAge: 60_000 })
  }
  const { url } = await gateway({ behind: [handler] })
  const part = { headers: { range: 'bytes=2-4' } }
  const missed = await request(`${url}/part`, part)
  expect([missed.status, missed.text, missed.headers['content-range']]).toEqual([206, '234', 'bytes 2-4/10'])
  const whole = await request(`${url}/a`)
  const before = calls
  const hit = await request(`${url}/a`)
  expect([hit.text, hit.headers['content-length'], hit.headers['content-type']]).toEqual([
    '0123456789',
    '10',
    'text/plain; charset=utf-8',
  ])
  expect((await request(`${url}/a`, part)).text).toBe('234')
  expect((await request(`${url}/a`, { headers: { 'if-none-match': whole.headers.etag! } })).status).toBe(304)
  expect(
    (await request(`${url}/a`, { headers: { 'if-modified-since': whole.headers['last-modified']! } })).status,
  ).toBe(304)
  expect((await request(`${url}/a`, { headers: { range: 'bytes=50-' } })).status).toBe(416)
  expect(calls).toBe(before)
})

test('103 Early Hints reach the client, and the answer behind them is stored', async () => {
  const handler: RequestHandler = (_req, res) => {
    res.writeEarlyHints({ link: '</style.css>; rel=preload' })
    setImmediate(() => res.set(TTL).send('page'))
  }
  const { url } = await gateway({ behind: [handler] })
  const reply = await request(`${url}/a`)
  expect(reply.informational.map((each) => [each.statusCode, each.headers.link])).toEqual([
    [103, '</style.css>; rel=preload'],
  ])
  expect(reply.text).toBe('page')
  expect((await request(`${url}/a`)).text).toBe('page')
})

test('trailers reach the client that caused the answer; from the store there are none, and none are announced', async () => {
  const handler: RequestHandler = (_req, res) => {
    res.writeHead(200, { ...TTL, trailer: 'x-sum' })
    res.write('body')
    res.addTrailers({ 'x-sum': '4' })
    res.end()
  }
  const { url } = await gateway({ behind: [handler] })
  const miss = await request(`${url}/a`)
  expect([miss.text, miss.trailers]).toEqual(['body', { 'x-sum': '4' }])
  const hit = await request(`${url}/a`)
  expect([hit.text, hit.trailers, hit.headers.trailer]).toEqual(['body', {}, undefined])
})

test('a head that is flushed reaches the client before there is a body', async () => {
  const hold = gate()
  const handler: RequestHandler = async (_req, res) => {
    res.set(TTL)
    res.flushHeaders()
    await hold.opened
    res.end('body')
  }
  const { url } = await gateway({ behind: [handler] })
  let isAnswered = false
  const reply = ask(`${url}/a`, { onResponse: () => (isAnswered = true) })
  await eventually(() => isAnswered)
  hold.open()
  expect((await reply).text).toBe('body')
})

test('callbacks of write() and end() are called, and finish and close are told once', async () => {
  const told: string[] = []
  const handler: RequestHandler = (_req, res) => {
    res.on('finish', () => told.push('finish'))
    res.on('close', () => told.push('close'))
    res.writeHead(200, TTL)
    res.write('a', () => told.push('write'))
    res.write('b', 'utf8', () => told.push('write'))
    res.end('c', () => told.push('end'))
  }
  const { url } = await gateway({ behind: [handler] })
  expect((await request(`${url}/a`)).text).toBe('abc')
  await eventually(() => told.includes('close'))
  expect(told.sort()).toEqual(['close', 'end', 'finish', 'write', 'write'])
})

test('a handler may look at headersSent and writableEnded as ever', async () => {
  const seen: unknown[] = []
  const handler: RequestHandler = (_req, res) => {
    const look = (): void => void seen.push([res.headersSent, res.writableEnded, res.statusCode])
    look()
    res.writeHead(201, TTL)
    look()
    res.end('x')
    look()
  }
  const bare = express()
  bare.use(handler)
  const { url } = await gateway({ behind: [handler], cache: { defaultTtlMs: 1_000 } })
  await request(`${url}/a`)
  // In a bare server the head counts as sent once it is written.
  expect(seen).toEqual([
    [false, false, 200],
    [true, false, 201],
    [true, true, 201],
  ])
})

test('a handler that throws half-way is answered by the error handler, and what it has set decides nothing', async () => {
  const handler: RequestHandler = (_req, res) => {
    res.set({ 'x-half': '1', 'last-modified': 'Mon, 01 Jan 2024 00:00:00 GMT' })
    throw new Error('half-way')
  }
  const { url, cache } = await gateway({ behind: [handler], configure: (app) => app.set('env', 'test') })
  expect((await request(`${url}/a`)).status).toBe(500)
  expect(cache.stats.responses).toBe(0)
})

test('a handler that answers later, out of a promise, is stored like any other', async () => {
  const handler: RequestHandler = async (_req, res) => {
    await new Promise(setImmediate)
    res.set(TTL).json({ later: true })
  }
  const { url } = await gateway({ behind: [handler] })
  await request(`${url}/a`)
  expect((await request(`${url}/a`)).headers['cache-status']).toContain('hit')
})

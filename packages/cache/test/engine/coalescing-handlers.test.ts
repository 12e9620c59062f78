import { once } from 'node:events'
import { rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline, Readable } from 'node:stream'
import { pipeline as pipelinePromise } from 'node:stream/promises'
import { eventually, request } from '@postern/test-kit'
import type { Request, RequestHandler, Response } from 'express'
import { describe, expect, test } from 'vitest'
import { memoryStore } from '../../src/index.ts'
import { afterwards, Client, type Gate, gate, gateway, settled } from './support.ts'

/** Nobody waits long for a handler that has stopped without a word. */
const IMPATIENT = { coalescing: { maxWaitMs: 400 } }

const WHOLE = { status: 200, text: 'first last', whole: true }

/** A source that gives its beginning at once and the rest when it is let. */
function source(rest: Gate): Readable {
  return Readable.from(
    (async function* () {
      yield Buffer.from('first ')
      await rest.opened
      yield Buffer.from('last')
    })(),
  )
}

/** The ways in which handlers send a stream; all stop when they hear that the client has left. */
const WAYS: Record<string, (rest: Gate) => RequestHandler> = {
  'pipe()': (rest) => (_req, res) => {
    res.set('cache-control', 'max-age=60')
    source(rest).pipe(res)
  },
  'pipe(), and destroys its source on close': (rest) => (_req, res) => {
    res.set('cache-control', 'max-age=60')
    const from = source(rest)
    res.on('close', () => from.destroy())
    from.pipe(res)
  },
  'pipeline()': (rest) => (_req, res) => {
    res.set('cache-control', 'max-age=60')
    pipeline(source(rest), res, () => {})
  },
  'await pipeline()': (rest) => async (_req, res) => {
    res.set('cache-control', 'max-age=60')
    await pipelinePromise(source(rest), res).catch(() => {})
  },
  'write() and end()': (rest) => async (_req, res) => {
    let gone = false
    res.on('close', () => (gone = true))
    res.writeHead(200, { 'cache-control': 'max-age=60' })
    res.write('first ')
    await rest.opened
    if (!gone) res.end('last')
  },
}

describe.each(Object.entries(WAYS))('a local handler that answers with %s', (_name, way) => {
  test('goes on for those who wait when the first client leaves in mid-body', async () => {
    const rest = gate()
    const { url, served } = await gateway({ cache: IMPATIENT, behind: [way(rest)] })
    const first = new Client(`${url}/a`)
    await eventually(() => first.text === 'first ')
    const second = new Client(`${url}/a`)
    await eventually(() => second.text === 'first ')
    first.leave()
    await eventually(() => served.sockets === 1)
    await settled()
    rest.open()
    expect(await second.answer()).toEqual(WHOLE)
    expect((await request(`${url}/a`)).headers['cache-status']).toContain('hit')
  })

  test('goes on for those who wait when the first client leaves before the head', async () => {
    const rest = gate()
    const begin = gate()
    const handler = way(rest)
    const slow: RequestHandler = (req, res, next) => void begin.opened.then(() => handler(req, res, next))
    const { url, cache, served } = await gateway({ cache: IMPATIENT, behind: [slow] })
    const first = new Client(`${url}/a`)
    await eventually(() => served.sockets === 1)
    await settled()
    const second = new Client(`${url}/a`)
    await eventually(() => cache.stats.collapsed === 1)
    first.leave()
    await eventually(() => served.sockets === 1)
    await settled()
    begin.open()
    rest.open()
    expect(await second.answer()).toEqual(WHOLE)
  })

  test('is told that the client has left when nobody else waits, and nothing is stored', async () => {
    const rest = gate()
    let closed = 0
    const counting: RequestHandler = (_req, res, next) => {
      res.on('close', () => closed++)
      next()
    }
    const { url, cache } = await gateway({ cache: IMPATIENT, behind: [counting, way(rest)] })
    const first = new Client(`${url}/a`)
    await eventually(() => first.text === 'first ')
    first.leave()
    await eventually(() => closed === 1)
    rest.open()
    await settled()
    expect(cache.stats).toMatchObject({ stored: 0, responses: 0 })
    const next = await request(`${url}/a`)
    expect([next.text, next.headers['cache-status']]).toEqual(['first last', expect.stringContaining('fwd=uri-miss')])
  })

  test('is told once of the end, after the last of those who waited has left', async () => {
    const rest = gate()
    let closed = 0
    const counting: RequestHandler = (_req, res, next) => {
      res.on('close', () => closed++)
      next()
    }
    const { url, served } = await gateway({ cache: IMPATIENT, behind: [counting, way(rest)] })
    const first = new Client(`${url}/a`)
    await eventually(() => first.text === 'first ')
    const second = new Client(`${url}/a`)
    await eventually(() => second.text === 'first ')
    first.leave()
    await eventually(() => served.sockets === 1)
    await settled()
    expect(closed).toBe(0)
    second.leave()
    await eventually(() => closed === 1)
    rest.open()
    await settled()
    expect(closed).toBe(1)
  })

  test('serves who joins a client that got 304', async () => {
    const rest = gate()
    const begin = gate()
    const tagged: RequestHandler = (_req, res, next) => {
      res.set('etag', '"v1"')
      void begin.opened.then(() => next())
    }
    const { url, cache } = await gateway({ cache: IMPATIENT, behind: [tagged, way(rest)] })
    const first = new Client(`${url}/a`, { headers: { 'if-none-match': '"v1"' } })
    const second = new Client(`${url}/a`)
    await eventually(() => cache.stats.collapsed === 1)
    begin.open()
    const head = await first.head
    if (head.statusCode === 304) {
      await first.whole
      await settled()
    }
    rest.open()
    expect(await second.answer()).toEqual(WHOLE)
  })
})

describe('a file', () => {
  test('sent with res.sendFile() reaches those who wait whole, or is seen to be cut, when the first client leaves', async () => {
    const path = join(tmpdir(), `postern-cache-${process.pid}.bin`)
    const content = Buffer.alloc(24 * 1_048_576, 'postern ')
    await writeFile(path, content)
    afterwards(() => rm(path))
    const { url, served, cache } = await gateway({
      behind: [(_req, res) => res.sendFile(path, { maxAge: 60_000 })],
      cache: {
        store: memoryStore({ maxBytes: 128 * 1_048_576, maxObjectBytes: 64 * 1_048_576 }),
        coalescing: { maxWaitMs: 500 },
      },
    })
    const first = new Client(`${url}/a`, { paused: true })
    await first.head
    const second = new Client(`${url}/a`, { paused: true })
    await second.head
    first.leave()
    await eventually(() => served.sockets === 1)
    await settled()
    second.read()
    // Whatever the handler does, the client must not be left hanging, nor take a part for the whole.
    const whole = await second.whole
    expect(whole ? second.bytes : 'cut').toBe(whole ? content.length : 'cut')
    if (cache.stats.responses === 1) expect((await request(`${url}/a`)).body.equals(content)).toBe(true)
  })
})

/** Looks now and then whether the client is still there. */
function polling(isGone: (req: Request, res: Response) => boolean): (stop: () => void) => RequestHandler {
  return (stop) => (req, res, next) => {
    const timer = setInterval(() => {
      if (!isGone(req, res)) return
      clearInterval(timer)
      // Not in the moment in which the connection closes.
      setTimeout(stop, 4)
    }, 2)
    afterwards(() => clearInterval(timer))
    next()
  }
}

/** Signs by which handlers notice that their client has left, beside `close` of the response. */
const SIGNS: Record<string, (stop: () => void) => RequestHandler> = {
  "req.on('aborted')": (stop) => (req, _res, next) => {
    req.on('aborted', stop)
    next()
  },
  "req.on('close')": (stop) => (req, _res, next) => {
    req.on('close', stop)
    next()
  },
  "req.on('error')": (stop) => (req, _res, next) => {
    req.on('error', stop)
    next()
  },
  "req.socket.on('close')": (stop) => (req, _res, next) => {
    req.socket.on('close', stop)
    next()
  },
  "res.on('close')": (stop) => (_req, res, next) => {
    res.on('close', stop)
    next()
  },
  'req.destroyed': polling((req) => req.destroyed),
  'req.aborted': polling((req) => (req as { aborted?: boolean }).aborted === true),
  'res.destroyed': polling((_req, res) => res.destroyed),
  'res.closed': polling((_req, res) => res.closed),
  'res.socket': polling((_req, res) => res.socket === null || res.socket.destroyed),
  'req.socket.destroyed': polling((req) => req.socket.destroyed),
}

describe.each(Object.entries(SIGNS))('a handler that ends its answer on %s', (_name, sign) => {
  /** It sends pieces until it is stopped, and then ends what it has as if it were all. */
  function stoppable() {
    const rest = gate()
    const handler: RequestHandler = (req, res) => {
      let stopped = false
      const stop = (): void => {
        stopped = true
        res.end()
      }
      // Only the first client's handler stops.
      if (req.headers['x-stops'] !== undefined) sign(stop)(req, res, () => {})
      res.writeHead(200, { 'cache-control': 'max-age=60' })
      res.write('first ')
      void rest.opened.then(() => {
        if (!stopped) res.end('last')
      })
    }
    return { stages: [handler], rest }
  }

  test('has nothing stored of what its client left in the middle', async () => {
    const { stages, rest } = stoppable()
    const { url, served, cache } = await gateway({ cache: IMPATIENT, behind: stages })
    const first = new Client(`${url}/a`, { headers: { 'x-stops': '1' } })
    await eventually(() => first.text === 'first ')
    first.leave()
    await eventually(() => served.sockets === 0)
    await settled()
    expect(cache.stats.responses).toBe(0)
    rest.open()
    expect((await request(`${url}/a`)).text).toBe('first last')
  })

  test('does not make others take a part for the whole', async () => {
    const { stages, rest } = stoppable()
    const { url, served, cache } = await gateway({ cache: IMPATIENT, behind: stages })
    const first = new Client(`${url}/a`, { headers: { 'x-stops': '1' } })
    await eventually(() => first.text === 'first ')
    const second = new Client(`${url}/a`)
    await eventually(() => second.text === 'first ')
    first.leave()
    await eventually(() => served.sockets <= 1)
    // As long as a handler that looks now and then needs.
    await new Promise((resolve) => setTimeout(resolve, 30))
    rest.open()
    const { text, whole } = await second.answer()
    expect(whole ? text : 'cut').toBe(whole ? 'first last' : 'cut')
    if (cache.stats.responses === 1) expect((await request(`${url}/a`)).text).toBe('first last')
  })
})

test('a stage in front of the cache is told that its client has left, while the stages behind go on for others', async () => {
  const rest = gate()
  let told = 0
  const before: RequestHandler = (req, res, next) => {
    if (req.headers['x-first'] !== undefined) res.on('close', () => told++)
    next()
  }
  const { url } = await gateway({ cache: IMPATIENT, before: [before], behind: [WAYS['pipe()']!(rest)] })
  const first = new Client(`${url}/a`, { headers: { 'x-first': '1' } })
  await eventually(() => first.text === 'first ')
  const second = new Client(`${url}/a`)
  await eventually(() => second.text === 'first ')
  first.leave()
  await eventually(() => told === 1)
  rest.open()
  expect(await second.answer()).toEqual(WHOLE)
  expect(told).toBe(1)
})

test('a stage in front that takes back its listener meanwhile does not have the stages behind stopped', async () => {
  const rest = gate()
  const listener = (): void => {}
  const before: RequestHandler = (_req, res, next) => {
    res.on('close', listener)
    next()
  }
  const takesBack: RequestHandler = (_req, res, next) => {
    next()
    res.off('close', listener)
  }
  const { url, served } = await gateway({
    cache: IMPATIENT,
    before: [before],
    behind: [takesBack, WAYS['pipe()']!(rest)],
  })
  const first = new Client(`${url}/a`)
  await eventually(() => first.text === 'first ')
  const second = new Client(`${url}/a`)
  await eventually(() => second.text === 'first ')
  first.leave()
  await eventually(() => served.sockets === 1)
  await settled()
  rest.open()
  expect(await second.answer()).toEqual(WHOLE)
})

test('a handler that writes after its end spoils neither the answer nor what is stored', async () => {
  const careless: RequestHandler = (_req, res) => {
    res.on('error', () => {})
    res.writeHead(200, { 'cache-control': 'max-age=60' })
    res.write('whole')
    res.end()
    res.write(' and more')
    res.end('still more')
  }
  const { url, cache } = await gateway({ cache: IMPATIENT, behind: [careless] })
  expect((await request(`${url}/a`)).text).toBe('whole')
  const hit = await request(`${url}/a`)
  expect([hit.text, hit.headers['content-length']]).toEqual(['whole', '5'])
  expect(cache.stats.responses).toBe(1)
})

test('a handler that waits for drain is woken for as long as anybody reads', async () => {
  const piece = Buffer.alloc(64 * 1_024, 'x')
  const handler: RequestHandler = async (_req, res) => {
    res.set('cache-control', 'max-age=60')
    for (let i = 0; i < 100; i++) if (!res.write(piece)) await once(res, 'drain')
    res.end()
  }
  const { url } = await gateway({ cache: IMPATIENT, behind: [handler] })
  const clients = Array.from({ length: 4 }, () => new Client(`${url}/a`))
  for (const client of clients) {
    expect(await client.whole).toBe(true)
    expect(client.bytes).toBe(100 * piece.length)
  }
})

import { failExchange, GatewayError, offerFallback } from '@postern/contracts'
import { deadline } from '@postern/proxy'
import {
  answerThen,
  closeUnanswered,
  eventually,
  type RawScript,
  refusedPort,
  request,
  resetUnanswered,
  startRawUpstream,
} from '@postern/test-kit'
import type { ErrorRequestHandler, RequestHandler } from 'express'
import { describe, expect, test } from 'vitest'
import { memoryStore } from '../../src/index.ts'
import { ask, Client, gate, gateway, origin, using } from './support.ts'

/** A stage behind the cache that lets requests through when the test says so; by then all others wait. */
function held(): { readonly stage: RequestHandler; open(): void } {
  const { opened, open } = gate()
  return { stage: (_req, _res, next) => void opened.then(() => next()), open }
}

/** A stage that answers in place of any error of the gateway's. */
function fallback(text: string): RequestHandler {
  return (req, res, next) => {
    const offer = { handler: () => void res.status(200).send(text), accepts: () => true, errors: 'respond' as const }
    offerFallback(req.gateway!, offer, next)
    next()
  }
}

async function crowd(url: string, collapsed: () => number, size = 12) {
  const replies = Array.from({ length: size }, () => ask(`${url}/a`, { timeoutMs: 8_000 }))
  await eventually(() => collapsed() >= size - 1)
  return replies
}

describe('the upstream fails before the head', () => {
  test.each<[string, RawScript]>([
    ['resets', resetUnanswered()],
    ['closes', closeUnanswered()],
    ['answers what is no HTTP', answerThen('nonsense\r\n\r\n', 'close')],
  ])('(%s): all who wait get 502, after one attempt', async (_name, script) => {
    const upstream = await using(startRawUpstream(script))
    const { stage, open } = held()
    const { url, cache } = await gateway({ target: upstream, behind: [stage] })
    const replies = await crowd(url, () => cache.stats.collapsed)
    open()
    expect((await Promise.all(replies)).map((reply) => reply.status)).toEqual(Array(12).fill(502))
    expect(upstream.connections.length).toBe(1)
    expect(cache.stats.responses).toBe(0)
  })

  test('(refuses): all who wait get 502 as problem+json that says who failed', async () => {
    const refused = await using(refusedPort())
    const { stage, open } = held()
    const { url, cache, seen } = await gateway({ target: refused, behind: [stage] })
    const replies = await crowd(url, () => cache.stats.collapsed)
    open()
    for (const reply of await Promise.all(replies)) {
      expect(reply.status).toBe(502)
      expect(reply.headers).toMatchObject({
        'content-type': 'application/problem+json',
        'proxy-status': 'postern; error=connection_refused',
        'cache-control': 'no-store',
      })
      // The answer is the gateway's, and no cache's (RFC 9211 §2).
      expect(reply.headers).not.toHaveProperty('cache-status')
    }
    await eventually(() => seen.length === 12)
    expect(seen.map((each) => each.verdict?.detail)).toEqual(Array(12).fill('gateway-error'))
    expect(seen.filter((each) => each.verdict?.collapsed)).toHaveLength(11)
  })

  test('and says so with a 503 of its own: every client gets one, none of them another’s', async () => {
    const upstream = await origin((req, res) => {
      res.writeHead(503)
      res.end(`for ${req.headers['x-client']}`)
    })
    const { stage, open } = held()
    const { url, cache } = await gateway({ target: upstream, behind: [stage] })
    const replies = ['a', 'b', 'c'].map((client) => ask(`${url}/a`, { headers: { 'x-client': client } }))
    await eventually(() => cache.stats.collapsed === 2)
    open()
    expect((await Promise.all(replies)).map((reply) => `${reply.status} ${reply.text}`)).toEqual([
      '503 for a',
      '503 for b',
      '503 for c',
    ])
  })

  test("with errors: 'next' the app's error handler answers all of them", async () => {
    const refused = await using(refusedPort())
    const { stage, open } = held()
    const page: ErrorRequestHandler = (error: GatewayError, _req, res, _next) => {
      res.status(error.status).send(`page for ${error.code}`)
    }
    const { url, cache } = await gateway({
      target: refused,
      behind: [stage],
      cache: { errors: 'next' },
      proxy: { errors: 'next' },
      last: [page],
    })
    const replies = await crowd(url, () => cache.stats.collapsed, 4)
    open()
    const texts = (await Promise.all(replies)).map((reply) => `${reply.status} ${reply.text}`)
    expect(new Set(texts).size).toBe(1)
    expect(texts[0]).toMatch(/^502 page for [a-z_]+$/)
  })

  test('a fallback in front of the cache answers all of them', async () => {
    const refused = await using(refusedPort())
    const { stage, open } = held()
    const { url, cache } = await gateway({ target: refused, before: [fallback('instead')], behind: [stage] })
    const replies = await crowd(url, () => cache.stats.collapsed, 4)
    open()
    expect((await Promise.all(replies)).map((reply) => reply.text)).toEqual(Array(4).fill('instead'))
    expect(cache.stats.responses).toBe(0)
  })

  test('a fallback behind the cache answers all of them, without one after the other running into the failure', async () => {
    const hold = gate()
    let attempts = 0
    const fail: RequestHandler = (req, res) => {
      attempts++
      const failure = { type: 'http_response_timeout', phase: 'headers', side: 'upstream', totalMs: 1 } as const
      const error = new GatewayError('timed_out', { status: 504, title: 'Late', detail: 'Late.' }, { failure })
      // The first one fails at once. All others fail together, when none is missing.
      if (attempts === 1) failExchange(req, res, error, 'respond')
      else void hold.opened.then(() => failExchange(req, res, error, 'respond'))
    }
    const { stage, open } = held()
    const { url, cache } = await gateway({ behind: [stage, fallback('instead'), fail] })
    const replies = await crowd(url, () => cache.stats.collapsed, 6)
    open()
    // Either they share the fallback's answer, or each of them has its own attempt, side by side.
    let answered = 0
    for (const reply of replies) void reply.then(() => answered++)
    await eventually(() => answered === 6 || attempts === 6, { timeoutMs: 3_000 }).finally(hold.open)
    expect((await Promise.all(replies)).map((reply) => reply.text)).toEqual(Array(6).fill('instead'))
  })

  test('a handler that only drops its client’s connection does not hold up the others one by one', async () => {
    const hold = gate()
    let calls = 0
    const drop: RequestHandler = (_req, res) => {
      calls++
      if (calls === 1) res.destroy()
      else void hold.opened.then(() => res.destroy())
    }
    const { stage, open } = held()
    const { url, cache } = await gateway({ behind: [stage, drop] })
    const clients = Array.from({ length: 6 }, () => new Client(`${url}/a`))
    await eventually(() => cache.stats.collapsed === 5)
    open()
    await eventually(() => calls === 6, { timeoutMs: 3_000 }).finally(hold.open)
    for (const client of clients) expect(await client.whole).toBe(false)
  })

  test('a handler that throws: every client gets 500', async () => {
    const broken: RequestHandler = () => {
      throw new Error('broken')
    }
    const { stage, open } = held()
    const { url, cache } = await gateway({ behind: [stage, broken], configure: (app) => app.set('env', 'test') })
    const replies = await crowd(url, () => cache.stats.collapsed, 4)
    open()
    expect((await Promise.all(replies)).map((reply) => reply.status)).toEqual([500, 500, 500, 500])
  })
})

describe('the upstream fails in mid-body', () => {
  test.each<[string, string, 'close' | 'reset']>([
    ['chunked, closed', 'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n', 'close'],
    ['chunked, reset', 'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n', 'reset'],
    ['with a length, closed', 'Content-Length: 100\r\n\r\nhello', 'close'],
    ['with a length, reset', 'Content-Length: 100\r\n\r\nhello', 'reset'],
  ])('(%s): all see that the answer is cut, and nothing is stored', async (_name, rest, ending) => {
    const bytes = `HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n${rest}`
    const upstream = await using(startRawUpstream(answerThen(bytes, ending)))
    const { stage, open } = held()
    const { url, cache } = await gateway({ target: upstream, behind: [stage] })
    const clients = Array.from({ length: 5 }, () => new Client(`${url}/a`))
    await eventually(() => cache.stats.collapsed === 4)
    open()
    for (const client of clients) expect(await client.answer()).toEqual({ status: 200, text: 'hello', whole: false })
    expect(cache.stats).toMatchObject({ stored: 0, responses: 0 })
    await new Client(`${url}/a`).whole
    expect(upstream.connections.length).toBe(2)
  })

  test('a local handler whose body is not as long as it said is cut for all', async () => {
    const { stage, open } = held()
    const liar: RequestHandler = (_req, res) => {
      res.writeHead(200, { 'cache-control': 'max-age=60', 'content-length': 100 })
      res.end('short')
    }
    const { url, cache } = await gateway({ behind: [stage, liar] })
    const clients = Array.from({ length: 3 }, () => new Client(`${url}/a`))
    await eventually(() => cache.stats.collapsed === 2)
    open()
    for (const client of clients) expect(await client.answer()).toMatchObject({ whole: false })
    expect(cache.stats.responses).toBe(0)
  })
})

describe('a response that turns out too large', () => {
  test.each([
    ['maxObjectBytes', { maxObjectBytes: 200_000 }],
    ['the store’s own limit', { store: memoryStore({ maxObjectBytes: 200_000 }) }],
    ['maxPendingBytes', { maxPendingBytes: 200_000 }],
  ])('in mid-body (%s) reaches all who share it whole, and is not stored', async (_name, options) => {
    const body = Buffer.alloc(1_000_000, 'postern ')
    const hold = gate()
    const upstream = await origin(async (_req, res) => {
      res.writeHead(200, { 'cache-control': 'max-age=60' })
      res.write(body.subarray(0, 100_000))
      await hold.opened
      for (let at = 100_000; at < body.length; at += 100_000) {
        if (!res.write(body.subarray(at, at + 100_000))) await new Promise((resolve) => res.once('drain', resolve))
      }
      res.end()
    })
    const { url, cache } = await gateway({ target: upstream, cache: options })
    const first = ask(`${url}/a`)
    await eventually(() => upstream.requests.length === 1)
    const others = [ask(`${url}/a`), ask(`${url}/a`), ask(`${url}/a`)]
    await eventually(() => cache.stats.collapsed === 3)
    hold.open()
    for (const reply of [await first, ...(await Promise.all(others))]) expect(reply.body.equals(body)).toBe(true)
    expect(cache.stats).toMatchObject({ stored: 0, responses: 0 })
    await request(`${url}/a`)
    expect(upstream.requests).toHaveLength(2)
  })

  test('by its announced length is shared with nobody, and nobody waits for its end', async () => {
    const hold = gate()
    const upstream = await origin(async (_req, res) => {
      res.writeHead(200, { 'cache-control': 'max-age=60', 'content-length': 300_000 })
      res.write(Buffer.alloc(100_000))
      await hold.opened
      res.end(Buffer.alloc(200_000))
    })
    const { url } = await gateway({ target: upstream, cache: { maxObjectBytes: 200_000 } })
    const replies = [ask(`${url}/a`), ask(`${url}/a`)]
    await eventually(() => upstream.requests.length === 2)
    hold.open()
    for (const reply of await Promise.all(replies)) expect(reply.body.length).toBe(300_000)
  })
})

test('a client whose time is over is told so, while the others go on waiting', async () => {
  const hold = gate()
  const upstream = await origin(async (_req, res) => {
    await hold.opened
    res.writeHead(200, { 'cache-control': 'max-age=60' })
    res.end('late')
  })
  const limit = deadline({ ms: 60 }) as RequestHandler
  const hurried: RequestHandler = (req, res, next) => {
    if (req.headers['x-hurried'] === undefined) next()
    else limit(req, res, next)
  }
  const { url, cache } = await gateway({ target: upstream, before: [hurried] })
  const first = ask(`${url}/a`)
  await eventually(() => upstream.requests.length === 1)
  const second = ask(`${url}/a`)
  const late = ask(`${url}/a`, { headers: { 'x-hurried': '1' } })
  await eventually(() => cache.stats.collapsed === 2)
  expect((await late).status).toBe(504)
  hold.open()
  expect([(await first).text, (await second).text]).toEqual(['late', 'late'])
})

import { circuitBreaker } from '@postern/circuit-breaker'
import { GatewayError, offerFallback } from '@postern/contracts'
import { eventually, refusedPort, request, type UpstreamHandler } from '@postern/test-kit'
import type { ErrorRequestHandler, RequestHandler } from 'express'
import { describe, expect, test } from 'vitest'
import { type GatewayOptions, gate, gateway, HandClock, origin, using } from './support.ts'

const SIE = { 'cache-control': 'max-age=10, stale-if-error=60', etag: '"v1"' }
const STALE_BODY = 'stored body'

/** A gateway that has a stale response, and an upstream that fails from then on. */
async function withStale(fail: UpstreamHandler, options: Omit<GatewayOptions, 'target'> = {}, headers: object = SIE) {
  const clock = new HandClock()
  let isBroken = false
  const upstream = await origin((req, res, record) => {
    if (isBroken) return fail(req, res, record)
    res.writeHead(200, { ...headers })
    res.end(STALE_BODY)
  })
  const made = await gateway({ ...options, target: upstream, cache: { ...options.cache, clock } })
  await request(`${made.url}/a`)
  isBroken = true
  clock.advance(15_000)
  return { ...made, upstream, clock }
}

const answers503: UpstreamHandler = (_req, res) => {
  res.writeHead(503, { 'x-trouble': 'yes', 'cache-control': 'no-store' })
  res.end('trouble')
}

describe('within stale-if-error, the stored response is served instead', () => {
  test.each([500, 502, 503, 504])('of an upstream’s %i, with none of its fields', async (status) => {
    const { url, cache } = await withStale((_req, res) => {
      res.writeHead(status, { 'x-trouble': 'yes' })
      res.end('trouble')
    })
    const { headers, ...reply } = await request(`${url}/a`)
    expect([reply.status, reply.text]).toEqual([200, STALE_BODY])
    expect(headers['cache-status']).toBe(`Postern; fwd=stale; fwd-status=${status}; ttl=-5; detail=stale-if-error`)
    expect(headers.age).toBe('15')
    expect(headers).not.toHaveProperty('x-trouble')
    expect(cache.stats.responses).toBe(1)
  })

  test('of a refused connection', async () => {
    const refused = await using(refusedPort())
    const clock = new HandClock()
    let isBroken = false
    const upstream = await origin((_req, res) => {
      res.writeHead(200, SIE)
      res.end(STALE_BODY)
    })
    const choose: RequestHandler = (req, _res, next) => {
      // The second upstream is gone.
      if (isBroken) req.url = '/broken'
      next()
    }
    const { proxy } = await import('@postern/proxy')
    const broken = proxy(refused.url)
    const split: RequestHandler = (req, res, next) => (isBroken ? broken(req, res, next) : next())
    const { url } = await gateway({ target: upstream, behind: [choose, split], cache: { clock } })
    await request(`${url}/a`)
    isBroken = true
    clock.advance(15_000)
    const reply = await request(`${url}/a`)
    expect([reply.status, reply.text]).toEqual([200, STALE_BODY])
    expect(reply.headers['cache-status']).toContain('fwd-status=502')
    expect(reply.headers).not.toHaveProperty('proxy-status')
    expect(reply.headers['content-type']).not.toBe('application/problem+json')
    await broken.close()
  })

  test('of a connection that is cut before the head', async () => {
    const { url } = await withStale((_req, res) => void res.destroy())
    expect((await request(`${url}/a`)).text).toBe(STALE_BODY)
  })

  test('of a time-out', async () => {
    const { url } = await withStale(() => {}, { proxy: { timeouts: { headersMs: 50 } } })
    const reply = await request(`${url}/a`)
    expect([reply.text, reply.headers['cache-status']]).toEqual([
      STALE_BODY,
      'Postern; fwd=stale; fwd-status=504; ttl=-5; detail=stale-if-error',
    ])
  })

  test('of an open circuit', async () => {
    const breaker = circuitBreaker()
    const { url } = await withStale(answers503, { behind: [breaker as RequestHandler] })
    breaker.isolate()
    const reply = await request(`${url}/a`)
    expect([reply.text, reply.headers['cache-status']]).toEqual([
      STALE_BODY,
      'Postern; fwd=stale; fwd-status=503; ttl=-5; detail=stale-if-error',
    ])
    expect(reply.headers).not.toHaveProperty('retry-after')
    breaker.close()
  })

  test('with a fallback in front of the cache, which is not asked', async () => {
    let asked = 0
    const before: RequestHandler = (req, res, next) => {
      const handler = (): void => {
        asked++
        res.send('instead')
      }
      offerFallback(req.gateway!, { handler, accepts: () => true, errors: 'respond' }, next)
      next()
    }
    const { url } = await withStale((_req, res) => void res.destroy(), { before: [before] })
    expect((await request(`${url}/a`)).text).toBe(STALE_BODY)
    expect(asked).toBe(0)
  })

  test("with errors: 'next', without the app's error handler", async () => {
    let handled = 0
    const page: ErrorRequestHandler = (_error, _req, res, _next) => {
      handled++
      res.status(500).send('page')
    }
    const options = { cache: { errors: 'next' }, proxy: { errors: 'next' }, last: [page] } as const
    const { url } = await withStale((_req, res) => void res.destroy(), options)
    expect((await request(`${url}/a`)).text).toBe(STALE_BODY)
    expect(handled).toBe(0)
  })

  test('to a client with conditions as 304, and for a range as its part', async () => {
    const { url } = await withStale(answers503)
    expect((await request(`${url}/a`, { headers: { 'if-none-match': '"v1"' } })).status).toBe(304)
    const part = await request(`${url}/a`, { headers: { range: 'bytes=0-5' } })
    expect([part.status, part.text]).toEqual([206, 'stored'])
  })

  test('to HEAD without a body', async () => {
    const { url } = await withStale(answers503)
    const reply = await request(`${url}/a`, { method: 'HEAD' })
    expect([reply.status, reply.headers['content-length'], reply.text]).toEqual([200, String(STALE_BODY.length), ''])
  })

  test('by the options where the response does not say it', async () => {
    const headers = { 'cache-control': 'max-age=10' }
    const { url } = await withStale(answers503, { cache: { staleIfErrorMs: 60_000 } }, headers)
    expect((await request(`${url}/a`)).text).toBe(STALE_BODY)
  })

  test('to all who wait for the one that failed, after one attempt', async () => {
    const hold = gate()
    const { url, cache, upstream } = await withStale(async (req, res, record) => {
      await hold.opened
      await answers503(req, res, record)
    })
    const replies = Array.from({ length: 8 }, () => request(`${url}/a`))
    await eventually(() => cache.stats.collapsed === 7)
    hold.open()
    const texts = (await Promise.all(replies)).map((reply) => `${reply.status} ${reply.text}`)
    expect(texts).toEqual(Array(8).fill(`200 ${STALE_BODY}`))
    expect(upstream.requests).toHaveLength(2)
  })

  test('to all who wait for one that could not be reached', async () => {
    const hold = gate()
    const { url, cache } = await withStale(async (_req, res) => {
      await hold.opened
      res.destroy()
    })
    const replies = Array.from({ length: 4 }, () => request(`${url}/a`))
    await eventually(() => cache.stats.collapsed === 3)
    hold.open()
    expect((await Promise.all(replies)).map((reply) => reply.text)).toEqual(Array(4).fill(STALE_BODY))
  })

  test('and the upstream is asked again by the next client', async () => {
    let isDown = true
    const { url } = await withStale((req, res, record) => {
      if (isDown) return answers503(req, res, record)
      res.writeHead(200, { 'cache-control': 'max-age=10' })
      res.end('recovered')
    })
    expect((await request(`${url}/a`)).text).toBe(STALE_BODY)
    isDown = false
    expect((await request(`${url}/a`)).text).toBe('recovered')
  })

  test('of a local handler’s 503, with none of what it has set', async () => {
    const clock = new HandClock()
    let calls = 0
    const handler: RequestHandler = (_req, res) => {
      calls++
      if (calls === 1) res.set(SIE).send(STALE_BODY)
      else res.cookie('trouble', '1').set('x-trouble', 'yes').status(503).json({ trouble: true })
    }
    const { url } = await gateway({ behind: [handler], cache: { clock } })
    await request(`${url}/a`)
    clock.advance(15_000)
    const reply = await request(`${url}/a`)
    expect([reply.status, reply.statusMessage, reply.text]).toEqual([200, 'OK', STALE_BODY])
    for (const name of ['set-cookie', 'x-trouble']) expect(reply.headers).not.toHaveProperty(name)
    expect(reply.headers['content-type']).toBe('text/html; charset=utf-8')
  })

  test('of a large 503 whose body never ends, without waiting for it', async () => {
    const { url } = await withStale((_req, res) => {
      res.writeHead(503)
      res.write('trouble without end')
    })
    expect((await request(`${url}/a`)).text).toBe(STALE_BODY)
  })
})

describe('the error itself is answered', () => {
  test('beyond the allowance', async () => {
    const { url, clock } = await withStale(answers503)
    clock.advance(60_000)
    const reply = await request(`${url}/a`)
    expect([reply.status, reply.text, reply.headers['x-trouble']]).toEqual([503, 'trouble', 'yes'])
    expect(reply.headers['cache-status']).toMatch(/^Postern; fwd=stale/)
  })

  test('where the response allows nothing', async () => {
    const { url } = await withStale(answers503, {}, { 'cache-control': 'max-age=10' })
    expect((await request(`${url}/a`)).status).toBe(503)
  })

  test('against must-revalidate', async () => {
    const headers = { 'cache-control': 'max-age=10, stale-if-error=60, must-revalidate' }
    const { url } = await withStale(answers503, {}, headers)
    expect((await request(`${url}/a`)).status).toBe(503)
  })

  test.each([404, 429, 501, 505])('for %i, which is no failure of the upstream', async (status) => {
    const { url } = await withStale((_req, res) => {
      res.writeHead(status)
      res.end()
    })
    expect((await request(`${url}/a`)).status).toBe(status)
  })

  test('and does not take the stored response away: it answers again when the allowance is another', async () => {
    const { url, clock, cache } = await withStale(answers503)
    clock.advance(60_000)
    await request(`${url}/a`)
    expect(cache.stats.responses).toBe(1)
    const lenient = await request(`${url}/a`, { headers: { 'cache-control': 'stale-if-error=1000' } })
    expect([lenient.status, lenient.text]).toEqual([200, STALE_BODY])
  })

  test('with a fallback behind the cache, which answers first, and whose answer is not stored', async () => {
    const behind: RequestHandler = (req, res, next) => {
      const handler = (): void => void res.set('cache-control', 'max-age=60').send('instead')
      offerFallback(req.gateway!, { handler, accepts: () => true, errors: 'respond' }, next)
      next()
    }
    const { url, cache } = await withStale((_req, res) => void res.destroy(), { behind: [behind] })
    for (let i = 0; i < 2; i++) {
      const reply = await request(`${url}/a`)
      expect([reply.status, reply.text]).toEqual([200, 'instead'])
    }
    expect(cache.stats).toMatchObject({ hits: 0, stored: 1 })
  })

  test('and the fallback in front of the cache is asked when nothing stored may be served', async () => {
    const before: RequestHandler = (req, res, next) => {
      const handler = (): void => void res.status(200).send('instead')
      const accepts = (error: GatewayError): boolean => error instanceof GatewayError
      offerFallback(req.gateway!, { handler, accepts, errors: 'respond' }, next)
      next()
    }
    const { url, clock } = await withStale((_req, res) => void res.destroy(), { before: [before] })
    clock.advance(60_000)
    const reply = await request(`${url}/a`)
    expect([reply.status, reply.text]).toEqual([200, 'instead'])
  })

  test('when it comes in mid-body: what was sent is cut, and the stored response stays', async () => {
    const { url, cache } = await withStale((_req, res) => {
      res.writeHead(200, { 'cache-control': 'max-age=10', 'content-length': 100 })
      res.write('part')
      setImmediate(() => res.destroy())
    })
    const reply = await request(`${url}/a`)
    expect([reply.aborted, reply.text]).toEqual([true, 'part'])
    expect(cache.stats.responses).toBe(1)
  })
})

import { PassThrough } from 'node:stream'
import { exchangeFinished } from '@postern/contracts'
import { eventually, request, type UpstreamHandler } from '@postern/test-kit'
import { describe, expect, it } from 'vitest'
import type { RouteConfig } from '../src/config.ts'
import { cacheStatus, counting, start, upstream } from './caching-support.ts'

const route: RouteConfig<'one'> = { prefix: '/', upstream: 'one', cache: true }

/** Stale at once: no test waits for time. */
const STALE_IF_ERROR = 'max-age=0, stale-if-error=60'
const STALE_WHILE_REVALIDATE = 'max-age=0, stale-while-revalidate=60'

/** Answers all but `/hold`, which is held open for ever. */
const holding =
  (handler: UpstreamHandler): UpstreamHandler =>
  (req, res, record) =>
    req.url === '/hold' ? undefined : handler(req, res, record)

/** Takes the only place of a bulkhead. @returns gives it back */
async function fill(url: string, inFlight: () => number): Promise<() => Promise<unknown>> {
  const leaving = new AbortController()
  const held = request(`${url}/hold`, { signal: leaving.signal }).catch(() => 'left')
  await eventually(() => expect(inFlight()).toBe(1))
  return () => {
    leaving.abort()
    return held
  }
}

describe('a hit', () => {
  it('needs no target', async () => {
    const origin = await upstream(counting())
    const { url } = await start({ upstreams: { one: { targets: [origin.url] } }, routes: [route] })
    await request(`${url}/a`)
    await origin.close()
    expect((await request(`${url}/b`)).status).toBeGreaterThanOrEqual(502)
    const hit = await request(`${url}/a`)
    expect([hit.status, hit.text]).toEqual([200, '/a 1'])
  })

  it('needs no place at the upstream', async () => {
    const origin = await upstream(holding(counting()))
    const { gw, url } = await start({
      upstreams: { one: { targets: [origin.url], bulkhead: { maxInFlight: 1, maxQueued: 0 } } },
      routes: [route],
    })
    await request(`${url}/a`)
    const release = await fill(url, () => gw.parts.one.bulkhead!.inFlight)
    expect((await request(`${url}/b`)).json()).toMatchObject({ code: 'upstream_busy' })
    expect((await request(`${url}/a`)).text).toBe('/a 1')
    expect(gw.parts.one.bulkhead!.inFlight).toBe(1)
    await release()
  })

  it('needs no closed circuit', async () => {
    const origin = await upstream(counting())
    const { gw, url } = await start({
      upstreams: { one: { targets: [origin.url], breaker: true } },
      routes: [route],
    })
    await request(`${url}/a`)
    gw.parts.one.breaker!.isolate()
    expect((await request(`${url}/b`)).json()).toMatchObject({ code: 'circuit_open' })
    expect((await request(`${url}/a`)).text).toBe('/a 1')
  })
})

describe('stale-if-error', () => {
  it('serves what is stored when the upstream refuses', async () => {
    const origin = await upstream(counting(STALE_IF_ERROR))
    const { url } = await start({ upstreams: { one: { targets: [origin.url] } }, routes: [route] })
    await request(`${url}/a`)
    expect((await request(`${url}/a`)).text).toBe('/a 2')
    await origin.close()
    const stale = await request(`${url}/a`)
    expect([stale.status, stale.text, stale.complete]).toEqual([200, '/a 2', true])
    expect(cacheStatus(stale)).toMatch(/^Postern; fwd=stale; .*detail=stale-if-error$/)
    expect(stale.headers).not.toHaveProperty('retry-after')
    expect(stale.headers).not.toHaveProperty('proxy-status')
  })

  it('serves what is stored when the upstream answers 500', async () => {
    let broken = false
    const good = counting(STALE_IF_ERROR)
    const origin = await upstream((req, res, record) =>
      broken ? void res.writeHead(500, { 'x-broken': '1' }).end('broken') : good(req, res, record),
    )
    const { url } = await start({ upstreams: { one: { targets: [origin.url] } }, routes: [route] })
    await request(`${url}/a`)
    broken = true
    const stale = await request(`${url}/a`)
    expect([stale.status, stale.text, stale.headers['x-broken']]).toEqual([200, '/a 1', undefined])
    expect(cacheStatus(stale)).toContain('fwd-status=500')
    expect((await request(`${url}/b`)).text).toBe('broken')
  })

  it('serves what is stored when the circuit is open', async () => {
    const origin = await upstream(counting(STALE_IF_ERROR))
    const { gw, url } = await start({
      upstreams: { one: { targets: [origin.url], breaker: true } },
      routes: [route],
    })
    await request(`${url}/a`)
    gw.parts.one.breaker!.isolate()
    const stale = await request(`${url}/a`)
    expect([stale.status, stale.text]).toEqual([200, '/a 1'])
    expect(origin.requests).toHaveLength(1)
    gw.parts.one.breaker!.reset()
    expect((await request(`${url}/a`)).text).toBe('/a 2')
  })

  it('serves what is stored when the bulkhead is full', async () => {
    const origin = await upstream(holding(counting(STALE_IF_ERROR)))
    const { gw, url } = await start({
      upstreams: { one: { targets: [origin.url], bulkhead: { maxInFlight: 1, maxQueued: 0 } } },
      routes: [route],
    })
    await request(`${url}/a`)
    const release = await fill(url, () => gw.parts.one.bulkhead!.inFlight)
    expect((await request(`${url}/a`)).text).toBe('/a 1')
    await release()
    await eventually(() => expect(gw.parts.one.bulkhead!.inFlight).toBe(0))
    expect((await request(`${url}/a`)).text).toMatch(/^\/a [23]$/)
  })

  it('serves what is stored when the upstream is too slow', async () => {
    let slow = false
    const good = counting(STALE_IF_ERROR)
    const origin = await upstream((req, res, record) => (slow ? undefined : good(req, res, record)))
    const { url } = await start({
      upstreams: { one: { targets: [origin.url], timeouts: { totalMs: 100 }, retries: false } },
      routes: [route],
    })
    await request(`${url}/a`)
    slow = true
    expect((await request(`${url}/a`)).text).toBe('/a 1')
    expect((await request(`${url}/b`)).status).toBe(504)
  })

  it('comes before the fallback of the upstream and that of the route', async () => {
    const origin = await upstream(counting(STALE_IF_ERROR))
    const { url } = await start({
      upstreams: { one: { targets: [origin.url], fallback: (_req, res) => void res.end('the upstream') } },
      routes: [{ ...route, fallback: (_req, res) => void res.end('the route') }],
    })
    await request(`${url}/a`)
    await origin.close()
    expect((await request(`${url}/a`)).text).toBe('/a 1')
    expect((await request(`${url}/b`)).text).toBe('the upstream')
  })

  it('leaves it to the fallback of the route when nothing stored may be served', async () => {
    const origin = await upstream(counting('max-age=0, must-revalidate, stale-if-error=60'))
    const { url } = await start({
      upstreams: { one: { targets: [origin.url] } },
      routes: [{ ...route, fallback: (_req, res) => void res.end('the route') }],
    })
    await request(`${url}/a`)
    await origin.close()
    const reply = await request(`${url}/a`)
    expect(reply.text).toBe('the route')
  })

  it('of the rules holds where the upstream says nothing', async () => {
    // Older than its lifetime when it comes: stale at once.
    const origin = await upstream(counting('max-age=60', { age: '61' }))
    const { url } = await start({
      upstreams: { one: { targets: [origin.url] } },
      routes: [
        { prefix: '/kept', upstream: 'one', cache: { staleIfErrorMs: 60_000 } },
        { prefix: '/not', upstream: 'one', cache: true },
      ],
    })
    await request(`${url}/kept`)
    await request(`${url}/not`)
    await origin.close()
    expect((await request(`${url}/kept`)).text).toBe('/kept 1')
    expect((await request(`${url}/not`)).status).toBeGreaterThanOrEqual(502)
  })

  it('is never an answer of the gateway’s own, or a fallback’s, that was stored', async () => {
    let isUp = false
    const good = counting()
    const origin = await upstream((req, res, record) => (isUp ? good(req, res, record) : void req.socket.destroy()))
    const { gw, url } = await start({
      upstreams: {
        one: {
          targets: [origin.url],
          retries: false,
          fallback: (_req, res) => void res.writeHead(200, { 'cache-control': 'max-age=60' }).end('instead'),
        },
      },
      routes: [route],
    })
    expect((await request(`${url}/a`)).text).toBe('instead')
    expect(gw.cache!.stats.responses).toBe(0)
    isUp = true
    await eventually(async () => expect((await request(`${url}/a`)).text).toBe('/a 1'))
  })
})

describe('stale-while-revalidate', () => {
  it('serves what is stored at once, and asks the upstream behind the client’s back', async () => {
    const origin = await upstream(counting(STALE_WHILE_REVALIDATE, { etag: '"1"' }))
    const { url } = await start({ upstreams: { one: { targets: [origin.url] } }, routes: [route] })
    await request(`${url}/a`)
    const stale = await request(`${url}/a`)
    expect(stale.text).toBe('/a 1')
    expect(cacheStatus(stale)).toMatch(/^Postern; hit; ttl=(0|-\d); detail=stale-while-revalidate$/)
    await eventually(() => expect(origin.requests).toHaveLength(2))
    expect(origin.last.headers['if-none-match']).toBe('"1"')
    await eventually(async () => expect((await request(`${url}/a`)).text).not.toBe('/a 1'))
  })

  it('runs what leads to the upstream and nothing before: no handler, no line in the log, no exchange of its own', async () => {
    const origin = await upstream(counting(STALE_WHILE_REVALIDATE))
    const stream = new PassThrough()
    let lines = ''
    stream.setEncoding('utf8').on('data', (text: string) => {
      lines += text
    })
    let handled = 0
    let before = 0
    let finished = 0
    const onFinished = (): void => {
      finished++
    }
    exchangeFinished.subscribe(onFinished)
    try {
      const { gw, url } = await start(
        {
          logger: { stream, flushIntervalMs: 0 },
          upstreams: { one: { targets: [origin.url], bulkhead: 5, breaker: true } },
          routes: [
            {
              ...route,
              handlers: (_req, _res, next) => {
                handled++
                next()
              },
            },
          ],
        },
        (app) =>
          app.use((_req, _res, next) => {
            before++
            next()
          }),
      )
      await request(`${url}/a`)
      await request(`${url}/a`)
      await eventually(() => expect(origin.requests).toHaveLength(2))
      await eventually(() => expect(gw.cache!.stats.revalidating).toBe(0))
      await eventually(() => expect(lines.trim().split('\n')).toHaveLength(2))
      // The last request is answered after all that the revalidation could have set off.
      await request(`${url}/b`)
      await eventually(() => expect(lines.trim().split('\n')).toHaveLength(3))
      expect([handled, before, finished]).toEqual([3, 3, 3])
      expect([gw.parts.one.bulkhead!.inFlight, gw.upstreams.one.targets[0]!.inFlight]).toEqual([0, 0])
    } finally {
      exchangeFinished.unsubscribe(onFinished)
    }
  })

  it('sends on what a handler of the route has set for the upstream', async () => {
    const origin = await upstream(counting(STALE_WHILE_REVALIDATE))
    const { url } = await start({
      upstreams: { one: { targets: [origin.url] } },
      routes: [
        {
          prefix: '/shop',
          upstream: 'one',
          cache: true,
          rewrite: { stripPrefix: true },
          requestHeaders: { set: { 'x-from': 'gateway' } },
        },
      ],
    })
    await request(`${url}/shop/a`)
    await request(`${url}/shop/a`)
    await eventually(() => expect(origin.requests).toHaveLength(2))
    expect(origin.requests.map((each) => [each.url, each.headers['x-from']])).toEqual([
      ['/a', 'gateway'],
      ['/a', 'gateway'],
    ])
  })

  it('asks once for many clients, and not at all when the circuit is open', async () => {
    const answers: (() => void)[] = []
    const good = counting(STALE_WHILE_REVALIDATE)
    const origin = await upstream((req, res, record) => {
      if (origin.requests.length === 1) good(req, res, record)
      else answers.push(() => void good(req, res, record))
    })
    const { gw, url } = await start({
      upstreams: { one: { targets: [origin.url], breaker: true } },
      routes: [route],
    })
    await request(`${url}/a`)
    const replies = await Promise.all(Array.from({ length: 20 }, () => request(`${url}/a`)))
    expect(replies.map((reply) => reply.text)).toEqual(Array(20).fill('/a 1'))
    await eventually(() => expect(answers).toHaveLength(1))
    expect(gw.cache!.stats.revalidating).toBe(1)
    answers[0]!()
    await eventually(() => expect(gw.cache!.stats.revalidating).toBe(0))
    expect(origin.requests).toHaveLength(2)

    gw.parts.one.breaker!.isolate()
    expect((await request(`${url}/a`)).text).toBe('/a 2')
    await eventually(() => expect(gw.cache!.stats.revalidating).toBe(0))
    expect((await request(`${url}/a`)).text).toBe('/a 2')
    expect(origin.requests).toHaveLength(2)
  })

  it('keeps what is stored when the revalidation fails', async () => {
    const origin = await upstream(counting(STALE_WHILE_REVALIDATE))
    const { gw, url } = await start({ upstreams: { one: { targets: [origin.url] } }, routes: [route] })
    await request(`${url}/a`)
    await origin.close()
    for (let i = 0; i < 3; i++) {
      expect((await request(`${url}/a`)).text).toBe('/a 1')
      await eventually(() => expect(gw.cache!.stats.revalidating).toBe(0))
    }
  })
})

import type { Deadline, Exchange } from '@postern/contracts'
import { ConfigError } from '@postern/contracts'
import { deadline } from '@postern/proxy'
import { eventually, request, startUpstream, type UpstreamHandler } from '@postern/test-kit'
import { describe, expect, it } from 'vitest'
import { parseTimeout, writeTimeout } from '../src/deadline.ts'
import { startApp, using } from './behaviour.ts'

const upstream = (handler: UpstreamHandler) => using(startUpstream(handler))
const answering: UpstreamHandler = (req, res) => {
  req.resume()
  req.on('end', () => res.end('ok'))
}
const silent: UpstreamHandler = (req) => void req.resume()

describe('an exchange that takes too long', () => {
  it('ends with 504 when its time is over, whatever the other timers say', async () => {
    const slow = await upstream(silent)
    const app = await startApp({ to: slow.url, before: (express) => void express.use(deadline({ ms: 80 })) })
    const reply = await request(app.url)
    expect(reply.status).toBe(504)
    expect(reply.headers['proxy-status']).toContain('deadline_exceeded')
    await eventually(() => expect(slow.last.aborted).toBe(true))
    expect(app.outcomes).toMatchObject([{ type: 'deadline_exceeded', side: 'gateway' }])
  })

  it('is not tried again when no time is left for it', async () => {
    const all = [await upstream(silent), await upstream(answering)]
    const app = await startApp({
      to: all.map((each) => each.url),
      proxy: { timeouts: { totalMs: 60 }, retries: { attempts: 3 } },
    })
    expect((await request(app.url)).status).toBe(504)
    expect(all[1]!.requests.length).toBe(0)
  })

  it('shares its time over the tries', async () => {
    const all = [await upstream(silent), await upstream(silent), await upstream(silent)]
    const app = await startApp({
      to: all.map((each) => each.url),
      proxy: { timeouts: { totalMs: 250 }, retries: { attempts: 3, perTryTimeoutMs: 100, backoff: { baseMs: 0 } } },
    })
    const startedAt = performance.now()
    expect((await request(app.url)).status).toBe(504)
    expect(performance.now() - startedAt).toBeLessThan(2_000)
    expect(app.exchanges[0]!.attempts.map((attempt) => attempt.failure!.type)).toEqual([
      'http_response_timeout',
      'http_response_timeout',
      'deadline_exceeded',
    ])
  })

  it('has its answer cut when it was under way', async () => {
    const dribbling: UpstreamHandler = (_, res) => {
      res.writeHead(200, { 'content-length': '1000' })
      const timer = setInterval(() => res.write('x'), 10)
      res.on('close', () => clearInterval(timer))
    }
    const target = await upstream(dribbling)
    const app = await startApp({ to: target.url, proxy: { timeouts: { totalMs: 120 } } })
    const reply = await request(app.url)
    expect([reply.status, reply.complete]).toEqual([200, false])
  })

  it('never reaches an upstream when its time was over before', async () => {
    const target = await upstream(answering)
    const app = await startApp({
      to: target.url,
      before: (express) => void express.use(deadline({ ms: 20 }), (_req, _res, next) => void setTimeout(next, 50)),
    })
    expect((await request(app.url)).status).toBe(504)
    expect(target.requests.length).toBe(0)
  })
})

describe('the time that a caller has left', () => {
  it.each([
    ['x-time-left', '90', 90],
    ['x-time-left', '90m', 90],
    ['x-time-left', '1S', 1_000],
    ['grpc-timeout', '90m', 90],
    ['grpc-timeout', '2S', 2_000],
  ])('%s: %s shortens the limit', async (header, value, ms) => {
    const target = await upstream(answering)
    let seen: Deadline | undefined
    const app = await startApp({
      to: target.url,
      proxy: {
        timeouts: { totalMs: 5_000 },
        deadline: { header },
        onRequest: (exchange: Exchange) => {
          seen = exchange.deadline
        },
      },
    })
    expect((await request(app.url, { headers: { [header]: value } })).status).toBe(200)
    expect(seen!.atMs - app.exchanges[0]!.receivedAtMs).toBeCloseTo(ms)
  })

  it.each(['', 'soon', '-5', '1.5', '123456789', '5 m', '9H9'])(
    'that cannot be read (%j) changes nothing',
    async (value) => {
      const target = await upstream(answering)
      const app = await startApp({
        to: target.url,
        proxy: { timeouts: { totalMs: 5_000 }, deadline: { header: 'x-time-left' } },
      })
      expect((await request(app.url, { headers: { 'x-time-left': value } })).status).toBe(200)
      const { deadline: known, receivedAtMs } = app.exchanges[0]!
      expect(known!.atMs - receivedAtMs).toBeCloseTo(5_000)
    },
  )

  it('cannot make it longer', async () => {
    const target = await upstream(silent)
    const app = await startApp({
      to: target.url,
      proxy: { timeouts: { totalMs: 60 }, deadline: { header: 'x-time-left' } },
    })
    expect((await request(app.url, { headers: { 'x-time-left': '60000' } })).status).toBe(504)
  })

  it('is told to the upstream as it is when each attempt begins, and once', async () => {
    const all = [
      await upstream((_, res) => void setTimeout(() => res.writeHead(503).end(), 60)),
      await upstream(answering),
    ]
    const app = await startApp({
      to: all.map((each) => each.url),
      proxy: { timeouts: { totalMs: 5_000 }, deadline: { header: 'X-Time-Left' }, retries: { attempts: 2 } },
    })
    await request(app.url, { headers: { 'x-time-left': '4000', X_Time_Left: '99999' } })
    const told = all.map((each) => each.last.all('x-time-left'))
    expect(told.map((values) => values.length)).toEqual([1, 1])
    expect(Number(told[0]![0])).toBeLessThanOrEqual(4_000)
    expect(Number(told[1]![0])).toBeLessThanOrEqual(3_945)
    expect(Number(told[1]![0])).toBeGreaterThan(1_000)
    expect(all[1]!.last.all('x_time_left')).toEqual([])
  })

  it('is not passed on when it is not to be', async () => {
    const target = await upstream(answering)
    const app = await startApp({
      to: target.url,
      proxy: { timeouts: { totalMs: 5_000 }, deadline: { header: 'x-time-left', forward: false } },
    })
    await request(app.url)
    expect(target.last.all('x-time-left')).toEqual([])
  })
})

describe('the signal', () => {
  it('is aborted when the time is over', async () => {
    let signal: AbortSignal | undefined
    const target = await upstream(silent)
    const app = await startApp({
      to: target.url,
      proxy: { timeouts: { totalMs: 50 }, onRequest: (exchange) => void (signal = exchange.deadline!.signal) },
    })
    await request(app.url)
    await eventually(() => expect(signal!.aborted).toBe(true))
    expect(signal!.reason).toMatchObject({ name: 'TimeoutError' })
  })

  it('is aborted when the client leaves', async () => {
    let known: Deadline | undefined
    const target = await upstream(silent)
    const app = await startApp({
      to: target.url,
      proxy: {
        timeouts: { totalMs: 5_000 },
        onRequest: (exchange) => {
          known = exchange.deadline!
          void known.signal
        },
      },
    })
    await request(app.url, { signal: AbortSignal.timeout(50) }).catch(() => {})
    await eventually(() => expect(known!.signal.reason).toMatchObject({ name: 'AbortError' }))
    expect(known!.remainingMs()).toBeGreaterThan(3_000)
  })

  it('is left alone behind an answer that went out whole', async () => {
    let signal: AbortSignal | undefined
    const target = await upstream(answering)
    const app = await startApp({
      to: target.url,
      proxy: { timeouts: { totalMs: 5_000 }, onRequest: (exchange) => void (signal = exchange.deadline!.signal) },
    })
    await request(app.url)
    await eventually(() => expect(app.finished.length).toBe(1))
    expect(signal!.aborted).toBe(false)
  })
})

it('of two limits the shorter counts', async () => {
  const target = await upstream(answering)
  const app = await startApp({
    to: target.url,
    before: (express) => void express.use(deadline({ ms: 700 }), deadline({ ms: 300 }), deadline({ ms: 900 })),
    proxy: { timeouts: { totalMs: 5_000 } },
  })
  await request(app.url)
  const { deadline: known, receivedAtMs } = app.exchanges[0]!
  expect(known!.atMs - receivedAtMs).toBeCloseTo(300)
})

it('deadline() says what is wrong with its options', () => {
  expect(() => deadline({})).toThrow(/sets no limit/)
  expect(() => deadline({ ms: 0 })).toThrow(ConfigError)
  expect(() => deadline({ ms: 1.5, headers: 'x' } as never)).toThrow(/did you mean "header"/)
  expect(() => deadline({ header: 'a b' })).toThrow(/header: not a header name/)
})

it('times are read and written as gRPC has them', () => {
  expect(['1H', '2M', '3S', '4m', '5u', '6n'].map((text) => parseTimeout(text))).toEqual([
    3_600_000, 120_000, 3_000, 4, 0.005, 0.000006,
  ])
  expect(parseTimeout('5')).toBe(undefined)
  expect(parseTimeout('5', 1)).toBe(5)
  expect([writeTimeout(1_234.9, 'grpc-timeout'), writeTimeout(1e9, 'grpc-timeout'), writeTimeout(7.9, 'x')]).toEqual([
    '1234m',
    '1000000S',
    '7',
  ])
})

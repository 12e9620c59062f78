import express, { type RequestHandler } from 'express'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type LoggerOptions, logger } from '../src/index.ts'
import { Lines, sendRaw, serve, warningsDuring } from './support.ts'

/** A server whose answers have the status that the path names. */
async function start(options: LoggerOptions = {}, before: RequestHandler = (_req, _res, next) => next()) {
  const lines = new Lines()
  const log = logger({ stream: lines, flushIntervalMs: 0, ...options })
  onTestFinished(() => log.close())
  const app = express()
  app.use(log, before, (req, res) => {
    res.status(Number(req.path.slice(1)) || 200).end()
  })
  const { port } = await serve(app)
  /** Requests one path, and waits until the exchange is over. */
  const get = (path: string, headers = '') =>
    sendRaw(port, `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${headers}\r\n`)
  return { lines, log, get }
}

const paths = (lines: Lines) => lines.objects.map((line) => line.path)

describe('sample', () => {
  it('logs a share of the requests', async () => {
    const chances = [0.1, 0.5, 0.3, 0.9]
    const { lines, log, get } = await start({ sample: 0.4, random: () => chances.shift()! })
    for (const path of ['/a', '/b', '/c', '/d']) await get(path)
    await log.flush()
    expect(paths(lines)).toEqual(['/a', '/c'])
    expect(log.stats).toMatchObject({ written: 2, sampledOut: 2 })
  })

  it('always logs 5xx and failures of ours', async () => {
    const { lines, log, get } = await start({ sample: 0 }, (req, _res, next) => {
      if (req.path === '/cut') {
        req.gateway!.failure = { type: 'http_response_timeout', phase: 'headers', side: 'upstream', totalMs: 1 }
      }
      next()
    })
    for (const path of ['/200', '/404', '/500', '/cut']) await get(path)
    await log.flush()
    expect(paths(lines)).toEqual(['/500', '/cut'])
  })

  it('leaves out errors too when asked to', async () => {
    const { lines, log, get } = await start({ sample: 0, sampleErrors: true })
    await get('/500')
    await log.flush()
    expect(lines.all).toEqual([])
    expect(log.stats.sampledOut).toBe(1)
  })

  it('asks a function', async () => {
    const { lines, log, get } = await start({ sample: (exchange) => exchange.request.url !== '/b' })
    for (const path of ['/a', '/b']) await get(path)
    await log.flush()
    expect(paths(lines)).toEqual(['/a'])
  })
})

describe('skip', () => {
  it('leaves out what it names, whatever became of it', async () => {
    const { lines, log, get } = await start({ skip: (exchange) => exchange.request.url === '/503' })
    for (const path of ['/503', '/500']) await get(path)
    await log.flush()
    expect(paths(lines)).toEqual(['/500'])
    expect(log.stats.skipped).toBe(1)
  })
})

describe('levels', () => {
  it('replaces the level, or leaves the line out', async () => {
    const { lines, log, get } = await start({
      levels: (status) => (status === 404 ? 'info' : status === 204 ? false : 'error'),
    })
    for (const path of ['/404', '/204', '/200']) await get(path)
    await log.flush()
    expect(lines.objects.map((line) => line.level)).toEqual(['info', 'error'])
    expect(log.stats.skipped).toBe(1)
  })

  it('writes nothing below the least level', async () => {
    const { lines, log, get } = await start({ minLevel: 'warn' })
    for (const path of ['/200', '/404', '/500']) await get(path)
    await log.flush()
    expect(paths(lines)).toEqual(['/404', '/500'])
  })
})

describe('fields', () => {
  it('adds what it returns, without secrets, and cannot replace what is ours', async () => {
    const { lines, log, get } = await start({
      fields: (exchange) => ({
        tenant: exchange.request.headers['x-tenant'],
        session_token: 's3cret',
        status: 999,
        path: undefined,
        nested: { list: ['a\u202eb'], cookie: 'c00kie' },
      }),
    })
    await get('/200', 'X-Tenant: blue\r\n')
    await log.flush()
    expect(lines.objects[0]).toMatchObject({
      tenant: 'blue',
      status: 200,
      path: '/200',
      session_token: '[redacted]',
      nested: { list: ['a\u202eb'], cookie: '[redacted]' },
    })
    expect(lines.text).not.toMatch(/s3cret|c00kie|\u202e|999/)
  })

  it('takes nothing for an answer', async () => {
    const { lines, log, get } = await start({ fields: () => undefined })
    await get('/200')
    await log.flush()
    expect(lines.objects[0]).toMatchObject({ status: 200 })
    expect(log.stats.hookErrors).toBe(0)
  })

  it('leaves out what is too large', async () => {
    const { lines, log, get } = await start({ fields: () => ({ list: Array(10_000).fill('xxxx') }) })
    await get('/200')
    await log.flush()
    expect(lines.objects[0]).toMatchObject({ status: 200 })
    expect(lines.text.length).toBeLessThan(2000)
  })
})

describe('a function of the app that fails', () => {
  const circle: Record<string, unknown> = {}
  circle.self = circle
  const boom = (): never => {
    throw new Error('boom')
  }
  const failures: [string, LoggerOptions][] = [
    ['a throw in fields', { fields: boom }],
    ['a circle in fields', { fields: () => circle }],
    [
      'a getter that throws in fields',
      { fields: () => Object.defineProperty({}, 'x', { enumerable: true, get: boom }) },
    ],
    ['a text for fields', { fields: (() => 'text') as never }],
    ['a promise for fields, rejected later', { fields: (async () => boom()) as never }],
    ['a throw in skip', { skip: boom }],
    ['a throw in levels', { levels: boom }],
    ['an unknown level', { levels: (() => 'loud') as never }],
    ['a throw in sample', { sample: boom }],
    ['a promise in sample', { sample: (async () => false) as never }],
    [
      'a throw of something odd',
      {
        skip: () => {
          throw Object.create(null)
        },
      },
    ],
  ]

  it.each(failures)('costs neither request nor line (%s)', async (_, options) => {
    const { lines, log, get } = await start(options)
    expect(await get('/204')).toContain('HTTP/1.1 204')
    await log.flush()
    expect(lines.objects).toMatchObject([{ status: 204, level: 'info' }])
    expect(log.stats).toMatchObject({ written: 1, lost: 0, hookErrors: 1 })
  })

  it('is warned of once', async () => {
    const { log, get } = await start({ random: boom, sample: 0.5 })
    const warnings = await warningsDuring(async () => {
      await get('/200')
      await get('/200')
    })
    expect(log.stats.hookErrors).toBe(2)
    expect(warnings.map((warning) => warning.code)).toEqual(['POSTERN_LOGGER_OPTION_FAILED'])
    expect(warnings[0]!.message).toContain('random: boom')
  })
})

describe('headers', () => {
  it('are logged when asked for, without secrets', async () => {
    const { lines, log, get } = await start(
      { headers: ['X-Foo', 'Authorization', 'Set-Cookie', 'X-Absent'] },
      (_req, res, next) => {
        res.cookie('sid', 's3cret').set('x-foo', 'answer')
        next()
      },
    )
    await get('/200', 'X-Foo: one\r\nx-foo: two\r\nAuthorization: Bearer s3cret\r\n')
    await log.flush()
    expect(lines.objects[0]).toMatchObject({
      requestHeaders: { 'x-foo': 'one, two', authorization: '[redacted]' },
      responseHeaders: { 'x-foo': 'answer', 'set-cookie': '[redacted]' },
    })
    expect(lines.text).not.toMatch(/s3cret|x-absent/)
  })
})

describe('combined format', () => {
  it('is one line a request, and JSON for the app’s own lines', async () => {
    const { lines, log, get } = await start({ format: 'combined' })
    await get('/200?token=abc&x=1', 'User-Agent: a "b"\r\n')
    await log.flush()
    log.log.info({}, 'mine')
    await log.flush()
    expect(lines.all[0]).toMatch(
      /^127\.0\.0\.1 - - \[\d\d\/\w{3}\/\d{4}:\d\d:\d\d:\d\d \+0000\] "GET \/200\?token=\[redacted\]&x=1 HTTP\/1\.1" 200 - "-" "a \\"b\\""$/,
    )
    expect(JSON.parse(lines.all[1]!)).toMatchObject({ message: 'mine' })
  })
})

describe('the clock', () => {
  it('is the one that was given', async () => {
    let now = 1000
    const { lines, log, get } = await start(
      { clock: { now: () => now, wallNow: () => Date.UTC(2026, 0, 2) } },
      (_req, _res, next) => {
        now += 250
        next()
      },
    )
    await get('/200')
    await log.flush()
    expect(lines.objects[0]).toMatchObject({ time: '2026-01-02T00:00:00.000Z', totalMs: 250 })
  })
})

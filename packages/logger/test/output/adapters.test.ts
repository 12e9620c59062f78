import type { Logger } from '@postern/contracts'
import express from 'express'
import { describe, expect, it, onTestFinished } from 'vitest'
import winston from 'winston'
import { fromWinston, type LoggerOptions, logger } from '../../src/index.ts'
import { Lines, sendRaw, serve } from '../support.ts'

/** A winston logger with a transport of its own, as an app would have one. */
function appWinston(options: winston.LoggerOptions = {}) {
  const lines = new Lines()
  const inner = winston.createLogger({
    transports: [new winston.transports.Stream({ stream: lines, eol: '\n' })],
    ...options,
  })
  return { inner, lines }
}

/** Calls of an object with pino's four methods. */
function pinoShaped() {
  const calls: [string, object, string | undefined][] = []
  const at = (level: string) => (fields: object, message?: string) => {
    calls.push([level, fields, message])
  }
  return { calls, log: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') } satisfies Logger }
}

/** Sends one request for each path through a logger in Express; the answers have the status that the path names. */
async function run(options: LoggerOptions, ...paths: string[]) {
  const log = logger(options)
  onTestFinished(() => log.close())
  const app = express()
  app.use(log, (req, res) => {
    res.status(Number(req.path.slice(1)) || 200).end()
  })
  const { port } = await serve(app)
  const answers: string[] = []
  for (const path of paths) {
    answers.push(
      await sendRaw(port, `GET ${path} HTTP/1.1\r\nHost: a\r\nUser-Agent: \x85u\x9b2J\r\nConnection: close\r\n\r\n`),
    )
  }
  await log.flush()
  return { log, answers }
}

describe('a winston logger of the app', () => {
  it('gets one entry a request, with fields, through its own format and transports', async () => {
    const { inner, lines } = appWinston({
      format: winston.format.combine(winston.format.label({ label: 'shop' }), winston.format.json()),
    })
    const { log } = await run(
      { logger: inner, fields: () => JSON.parse('{"tenant":"blue","__proto__":{"x":1}}') },
      '/200?code=abc',
      '/404',
    )
    expect(lines.objects).toMatchObject([
      { level: 'info', message: 'GET /200 200', label: 'shop', status: 200, query: 'code=[redacted]', tenant: 'blue' },
      { level: 'warn', message: 'GET /404 404', label: 'shop', status: 404 },
    ])
    expect(log.stats).toMatchObject({ written: 2, lost: 0 })
  })

  it('gets no control characters, even for a format that escapes nothing', async () => {
    const { inner, lines } = appWinston({
      format: winston.format.printf((info) => `${info.level} ${info.message} ${String(info.userAgent)}`),
    })
    await run({ logger: inner }, '/200')
    expect(lines.all).toEqual(['info GET /200 200 \\x85u\\x9b2J'])
  })

  it('may be a child', async () => {
    const { inner, lines } = appWinston()
    await run({ logger: inner.child({ service: 'edge' }) }, '/200')
    expect(lines.objects).toMatchObject([{ service: 'edge', status: 200 }])
  })

  it('may have other levels', async () => {
    const { inner, lines } = appWinston({ levels: winston.config.syslog.levels })
    const { log } = await run({ logger: inner }, '/404')
    log.log.warn({}, 'mine')
    await log.flush()
    expect(lines.objects).toMatchObject([
      { level: 'warning', status: 404 },
      { level: 'warning', message: 'mine' },
    ])
  })

  it('decides by its own level', async () => {
    const { inner, lines } = appWinston({ level: 'warn' })
    const { log } = await run({ logger: inner }, '/200', '/404')
    expect(lines.objects).toMatchObject([{ status: 404 }])
    expect(log.stats.written).toBe(1)
  })

  it('gets the combined line as its message', async () => {
    const { inner, lines } = appWinston()
    await run({ logger: inner, format: 'combined' }, '/200')
    expect(lines.objects[0]).toMatchObject({
      level: 'info',
      message: expect.stringMatching(/^127\.0\.0\.1 - - \[.*" 200 - /),
    })
  })

  it('breaks no request when its transport fails', async () => {
    class Broken extends (winston as unknown as { Transport: new () => winston.transport }).Transport {
      override log(): void {
        throw new Error('disk gone')
      }
    }
    const { answers, log } = await run({ logger: winston.createLogger({ transports: [new Broken()] }) }, '/200', '/204')
    expect(answers[0]).toContain('HTTP/1.1 200')
    expect(answers[1]).toContain('HTTP/1.1 204')
    expect(log.stats.lost).toBeGreaterThan(0)
  })

  it('breaks no request when its transport emits an error', async () => {
    const { inner } = appWinston()
    const { log } = await run({ logger: inner }, '/200')
    inner.transports[0]!.emit('error', new Error('disk gone'))
    expect(log.stats.lost).toBe(1)
  })

  it('fills no memory when its transport stalls', async () => {
    class Stalled extends (winston as unknown as { Transport: new () => winston.transport }).Transport {
      override log(): void {}
    }
    const stalled = winston.createLogger({ transports: [new Stalled()] })
    const log = logger({ logger: stalled })
    for (let i = 0; i < 30_000; i++) log.log.info({ i }, 'line')
    expect(log.stats.lost).toBeGreaterThan(15_000)
    expect(stalled.writableLength + stalled.readableLength).toBeLessThanOrEqual(10_000)
  })
})

describe('a pino-shaped logger of the app', () => {
  it('gets fields first, then the message, at the level', async () => {
    const { calls, log } = pinoShaped()
    await run({ logger: log }, '/200', '/500')
    expect(calls.map(([level, , message]) => [level, message])).toEqual([
      ['info', 'GET /200 200'],
      ['error', 'GET /500 500'],
    ])
    expect(calls[0]![1]).toMatchObject({ status: 200, path: '/200', userAgent: '\\x85u\\x9b2J' })
    for (const itsOwn of ['time', 'level', 'message']) expect(calls[0]![1]).not.toHaveProperty(itsOwn)
  })

  it('gets the combined line as its message', async () => {
    const { calls, log } = pinoShaped()
    await run({ logger: log, format: 'combined' }, '/200')
    expect(calls[0]![2]).toContain('"GET /200 HTTP/1.1" 200')
  })

  it('breaks no request when it throws', async () => {
    const { log: broken } = pinoShaped()
    broken.info = () => {
      throw new Error('disk gone')
    }
    const { answers, log } = await run({ logger: broken }, '/200')
    log.log.info({}, 'mine')
    expect(answers[0]).toContain('HTTP/1.1 200')
    expect(log.stats).toMatchObject({ written: 0, lost: 2 })
  })

  it('takes the app’s own lines as they are', async () => {
    const { calls, log: inner } = pinoShaped()
    const { log } = await run({ logger: inner })
    log.log.error({ a: 1 }, 'mine')
    expect(calls).toEqual([['error', { a: 1 }, 'mine']])
    expect(log.winston).toBeUndefined()
  })
})

describe('the winston logger that lines go through by default', () => {
  it('can be given further transports, which get the finished line', async () => {
    const lines = new Lines()
    const log = logger({ stream: new Lines() })
    log.winston!.add(new winston.transports.Stream({ stream: lines, eol: '\n' }))
    log.log.info({ a: 1 }, 'mine')
    await log.close()
    expect(lines.objects).toMatchObject([{ message: 'mine', a: 1 }])
  })

  it('can be used by itself', async () => {
    const lines = new Lines()
    const log = logger({ stream: lines, name: 'edge' })
    log.winston!.warn('plain', { password: 'p4ss', a: 1 })
    await log.close()
    expect(lines.objects).toMatchObject([
      { level: 'warn', message: 'plain', name: 'edge', password: '[redacted]', a: 1 },
    ])
  })
})

describe('fromWinston', () => {
  it('is the logger of the other packages around a winston logger', () => {
    const { inner, lines } = appWinston({ level: 'debug' })
    const log: Logger = fromWinston(inner)
    log.debug({ a: 1 }, 'one')
    log.info({ b: 2 })
    log.error(new Error('three'))
    expect(lines.objects).toMatchObject([
      { level: 'debug', a: 1, message: 'one' },
      { level: 'info', b: 2 },
      { level: 'error', message: 'three', stack: expect.stringContaining('three') },
    ])
  })
})

import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect } from 'node:net'
import {
  type Attempt,
  createTarget,
  type Exchange,
  exchangeOf,
  type Failure,
  failExchange,
  GatewayError,
} from '@postern/contracts'
import express, { type NextFunction, type Request, type Response } from 'express'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type LoggerOptions, logger } from '../src/index.ts'
import { Lines, sendRaw, serve, warningsDuring } from './support.ts'

/** A logger of JSON lines into memory, in an Express app. */
function start(options: LoggerOptions = {}) {
  const lines = new Lines()
  const log = logger({ stream: lines, flushIntervalMs: 0, ...options })
  const app = express()
  app.disable('x-powered-by')
  app.use(log)
  onTestFinished(() => log.close())
  return { lines, log, app }
}

function attempt(parts: Partial<Attempt> = {}): Attempt {
  return {
    target: createTarget({ url: 'http://10.0.0.1:3000', id: 'products-1' }),
    kind: 'first',
    startedAtMs: 0,
    queueMs: 1,
    connectMs: 2,
    headersMs: 30,
    totalMs: 40,
    status: 200,
    reused: false,
    failure: undefined,
    ...parts,
  }
}

const refused: Failure = {
  type: 'connection_refused',
  phase: 'connect',
  side: 'upstream',
  totalMs: 1,
  cause: Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }),
}

describe('a request that the gateway itself has answered', () => {
  const fail = (error: GatewayError, mode: 'respond' | 'next' = 'respond') => {
    const { lines, app } = start()
    app.use((req, res, next) => failExchange(req, res, error, mode, next))
    return { lines, app }
  }
  const forbidden = { status: 403, title: 'Forbidden', detail: 'Not for you.' }

  it('names the problem, and for the operator the reason that the client is not told', async () => {
    const { lines, app } = fail(
      new GatewayError('access_denied', forbidden, { message: 'orders: roles does not hold' }),
    )
    const { url } = await serve(app)
    expect(await (await fetch(url)).text()).not.toContain('roles')
    const expected = { status: 403, problem: 'access_denied', problemReason: 'orders: roles does not hold' }
    expect(await lines.one()).toMatchObject(expected)
  })

  it('gives no reason where the problem says it all', async () => {
    const { lines, app } = fail(new GatewayError('access_denied', forbidden))
    const { url } = await serve(app)
    await fetch(url)
    const line = await lines.one()
    expect(line).toMatchObject({ problem: 'access_denied' })
    expect(line).not.toHaveProperty('problemReason')
  })

  it('does so also where the app’s error handler answers', async () => {
    const { lines, app } = fail(new GatewayError('access_denied', forbidden), 'next')
    app.use(((_error, _req, res, _next) => void res.status(404).end()) as express.ErrorRequestHandler)
    const { url } = await serve(app)
    await fetch(url)
    expect(await lines.one()).toMatchObject({ status: 404, problem: 'access_denied' })
  })

  it('has no secret in the reason, no line’s end, and not more of it than a line should hold', async () => {
    const message = `asked https://u:pa55word@id.test/?access_token=s3cret\n{"level":"info"} ${'x'.repeat(10_000)}`
    const { lines, app } = fail(new GatewayError('access_denied', forbidden, { message }))
    const { url } = await serve(app)
    await fetch(url)
    const line = await lines.one()
    expect(lines.all).toHaveLength(1)
    expect(lines.text).not.toMatch(/pa55word|s3cret/)
    expect(String(line.problemReason).length).toBeLessThan(3_000)
  })
})

describe('a finished request', () => {
  it('is one line of JSON with its facts', async () => {
    const { lines, app } = start({ name: 'edge' })
    app.get('/products', (_req, res) => {
      res.send('hello')
    })
    const { url, port } = await serve(app)
    await fetch(`${url}/products?page=2&token=abc`, {
      headers: { 'x-request-id': 'req-1', 'user-agent': 'test/1', referer: 'https://shop.example/?code=xyz' },
    })
    const line = await lines.one()
    expect(line).toMatchObject({
      level: 'info',
      message: 'GET /products 200',
      name: 'edge',
      id: 'req-1',
      method: 'GET',
      path: '/products',
      query: 'page=2&token=[redacted]',
      host: `127.0.0.1:${port}`,
      status: 200,
      bytesIn: 0,
      bytesOut: 5,
      client: '127.0.0.1',
      protocol: 'http',
      httpVersion: '1.1',
      userAgent: 'test/1',
      referer: 'https://shop.example/?code=[redacted]',
      attempts: 0,
    })
    expect(new Date(line.time as string).toISOString()).toBe(line.time)
    expect(line.totalMs).toBeGreaterThan(0)
    for (const absent of [
      'route',
      'target',
      'cache',
      'queueMs',
      'failure',
      'problem',
      'problemReason',
      'subject',
      'traceId',
      'requestHeaders',
    ]) {
      expect(line).not.toHaveProperty(absent)
    }
  })

  it('has the facts that other stages left on the exchange', async () => {
    const { lines, app } = start()
    app.use((req, res) => {
      const exchange = req.gateway!
      exchange.route = { id: 'products', pattern: '/products', params: {} }
      exchange.identity = { scheme: 'jwt', subject: 'anna', scopes: [], roles: [], claims: {} }
      exchange.attempts.push(
        attempt({ status: undefined, headersMs: undefined, failure: refused, queueMs: 5 }),
        attempt(),
      )
      exchange.requestBodyBytes = 7
      exchange.responseBodyBytes = 9
      res.end('ignored')
    })
    await fetch((await serve(app)).url, { method: 'POST', body: 'x' })
    const line = await lines.one()
    expect(line).toMatchObject({
      route: 'products',
      subject: 'anna',
      target: 'products-1',
      attempts: 2,
      queueMs: 6,
      connectMs: 4,
      headersMs: 30,
      bytesIn: 7,
      bytesOut: 9,
      level: 'info',
    })
    expect(line).not.toHaveProperty('failure')
  })

  it('is logged under its original path below a mount point', async () => {
    const { lines, log } = start()
    const app = express()
    app.use('/shop', log, (_req, res) => {
      res.end()
    })
    await fetch(`${(await serve(app)).url}/shop/cart?x=1`)
    expect(await lines.one()).toMatchObject({ path: '/shop/cart', query: 'x=1' })
  })

  it('counts no bytes for HEAD and 304', async () => {
    const { lines, app } = start()
    app.get('/a', (_req, res) => {
      res.set('etag', '"1"').send('hello')
    })
    const { port } = await serve(app)
    await sendRaw(port, 'HEAD /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    await sendRaw(port, 'GET /a HTTP/1.1\r\nHost: a\r\nIf-None-Match: "1"\r\nConnection: close\r\n\r\n')
    await lines.until(2)
    expect(lines.objects).toMatchObject([
      { method: 'HEAD', status: 200, bytesOut: 0, level: 'info' },
      { method: 'GET', status: 304, bytesOut: 0, level: 'info' },
    ])
  })

  it('has its bytes also when the head was written by hand', async () => {
    const { lines, log } = start({ headers: ['content-type'] })
    const { url } = await serve((req, res) => {
      log(req, res)
      res.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': '2' })
      res.end('ok')
    })
    await fetch(url)
    expect(await lines.one()).toMatchObject({ bytesOut: 2, responseHeaders: { 'content-type': 'text/plain' } })
  })

  it('leaves out bytes that nobody counted', async () => {
    const { lines, app } = start()
    app.use((_req, res) => {
      res.write('a')
      res.end('b')
    })
    await fetch((await serve(app)).url)
    expect(await lines.one()).not.toHaveProperty('bytesOut')
  })

  it('works in a bare server, without next', async () => {
    const { lines, log } = start()
    const { url } = await serve((req, res) => {
      log(req, res)
      res.statusCode = 204
      res.end()
    })
    await fetch(`${url}/bare`)
    expect(await lines.one()).toMatchObject({ path: '/bare', status: 204, client: '127.0.0.1' })
  })

  it('names the client that trusted proxies name', async () => {
    const { lines, app } = start()
    app.set('trust proxy', 'loopback')
    app.use((_req, res) => {
      res.end()
    })
    await fetch((await serve(app)).url, { headers: { 'x-forwarded-for': '203.0.113.9', 'x-forwarded-proto': 'https' } })
    expect(await lines.one()).toMatchObject({ client: '203.0.113.9', protocol: 'https' })
  })

  it('believes no stranger about his address', async () => {
    const { lines, app } = start()
    app.use((_req, res) => {
      res.end()
    })
    await fetch((await serve(app)).url, { headers: { 'x-forwarded-for': '203.0.113.9' } })
    expect(await lines.one()).toMatchObject({ client: '127.0.0.1' })
  })
})

describe('a failed request', () => {
  it('is an error when a handler threw', async () => {
    const { lines, app } = start()
    app.get('/boom', () => {
      throw new Error('boom')
    })
    app.use((_error: unknown, _req: Request, res: Response, _next: NextFunction) => {
      res.status(500).end('sorry')
    })
    await fetch(`${(await serve(app)).url}/boom`)
    expect(await lines.one()).toMatchObject({ level: 'error', status: 500, message: 'GET /boom 500' })
  })

  it('is a warning for 4xx', async () => {
    const { lines, app } = start()
    await fetch(`${(await serve(app)).url}/nowhere`)
    expect(await lines.one()).toMatchObject({ level: 'warn', status: 404 })
  })

  it('says what failed, in which phase, on whose side, and why', async () => {
    const { lines, app } = start()
    app.use((req, res) => {
      req.gateway!.attempts.push(attempt({ status: undefined, headersMs: undefined, failure: refused }))
      req.gateway!.failure = refused
      res.status(502).end()
    })
    await fetch((await serve(app)).url)
    expect(await lines.one()).toMatchObject({
      level: 'error',
      status: 502,
      failure: 'connection_refused',
      failurePhase: 'connect',
      failureSide: 'upstream',
      failureCause: 'ECONNREFUSED',
    })
  })

  it('is 499, with the client’s address, when the client left before the head', async () => {
    const { lines, app } = start()
    const { port } = await serve(app)
    const socket = connect(port, '127.0.0.1')
    app.use(() => socket.destroy())
    socket.write('GET /slow HTTP/1.1\r\nHost: a\r\n\r\n')
    expect(await lines.one()).toMatchObject({ level: 'warn', status: 499, client: '127.0.0.1', bytesOut: 0 })
  })

  it('is 499 when the client left in the middle of the body', async () => {
    const { lines, app } = start()
    app.use((req, res) => {
      req.gateway!.failure = { type: 'client_aborted', phase: 'body', side: 'client', totalMs: 1 }
      res.write('half')
    })
    const { port } = await serve(app)
    const request = httpRequest({ port, host: '127.0.0.1' }).end()
    const [response] = await once(request, 'response')
    response.destroy()
    expect(await lines.one()).toMatchObject({ status: 499, failure: 'client_aborted', failureSide: 'client' })
  })

  it('keeps the status that the client saw when the upstream broke off, as an error', async () => {
    const { lines, app } = start()
    app.use((req, res) => {
      req.gateway!.failure = { type: 'http_response_incomplete', phase: 'body', side: 'upstream', totalMs: 1 }
      res.write('half', () => res.destroy())
    })
    const { port } = await serve(app)
    expect(await sendRaw(port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n')).toContain('half')
    expect(await lines.one()).toMatchObject({ level: 'error', status: 200, failure: 'http_response_incomplete' })
  })

  it('has the status that it would have got when nothing could be sent', async () => {
    const { lines, app } = start()
    app.use((req, res) => {
      req.gateway!.failure = refused
      res.destroy()
    })
    await sendRaw((await serve(app)).port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    expect(await lines.one()).toMatchObject({ level: 'error', status: 502, failure: 'connection_refused' })
  })
})

describe('an upgrade', () => {
  it('is logged as 101 when its tunnel ends', async () => {
    const { lines, app } = start()
    let tunnel: Exchange | undefined
    app.use((req, res) => {
      tunnel = req.gateway!
      tunnel.attempts.push(attempt({ status: 101 }))
      tunnel.responseBodyBytes = 11
      res.detachSocket(req.socket)
      req.socket.end()
    })
    await sendRaw((await serve(app)).port, 'GET /ws HTTP/1.1\r\nHost: a\r\n\r\n')
    expect(lines.all).toEqual([])
    tunnel!.close()
    expect(await lines.one()).toMatchObject({ status: 101, level: 'info', bytesOut: 11 })
  })

  it('is 101 also when another than the proxy opened the tunnel', async () => {
    const { lines, log } = start()
    const { port } = await serve((req, res) => {
      const exchange = exchangeWithUpgrade(req, res)
      log(req, res)
      exchange.upgrade = undefined
      res.detachSocket(req.socket)
      req.socket.end()
      exchange.close()
    })
    await sendRaw(port, 'GET /ws HTTP/1.1\r\nHost: a\r\n\r\n')
    expect(await lines.one()).toMatchObject({ status: 101 })
  })

  it('has its own status when it was refused', async () => {
    const { lines, log } = start()
    const { port } = await serve((req, res) => {
      exchangeWithUpgrade(req, res)
      log(req, res)
      res.statusCode = 404
      res.setHeader('connection', 'close')
      res.end()
    })
    await sendRaw(port, 'GET /ws HTTP/1.1\r\nHost: a\r\n\r\n')
    expect(await lines.one()).toMatchObject({ status: 404 })
  })
})

describe('mounted twice', () => {
  it('logs once, and warns once', async () => {
    const { lines, app, log } = start()
    app.use(log, (_req, res) => {
      res.end()
    })
    const { url } = await serve(app)
    const warnings = await warningsDuring(async () => {
      await fetch(`${url}/1`)
      await fetch(`${url}/2`)
      await lines.until(2)
    })
    expect(lines.objects.map((line) => line.path)).toEqual(['/1', '/2'])
    expect(warnings.map((warning) => warning.code)).toEqual(['POSTERN_LOGGER_MOUNTED_TWICE'])
  })

  it('is fine for two loggers', async () => {
    const { lines, app } = start({ name: 'a' })
    const other = new Lines()
    app.use(logger({ name: 'b', stream: other, flushIntervalMs: 0 }), (_req, res) => {
      res.end()
    })
    await fetch((await serve(app)).url)
    expect((await lines.one()).name).toBe('a')
    expect((await other.one()).name).toBe('b')
  })

  it('adds one listener to the response', async () => {
    const { lines, app, log } = start()
    let listeners = 0
    app.use(log, log, (_req, res) => {
      listeners = res.listenerCount('close')
      res.end()
    })
    const { url } = await serve((req, res) => {
      const before = res.listenerCount('close')
      app(req, res)
      listeners -= before
    })
    await fetch(url)
    await lines.until(1)
    expect(listeners).toBe(1)
  })
})

describe('the app’s own lines', () => {
  it('go into the same output, in order', async () => {
    const { lines, log, app } = start({ name: 'edge' })
    app.use((_req, res) => {
      log.log.info({ step: 1n }, 'working')
      res.end()
    })
    await fetch((await serve(app)).url)
    await lines.until(2)
    expect(lines.objects[0]).toMatchObject({ level: 'info', message: 'working', name: 'edge', step: '1' })
    expect(lines.objects[1]).toMatchObject({ status: 200 })
  })

  it('keep secrets and control characters out', async () => {
    const { lines, log } = start()
    log.log.warn(
      { password: 'p4ss', tokens: 5, nested: { apiKey: { a: 'k3y' } }, url: '/cb?code=c0de' },
      'a\u2028b\u001b',
    )
    const [text] = await lines.until(1)
    expect(text).not.toMatch(/p4ss|k3y|c0de|\p{Cc}|\u2028/u)
    expect(lines.objects[0]).toMatchObject({ password: '[redacted]', tokens: 5, message: 'a\u2028b\u001b' })
  })

  it('tell of an error with its stack and code', async () => {
    const { lines, log } = start()
    log.log.error({ err: refused.cause }, 'no upstream')
    log.log.error(new TypeError('bad'))
    await lines.until(2)
    expect(lines.objects[0]).toMatchObject({ err: { type: 'Error', code: 'ECONNREFUSED', stack: expect.any(String) } })
    expect(lines.objects[1]).toMatchObject({ message: 'bad', error: { type: 'TypeError' } })
  })

  it('cannot break the caller', async () => {
    const { lines, log } = start()
    const circle: Record<string, unknown> = {}
    circle.self = circle
    log.log.info(circle, 'round')
    log.log.info('plain text' as unknown as object)
    log.log.info({ time: 'never', level: 'x', message: 'y', ['__proto__']: 1 }, 'ours')
    await lines.until(3)
    expect(lines.objects.map((line) => line.message)).toEqual(['round', 'plain text', 'ours'])
    expect(lines.objects[2]).toMatchObject({ level: 'info' })
  })

  it('obey the least level, which can change while running', async () => {
    const { lines, log } = start()
    log.log.debug({}, 'not yet')
    log.winston!.level = 'debug'
    log.log.debug({}, 'now')
    expect((await lines.one()).message).toBe('now')
  })
})

function exchangeWithUpgrade(req: IncomingMessage, res: ServerResponse): Exchange {
  const exchange = exchangeOf(req, res)
  exchange.upgrade = { protocol: 'websocket', socket: req.socket, take: () => Buffer.alloc(0) }
  return exchange
}

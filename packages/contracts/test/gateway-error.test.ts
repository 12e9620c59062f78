import type { IncomingMessage, ServerResponse } from 'node:http'
import { type RequestOptions, rawRequest, request, type Served, serve } from '@postern/test-kit'
import express from 'express'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { exchangeOf, type Failure, failExchange, GatewayError, PROBLEM_PAGE, sendProblem } from '../src/index.ts'

const DEFINITION = { status: 502, title: 'Upstream failed', detail: 'The upstream could not be reached.' }
const FAILURE: Failure = { type: 'connection_refused', phase: 'connect', side: 'upstream', totalMs: 1 }

let served: Served | undefined
afterEach(async () => {
  await served?.close()
})

async function answerOf(
  handler: (req: IncomingMessage, res: ServerResponse) => void,
  options?: RequestOptions,
): Promise<Awaited<ReturnType<typeof request>>> {
  served = await serve(handler)
  return request(served.url, options)
}

describe('GatewayError', () => {
  test('has what error handlers of the field read', () => {
    const error = new GatewayError('upstream_failed', DEFINITION, { headers: { 'retry-after': '3' } })
    expect(error).toMatchObject({
      name: 'GatewayError',
      code: 'upstream_failed',
      status: 502,
      statusCode: 502,
      title: DEFINITION.title,
      detail: DEFINITION.detail,
      message: DEFINITION.detail,
      headers: { 'retry-after': '3' },
      expose: true,
      closeConnection: false,
    })
    expect(error).toBeInstanceOf(Error)
  })

  // http-errors: `expose` says whether `message` may be sent to the client. A message for the log names targets.
  test('does not expose a message that was written for the log', () => {
    const error = new GatewayError('upstream_failed', DEFINITION, { message: 'connect ECONNREFUSED 10.0.0.7:80' })
    expect(error.expose).toBe(false)
    expect(error.detail).toBe(DEFINITION.detail)
  })

  test('keeps its cause, and has none when none was given', () => {
    const cause = new Error('socket')
    expect(new GatewayError('x', DEFINITION, { cause }).cause).toBe(cause)
    expect('cause' in new GatewayError('x', DEFINITION)).toBe(false)
  })

  test('is recognised across two copies of the package, both ways', async () => {
    vi.resetModules()
    const copy = await import('../src/index.ts')
    expect(copy.GatewayError).not.toBe(GatewayError)
    expect(new copy.GatewayError('x', DEFINITION)).toBeInstanceOf(GatewayError)
    expect(new GatewayError('x', DEFINITION)).toBeInstanceOf(copy.GatewayError)
    expect(new copy.ConfigError('x', [])).not.toBeInstanceOf(GatewayError)
  })

  test('is not taken for a subclass that it is not', () => {
    class Special extends GatewayError {}
    expect(new Special('x', DEFINITION)).toBeInstanceOf(GatewayError)
    expect(new Special('x', DEFINITION)).toBeInstanceOf(Special)
    expect(new GatewayError('x', DEFINITION)).not.toBeInstanceOf(Special)
  })

  test.each([[null], [undefined], ['error'], [new Error('plain')], [{ code: 'x', status: 502 }]])(
    '%o is none',
    (value) => {
      expect(value instanceof GatewayError).toBe(false)
    },
  )
})

describe('sendProblem', () => {
  test('answers with the fields of RFC 9457 and a Content-Length', async () => {
    const reply = await answerOf((req, res) => sendProblem(req, res, new GatewayError('upstream_failed', DEFINITION)), {
      headers: { 'x-request-id': '7F9C2BA4-e88f-4f27-8a3b-2a0c5f0e4d11' },
    })
    expect(reply.status).toBe(502)
    expect(reply.statusMessage).toBe('Bad Gateway')
    expect(reply.headers).toMatchObject({
      'content-type': 'application/problem+json',
      'content-length': String(reply.body.length),
      'cache-control': 'no-store',
    })
    expect(reply.json()).toEqual({
      type: `${PROBLEM_PAGE}upstream_failed`,
      title: DEFINITION.title,
      status: 502,
      detail: DEFINITION.detail,
      instance: 'urn:uuid:7f9c2ba4-e88f-4f27-8a3b-2a0c5f0e4d11',
      code: 'upstream_failed',
    })
  })

  test('names an exchange whose id is no UUID in a name space of its own', async () => {
    const reply = await answerOf((req, res) => sendProblem(req, res, new GatewayError('x', DEFINITION)), {
      headers: { 'x-request-id': 'shop/7@x' },
    })
    expect(reply.json()).toMatchObject({ instance: 'urn:postern:request:shop%2F7%40x' })
  })

  test('shows a detail of its own, and never the message for the log', async () => {
    const error = new GatewayError('x', DEFINITION, { detail: 'Try tomorrow.', message: 'connect 10.0.0.7 refused' })
    const reply = await answerOf((req, res) => sendProblem(req, res, error))
    expect(reply.json()).toMatchObject({ detail: 'Try tomorrow.' })
    expect(reply.text + JSON.stringify(reply.rawHeaders)).not.toContain('10.0.0.7')
  })

  test('answers HEAD with the same headers and no body', async () => {
    const handler = (req: IncomingMessage, res: ServerResponse) =>
      sendProblem(req, res, new GatewayError('upstream_failed', DEFINITION))
    served = await serve(handler)
    const get = await request(served.url, { headers: { 'x-request-id': 'same' } })
    const head = await rawRequest(
      served.port,
      'HEAD / HTTP/1.1\r\nHost: x\r\nX-Request-Id: same\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\nX-Request-Id: same\r\n\r\n',
      { responses: 2, methods: ['HEAD', 'GET'] },
    )
    expect(head.parsed.fault).toBeUndefined()
    expect(head.response.status).toBe(502)
    expect(head.response.headers['content-length']).toBe(get.headers['content-length'])
    expect(head.parsed.responses[1]!.body.toString()).toBe(get.text)
  })

  test('tells the failure in Proxy-Status, and is silent without one', async () => {
    const failed = await answerOf((req, res) =>
      sendProblem(req, res, new GatewayError('x', DEFINITION, { failure: FAILURE })),
    )
    expect(failed.headers['proxy-status']).toBe('postern; error=connection_refused')
    await served!.close()
    const refused = await answerOf((req, res) => sendProblem(req, res, new GatewayError('x', DEFINITION)))
    expect(refused.headers['proxy-status']).toBeUndefined()
  })

  test('takes back what was said about a body that never comes, and keeps the rest', async () => {
    const reply = await answerOf((req, res) => {
      res.setHeader('Content-Encoding', 'gzip')
      res.setHeader('Content-Length', '12345')
      res.setHeader('Content-Digest', 'sha-256=:x:')
      res.setHeader('ETag', '"a"')
      res.setHeader('Last-Modified', 'Mon, 01 Jan 2024 00:00:00 GMT')
      res.setHeader('Cache-Control', 'public, max-age=60')
      res.setHeader('Trailer', 'x-sum')
      res.setHeader('Strict-Transport-Security', 'max-age=1')
      res.setHeader('Set-Cookie', ['a=1', 'b=2'])
      res.statusMessage = 'Fine'
      sendProblem(req, res, new GatewayError('x', DEFINITION))
    })
    for (const name of ['content-encoding', 'content-digest', 'etag', 'last-modified', 'trailer']) {
      expect(reply.headers, name).not.toHaveProperty(name)
    }
    expect(reply.headers).toMatchObject({
      'cache-control': 'no-store',
      'strict-transport-security': 'max-age=1',
      'set-cookie': ['a=1', 'b=2'],
    })
    expect(reply.statusMessage).toBe('Bad Gateway')
    expect(reply.json()).toMatchObject({ status: 502 })
  })

  test('adds the headers of the error and closes the connection when it says so', async () => {
    const error = new GatewayError(
      'x',
      { ...DEFINITION, status: 503 },
      { headers: { 'retry-after': '3' }, closeConnection: true },
    )
    served = await serve((req, res) => sendProblem(req, res, error))
    const reply = await rawRequest(served.port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    expect(reply.endedBy).toBe('end')
    expect(reply.response.headers).toMatchObject({ 'retry-after': '3', connection: 'close' })
  })

  test('leaves an answer alone that is on its way already', async () => {
    const reply = await answerOf((req, res) => {
      res.write('half')
      sendProblem(req, res, new GatewayError('x', DEFINITION))
      res.end(' and half')
    })
    expect(reply).toMatchObject({ status: 200, text: 'half and half', complete: true })
  })
})

describe('failExchange', () => {
  const error = () => new GatewayError('upstream_failed', DEFINITION, { failure: FAILURE })

  test('answers by itself with "respond"', async () => {
    const reply = await answerOf((req, res) => failExchange(req, res, error(), 'respond', () => {}))
    expect(reply.json()).toMatchObject({ code: 'upstream_failed' })
  })

  test('hands the error to the error handler of the app with "next"', async () => {
    const app = express()
    app.use((req, res, next) => failExchange(req, res, error(), 'next', next))
    app.use((thrown: GatewayError, _req: express.Request, res: express.Response, _next: express.NextFunction) => {
      res.status(thrown.status).json({ ours: thrown.code })
    })
    expect((await answerOf(app)).json()).toEqual({ ours: 'upstream_failed' })
  })

  test('is answered by Express itself with the status and headers of the error', async () => {
    const app = express()
    app.set('env', 'test')
    app.use((req, res, next) => {
      failExchange(req, res, new GatewayError('x', DEFINITION, { headers: { 'retry-after': '9' } }), 'next', next)
    })
    const reply = await answerOf(app)
    expect(reply.status).toBe(502)
    expect(reply.headers['retry-after']).toBe('9')
  })

  test('answers by itself in a bare server, where there is no next', async () => {
    const reply = await answerOf((req, res) => failExchange(req, res, error(), 'next'))
    expect(reply.status).toBe(502)
  })

  test.each(['respond', 'next'] as const)('cuts the connection when the head is out, with "%s" too', async (mode) => {
    let nexts = 0
    const reply = await answerOf((req, res) => {
      res.writeHead(200, { 'content-length': 100 })
      res.write('half')
      setImmediate(() => failExchange(req, res, error(), mode, () => nexts++))
    })
    expect(reply).toMatchObject({ status: 200, complete: false, aborted: true })
    expect(nexts).toBe(0)
  })

  test('keeps the first failure of the exchange', async () => {
    let first: Failure | undefined
    await answerOf((req, res) => {
      exchangeOf(req, res).failure = FAILURE
      failExchange(
        req,
        res,
        new GatewayError('x', DEFINITION, { failure: { ...FAILURE, type: 'dns_error' } }),
        'respond',
      )
      first = exchangeOf(req, res).failure
    })
    expect(first).toBe(FAILURE)
  })
})

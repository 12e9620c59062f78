import { GatewayError } from '@postern/contracts'
import type { ProxyOptions } from '@postern/proxy'
import {
  answer,
  eventually,
  rawRequest,
  rawResponse,
  request,
  startRawUpstream,
  startUpstream,
} from '@postern/test-kit'
import type { ErrorRequestHandler } from 'express'
import { describe, expect, test } from 'vitest'
import { gate, rawClient, startApp, using } from './behaviour.ts'

const TEAPOT = new GatewayError(
  'teapot',
  { status: 418, title: 'Teapot', detail: 'Short and stout.' },
  { headers: { 'x-tip': 'me over' } },
)

/** The same hook, once returning and once resolving later. */
function bothWays<Hook extends (...given: never[]) => void>(hook: Hook): [string, Hook][] {
  const later = (async (...given: never[]) => {
    await new Promise((resolve) => setImmediate(resolve))
    hook(...given)
  }) as unknown as Hook
  return [
    ['sync', hook],
    ['async', later],
  ]
}

type RequestHook = NonNullable<ProxyOptions['onRequest']>
type ResponseHook = NonNullable<ProxyOptions['onResponse']>

describe('onRequest', () => {
  test.each(
    bothWays<RequestHook>((exchange, sent) => {
      sent.path = `/v2${sent.path}&by=${exchange.id.length > 0}`
      sent.method = 'PUT'
      sent.setHeader('X-Tenant', 'acme')
      sent.removeHeader('x-secret')
      sent.setHeader('x-seen', sent.getHeader('X-Client') ?? 'nothing')
    }),
  )('%s: path, method and headers are sent as it left them', async (_how, onRequest) => {
    const upstream = await using(startUpstream())
    const app = await startApp({ to: upstream.url, proxy: { onRequest } })
    await request(`${app.url}/items?a=1`, { headers: { 'x-secret': 's', 'x-client': 'c', 'X-TENANT': 'forged' } })
    expect(upstream.last).toMatchObject({ method: 'PUT', url: '/v2/items?a=1&by=true' })
    expect(upstream.last.all('x-tenant')).toEqual(['acme'])
    expect(upstream.last.headers['x-secret']).toBeUndefined()
    expect(upstream.last.headers['x-seen']).toBe('c')
  })

  test.each(
    bothWays<RequestHook>((exchange) => {
      exchange.response.statusCode = 202
      exchange.response.end('by the hook')
    }),
  )('%s: one that answers itself ends it; nothing is sent', async (_how, onRequest) => {
    const upstream = await using(startUpstream())
    const app = await startApp({ to: upstream.url, proxy: { onRequest } })
    expect(await request(app.url)).toMatchObject({ status: 202, text: 'by the hook' })
    expect(upstream.connections).toBe(0)
    expect(app.outcomes).toEqual([])
    await eventually(() => expect(app.handler.stats.active).toBe(0))
  })

  test.each(
    bothWays<RequestHook>(() => {
      throw new Error('the secret of the hook')
    }),
  )('%s: what it throws is one 500 hook_failed, told in the log alone', async (_how, onRequest) => {
    const upstream = await using(startUpstream())
    const app = await startApp({ to: upstream.url, proxy: { onRequest } })
    const reply = await request(app.url)
    expect(reply.status).toBe(500)
    expect(reply.json()).toMatchObject({ code: 'hook_failed' })
    expect(reply.text).not.toContain('secret')
    expect(app.lines).toMatchObject([{ level: 'error', fields: { err: { message: 'the secret of the hook' } } }])
    expect(upstream.connections).toBe(0)
    expect(app.handler.stats.active).toBe(0)
  })

  test.each(
    bothWays<RequestHook>(() => {
      throw TEAPOT
    }),
  )('%s: a GatewayError is answered as it is', async (_how, onRequest) => {
    const upstream = await using(startUpstream())
    const app = await startApp({ to: upstream.url, proxy: { onRequest } })
    const reply = await request(app.url)
    expect(reply.status).toBe(418)
    expect(reply.headers['x-tip']).toBe('me over')
    expect(reply.json()).toMatchObject({ code: 'teapot', detail: 'Short and stout.' })
  })

  test('a client that leaves while it waits: nothing is sent when it is done', async () => {
    const upstream = await using(startUpstream())
    const hook = gate()
    const app = await startApp({ to: upstream.url, proxy: { onRequest: () => hook.promise } })
    const client = await rawClient(app.port, 'GET / HTTP/1.1\r\nhost: a\r\n\r\n')
    await eventually(() => expect(app.handler.stats.active).toBe(1))
    client.socket.destroy()
    await eventually(() => expect(app.handler.stats.active).toBe(0))
    hook.open()
    await turns()
    expect(upstream.connections).toBe(0)
    expect(app.finished[0]!.failure).toMatchObject({ type: 'client_aborted', phase: 'queue' })
  })

  // The failure came behind an end that had been dealt with: the error handler of the app ran for nobody, or twice.
  test.each(['the client left', 'the total time was over'])('a rejection after %s concerns nobody', async (why) => {
    const upstream = await using(startUpstream())
    const hook = gate()
    const handled: unknown[] = []
    const app = await startApp({
      to: upstream.url,
      proxy: { onRequest: () => hook.promise, errors: 'next', timeouts: why.includes('time') ? { totalMs: 40 } : {} },
      after: (it) => it.use(recordTo(handled)),
    })
    const client = await rawClient(app.port, 'GET / HTTP/1.1\r\nhost: a\r\n\r\n')
    await eventually(() => expect(app.handler.stats.active).toBe(1))
    if (why === 'the client left') client.socket.destroy()
    await eventually(() => expect(app.handler.stats.active).toBe(0))
    const before = handled.length
    hook.fail(new Error('too late'))
    await turns()
    expect(handled.length).toBe(before)
    expect(before).toBe(why === 'the client left' ? 0 : 1)
  })

  // Behind the await nobody caught what came next, and the process ended.
  test('an async hook, then a selection that throws: 500, and the process lives', async () => {
    const upstream = await using(startUpstream())
    const app = await startApp({
      to: upstream.url,
      proxy: {
        onRequest: async (exchange) => {
          exchange.selection = {
            size: 1,
            acquire() {
              throw new Error('no such thing')
            },
          }
        },
      },
    })
    const reply = await request(app.url, { timeoutMs: 2_000 })
    expect(reply.status).toBe(500)
    expect(reply.json()).toMatchObject({ code: 'internal_error' })
    await eventually(() => expect(app.handler.stats.active).toBe(0))
  })

  test.each(['no-slash', '/a b', '/a\r\nx-injected: 1', ''])(
    'a path that cannot be sent (%j) is a 500',
    async (path) => {
      const upstream = await using(startUpstream())
      const onRequest: RequestHook = (_exchange, sent) => {
        sent.path = path
      }
      const app = await startApp({ to: upstream.url, proxy: { onRequest } })
      expect((await request(app.url)).status).toBe(500)
      expect(upstream.requests).toEqual([])
      expect(app.outcomes).toMatchObject([{ side: 'gateway' }])
    },
  )

  test.each([
    ['a value with a line break', 'x-a', '1\r\nx-injected: 1'],
    ['a name that is none', 'x a', '1'],
    ['a transfer coding', 'transfer-encoding', 'chunked'],
    ['another length', 'content-length', '3'],
  ])('a header that cannot be sent (%s) is a 5xx, and not the target’s fault', async (_what, name, value) => {
    const upstream = await using(startUpstream())
    const onRequest: RequestHook = (_exchange, sent) => sent.setHeader(name, value)
    const app = await startApp({ to: upstream.url, proxy: { onRequest } })
    expect((await request(app.url, { method: 'POST', body: 'four' })).status).toBe(500)
    expect(upstream.requests.filter((each) => each.complete)).toEqual([])
    expect(app.outcomes).toMatchObject([{ side: 'gateway' }])
  })
})

describe('onResponse', () => {
  const edit: ResponseHook = (exchange, response) => {
    response.status = 203
    response.headers['x-target'] = response.target.id.startsWith('http') ? 'named' : 'nameless'
    response.headers['x-id'] = String(exchange.attempts.length)
    delete response.headers['x-secret']
  }
  test.each(bothWays(edit))('%s: the client sees status and headers as it left them', async (_how, onResponse) => {
    const upstream = await using(startUpstream((_req, res) => void res.writeHead(200, { 'x-secret': '1' }).end('body')))
    const app = await startApp({ to: upstream.url, proxy: { onResponse } })
    const reply = await request(app.url)
    expect(reply).toMatchObject({ status: 203, text: 'body', complete: true })
    expect(reply.headers).toMatchObject({ 'x-target': 'named', 'x-id': '1' })
    expect(reply.headers['x-secret']).toBeUndefined()
    expect(app.outcomes).toMatchObject([{ status: 200 }])
  })

  test.each(
    bothWays<ResponseHook>((exchange, response) => {
      exchange.response.statusCode = 299
      exchange.response.end(`instead of ${response.status}`)
    }),
  )('%s: one that answers itself ends it; the upstream is let go', async (_how, onResponse) => {
    const upstream = await using(startUpstream((_req, res) => void res.write('endless')))
    const app = await startApp({ to: upstream.url, proxy: { onResponse } })
    expect(await request(app.url)).toMatchObject({ status: 299, text: 'instead of 200' })
    await eventually(() => expect(upstream.sockets).toBe(0))
    await eventually(() => expect(app.handler.stats.active).toBe(0))
    expect(app.outcomes).toMatchObject([{ status: 200 }])
  })

  test.each(
    bothWays<ResponseHook>(() => {
      throw new Error('broken')
    }),
  )('%s: what it throws is one 500, the upstream is let go, and its answer counts for it', async (_how, onResponse) => {
    const upstream = await using(startUpstream((_req, res) => void res.write('endless')))
    const app = await startApp({ to: upstream.url, proxy: { onResponse } })
    const reply = await request(app.url)
    expect(reply.status).toBe(500)
    expect(reply.json()).toMatchObject({ code: 'hook_failed' })
    expect(app.outcomes).toMatchObject([{ status: 200 }])
    await eventually(() => expect(upstream.sockets).toBe(0))
    expect(app.handler.stats.active).toBe(0)
  })

  test.each(
    bothWays<ResponseHook>(() => {
      throw TEAPOT
    }),
  )('%s: a GatewayError is answered as it is', async (_how, onResponse) => {
    const upstream = await using(startUpstream())
    const app = await startApp({ to: upstream.url, proxy: { onResponse } })
    expect((await request(app.url)).status).toBe(418)
  })

  test.each(
    bothWays<ResponseHook>((exchange) => {
      exchange.response.writeHead(200)
      exchange.response.write('begun')
      throw new Error('broken')
    }),
  )('%s: thrown after it has begun an answer, it cuts that', async (_how, onResponse) => {
    const upstream = await using(startUpstream())
    const app = await startApp({ to: upstream.url, proxy: { onResponse } })
    const reply = await request(app.url).catch(() => ({ complete: false }))
    expect(reply.complete).toBe(false)
    await eventually(() => expect(app.handler.stats.active).toBe(0))
  })

  test.each([
    ['HEAD', { method: 'HEAD' }, undefined],
    ['a 204', {}, 'HTTP/1.1 204 No Content\r\n\r\n'],
    ['a 304', {}, 'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\n\r\n'],
    ['an empty body', {}, rawResponse('')],
    ['a body that came with the head', {}, rawResponse('together')],
    ['chunks that came with the head', {}, 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n'],
  ])('an answer is whole behind a hook that takes its time: %s', async (_what, options, bytes) => {
    const upstream = await using(startRawUpstream(answer(bytes ?? 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n')))
    const app = await startApp({
      to: upstream.url,
      proxy: { onResponse: () => new Promise((resolve) => setTimeout(resolve, 20)) },
    })
    for (let i = 0; i < 2; i++) {
      const reply = await request(app.url, { ...options, timeoutMs: 3_000 })
      expect(reply.complete).toBe(true)
      const expected =
        bytes === undefined || /^HTTP\/1.1 [23]04/.test(bytes)
          ? ''
          : /\n2\r\nab/.test(bytes)
            ? 'ab'
            : bytes.split('\r\n\r\n')[1]
      expect(reply.text).toBe(expected)
    }
    await eventually(() => expect(app.handler.stats.active).toBe(0))
  })

  test('a client that leaves while it waits: the upstream is let go, and nothing is written', async () => {
    const upstream = await using(startUpstream((_req, res) => void res.write('endless')))
    const hook = gate()
    const app = await startApp({ to: upstream.url, proxy: { onResponse: () => hook.promise } })
    const client = await rawClient(app.port, 'GET / HTTP/1.1\r\nhost: a\r\n\r\n')
    await eventually(() => expect(app.exchanges[0]?.attempts[0]?.status).toBe(200))
    client.socket.destroy()
    await eventually(() => expect(upstream.sockets).toBe(0))
    hook.open()
    await turns()
    expect(app.outcomes).toMatchObject([{ type: 'client_aborted' }])
    expect(app.handler.stats.active).toBe(0)
  })

  test.each(['rejects', 'resolves'])(
    'the total time is over while it waits: one 504, whether it then %s',
    async (how) => {
      const upstream = await using(startUpstream((_req, res) => void res.write('endless')))
      const hook = gate()
      const handled: unknown[] = []
      const app = await startApp({
        to: upstream.url,
        proxy: { onResponse: () => hook.promise, errors: 'next', timeouts: { totalMs: 60 } },
        after: (it) => it.use(recordTo(handled)),
      })
      expect((await request(app.url)).status).toBe(504)
      if (how === 'rejects') hook.fail(new Error('too late'))
      else hook.open()
      await turns()
      expect(handled).toMatchObject([{ code: 'upstream_timeout' }])
      expect(app.outcomes).toMatchObject([{ type: 'deadline_exceeded' }])
      await eventually(() => expect(upstream.sockets).toBe(0))
    },
  )

  test('an upstream that breaks off while it waits: the answer that then begins is cut', async () => {
    const upstream = await using(
      startUpstream((_req, res) => void res.writeHead(200, { 'content-length': 10 }).write('half')),
    )
    const hook = gate()
    const app = await startApp({ to: upstream.url, proxy: { onResponse: () => hook.promise } })
    const replied = request(app.url).catch((error: Error) => error)
    await eventually(() => expect(app.exchanges[0]?.attempts[0]?.status).toBe(200))
    upstream.cut()
    hook.open()
    expect(await replied).not.toMatchObject({ complete: true, status: 200 })
    await eventually(() => expect(app.outcomes).toMatchObject([{ side: 'upstream' }]))
  })

  // The hook's own mistake was settled as the target's: http_protocol_error, and its health paid for it.
  test.each<[string, ResponseHook]>([
    ['a status that is none', (_exchange, response) => void (response.status = 99)],
    ['an interim status', (_exchange, response) => void (response.status = 103)],
    ['a header value with a line break', (_exchange, response) => void (response.headers['x-a'] = 'a\r\nb: c')],
    ['a header name that is none', (_exchange, response) => void (response.headers['x a'] = '1')],
  ])('%s is the fault of the hook: 500, and the target answered', async (_what, onResponse) => {
    const upstream = await using(startUpstream())
    const app = await startApp({ to: upstream.url, proxy: { onResponse } })
    const reply = await request(app.url, { timeoutMs: 3_000 })
    expect(reply.status).toBe(500)
    expect(reply.json()).toMatchObject({ code: 'hook_failed' })
    expect(app.outcomes).toMatchObject([{ status: 200 }])
  })

  // Whatever went out beyond the announced length would have been read as the next answer.
  test('a length that is too short is never overrun: the answer is cut', async () => {
    const upstream = await using(startRawUpstream(answer(rawResponse('HTTP/1.1 200 OK\r\n\r\n'))))
    const onResponse: ResponseHook = (_exchange, response) => void (response.headers['content-length'] = '3')
    const app = await startApp({ to: upstream.url, proxy: { onResponse } })
    const reply = await rawRequest(app.port, 'GET / HTTP/1.1\r\nhost: a\r\n\r\n', { timeoutMs: 1_000 })
    expect(reply.endedBy).not.toBe('timeout')
    expect(reply.text.split('\r\n\r\n')[1] ?? '').not.toContain('HTTP/1.1 200')
  })

  test('a length that is too long ends as a cut, not as a wait', async () => {
    const upstream = await using(startUpstream((_req, res) => void res.end('short')))
    const onResponse: ResponseHook = (_exchange, response) => void (response.headers['content-length'] = '100')
    const app = await startApp({ to: upstream.url, proxy: { onResponse } })
    const reply = await rawRequest(app.port, 'GET / HTTP/1.1\r\nhost: a\r\n\r\n', { timeoutMs: 1_000 })
    expect(reply.endedBy).not.toBe('timeout')
    expect(reply.parsed.responses.filter((each) => each.complete)).toEqual([])
    expect(app.exchanges[0]!.failure).toMatchObject({ type: 'proxy_internal_error', side: 'gateway' })
  })
})

describe("errors: 'next'", () => {
  test("hands Express's error handler a GatewayError", async () => {
    const upstream = await using(startUpstream((_req, res) => void res.destroy()))
    const handled: unknown[] = []
    const app = await startApp({
      to: upstream.url,
      proxy: { errors: 'next' },
      after: (it) => it.use(recordTo(handled)),
    })
    expect(await request(app.url)).toMatchObject({ status: 502, text: 'handled' })
    expect(handled).toHaveLength(1)
    expect(handled[0]).toBeInstanceOf(GatewayError)
    expect(handled[0]).toMatchObject({
      code: 'upstream_failed',
      status: 502,
      statusCode: 502,
      expose: false,
      headers: {},
      failure: { type: 'connection_terminated', side: 'upstream' },
    })
    expect(app.handler.stats.active).toBe(0)
  })

  test('Retry-After of a 503 is among its headers', async () => {
    const handled: unknown[] = []
    const app = await startApp({
      to: 'http://127.0.0.1:9',
      proxy: { errors: 'next' },
      before: (it) =>
        it.use((req, _res, next) => {
          req.gateway!.selection = { size: 0, acquire: () => ({ reason: 'all_unhealthy', retryAfterMs: 2_500 }) }
          next()
        }),
      after: (it) => it.use(recordTo(handled)),
    })
    expect((await request(app.url)).status).toBe(503)
    expect(handled).toMatchObject([{ code: 'no_upstream', headers: { 'retry-after': '3' } }])
  })

  test('refused requests go there too', async () => {
    const handled: unknown[] = []
    const app = await startApp({
      to: 'http://127.0.0.1:9',
      proxy: { errors: 'next' },
      after: (it) => it.use(recordTo(handled)),
    })
    await rawRequest(app.port, 'GET /a/../b HTTP/1.1\r\nhost: a\r\n\r\n', { responses: 1 })
    expect(handled).toMatchObject([{ code: 'bad_request_target', status: 400, closeConnection: true }])
  })

  test('behind the head of an answer there is nothing to hand on: it is cut', async () => {
    const upstream = await using(startUpstream((_req, res) => void res.write('begun', () => res.destroy())))
    const handled: unknown[] = []
    const app = await startApp({
      to: upstream.url,
      proxy: { errors: 'next' },
      after: (it) => it.use(recordTo(handled)),
    })
    expect(await request(app.url)).toMatchObject({ text: 'begun', complete: false })
    expect(handled).toEqual([])
  })
})

describe('somebody else who answers', () => {
  // A time-out middleware answered 503; the attempt went on, and its late answer was settled as a malformed one.
  test('while the upstream is asked: the attempt ends, and is nobody’s failure', async () => {
    const held = gate()
    const upstream = await using(startUpstream((_req, res) => void held.promise.then(() => res.end('late'))))
    const app = await startApp({
      to: upstream.url,
      before: (it) => it.use((_req, res, next) => void (setTimeout(() => res.status(503).end('too slow'), 30), next())),
    })
    expect(await request(app.url)).toMatchObject({ status: 503, text: 'too slow' })
    await eventually(() => expect(upstream.sockets).toBe(0), { timeoutMs: 1_000 })
    held.open()
    await eventually(() => expect(app.outcomes[0]).toMatchObject({ type: 'client_aborted', side: 'client' }))
    expect(app.handler.stats.active).toBe(0)
    expect(app.exchanges[0]!.failure).toBeUndefined()
  })
})

function recordTo(handled: unknown[]): ErrorRequestHandler {
  return (error, _req, res, _next) => {
    handled.push(error)
    if (!res.headersSent) res.status(error.status ?? 500).end('handled')
  }
}

/** Lets what is under way in this process come to its end. */
async function turns(): Promise<void> {
  for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve))
}

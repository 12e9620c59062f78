import { Agent } from 'node:http'
import { isFailure } from '@postern/contracts'
import { attemptRetried, type ProxyOptions, type RetriedAttempt, type RetryOptions } from '@postern/proxy'
import {
  eventually,
  rawResponse,
  refusedPort,
  request,
  startRawUpstream,
  startUpstream,
  type UpstreamHandler,
} from '@postern/test-kit'
import { describe, expect, it } from 'vitest'
import { startApp, using } from './behaviour.ts'

/** Answers with its own name. */
function named(name: string): UpstreamHandler {
  return (req, res) => {
    req.resume()
    req.on('end', () => res.end(name))
  }
}

/** Answers once the body is there, with name and body. */
function echoing(name: string): UpstreamHandler {
  return (req, res, record) => {
    req.resume()
    req.on('end', () => res.end(`${name}:${record.body.toString()}`))
  }
}

const failing =
  (status = 503, headers: Record<string, string> = {}): UpstreamHandler =>
  (req, res) => {
    req.resume()
    req.on('end', () => res.writeHead(status, headers).end('no'))
  }

/** Breaks the connection once the request is there. */
const breaking: UpstreamHandler = (req, res) => {
  req.resume()
  req.on('end', () => res.socket!.destroy())
}

const silent: UpstreamHandler = (req) => void req.resume()

const upstream = (handler: UpstreamHandler) => using(startUpstream(handler))
const retrying = (retries: RetryOptions = {}, rest: ProxyOptions = {}): ProxyOptions => ({
  retries: { attempts: 3, backoff: { baseMs: 1, maxMs: 1 }, ...retries },
  ...rest,
})
const kinds = (app: { exchanges: readonly { attempts: readonly { kind: string }[] }[] }) =>
  app.exchanges.flatMap((exchange) => exchange.attempts.map((attempt) => attempt.kind))

describe('another target is tried', () => {
  it('when no connection is made, for a POST too, with its whole body', async () => {
    const [dead, good] = [await using(refusedPort()), await upstream(echoing('good'))]
    const app = await startApp({ to: [dead.url, good.url], proxy: retrying() })
    const reply = await request(app.url, { method: 'POST', body: 'an order' })
    expect([reply.status, reply.text]).toEqual([200, 'good:an order'])
    expect(kinds(app)).toEqual(['first', 'retry'])
    expect(app.outcomes.map((outcome) => isFailure(outcome!))).toEqual([true, false])
  })

  it.each([
    ['breaks the connection', breaking, {}],
    ['answers 503', failing(503), {}],
    ['answers 502', failing(502), {}],
    ['is silent', silent, { perTryTimeoutMs: 60 }],
  ] as const)('when the first %s, for a GET', async (_, handler, retries) => {
    const [bad, good] = [await upstream(handler), await upstream(named('good'))]
    const app = await startApp({ to: [bad.url, good.url], proxy: retrying(retries) })
    const reply = await request(app.url)
    expect([reply.status, reply.text]).toEqual([200, 'good'])
    expect([bad.requests.length, good.requests.length]).toEqual([1, 1])
    expect(app.handler.stats.attempts).toEqual({ retries: 1, hedges: 0, inFlight: 0, overBudget: 0 })
  })

  it('when the answer is not HTTP', async () => {
    const bad = await using(
      startRawUpstream(async ({ nextRequest, socket }) => {
        await nextRequest()
        socket.end('HTTP/1.1 999999 What\r\n\r\n')
      }),
    )
    const good = await upstream(named('good'))
    const app = await startApp({ to: [bad.url, good.url], proxy: retrying() })
    expect((await request(app.url)).text).toBe('good')
  })

  it('with the path of its own base', async () => {
    const [bad, good] = [await upstream(failing()), await upstream(named('good'))]
    const app = await startApp({ to: [`${bad.url}/a`, `${good.url}/b`], proxy: retrying() })
    await request(`${app.url}/x?y=1`)
    expect([bad.last.url, good.last.url]).toEqual(['/a/x?y=1', '/b/x?y=1'])
  })

  it('and each only once while there is one left', async () => {
    const all = [await upstream(failing()), await upstream(failing()), await upstream(named('good'))]
    const app = await startApp({ to: all.map((each) => each.url), proxy: retrying() })
    expect((await request(app.url)).text).toBe('good')
    expect(all.map((each) => each.requests.length)).toEqual([1, 1, 1])
  })

  it('and with nobody else left, the same again', async () => {
    let asked = 0
    const only = await upstream((req, res) => (++asked < 3 ? failing() : named('at last'))(req, res, only.last))
    const app = await startApp({ to: [only.url], proxy: retrying() })
    expect((await request(app.url)).text).toBe('at last')
    expect(kinds(app)).toEqual(['first', 'retry', 'retry'])
  })
})

describe('a body is sent again', () => {
  it('from its first byte, for a PUT whose target broke off half way', async () => {
    const half: UpstreamHandler = (req, res) => void req.once('data', () => res.socket!.destroy())
    const [bad, good] = [await upstream(half), await upstream(echoing('good'))]
    const app = await startApp({ to: [bad.url, good.url], proxy: retrying() })
    const body = 'x'.repeat(40_000)
    const reply = await request(app.url, { method: 'PUT', body })
    expect(reply.text).toBe(`good:${body}`)
    expect(app.exchanges[0]!.requestBodyBytes).toBe(40_000)
  })

  it('for a POST with an Idempotency-Key', async () => {
    const [bad, good] = [await upstream(failing()), await upstream(echoing('good'))]
    const app = await startApp({ to: [bad.url, good.url], proxy: retrying() })
    const headers = { 'idempotency-key': 'order-1' }
    const reply = await request(app.url, { method: 'POST', headers, body: 'an order' })
    expect(reply.text).toBe('good:an order')
    expect([bad, good].map((each) => each.last.headers['idempotency-key'])).toEqual(['order-1', 'order-1'])
  })

  it('never when it is larger than what is kept: the failure is told', async () => {
    const [bad, good] = [await upstream(failing()), await upstream(echoing('good'))]
    const app = await startApp({ to: [bad.url, good.url], proxy: retrying({ maxReplayBytes: 1_000 }) })
    const reply = await request(app.url, { method: 'PUT', body: 'x'.repeat(1_001) })
    expect([reply.status, good.requests.length]).toEqual([503, 0])
  })

  it('never when a body without a length grows over what is kept', async () => {
    const [bad, good] = [await upstream(failing()), await upstream(echoing('good'))]
    const app = await startApp({ to: [bad.url, good.url], proxy: retrying({ maxReplayBytes: 1_000 }) })
    const headers = { 'transfer-encoding': 'chunked' }
    const reply = await request(app.url, { method: 'PUT', headers, body: 'x'.repeat(1_001) })
    expect([reply.status, good.requests.length]).toEqual([503, 0])
  })

  it('as a parser had read it', async () => {
    const { json } = await import('express')
    const [bad, good] = [await upstream(failing()), await upstream(echoing('good'))]
    const app = await startApp({
      to: [bad.url, good.url],
      proxy: retrying(),
      before: (express) => void express.use(json()),
    })
    const headers = { 'content-type': 'application/json' }
    const reply = await request(app.url, { method: 'PUT', headers, body: '{"a": 1}' })
    expect(reply.text).toBe('good:{"a":1}')
  })

  it('and the connection of the client goes on to serve', async () => {
    const [bad, good] = [await upstream(breaking), await upstream(echoing('good'))]
    const app = await startApp({ to: [bad.url, good.url], proxy: retrying() })
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    for (let i = 0; i < 4; i++) {
      const reply = await request(app.url, { method: 'PUT', agent, body: `body ${i}` })
      expect([reply.status, reply.text]).toEqual([200, `good:body ${i}`])
    }
    expect(app.sockets).toBe(1)
    agent.destroy()
  })
})

describe('a POST without a key is sent once', () => {
  it.each([
    ['breaks the connection', breaking, 502],
    ['answers 503', failing(503), 503],
    ['answers 504', failing(504), 504],
    ['is silent', silent, 504],
    ['breaks off half way', ((req, res) => void req.once('data', () => res.socket!.destroy())) as UpstreamHandler, 502],
  ])('when its target %s', async (_, handler, status) => {
    const all = [await upstream(handler), await upstream(handler)]
    const app = await startApp({
      to: all.map((each) => each.url),
      proxy: retrying({ perTryTimeoutMs: 30 }, { timeouts: { headersMs: 200 } }),
    })
    const reply = await request(app.url, { method: 'POST', body: 'an order' })
    expect(reply.status).toBe(status)
    expect(all.map((each) => each.requests.length)).toEqual([1, 0])
  })

  it('even when a pooled connection is closed as it is used', async () => {
    const stale = await using(
      startRawUpstream(async ({ nextRequest, socket, index }) => {
        await nextRequest()
        socket.write(rawResponse('first'))
        if (index > 0) return
        await nextRequest()
        socket.destroy()
      }),
    )
    const app = await startApp({ to: [stale.url], proxy: retrying() })
    expect((await request(app.url)).status).toBe(200)
    expect((await request(app.url, { method: 'POST', body: 'an order' })).status).toBe(502)
    expect(stale.connections.length).toBe(1)
  })
})

describe('no further try', () => {
  it('is made by default', async () => {
    const [bad, good] = [await upstream(failing()), await upstream(named('good'))]
    const app = await startApp({ to: [bad.url, good.url] })
    expect((await request(app.url)).status).toBe(503)
    expect(good.requests.length).toBe(0)
  })

  it('follows once the head has gone to the client: the answer is cut', async () => {
    const half: UpstreamHandler = (_, res) => {
      res.writeHead(200, { 'content-length': '100' })
      res.write('half')
      setTimeout(() => res.socket!.destroy(), 20)
    }
    const [bad, good] = [await upstream(half), await upstream(named('good'))]
    const app = await startApp({ to: [bad.url, good.url], proxy: retrying() })
    const reply = await request(app.url)
    expect([reply.status, reply.complete, good.requests.length]).toEqual([200, false, 0])
  })

  it('is made beyond the number of tries; the last answer is passed on', async () => {
    const all = await Promise.all([1, 2, 3, 4].map((n) => upstream(failing(503, { 'x-try': String(n) }))))
    const app = await startApp({ to: all.map((each) => each.url), proxy: retrying() })
    const reply = await request(app.url)
    expect([reply.status, reply.headers['x-try'], reply.text]).toEqual([503, '3', 'no'])
  })

  it('follows a status that was not named, nor a failure', async () => {
    const bad = await upstream(failing(500))
    const broken = await upstream(breaking)
    const good = await upstream(named('good'))
    const app = await startApp({ to: [bad.url, good.url], proxy: retrying() })
    expect((await request(app.url)).status).toBe(500)
    const other = await startApp({ to: [broken.url, good.url], proxy: retrying({ on: ['connect'] }) })
    expect((await request(other.url)).status).toBe(502)
  })

  it('is made for a client that has left while it was waited for', async () => {
    const [bad, good] = [await upstream(failing()), await upstream(named('good'))]
    const app = await startApp({
      to: [bad.url, good.url],
      proxy: { retries: { attempts: 2, backoff: { baseMs: 2_000, maxMs: 2_000 } } },
    })
    // A random pause may be short: until one is long enough to leave in it.
    const left = await Promise.all(
      Array.from({ length: 6 }, () =>
        request(app.url, { signal: AbortSignal.timeout(60) }).then(
          () => 'answered',
          () => 'left',
        ),
      ),
    )
    const count = left.filter((each) => each === 'left').length
    await eventually(() => expect(app.handler.stats.active).toBe(0))
    expect(app.exchanges.filter((exchange) => exchange.failure?.type === 'client_aborted').length).toBe(count)
    expect(app.handler.stats.attempts.inFlight).toBe(0)
  })
})

describe('Retry-After', () => {
  it('is waited for when nobody else is left and it is short', async () => {
    let asked = 0
    const only = await upstream((req, res) =>
      (++asked === 1 ? failing(503, { 'retry-after': '1' }) : named('good'))(req, res, only.last),
    )
    const told: RetriedAttempt[] = []
    const note = (message: RetriedAttempt) => void told.push(message)
    attemptRetried.subscribe(note)
    const app = await startApp({ to: [only.url], proxy: retrying() })
    expect((await request(app.url)).text).toBe('good')
    attemptRetried.unsubscribe(note)
    expect(told.map((each) => each.delayMs)).toEqual([1_000])
  })

  it('ends the tries when it is long', async () => {
    const only = await upstream(failing(503, { 'retry-after': '30' }))
    const app = await startApp({ to: [only.url], proxy: retrying() })
    const reply = await request(app.url)
    expect([reply.status, reply.headers['retry-after'], only.requests.length]).toEqual([503, '30', 1])
  })

  it('binds the target that says it, not the next one', async () => {
    const [bad, good] = [await upstream(failing(503, { 'retry-after': '30' })), await upstream(named('good'))]
    const app = await startApp({ to: [bad.url, good.url], proxy: retrying() })
    expect((await request(app.url)).text).toBe('good')
  })
})

describe('the budget', () => {
  it('keeps the load of an upstream that always fails at 1.2 times the load of the clients', async () => {
    const all = await Promise.all([1, 2, 3].map(() => upstream(failing())))
    const app = await startApp({ to: all.map((each) => each.url), proxy: retrying() })
    const agent = new Agent({ keepAlive: true, maxSockets: 20 })
    const replies = await Promise.all(Array.from({ length: 500 }, () => request(app.url, { agent })))
    agent.destroy()
    expect(replies.every((reply) => reply.status === 503 && reply.text === 'no')).toBe(true)
    const load = all.reduce((sum, each) => sum + each.requests.length, 0)
    expect(load).toBeLessThanOrEqual(600)
    expect(load).toBeGreaterThan(500)
    expect(app.handler.stats.attempts.overBudget).toBeGreaterThan(0)
  })

  it('is not asked for what was never sent', async () => {
    const [dead, good] = [await using(refusedPort()), await upstream(named('good'))]
    const app = await startApp({
      to: [dead.url, good.url],
      proxy: retrying({}, { retryBudget: { ratio: 0, min: 0 } }),
    })
    const replies = await Promise.all(Array.from({ length: 20 }, () => request(app.url)))
    expect(replies.every((reply) => reply.text === 'good')).toBe(true)
  })

  it('spent, leaves an overdue try to come to its own end', async () => {
    const slow: UpstreamHandler = (_, res) => void setTimeout(() => res.end('late'), 150)
    const all = [await upstream(slow), await upstream(named('good'))]
    const app = await startApp({
      to: all.map((each) => each.url),
      proxy: retrying({ perTryTimeoutMs: 30 }, { retryBudget: { ratio: 0, min: 0 } }),
    })
    expect((await request(app.url)).text).toBe('late')
  })
})

it('when nobody can be reached at all the answer is 503 with Retry-After', async () => {
  const dead = [await using(refusedPort()), await using(refusedPort())]
  let asked = 0
  const app = await startApp({
    to: dead.map((each) => each.url),
    proxy: retrying(),
    before: (express) =>
      void express.use((req, _res, next) => {
        const exchange = req.gateway!
        const { selection } = exchange
        exchange.selection = {
          size: 2,
          // As a balancer does that has seen both fail.
          acquire: (accept) =>
            ++asked > 2 ? { reason: 'all_unhealthy', retryAfterMs: 1_500 } : selection!.acquire(accept),
        }
        next()
      }),
  })
  const reply = await request(app.url)
  expect([reply.status, reply.headers['retry-after']]).toEqual([503, '2'])
  expect(reply.json()).toMatchObject({ code: 'no_upstream' })
})

it('a selection that throws between two tries ends that exchange alone', async () => {
  const bad = await upstream(failing())
  let asked = 0
  const app = await startApp({
    to: [bad.url],
    proxy: retrying(),
    before: (express) =>
      void express.use((req, _res, next) => {
        const { selection } = req.gateway!
        req.gateway!.selection = {
          size: 2,
          acquire: () => {
            if (++asked % 2 === 0) throw new Error('no idea')
            return selection!.acquire()
          },
        }
        next()
      }),
  })
  const replies = [await request(app.url), await request(app.url)]
  expect(replies.map((reply) => (reply.json() as { code: string }).code)).toEqual(['internal_error', 'internal_error'])
})

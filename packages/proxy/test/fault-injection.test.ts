import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { type Deadline, type Exchange, exchangeOf, offerFallback } from '@postern/contracts'
import {
  attachUpgrades,
  type FaultInjectionHandler,
  type FaultInjectionOptions,
  faultInjected,
  faultInjection,
  type InjectedFault,
  proxy,
} from '@postern/proxy'
import {
  certificates,
  eventually,
  rawRequest,
  request,
  serve,
  startUpstream,
  type Unhandled,
  unhandled,
} from '@postern/test-kit'
import express, { type Express, type Response } from 'express'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { rawClient, using } from './behaviour.ts'

const SECRET = 'a secret of the drill'

let watched: Unhandled
let injected: InjectedFault[] = []
const onInjected = (fault: InjectedFault) => void injected.push(fault)

beforeEach(() => {
  watched = unhandled()
  injected = []
  faultInjected.subscribe(onInjected)
})

afterEach(async () => {
  vi.unstubAllEnvs()
  faultInjected.unsubscribe(onInjected)
  expect(await watched.stop()).toEqual([])
})

interface AppOptions {
  readonly before?: (app: Express) => void
  readonly mount?: string
  readonly tls?: boolean
  readonly upgrades?: boolean
}

/** An app with faults in front of a handler that answers `ok`. Closed behind the test. */
async function appWith(options: FaultInjectionOptions, { before, mount, tls, upgrades }: AppOptions = {}) {
  const faults: FaultInjectionHandler = faultInjection(options)
  const exchanges: Exchange[] = []
  const served: string[] = []
  const app = express()
  app.use((req, res, next) => {
    const exchange = exchangeOf(req, res)
    // As a logger does: an exchange that nobody watches does not know when it is over.
    exchange.observe({ onExchangeClosed: () => {} })
    exchanges.push(exchange)
    next()
  })
  before?.(app)
  app.use(mount ?? '/', faults)
  app.use((req, res) => {
    served.push(req.originalUrl)
    res.end('ok')
  })
  const app_ = await using(serve(app as never, tls === true ? { tls } : {}))
  if (upgrades === true) attachUpgrades(app_.server, app as never)
  return { url: app_.url, port: app_.port, faults, exchanges, served, app: app_ }
}

describe('abort', () => {
  test('answers with the status, as a problem, and the failure is on the exchange', async () => {
    const { url, faults, exchanges, served } = await appWith({ abort: { status: 502 }, name: 'exercise-7' })
    const reply = await request(`${url}/a`)
    expect(reply.status).toBe(502)
    expect(reply.headers).toMatchObject({
      'content-type': 'application/problem+json',
      'proxy-status': 'postern; error=proxy_internal_error',
    })
    expect(reply.headers['retry-after']).toBe(undefined)
    expect(reply.json()).toMatchObject({
      code: 'fault_injected',
      status: 502,
      type: 'https://postern.dev/problems#fault_injected',
    })
    expect(reply.text).not.toContain('exercise-7')
    expect(served).toEqual([])
    expect(exchanges[0]!.failure).toMatchObject({
      side: 'gateway',
      cause: { message: expect.stringContaining('"exercise-7"') },
    })
    expect(faults.stats).toEqual({ delayed: 0, aborted: 1, reset: 0, waiting: 0 })
    expect(injected).toMatchObject([
      { exchange: exchanges[0], name: 'exercise-7', kind: 'abort', delayMs: 0, status: 502 },
    ])
  })

  test.each([503, 429])('%i says when to come again', async (status) => {
    const { url } = await appWith({ abort: { status } })
    expect(await request(url)).toMatchObject({ status, headers: { 'retry-after': '1' } })
  })

  test('hits a share of the requests, drawn for each', async () => {
    const draws = [0.5, 0.1, 0.299, 0.3]
    const { url, faults } = await appWith({ abort: { status: 500, share: 0.3 }, random: () => draws.shift()! })
    const statuses: number[] = []
    for (let i = 0; i < 4; i++) statuses.push((await request(url)).status)
    expect(statuses).toEqual([200, 500, 500, 200])
    expect(faults.stats.aborted).toBe(2)
  })

  test("goes to the app's error handler with errors: 'next'", async () => {
    const app = express()
    app.use(faultInjection({ abort: { status: 418 }, errors: 'next' }))
    app.use((error: { code: string; status: number }, _req: unknown, res: Response, _next: unknown) => {
      res.status(error.status).end(`own page for ${error.code}`)
    })
    const { url } = await using(serve(app as never))
    expect(await request(url)).toMatchObject({ status: 418, text: 'own page for fault_injected' })
  })

  test('is answered by a fallback that was offered, as a failure of an upstream is', async () => {
    const { url } = await appWith(
      { abort: { status: 503 } },
      {
        before: (app) =>
          app.use((req, res, next) => {
            const handler = (): void => void res.end('from the fallback')
            offerFallback(exchangeOf(req, res), { handler, accepts: () => true, errors: 'respond' })
            next()
          }),
      },
    )
    expect(await request(url)).toMatchObject({ status: 200, text: 'from the fallback' })
  })
})

describe('reset', () => {
  test('cuts the connection without a byte', async () => {
    const { port, faults, exchanges, served } = await appWith({ abort: { reset: true } })
    const answer = await rawRequest(port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    expect(answer).toMatchObject({ endedBy: 'reset', text: '' })
    expect(served).toEqual([])
    await eventually(() => expect(exchanges[0]!.closed).toBe(true))
    expect(exchanges[0]!.failure).toMatchObject({ side: 'gateway' })
    expect(faults.stats).toMatchObject({ reset: 1, aborted: 0 })
    expect(injected).toMatchObject([{ kind: 'reset', status: undefined }])
  })

  test('cuts a connection under TLS too', async () => {
    const { url, exchanges, app } = await appWith({ abort: { reset: true } }, { tls: true })
    await expect(request(url, { ca: certificates().ca.cert })).rejects.toThrow()
    await eventually(() => expect([exchanges[0]!.closed, app.sockets]).toEqual([true, 0]))
  })

  test('cuts and answers requests that ask to upgrade', async () => {
    const upgrade = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'
    const cut = await appWith({ abort: { reset: true } }, { upgrades: true })
    expect(await rawRequest(cut.port, upgrade)).toMatchObject({ text: '' })
    await eventually(() => expect([cut.exchanges[0]!.closed, cut.app.sockets]).toEqual([true, 0]))
    const aborted = await appWith({ abort: { status: 500 } }, { upgrades: true })
    expect((await rawRequest(aborted.port, upgrade)).response.status).toBe(500)
  })
})

describe('delay', () => {
  test('holds the request back, and then it goes on', async () => {
    const { url, faults } = await appWith({ delay: { ms: 80 } })
    const startedAt = performance.now()
    const reply = request(url)
    await eventually(() => expect(faults.stats).toMatchObject({ delayed: 1, waiting: 1 }))
    expect((await reply).text).toBe('ok')
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(79)
    expect(faults.stats).toEqual({ delayed: 1, aborted: 0, reset: 0, waiting: 0 })
    expect(injected).toMatchObject([{ kind: 'delay', delayMs: 80 }])
  })

  test('is drawn evenly from a pair', async () => {
    const draws = [0, 0.5, 0.75]
    const { url } = await appWith({ delay: { ms: [10, 20] }, random: () => draws.shift()! })
    for (let i = 0; i < 3; i++) await request(url)
    expect(injected.map((each) => each.delayMs)).toEqual([10, 15, 17.5])
  })

  test('comes before an abort, each drawn on its own', async () => {
    const draws = [0.1, 0.9, 0.1, 0.1, 0.9, 0.9]
    const { url } = await appWith({
      delay: { ms: 5, share: 0.5 },
      abort: { status: 500, share: 0.5 },
      random: () => draws.shift()!,
    })
    // Drawn: delayed (0.1), its length (0.9), aborted (0.1).
    expect((await request(url)).status).toBe(500)
    // Delayed (0.1), its length (0.9), not aborted (0.9).
    expect((await request(url)).status).toBe(200)
    expect(injected.map((each) => each.kind)).toEqual(['delay', 'abort', 'delay'])
  })

  test('ends with a client that leaves: nothing is served, nothing is left waiting', async () => {
    const { port, faults, exchanges, served } = await appWith({ delay: { ms: 60_000 }, abort: { status: 500 } })
    const client = await rawClient(port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await eventually(() => expect(faults.stats.waiting).toBe(1))
    client.socket.destroy()
    await eventually(() => expect(faults.stats.waiting).toBe(0))
    expect(exchanges[0]!.closed).toBe(true)
    expect(served).toEqual([])
    expect(faults.stats).toMatchObject({ delayed: 1, aborted: 0 })
  })

  test('keeps no process alive', () => {
    const req = new IncomingMessage(new Socket())
    const res = new ServerResponse(req)
    const faults = faultInjection({ delay: { ms: 60_000 } })
    const timers = () => process.getActiveResourcesInfo().filter((each) => each === 'Timeout').length
    const before = timers()
    faults(req, res, () => {})
    expect([faults.stats.waiting, timers()]).toEqual([1, before])
    faults.close()
    expect(faults.stats.waiting).toBe(0)
  })

  test('is never longer than what the deadline of the exchange leaves', async () => {
    const deadline: Deadline = { atMs: 0, signal: new AbortController().signal, remainingMs: () => 30 }
    const { url } = await appWith(
      { delay: { ms: 60_000 } },
      {
        before: (app) =>
          app.use((req, res, next) => {
            exchangeOf(req, res).deadline = deadline
            next()
          }),
      },
    )
    expect((await request(url)).text).toBe('ok')
    expect(injected).toMatchObject([{ kind: 'delay', delayMs: 30 }])
  })

  test('does not answer a request that somebody else has answered meanwhile', async () => {
    const { url, faults, served } = await appWith(
      { delay: { ms: 60_000 }, abort: { status: 500 } },
      {
        before: (app) =>
          app.use((_req, res, next) => {
            next()
            res.status(408).end('timed out')
          }),
      },
    )
    expect(await request(url)).toMatchObject({ status: 408, text: 'timed out' })
    await eventually(() => expect(faults.stats.waiting).toBe(0))
    expect(served).toEqual([])
  })
})

describe('when', () => {
  const statusesOf = async (url: string, requests: readonly (readonly [path: string, headers?: object])[]) => {
    const statuses: number[] = []
    for (const [path, headers] of requests) {
      statuses.push((await request(url + path, { headers: headers as Record<string, string> })).status)
    }
    return statuses
  }
  const abort = { status: 500 }

  test('header: one that is there, or values that are equal', async () => {
    const named = await appWith({ abort, when: { header: 'X-Drill' } })
    expect(await statusesOf(named.url, [['/'], ['/', { 'x-drill': '' }], ['/', { 'X-DRILL': 'a' }]])).toEqual([
      200, 500, 500,
    ])
    const valued = await appWith({ abort, when: { header: { 'X-Drill': 'a', 'x-team': 'shop' } } })
    expect(
      await statusesOf(valued.url, [
        ['/', { 'x-drill': 'a' }],
        ['/', { 'x-drill': 'b', 'x-team': 'shop' }],
        ['/', { 'x-drill': 'a', 'x-team': 'shop' }],
      ]),
    ).toEqual([200, 200, 500])
  })

  test('path: a prefix that ends at a segment, mount path included', async () => {
    const { url } = await appWith({ abort, when: { path: '/api/pay' } }, { mount: '/api' })
    const paths = ['/', '/api/payments', '/api/pay', '/api/pay/1?a', '/api/pay?a', '/apix/api/pay'].map(
      (path) => [path] as const,
    )
    expect(await statusesOf(url, paths)).toEqual([200, 200, 500, 500, 500, 200])
  })

  test('route: the one that the router chose', async () => {
    const { url } = await appWith(
      { abort, when: { route: 'pay' } },
      {
        before: (app) =>
          app.use('/pay', (req, res, next) => {
            exchangeOf(req, res).route = { id: 'pay', pattern: '/pay', params: {} }
            next()
          }),
      },
    )
    expect(await statusesOf(url, [['/'], ['/pay']])).toEqual([200, 500])
  })

  test('method, and all of them together', async () => {
    const { url } = await appWith({ abort, when: { method: 'POST', path: '/a' } })
    expect((await request(`${url}/a`)).status).toBe(200)
    expect((await request(`${url}/b`, { method: 'POST' })).status).toBe(200)
    expect((await request(`${url}/a`, { method: 'POST' })).status).toBe(500)
  })

  test('a function of the request; one that throws makes no fault', async () => {
    const { url } = await appWith({
      abort,
      when: (req: IncomingMessage) => {
        if (req.url === '/throw') throw new Error('a fault of the app')
        return req.url === '/fault'
      },
    })
    expect(await statusesOf(url, [['/'], ['/fault'], ['/throw']])).toEqual([200, 500, 200])
  })
})

describe('byHeader', () => {
  const ordered = (fault: string, secret = SECRET) => ({ 'x-postern-fault': fault, 'x-postern-fault-secret': secret })

  test('a request that knows the secret orders its own fault', async () => {
    const { url, port, faults } = await appWith({ byHeader: { secret: SECRET } })
    expect((await request(url, { headers: ordered('abort=504') })).status).toBe(504)
    expect((await request(url, { headers: ordered('delay=20') })).status).toBe(200)
    expect((await request(url, { headers: ordered('delay=5, abort=500') })).status).toBe(500)
    const head = `x-postern-fault: reset\r\nx-postern-fault-secret: ${SECRET}\r\n`
    expect(await rawRequest(port, `GET / HTTP/1.1\r\nHost: a\r\n${head}\r\n`)).toMatchObject({ text: '' })
    expect(faults.stats).toEqual({ delayed: 2, aborted: 2, reset: 1, waiting: 0 })
  })

  test('without the secret, with a wrong one, or with an order that is none, nothing happens', async () => {
    const { url, faults } = await appWith({ byHeader: { secret: SECRET } })
    const wrong: object[] = [
      { 'x-postern-fault': 'abort=500' },
      ordered('abort=500', ''),
      ordered('abort=500', SECRET.slice(1)),
      ordered('abort=500', SECRET.toUpperCase()),
      { 'x-postern-fault-secret': SECRET },
    ]
    for (const order of [
      '',
      'abort',
      'abort=200',
      'abort=600',
      'delay=-1',
      'delay=1e9',
      'delay=1;abort=500',
      'abort=500,reset',
    ]) {
      wrong.push(ordered(order))
    }
    wrong.push(ordered('reset,reset'), ordered('delay=1,delay=1'), ordered(`delay=1${' '.repeat(200)},reset`))
    for (const headers of wrong) {
      expect((await request(url, { headers: headers as Record<string, string> })).status, JSON.stringify(headers)).toBe(
        200,
      )
    }
    expect(faults.stats).toEqual({ delayed: 0, aborted: 0, reset: 0, waiting: 0 })
  })

  test('is off unless asked for: a client orders nothing', async () => {
    const { url } = await appWith({ abort: { status: 500, share: 0 } })
    expect((await request(url, { headers: ordered('abort=500') })).status).toBe(200)
  })

  test('stands in place of the configured faults, and a delay is cut to its limit', async () => {
    const { url } = await appWith({ abort: { status: 500 }, byHeader: { secret: SECRET, maxDelayMs: 15 } })
    expect((await request(url, { headers: ordered('delay=9999999999') })).status).toBe(200)
    expect(injected).toMatchObject([{ kind: 'delay', delayMs: 15 }])
    expect((await request(url)).status).toBe(500)
  })

  test('neither header goes to the upstream', async () => {
    const upstream = await using(startUpstream())
    const handler = proxy(upstream.url)
    await using({ close: () => handler.close() })
    const app = express().use(faultInjection({ byHeader: { secret: SECRET } }), handler)
    const { url } = await using(serve(app as never))
    const headers = { ...ordered('delay=1'), x_postern_fault: 'delay=1', 'x-other': 'stays' }
    expect((await request(url, { headers })).status).toBe(200)
    expect(upstream.last.headers['x-other']).toBe('stays')
    const names = upstream.last.rawHeaders.map((name) => name.toLowerCase().replaceAll('_', '-'))
    expect(names.filter((name) => name.startsWith('x-postern-fault'))).toEqual([])
  })
})

describe('the switch', () => {
  test('disable() lets everything pass until enable()', async () => {
    const { url, faults } = await appWith({ abort: { status: 500 } })
    expect(faults.enabled).toBe(true)
    faults.disable()
    expect(faults.enabled).toBe(false)
    expect((await request(url)).status).toBe(200)
    faults.enable()
    expect((await request(url)).status).toBe(500)
  })

  test('disable() lets requests that are held back go on at once, without the abort behind', async () => {
    const { url, faults } = await appWith({ delay: { ms: 60_000 }, abort: { status: 500 } })
    const reply = request(url)
    await eventually(() => expect(faults.stats.waiting).toBe(1))
    faults.disable()
    expect((await reply).text).toBe('ok')
    expect(faults.stats).toEqual({ delayed: 1, aborted: 0, reset: 0, waiting: 0 })
  })

  test('close() is for good, and may be called twice', async () => {
    const { url, faults } = await appWith({ abort: { status: 500 } })
    faults.close()
    faults.close()
    faults.enable()
    expect(faults.enabled).toBe(false)
    expect((await request(url)).status).toBe(200)
  })
})

describe('the environment', () => {
  const warnings: string[] = []
  const onWarning = (warning: Error & { code?: string }) => void warnings.push(warning.code ?? '')

  test.each(['production', 'prod', 'Production', 'production '])(
    'NODE_ENV=%j: nothing is done, and it is said once',
    async (value) => {
      vi.stubEnv('NODE_ENV', value)
      process.on('warning', onWarning)
      const { url, faults } = await appWith({
        abort: { status: 500 },
        byHeader: { secret: SECRET },
        name: `off in ${value}`,
      })
      faultInjection({ abort: { status: 500 }, name: `off in ${value}` })
      expect(faults.enabled).toBe(false)
      faults.enable()
      expect(faults.enabled).toBe(false)
      expect((await request(url)).status).toBe(200)
      const headers = { 'x-postern-fault': 'abort=500', 'x-postern-fault-secret': SECRET }
      expect((await request(url, { headers })).status).toBe(200)
      process.off('warning', onWarning)
      expect(warnings.splice(0)).toEqual(['POSTERN_FAULTS_OFF'])
    },
  )

  test('production that was named has faults, and it is said once', async () => {
    vi.stubEnv('NODE_ENV', 'production')
    process.on('warning', onWarning)
    const { url } = await appWith({ abort: { status: 500 }, environments: ['production'], name: 'on in production' })
    expect((await request(url)).status).toBe(500)
    process.off('warning', onWarning)
    expect(warnings.splice(0)).toEqual(['POSTERN_FAULTS_ON'])
  })

  test.each([
    [undefined, undefined, true],
    ['', undefined, true],
    ['test', undefined, true],
    ['staging', ['staging'], true],
    ['test', ['staging'], false],
    [undefined, ['development'], true],
    ['development', [], false],
  ])('NODE_ENV=%j with environments %j: %j', (value, environments, enabled) => {
    vi.stubEnv('NODE_ENV', value)
    const options = { abort: { status: 500 }, name: `${value} ${environments}` }
    expect(faultInjection(environments === undefined ? options : { ...options, environments }).enabled).toBe(enabled)
  })
})

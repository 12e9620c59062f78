import http from 'node:http'
import { proxy } from '@postern/proxy'
import { eventually, rawRequest, request, serve, startUpstream } from '@postern/test-kit'
import express from 'express'
import { describe, expect, test } from 'vitest'
import { startApp, using } from './behaviour.ts'

describe('where the proxy is mounted', () => {
  test.each([
    ['/api', '/api/items/7?x=1', '/items/7?x=1'],
    ['/api', '/api', '/'],
    ['/api', '/api/', '/'],
    ['/api', '/api?x=1', '/?x=1'],
    ['/', '/items', '/items'],
    ['/api/v1', '/api/v1/items', '/items'],
    ['/shops/:shop', '/shops/12/items', '/items'],
  ])("app.use('%s'): %s goes on as %s", async (mount, path, sent) => {
    const upstream = await using(startUpstream())
    const app = await startApp({ to: upstream.url, mount })
    expect((await request(app.url + path)).status).toBe(200)
    expect(upstream.last.url).toBe(sent)
  })

  test.each([
    ['/base', '/api/items', '/base/items'],
    ['/base', '/api', '/base'],
    ['/base/', '/api/', '/base'],
    ['/a/b', '/api/items?x=/api', '/a/b/items?x=/api'],
    ['', '/api', '/'],
  ])('the base path %j of the target is put in front: %s goes on as %s', async (base, path, sent) => {
    const upstream = await using(startUpstream())
    const app = await startApp({ to: upstream.url + base, mount: '/api' })
    await request(app.url + path)
    expect(upstream.last.url).toBe(sent)
  })

  test('a prefix ends at a segment: /apiary is not /api', async () => {
    const upstream = await using(startUpstream())
    const app = await startApp({ to: upstream.url, mount: '/api' })
    expect((await request(`${app.url}/apiary`)).status).toBe(404)
    expect(upstream.requests).toEqual([])
  })

  test('inside a router inside an app, all that was taken off is the prefix', async () => {
    const upstream = await using(startUpstream())
    const handler = await using(Promise.resolve(proxy(upstream.url)))
    const inner = express.Router().use('/inner', handler)
    const middle = express().use('/middle', inner)
    const served = await using(serve(express().use('/outer', middle) as never))
    await request(`${served.url}/outer/middle/inner/items?x=1`)
    expect(upstream.last.url).toBe('/items?x=1')
    expect(upstream.last.headers['x-forwarded-prefix']).toBe('/outer/middle/inner')
  })

  test('a route handler (app.get) takes nothing off', async () => {
    const upstream = await using(startUpstream())
    const handler = await using(Promise.resolve(proxy(upstream.url)))
    const served = await using(serve(express().get('/items/:id', handler) as never))
    await request(`${served.url}/items/7`)
    expect(upstream.last.url).toBe('/items/7')
    expect(upstream.last.headers['x-forwarded-prefix']).toBeUndefined()
  })

  test('x-forwarded-prefix says what was taken off; a client cannot say it', async () => {
    const upstream = await using(startUpstream())
    const app = await startApp({ to: upstream.url, mount: '/api' })
    await request(`${app.url}/api/items`, { headers: { 'x-forwarded-prefix': '/evil' } })
    expect(upstream.last.all('x-forwarded-prefix')).toEqual(['/api'])
    const root = await startApp({ to: upstream.url })
    await request(root.url, { headers: { 'x-forwarded-prefix': '/evil' } })
    expect(upstream.last.all('x-forwarded-prefix')).toEqual([])
  })

  test.each([
    '?a=1&a=2&b',
    '?q=a+b%20c&empty=&&=x',
    '?a[b][]=%5B%5D&path=/../x//y',
    "?quote='%22%27&utf=%C3%A9&percent=%25",
    '?',
    '?a=b?c=d',
  ])('the query %s goes on byte for byte', async (query) => {
    const upstream = await using(startUpstream())
    const app = await startApp({ to: upstream.url, mount: '/api' })
    await rawRequest(app.port, `GET /api/x${query} HTTP/1.1\r\nhost: a\r\n\r\n`, { responses: 1 })
    expect(upstream.last.url).toBe(`/x${query}`)
  })

  test.each([
    ['/api', 'http://shop.test/api/items?x=1', '/items?x=1'],
    [undefined, 'http://SHOP.test/items', '/items'],
    [undefined, 'http://shop.test', '/'],
  ])('mounted at %s, the absolute-form target %s goes on as %s', async (mount, target, sent) => {
    const upstream = await using(startUpstream())
    const app = await startApp({ to: upstream.url, ...(mount !== undefined && { mount }) })
    const reply = await rawRequest(app.port, `GET ${target} HTTP/1.1\r\nhost: shop.test\r\n\r\n`, { responses: 1 })
    expect(reply.response.status).toBe(200)
    expect(upstream.last.url).toBe(sent)
    expect(upstream.last.headers.host).toBe(`127.0.0.1:${upstream.port}`)
  })
})

describe('a bare server', () => {
  test('http.createServer(proxy(url)) forwards the whole path', async () => {
    const upstream = await using(startUpstream())
    const handler = await using(Promise.resolve(proxy(`${upstream.url}/base`)))
    const served = await using(serve(handler))
    await request(`${served.url}/items?x=1`)
    expect(upstream.last.url).toBe('/base/items?x=1')
    await rawRequest(served.port, 'GET http://a/items HTTP/1.1\r\nhost: a\r\n\r\n', { responses: 1 })
    expect(upstream.last.url).toBe('/base/items')
  })
})

describe('what is missing around the proxy', () => {
  test('no target: 500, and the cure is in the log alone', async () => {
    const app = await startApp({
      to: 'http://127.0.0.1:9',
      before: (it) =>
        it.use((req, _res, next) => {
          req.gateway!.selection = undefined
          next()
        }),
    })
    const reply = await request(app.url)
    expect(reply.status).toBe(500)
    expect(reply.json()).toMatchObject({ code: 'no_target', title: 'No target configured' })
    expect(reply.text).not.toMatch(/balancer|proxy\(\)/)
    expect(app.lines).toMatchObject([
      { level: 'error', message: expect.stringMatching(/mount balancer\(\) before it/) },
    ])
    expect(app.handler.stats.active).toBe(0)
  })

  test('no target and no log: the cure comes as a warning of the process, once', async () => {
    const warnings = recordWarnings('POSTERN_NO_TARGET')
    const handler = await using(Promise.resolve(proxy()))
    const served = await using(serve(handler))
    expect((await request(served.url)).status).toBe(500)
    expect((await request(served.url)).status).toBe(500)
    await eventually(() => expect(warnings.seen).toEqual([expect.stringMatching(/mount balancer\(\) before it/)]))
    warnings.stop()
  })

  test('a server without limits is told of once, by code, with the cure', async () => {
    const warnings = recordWarnings('POSTERN_SERVER_NOT_HARDENED')
    const upstream = await using(startUpstream())
    // Earlier tests of this file may have been the first: a process is warned once, and this one sees at most that.
    for (let i = 0; i < 2; i++) {
      const handler = await using(Promise.resolve(proxy(upstream.url)))
      const served = await using(serve(handler))
      await request(served.url)
      await request(served.url)
    }
    await eventually(() => expect([...early.seen, ...warnings.seen]).toHaveLength(1))
    expect([...early.seen, ...warnings.seen][0]).toMatch(/harden\(server\)/)
    warnings.stop()
  })

  test('a handler that was answered before is left alone', async () => {
    const upstream = await using(startUpstream())
    const app = await startApp({
      to: upstream.url,
      before: (it) =>
        it.use((_req, res, next) => {
          res.end('answered')
          next()
        }),
    })
    expect((await request(app.url)).text).toBe('answered')
    expect(upstream.requests).toEqual([])
  })
})

interface Recorded {
  readonly seen: string[]
  stop(): void
}

function recordWarnings(code: string): Recorded {
  const seen: string[] = []
  const listener = (warning: Error & { code?: string }) => {
    if (warning.code === code) seen.push(warning.message)
  }
  process.on('warning', listener)
  return { seen, stop: () => process.off('warning', listener) }
}

const early = recordWarnings('POSTERN_SERVER_NOT_HARDENED')

test('the handler has a name and typed handles', () => {
  const handler = proxy('http://127.0.0.1:9')
  expect(handler.name).toBe('proxyHandler')
  expect(handler.stats).toEqual({
    active: 0,
    tunnels: 0,
    attempts: { retries: 0, hedges: 0, inFlight: 0, overBudget: 0 },
    mirror: undefined,
    targets: [],
  })
  expect(http.createServer(handler)).toBeInstanceOf(http.Server)
})

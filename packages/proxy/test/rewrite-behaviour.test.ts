import type { Exchange } from '@postern/contracts'
import { type ProxyOptions, proxy } from '@postern/proxy'
import { rawRequest, request, startRawUpstream, startUpstream, type Upstream } from '@postern/test-kit'
import { describe, expect, test } from 'vitest'
import { type AppOptions, rawClient, startApp, using } from './behaviour.ts'

/** An app whose first middleware edits the exchange. */
function editing(upstream: { url: string }, edit: (exchange: Exchange) => void, options: Partial<AppOptions> = {}) {
  return startApp({
    to: upstream.url,
    ...options,
    before: (it) =>
      it.use((req, _res, next) => {
        edit(req.gateway!)
        next()
      }),
  })
}

describe('rewritePath', () => {
  const table = { '/old': '/new', '/old/special': '/very/special', '/drop': '', '/top': '/' }
  test.each([
    ['/old', '/new'],
    ['/old/a?x=/old', '/new/a?x=/old'],
    ['/old/special/a', '/very/special/a'],
    ['/older', '/older'],
    ['/drop', '/'],
    ['/drop/a', '/a'],
    ['/top', '/'],
    ['/top/a', '/a'],
    ['/else/old', '/else/old'],
    ['/old/caf%C3%A9', '/new/caf%C3%A9'],
  ])('by a table: %s goes on as %s', async (path, sent) => {
    const upstream = await using(startUpstream())
    const app = await startApp({ to: upstream.url, proxy: { rewritePath: table } })
    await request(app.url + path)
    expect(upstream.last.url).toBe(sent)
  })

  test('by a function: gets the path under the mount, without the query', async () => {
    const upstream = await using(startUpstream())
    const seen: string[] = []
    const rewritePath = (path: string) => {
      seen.push(path)
      return `/v2${path}`
    }
    const app = await startApp({ to: `${upstream.url}/base`, mount: '/api', proxy: { rewritePath } })
    await request(`${app.url}/api/items?x=1`)
    expect(seen).toEqual(['/items'])
    expect(upstream.last.url).toBe('/base/v2/items?x=1')
  })

  test.each([
    ['throws', () => raise()],
    ['gives what is no path', () => 'items'],
    ['gives a space', () => '/a b'],
    ['gives nothing', () => undefined as never],
  ])('a function that %s is a 500 and sends nothing', async (_what, rewritePath) => {
    const upstream = await using(startUpstream())
    const app = await startApp({ to: upstream.url, proxy: { rewritePath } })
    expect((await request(app.url, { timeoutMs: 2_000 })).status).toBe(500)
    expect(upstream.requests).toEqual([])
    expect(app.handler.stats.active).toBe(0)
  })
})

function raise(): never {
  throw new Error('broken')
}

describe('edits on the exchange', () => {
  test('path replaces what was asked, and comes before rewritePath; the base path is put in front', async () => {
    const upstream = await using(startUpstream())
    const app = await editing(
      { url: `${upstream.url}/base` },
      (exchange) => {
        exchange.outgoing.path = '/other'
      },
      { proxy: { rewritePath: () => '/wrong' } },
    )
    await request(`${app.url}/items?x=1`)
    expect(upstream.last.url).toBe('/base/other?x=1')
  })

  test('query edits touch only their own parameter', async () => {
    const upstream = await using(startUpstream())
    const app = await editing(upstream, ({ outgoing }) => {
      outgoing.editQuery({ op: 'set', name: 'b', value: 'new &' })
      outgoing.editQuery({ op: 'remove', name: 'secret' })
      outgoing.editQuery({ op: 'append', name: 'a', value: '3' })
    })
    await request(`${app.url}/?a=1&b=2&secret=x&a=2+%20&%73ecret=y&=&z`)
    expect(upstream.last.url).toBe('/?a=1&a=2+%20&=&z&b=new%20%26&a=3')
  })

  test('header edits, in order, in any case', async () => {
    const upstream = await using(startUpstream())
    const app = await editing(upstream, ({ outgoing }) => {
      outgoing.editRequestHeader({ op: 'set', name: 'X-Tenant', value: 'acme' })
      outgoing.editRequestHeader({ op: 'append', name: 'x-tag', value: 'two' })
      outgoing.editRequestHeader({ op: 'remove', name: 'X-SECRET' })
    })
    await request(app.url, { headers: ['Host', 'a', 'X-TENANT', 'forged', 'X-Tag', 'one', 'x-secret', 's'] })
    expect(upstream.last.all('x-tenant')).toEqual(['acme'])
    expect(upstream.last.all('x-tag')).toEqual(['one', 'two'])
    expect(upstream.last.all('x-secret')).toEqual([])
  })

  test('edits of the answer come after those of the options', async () => {
    const upstream = await using(startUpstream((_req, res) => void res.writeHead(200, { server: 'x', a: '1' }).end()))
    const app = await editing(
      upstream,
      ({ outgoing }) => {
        outgoing.editResponseHeader({ op: 'set', name: 'X-By', value: 'route' })
        outgoing.editResponseHeader({ op: 'append', name: 'A', value: '2' })
      },
      { proxy: { responseHeaders: { remove: ['Server'], set: { 'x-by': 'options' } } } },
    )
    const reply = await request(app.url)
    expect(reply.headers.server).toBeUndefined()
    expect(reply.headers['x-by']).toBe('route')
    expect(reply.headers.a).toBe('1, 2')
  })

  test('requestHeaders of the options: remove, set, append', async () => {
    const upstream = await using(startUpstream())
    const requestHeaders = { remove: ['X-Old'], set: { 'X-New': 'yes' }, append: { 'X-Tag': 'gateway' } }
    const app = await startApp({ to: upstream.url, proxy: { requestHeaders } })
    await request(app.url, { headers: { 'x-old': '1', 'x-new': 'no', 'x-tag': 'client' } })
    expect(upstream.last.headers['x-old']).toBeUndefined()
    expect(upstream.last.all('x-new')).toEqual(['yes'])
    expect(upstream.last.all('x-tag')).toEqual(['client', 'gateway'])
  })
})

describe('a reserved header', () => {
  const forged = [
    'X-User: evil',
    'x-user: evil',
    'X-USER: evil',
    'X_User: evil',
    'x_user: evil',
    'x-User: evil, too',
    'Connection: x-user, close',
  ].join('\r\n')
  const identify = ({ outgoing }: Exchange) => outgoing.setReserved('X-User', 'alice')

  /** Every field of the one request that reached a raw upstream whose name could be read as x-user. */
  function users(received: string): string[] {
    return received
      .split('\r\n')
      .filter((line) => /^x[-_]user[-_]?\s*:/i.test(line))
      .map((line) => line.replace(/\s/g, '').toLowerCase())
  }

  test('holds what the gateway set, whatever the client sent', async () => {
    const upstream = await using(startRawUpstream(answering()))
    const app = await editing(upstream, identify)
    await rawRequest(app.port, `GET / HTTP/1.1\r\nHost: a\r\n${forged}\r\n\r\n`, { responses: 1 })
    expect(users(upstream.received)).toEqual(['x-user:alice'])
  })

  test('without a value: what the client sent is gone', async () => {
    const upstream = await using(startRawUpstream(answering()))
    const app = await editing(upstream, ({ outgoing }) => outgoing.setReserved('X-User', undefined))
    await rawRequest(app.port, `GET / HTTP/1.1\r\nHost: a\r\n${forged}\r\n\r\n`, { responses: 1 })
    expect(upstream.received).toContain('GET /')
    expect(users(upstream.received)).toEqual([])
  })

  // The name was kept as it was reserved, while what clients send was compared with dashes: neither spelling matched.
  test.each(['X_User', 'x_user'])('reserved as %s, both spellings of a client are gone too', async (name) => {
    const upstream = await using(startRawUpstream(answering()))
    const app = await editing(upstream, ({ outgoing }) => outgoing.setReserved(name, undefined))
    await rawRequest(app.port, `GET / HTTP/1.1\r\nHost: a\r\n${forged}\r\n\r\n`, { responses: 1 })
    expect(upstream.received).toContain('GET /')
    expect(users(upstream.received)).toEqual([])
  })

  test('also where the client expects 100-continue', async () => {
    const upstream = await using(startRawUpstream(answering()))
    const app = await editing(upstream, identify)
    await rawRequest(
      app.port,
      [`POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n${forged}\r\n\r\n`, 'body'],
      { responses: 1 },
    )
    expect(users(upstream.received)).toEqual(['x-user:alice'])
    expect(upstream.received).toContain('\r\n\r\nbody')
    expect(upstream.received).not.toMatch(/expect:/i)
  })

  test('also on upgrades', async () => {
    const upstream = await using(
      startRawUpstream(async ({ socket, nextRequest }) => {
        await nextRequest()
        socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\n')
      }),
    )
    const app = await editing(upstream, identify, { upgrades: true })
    const names = forged.replace('Connection: x-user, close', 'Connection: x-user, upgrade')
    const client = await rawClient(app.port, `GET / HTTP/1.1\r\nHost: a\r\nUpgrade: foo\r\n${names}\r\n\r\n`)
    await client.has('101')
    expect(users(upstream.received)).toEqual(['x-user:alice'])
  })

  test('behind a trailer of the same name', async () => {
    const upstream = await using(startUpstream())
    const app = await editing(upstream, identify)
    await request(app.url, {
      method: 'POST',
      body: 'x',
      trailers: { 'x-user': 'evil' },
      headers: { trailer: 'x-user' },
    })
    expect(upstream.last.all('x-user')).toEqual(['alice'])
    expect(upstream.last.trailers).toEqual({})
  })
})

function answering() {
  return async (connection: import('@postern/test-kit').RawConnection) => {
    while ((await connection.nextRequest()) !== undefined) {
      connection.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    }
  }
}

describe('who the client is', () => {
  const told = {
    'x-forwarded-for': '203.0.113.9',
    'x-forwarded-proto': 'https',
    'x-forwarded-host': 'shop.example',
    'x-forwarded-port': '8443',
    forwarded: 'for=203.0.113.9;proto=https',
    'x-real-ip': '203.0.113.9',
  }

  test("without 'trust proxy' only what this process saw is told", async () => {
    const upstream = await using(startUpstream())
    const app = await startApp({ to: upstream.url, proxy: { forwarded: 'both' } })
    await request(app.url, { headers: told })
    const { headers } = upstream.last
    expect(headers).toMatchObject({
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-proto': 'http',
      'x-forwarded-host': `127.0.0.1:${app.port}`,
      forwarded: `for=127.0.0.1;proto=http;host="127.0.0.1:${app.port}"`,
    })
    expect([headers['x-forwarded-port'], headers['x-real-ip']]).toEqual([undefined, undefined])
  })

  test('with it, that is put behind what a trusted peer told', async () => {
    const upstream = await using(startUpstream())
    const app = await startApp({
      to: upstream.url,
      proxy: { forwarded: 'both' },
      before: (it) => void it.set('trust proxy', 'loopback'),
    })
    await request(app.url, { headers: told })
    expect(upstream.last.headers).toMatchObject({
      'x-forwarded-for': '203.0.113.9, 127.0.0.1',
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'shop.example',
      'x-forwarded-port': '8443',
      forwarded: `for=203.0.113.9;proto=https, for=127.0.0.1;proto=http;host="127.0.0.1:${app.port}"`,
    })
  })

  test("'none' tells nothing and passes nothing on", async () => {
    const upstream = await using(startUpstream())
    const app = await startApp({ to: upstream.url, proxy: { forwarded: 'none' } })
    await request(app.url, { headers: told })
    expect(Object.keys(upstream.last.headers).filter((name) => /forward|real-ip/.test(name))).toEqual([])
  })

  test.each(['target', 'preserve'] as const)("host: '%s'", async (host) => {
    const upstream = await using(startUpstream())
    const app = await startApp({ to: upstream.url, proxy: { host } })
    await request(app.url, { headers: { host: 'shop.example:8080' } })
    expect(upstream.last.all('host')).toEqual([host === 'target' ? `127.0.0.1:${upstream.port}` : 'shop.example:8080'])
    expect(upstream.last.headers['x-forwarded-host']).toBe('shop.example:8080')
  })
})

describe('Location', () => {
  async function locationOf(location: string, options: Partial<AppOptions> & { base?: string } = {}) {
    const upstream: Upstream = await using(
      startUpstream((_req, res) => {
        res.writeHead(302, { location: location.replace('TARGET', `127.0.0.1:${upstream.port}`) }).end()
      }),
    )
    const { base = '', ...rest } = options
    const app = await startApp({ to: upstream.url + base, ...rest })
    const reply = await request(`${app.url}${options.mount ?? ''}/x`)
    return reply.headers.location!.replace(`127.0.0.1:${app.port}`, 'GATEWAY').replace(String(upstream.port), 'PORT')
  }

  test.each([
    ['http://TARGET/next?a=1#f', 'http://GATEWAY/next?a=1#f'],
    ['//TARGET/next', 'http://GATEWAY/next'],
    ['/next', '/next'],
    ['next', 'next'],
    ['?page=2', '?page=2'],
    ['https://elsewhere.example/next', 'https://elsewhere.example/next'],
    ['http://TARGET.evil.example/', 'http://127.0.0.1:PORT.evil.example/'],
  ])('at the root, %s reaches the client as %s', async (location, expected) => {
    expect(await locationOf(location)).toBe(expected)
  })

  test.each([
    ['http://TARGET/next', 'http://GATEWAY/api/next'],
    ['http://TARGET', 'http://GATEWAY/api/'],
    ['/next?a=1', '/api/next?a=1'],
    ['next', 'next'],
    ['//elsewhere.example/next', '//elsewhere.example/next'],
  ])('mounted at /api, %s reaches the client as %s', async (location, expected) => {
    expect(await locationOf(location, { mount: '/api' })).toBe(expected)
  })

  test.each([
    ['/base/next', '/api/next'],
    ['/base', '/api'],
    ['http://TARGET/base/next', 'http://GATEWAY/api/next'],
    ['/outside', '/outside'],
    ['/based', '/based'],
  ])('mounted at /api before the base path /base, %s reaches the client as %s', async (location, expected) => {
    expect(await locationOf(location, { mount: '/api', base: '/base' })).toBe(expected)
  })

  test("'pass' leaves it as it came", async () => {
    const passing: ProxyOptions = { location: 'pass' }
    expect(await locationOf('http://TARGET/next', { mount: '/api', proxy: passing })).toBe('http://127.0.0.1:PORT/next')
  })

  test('points at the host and scheme that a trusted peer told', async () => {
    const upstream: Upstream = await using(
      startUpstream((_req, res) => void res.writeHead(302, { location: `${upstream.url}/n` }).end()),
    )
    const app = await startApp({ to: upstream.url, before: (it) => void it.set('trust proxy', true) })
    const headers = { 'x-forwarded-host': 'shop.example', 'x-forwarded-proto': 'https' }
    expect((await request(app.url, { headers })).headers.location).toBe('https://shop.example/n')
  })
})

describe('cookies', () => {
  test('attributes are changed; name, value and the rest stay byte for byte, in order', async () => {
    const lines = ['a=1; Path=/base; Domain=inner.test; HttpOnly', 'b="x=y"; path=/; SameSite=None; Secure', 'c=']
    const upstream = await using(startUpstream((_req, res) => void res.writeHead(200, { 'set-cookie': lines }).end()))
    const cookies = { domain: null, path: { '/base': '/api' }, secure: true, sameSite: 'lax' } as const
    const app = await startApp({ to: upstream.url, proxy: { cookies } })
    expect((await request(app.url)).headers['set-cookie']).toEqual([
      'a=1; Path=/api; HttpOnly; Secure; SameSite=Lax',
      'b="x=y"; Path=/; Secure; SameSite=Lax',
      'c=; Secure; SameSite=Lax',
    ])
  })

  test('unchanged by default, beside those of the app', async () => {
    const lines = ['a=1; Domain=inner.test', 'b=2']
    const upstream = await using(startUpstream((_req, res) => void res.writeHead(200, { 'set-cookie': lines }).end()))
    const app = await startApp({
      to: upstream.url,
      before: (it) => it.use((_req, res, next) => void (res.cookie('own', '1'), next())),
    })
    expect((await request(app.url)).headers['set-cookie']).toEqual(['own=1; Path=/', ...lines])
  })
})

describe('fallthrough', () => {
  const statuses = { fallthrough: [404, 503] }

  test.each([404, 503])('at %d the next handler is tried; the upstream has answered all the same', async (status) => {
    const upstream = await using(startUpstream((_req, res) => void res.writeHead(status, { 'x-up': '1' }).end('up')))
    const app = await startApp({
      to: upstream.url,
      proxy: statuses,
      after: (it) => it.use((_req, res) => void res.send('the app')),
    })
    const reply = await request(app.url)
    expect(reply).toMatchObject({ status: 200, text: 'the app' })
    expect(reply.headers['x-up']).toBeUndefined()
    expect(app.outcomes).toMatchObject([{ status }])
    expect(app.handler.stats.active).toBe(0)
  })

  test('at another status, or with a body, the answer stands', async () => {
    const upstream = await using(
      startUpstream((req, res) => {
        req.resume()
        req.on('end', () => void res.writeHead(req.method === 'POST' ? 404 : 410).end('up'))
      }),
    )
    const app = await startApp({
      to: upstream.url,
      proxy: statuses,
      after: (it) => it.use((_req, res) => void res.send('the app')),
    })
    expect(await request(app.url)).toMatchObject({ status: 410, text: 'up' })
    expect(await request(app.url, { method: 'POST', body: 'x' })).toMatchObject({ status: 404, text: 'up' })
  })

  test('from one proxy to the next', async () => {
    const first = await using(startUpstream((_req, res) => void res.writeHead(404).end()))
    const second = await using(startUpstream())
    const next = await using(Promise.resolve(proxy(second.url)))
    const app = await startApp({ to: first.url, proxy: statuses, after: (it) => void it.use(next) })
    expect((await request(`${app.url}/x`)).status).toBe(200)
    expect([first.last.url, second.last.url]).toEqual(['/x', '/x'])
    expect(app.exchanges[0]!.attempts).toMatchObject([{ status: 404 }, { status: 200 }])
    expect(app.outcomes).toMatchObject([{ status: 404 }])
    expect([app.handler.stats.active, next.stats.active]).toEqual([0, 0])
  })
})

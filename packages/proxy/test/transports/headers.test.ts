import { answer, rawRequest, rawResponse, request, startRawUpstream, startUpstream, valuesOf } from '@postern/test-kit'
import { describe, expect, test } from 'vitest'
import { EVERYWHERE, type GatewayOptions, gateway, using } from '../support/gateway.ts'

describe.each(EVERYWHERE)('headers by $via under $under', (where) => {
  const start = async (options: Partial<GatewayOptions> = {}) => {
    const upstream = await using(startUpstream())
    return { upstream, gate: await gateway({ ...where, target: upstream.url, ...options }) }
  }

  test('end-to-end headers go up as they came, repeated lines and their order included', async () => {
    const { upstream, gate } = await start()
    await request(gate.url, {
      headers: ['Host', 'a.test', 'X-List', '1', 'X-Other', 'o', 'x-list', '2', 'Accept', '*/*', 'Cookie', 'a=1; b=2'],
    })
    expect(upstream.last.all('x-list')).toEqual(['1', '2'])
    expect(upstream.last.all('x-other')).toEqual(['o'])
    expect(upstream.last.all('accept')).toEqual(['*/*'])
    expect(upstream.last.all('cookie')).toEqual(['a=1; b=2'])
  })

  test('header values keep their bytes', async () => {
    const upstream = await using(startRawUpstream(answer(rawResponse('x', { 'X-Back': 'caf\u00e9' }))))
    const gate = await gateway({ ...where, target: upstream.url })
    const raw = await rawRequest(gate.port, 'GET / HTTP/1.1\r\nHost: a\r\nX-There: na\u00efve\t"q"\r\n\r\n', {
      responses: 1,
    })
    expect(upstream.received).toMatch(/^x-there: na\u00efve\t"q"\r$/im)
    expect(raw.text).toMatch(/^x-back: caf\u00e9\r$/im)
  })

  test('a header called __proto__ is a header like any other', async () => {
    const upstream = await using(startRawUpstream(answer(rawResponse('x', { ['__proto__']: 'down' }))))
    const gate = await gateway({ ...where, target: upstream.url })
    const raw = await rawRequest(gate.port, 'GET / HTTP/1.1\r\nHost: a\r\n__proto__: up\r\n\r\n', { responses: 1 })
    expect(upstream.received).toContain('\r\n__proto__: up\r\n')
    expect(raw.response.status).toBe(200)
  })

  test('several Set-Cookie lines come back as several, in order', async () => {
    const cookies = ['a=1; Path=/', 'b=2; Expires=Wed, 21 Oct 2099 07:28:00 GMT', 'a=3']
    const upstream = await using(
      startUpstream((_req, res) => {
        res.setHeader('set-cookie', cookies)
        res.end('ok')
      }),
    )
    const gate = await gateway({ ...where, target: upstream.url })
    const reply = await request(gate.url)
    expect(valuesOf(reply.rawHeaders, 'set-cookie')).toEqual(cookies)
  })

  test('repeated lines of other response headers are neither merged nor dropped', async () => {
    const lines = 'Age: 1\r\nX-Twice: one\r\nWWW-Authenticate: Basic\r\nX-Twice: two\r\nWWW-Authenticate: Bearer\r\n'
    const upstream = await using(startRawUpstream(answer(`HTTP/1.1 401 No\r\n${lines}Content-Length: 2\r\n\r\nno`)))
    const gate = await gateway({ ...where, target: upstream.url })
    const reply = await request(gate.url)
    expect(valuesOf(reply.rawHeaders, 'x-twice')).toEqual(['one', 'two'])
    expect(valuesOf(reply.rawHeaders, 'www-authenticate')).toEqual(['Basic', 'Bearer'])
    expect(valuesOf(reply.rawHeaders, 'age')).toEqual(['1'])
  })

  test('more header lines than Node keeps by default come back complete', async () => {
    // Node's client drops what is beyond 2,000 names and values, silently: framing could be among it.
    const many = Array.from({ length: 1_500 }, (_, i) => `x${i}: ${i}\r\n`).join('')
    const upstream = await using(startRawUpstream(answer(`HTTP/1.1 200 OK\r\n${many}Content-Length: 2\r\n\r\nok`)))
    const gate = await gateway({ ...where, target: upstream.url, maxResponseHeaderBytes: 65_536 })
    const raw = await rawRequest(gate.port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', { responses: 1 })
    expect(raw.response.headers.x1499).toBe('1499')
    expect(raw.response.headers['content-length']).toBe('2')
  })

  test('hop-by-hop headers stay behind on the way up, those that Connection names too', async () => {
    const { upstream, gate } = await start()
    await rawRequest(
      gate.port,
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-Secret-Hop, Authorization\r\nKeep-Alive: timeout=9\r\n' +
        'X-Secret-Hop: 1\r\nAuthorization: Bearer t\r\nTE: gzip\r\nProxy-Connection: keep-alive\r\n' +
        'Proxy-Authorization: Basic eA==\r\nTrailer: x\r\nX-Kept: yes\r\n\r\n',
      { responses: 1 },
    )
    const { headers } = upstream.last
    for (const name of [
      'keep-alive',
      'x-secret-hop',
      'te',
      'proxy-connection',
      'proxy-authorization',
      'trailer',
      'upgrade',
    ]) {
      expect(headers[name]).toBeUndefined()
    }
    expect(headers['x-kept']).toBe('yes')
    // A client may not have taken away what the request is authorised by.
    expect(headers.authorization).toBe('Bearer t')
    expect(headers.connection).toBe('keep-alive')
  })

  test('hop-by-hop headers stay behind on the way back', async () => {
    const lines =
      'Connection: close, X-Inner\r\nX-Inner: 1\r\nKeep-Alive: timeout=9\r\nProxy-Authenticate: Basic\r\n' +
      'Upgrade: h2c\r\nProxy-Connection: x\r\nX-Kept: yes\r\n'
    const upstream = await using(startRawUpstream(answer(`HTTP/1.1 200 OK\r\n${lines}Content-Length: 2\r\n\r\nok`)))
    const gate = await gateway({ ...where, target: upstream.url })
    const raw = await rawRequest(gate.port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', { responses: 1 })
    const { headers } = raw.response
    for (const name of ['x-inner', 'proxy-authenticate', 'upgrade', 'proxy-connection']) {
      expect(headers[name]).toBeUndefined()
    }
    expect(headers['keep-alive']).not.toBe('timeout=9')
    expect(headers.connection).not.toContain('X-Inner')
    expect(headers['x-kept']).toBe('yes')
  })

  test('the request says in Via that it passed, behind those that were there', async () => {
    const { upstream, gate } = await start()
    await request(gate.url, { headers: { via: '1.0 fred' } })
    expect(upstream.last.headers.via).toBe('1.0 fred, 1.1 postern')
  })

  test('the target sees its own Host', async () => {
    const { upstream, gate } = await start()
    await request(gate.url, { headers: { host: 'shop.example' } })
    expect(upstream.last.all('host')).toEqual([`127.0.0.1:${upstream.port}`])
  })

  test('host "preserve" shows the target the client\'s Host', async () => {
    const { upstream, gate } = await start({ host: 'preserve' })
    await request(gate.url, { headers: { host: 'shop.example' } })
    expect(upstream.last.all('host')).toEqual(['shop.example'])
  })

  test('what a stranger says in X-Forwarded-* is not believed', async () => {
    const { upstream, gate } = await start()
    await request(gate.url, {
      headers: {
        host: 'shop.example',
        'x-forwarded-for': '6.6.6.6',
        'x-forwarded-proto': 'https',
        'x-forwarded-host': 'evil.example',
        'x-forwarded-port': '1',
        'x-forwarded-prefix': '/evil',
        'x-real-ip': '6.6.6.6',
        forwarded: 'for=6.6.6.6',
      },
    })
    const { last } = upstream
    expect(last.all('x-forwarded-for')).toEqual(['127.0.0.1'])
    expect(last.all('x-forwarded-proto')).toEqual(['http'])
    expect(last.all('x-forwarded-host')).toEqual(['shop.example'])
    for (const name of ['x-forwarded-port', 'x-forwarded-prefix', 'x-real-ip', 'forwarded']) {
      expect(last.all(name)).toEqual([])
    }
  })

  test('headers that the proxy sets replace what the client sent', async () => {
    const { upstream, gate } = await start({ requestHeaders: { set: { 'x-tenant': 'ours' }, remove: ['x-gone'] } })
    await request(gate.url, { headers: { 'X-Tenant': 'forged', 'X-Gone': 'x' } })
    expect(upstream.last.all('x-tenant')).toEqual(['ours'])
    expect(upstream.last.all('x-gone')).toEqual([])
  })

  test('a base path of the target stands in front of every path', async () => {
    const upstream = await using(startUpstream())
    const gate = await gateway({ ...where, target: `${upstream.url}/base/v1` })
    await request(`${gate.url}/x?y=1`)
    expect(upstream.last.url).toBe('/base/v1/x?y=1')
  })

  test.each(['/a%20b?q=%20+&&x=[]', '/a;v=1/(b)?', '/%E2%82%AC', "/~x'!*"])(
    'the target %s goes on byte for byte',
    async (path) => {
      const { upstream, gate } = await start()
      await request(gate.url, { path })
      expect(upstream.last.url).toBe(path)
    },
  )
})

describe('behind a trusted proxy', () => {
  test.each(['undici', 'http-proxy-middleware'] as const)(
    '%s: X-Forwarded-* is carried on, ourselves appended',
    async (via) => {
      const upstream = await using(startUpstream())
      const gate = await gateway({ via, target: upstream.url, trustProxy: true })
      await request(gate.url, { headers: { 'x-forwarded-for': '203.0.113.9', 'x-forwarded-proto': 'https' } })
      expect(upstream.last.all('x-forwarded-for')).toEqual(['203.0.113.9, 127.0.0.1'])
      expect(upstream.last.all('x-forwarded-proto')).toEqual(['https'])
    },
  )
})

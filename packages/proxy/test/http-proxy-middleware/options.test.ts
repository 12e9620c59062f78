import http from 'node:http'
import { ConfigError } from '@postern/contracts'
import { type HttpProxyMiddlewareOptions, httpProxyMiddleware, proxy } from '@postern/proxy'
import { answer, request, staleOnReuse, startRawUpstream, startUpstream } from '@postern/test-kit'
import type { RequestHandler } from 'express'
import { responseInterceptor } from 'http-proxy-middleware'
import { describe, expect, test } from 'vitest'
import { gateway, using } from '../support/gateway.ts'

const via = 'http-proxy-middleware'

async function start(options: HttpProxyMiddlewareOptions, before?: readonly RequestHandler[]) {
  const upstream = await using(startUpstream())
  const transport = httpProxyMiddleware(options)
  const gate = await gateway({ via, target: upstream.url, transport, ...(before === undefined ? null : { before }) })
  return { upstream, gate }
}

/** The faults of options that are refused. */
function faultsOf(options: object): ConfigError['faults'] {
  try {
    httpProxyMiddleware(options as HttpProxyMiddlewareOptions)
  } catch (error) {
    if (error instanceof ConfigError) return error.faults
    throw error
  }
  throw new Error('the options were accepted')
}

describe('options', () => {
  test('headers, auth and localAddress go out; the credentials of a client come first', async () => {
    const { upstream, gate } = await start({
      headers: { 'X-Team': 'shop' },
      auth: 'user:secret',
      localAddress: '127.0.0.1',
    })
    await request(gate.url, { headers: { 'x-team': 'forged' } })
    expect(upstream.last.all('x-team')).toEqual(['shop'])
    expect(upstream.last.headers.authorization).toBe(`Basic ${Buffer.from('user:secret').toString('base64')}`)
    await request(gate.url, { headers: { authorization: 'Bearer theirs' } })
    expect(upstream.last.headers.authorization).toBe('Bearer theirs')
  })

  test("logger gets http-proxy-middleware's own lines", async () => {
    const lines: string[] = []
    const line = (text: string): void => void lines.push(text)
    const { upstream, gate } = await start({ logger: { info: line, warn: line, error: line } })
    await request(`${gate.url}/a`)
    expect(lines).toEqual([`[HPM] GET /a -> http://127.0.0.1:${upstream.port}/a [200]`])
  })

  test('an agent of the user is used, keeps its own bound, and survives the proxy', async () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
    const { upstream, gate } = await start({ agent })
    await Promise.all([1, 2, 3, 4].map(() => request(gate.url)))
    expect(upstream.connections).toBe(1)
    await gate.handler.close()
    expect(Object.values(agent.freeSockets).flat()).toHaveLength(1)
    agent.destroy()
  })

  test("the second try after a stale connection goes round the pool of the user's agent too", async () => {
    const upstream = await using(startRawUpstream([staleOnReuse(), staleOnReuse(), answer()]))
    const agent = new http.Agent({ keepAlive: true })
    const gate = await gateway({ via, target: upstream.url, transport: httpProxyMiddleware({ agent }) })
    await Promise.all([request(gate.url), request(gate.url)])
    expect((await request(gate.url)).status).toBe(200)
    expect(upstream.connections).toHaveLength(3)
    agent.destroy()
  })

  test('ejectPlugins leaves only the plugins that are given', async () => {
    const seen: string[] = []
    const { gate } = await start({
      ejectPlugins: true,
      on: { proxyRes: () => void seen.push('on') },
      plugins: [(proxyServer) => void proxyServer.on('proxyRes', () => void seen.push('plugin'))],
    })
    expect((await request(gate.url)).status).toBe(200)
    expect(seen).toEqual(['plugin'])
  })

  test.each([
    'target',
    'router',
    'forward',
    'ws',
    'selfHandleResponse',
    'pathFilter',
    'pathRewrite',
    'changeOrigin',
    'xfwd',
    'followRedirects',
    'timeout',
    'proxyTimeout',
    'autoRewrite',
    'hostRewrite',
    'protocolRewrite',
    'cookieDomainRewrite',
    'cookiePathRewrite',
    'secure',
    'ssl',
  ])('%s belongs to proxy() and is refused with the cure', (option) => {
    const faults = faultsOf({ [option]: 'value' })
    expect(faults).toMatchObject([{ path: option, received: 'value' }])
    expect(faults[0]!.cure!.length).toBeGreaterThan(10)
  })

  test('all faults at once, mistyped names with the right one', () => {
    const faults = faultsOf({
      heders: {},
      on: { proxyRequest() {}, proxyRes: 'x', error: undefined },
      auth: 'no-colon',
      plugins: {},
      logger: { info() {} },
      agent: {},
      localAddress: 1,
      ejectPlugins: 'yes',
      headers: { 'bad name': 'x', 'x-ok': 'a\r\nb', 'Transfer-Encoding': 'chunked', Host: 'a' },
    })
    expect(faults.map(({ path }) => path)).toEqual([
      'heders',
      'on.proxyRequest',
      'on.proxyRes',
      'auth',
      'plugins',
      'logger',
      'agent',
      'localAddress',
      'ejectPlugins',
      'headers.bad name',
      'headers.x-ok',
      'headers.Transfer-Encoding',
      'headers.Host',
    ])
    expect(faults[0]!.cure).toBe('did you mean "headers"?')
    expect(faults[1]!.cure).toContain('proxyRe')
    expect(JSON.stringify(faults)).not.toContain('no-colon')
  })

  test('responseInterceptor() is refused, with what to use instead', () => {
    const faults = faultsOf({ on: { proxyRes: responseInterceptor(async (buffer) => buffer) } })
    expect(faults).toMatchObject([{ path: 'on.proxyRes' }])
    expect(faults[0]!.cure).toContain('transforms')
  })

  test('HTTP/2 upstreams are refused at start', () => {
    expect(() => proxy({ target: 'https://a.test', allowH2: true, transport: httpProxyMiddleware() })).toThrow(
      /allowH2/,
    )
  })
})

import express from 'express'
import { describe, expect, it } from 'vitest'
import { type Redirect, type Route, type RouterOptions, router } from '../src/index.ts'
import { encodeBytes } from '../src/pattern/text.ts'
import { ask, send, serve } from './support.ts'

async function locationOf(
  route: Omit<Route, 'handlers'>,
  path: string,
  headers: Record<string, string> = { host: 'a.test:8080' },
  options?: RouterOptions,
): Promise<string | undefined> {
  return (await ask(await serve(router([route], options)), path, { headers })).headers.location
}

describe('redirect', () => {
  it('replaces the path and keeps the query', async () => {
    const redirect: Redirect = { path: '/new/:id', status: 308 }
    const answer = await ask(await serve(router([{ path: '/old/:id', redirect }])), '/old/a%20b?x=1')
    expect(answer).toMatchObject({ status: 308, body: '', headers: { location: '/new/a%20b?x=1' } })
    expect(await locationOf({ path: '/old', redirect: { path: '/new', keepQuery: false } }, '/old?x=1')).toBe('/new')
  })

  it('replaces the prefix and keeps the rest', async () => {
    expect(await locationOf({ prefix: '/old', redirect: { prefix: '/new' } }, '/OLD/x/?y')).toBe('/new/x/?y')
    expect(await locationOf({ prefix: '/old', redirect: { prefix: '/' } }, '/old')).toBe('/')
  })

  it('changes scheme, host and port, and keeps what it is not told', async () => {
    const to = (redirect: Redirect) => locationOf({ redirect }, '/x?y=1')
    expect(await to({ scheme: 'https' })).toBe('https://a.test/x?y=1')
    expect(await to({ scheme: 'https', port: 8443 })).toBe('https://a.test:8443/x?y=1')
    expect(await to({ scheme: 'https', port: 443 })).toBe('https://a.test/x?y=1')
    expect(await to({ host: 'b.test' })).toBe('http://b.test/x?y=1')
    expect(await to({ port: 9090 })).toBe('http://a.test:9090/x?y=1')
    expect(await to({ host: 'b.test', scheme: 'https', path: '/z' })).toBe('https://b.test/z?y=1')
  })

  it('keeps the mount in front of a prefix and of an unchanged path, and lets a path stand for all of it', async () => {
    const app = express()
    app.use(
      '/api',
      router([
        { prefix: '/old', redirect: { prefix: '/new' } },
        { path: '/login', redirect: { path: '/sign-in' } },
        { path: '/s', redirect: { scheme: 'https' } },
      ]),
    )
    const port = await serve(app)
    const at = async (path: string) => (await ask(port, path, { headers: { host: 'a.test' } })).headers.location
    expect(await at('/api/old/x')).toBe('/api/new/x')
    expect(await at('/api/login')).toBe('/sign-in')
    expect(await at('/api/s?q')).toBe('https://a.test/api/s?q')
  })

  it('never leads to a host of the client, whatever stands in the path', async () => {
    const pass = { paths: { repeatedSlashes: 'pass', encodedSlashes: 'pass' } } as const
    const off = { prefix: '/old', redirect: { prefix: '/' } }
    expect(await locationOf(off, '/old//evil.test/x', undefined, pass)).toBe('/evil.test/x')
    expect(await locationOf(off, '/old///evil.test', undefined, pass)).toBe('/evil.test')
    expect(await locationOf({ path: '/*r', redirect: { path: '/*r' } }, '//evil.test', undefined, pass)).toBe(
      '/evil.test',
    )
    expect(await locationOf(off, '/old/%2Fevil.test', undefined, pass)).toBe('/%2Fevil.test')
    expect(await locationOf(off, '/old/\\evil.test')).toBeUndefined()
    expect(await locationOf(off, '/old/@evil.test')).toBe('/@evil.test')
  })

  it('needs a well-formed Host when it names one', async () => {
    const port = await serve(router([{ redirect: { scheme: 'https' } }]))
    for (const host of ['evil.test/x', 'a@evil.test', 'a b', 'a.test:x']) {
      const answer = await send(port, `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
      expect(answer).toMatch(/^HTTP\/1.1 400 /)
      expect(answer).not.toMatch(/^location:/im)
    }
    expect(await send(port, 'GET / HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1.1 400 .*"bad_host"/s)
  })

  it('escapes bytes that came unescaped', () => {
    expect(encodeBytes('/new/\xc3\xa9?\xff')).toBe('/new/%C3%A9?%FF')
  })

  it('carries the header edits of its route', async () => {
    const handler = router([{ redirect: { path: '/x' }, responseHeaders: { set: { 'Cache-Control': 'no-store' } } }])
    expect((await ask(await serve(handler), '/')).headers).toMatchObject({
      'cache-control': 'no-store',
      location: '/x',
    })
  })
})

describe('respond', () => {
  it('answers with text, bytes or JSON', async () => {
    const port = await serve(
      router([
        { path: '/text', respond: { status: 200, body: 'é' } },
        { path: '/bytes', respond: { status: 201, body: Buffer.from('abc') } },
        { path: '/json', respond: { status: 404, body: { a: [1] } } },
        { path: '/html', respond: { status: 200, body: '<p>', contentType: 'text/html' } },
        { path: '/empty', respond: { status: 204 } },
      ]),
    )
    const at = async (path: string) => {
      const { status, headers, body } = await ask(port, path)
      return [status, headers['content-type'], headers['content-length'], body]
    }
    expect(await at('/text')).toEqual([200, 'text/plain; charset=utf-8', '2', 'é'])
    expect(await at('/bytes')).toEqual([201, 'application/octet-stream', '3', 'abc'])
    expect(await at('/json')).toEqual([404, 'application/json', '9', '{"a":[1]}'])
    expect(await at('/html')).toEqual([200, 'text/html', '3', '<p>'])
    expect(await at('/empty')).toEqual([204, undefined, undefined, ''])
  })

  it('answers HEAD with the same head and no body', async () => {
    const port = await serve(router([{ respond: { status: 200, body: 'abc' } }]))
    const answer = await ask(port, '/', { method: 'HEAD' })
    expect(answer).toMatchObject({ status: 200, body: '', headers: { 'content-length': '3' } })
  })

  it('has headers of its own, and the edits of its route behind them', async () => {
    const handler = router([
      {
        respond: { status: 200, headers: { 'X-A': '1', 'X-B': '1', 'Set-Cookie': ['a=1', 'b=2'] } },
        responseHeaders: { set: { 'x-a': '2' }, append: { 'set-cookie': 'c=3' }, remove: ['x-b'] },
      },
    ])
    const { headers } = await ask(await serve(handler), '/')
    expect(headers).toMatchObject({ 'x-a': '2', 'set-cookie': ['a=1', 'b=2', 'c=3'] })
    expect(headers['x-b']).toBeUndefined()
  })

  it('does not change when the caller changes its bytes', async () => {
    const body = Buffer.from('abc')
    const port = await serve(router([{ respond: { status: 200, body } }]))
    body.fill('x')
    expect((await ask(port, '/')).body).toBe('abc')
  })
})

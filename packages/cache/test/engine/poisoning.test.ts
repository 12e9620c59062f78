import { answerThen, type RawAnswer, rawRequest, refusedPort, request, startRawUpstream } from '@postern/test-kit'
import type { RequestHandler } from 'express'
import { describe, expect, test } from 'vitest'
import { type CacheOptions, type CacheStore, memoryStore, type StoredResponse } from '../../src/index.ts'
import { storeOver } from './stores.ts'
import { Client, gateway, HandClock, origin, using } from './support.ts'

/** What some applications answer by, although it is no part of any key. */
const UNKEYED: [string, string][] = [
  ['x-forwarded-host', 'evil.example'],
  ['X_Forwarded_Host', 'evil.example'],
  ['x-forwarded-proto', 'gopher'],
  ['x-forwarded-port', '666'],
  ['x-forwarded-prefix', '/evil'],
  ['x-forwarded-scheme', 'nothttps'],
  ['x-forwarded-server', 'evil.example'],
  ['x-host', 'evil.example'],
  ['x-original-url', '/evil'],
  ['x-rewrite-url', '/evil'],
  ['x-original-host', 'evil.example'],
  ['x-http-method-override', 'POST'],
  ['x-http-method', 'HEAD'],
  ['x-method-override', 'DELETE'],
  ['forwarded', 'for=1.2.3.4;host=evil.example'],
  ['forwarded', 'for=1.2.3.4;PROTO="gopher"'],
  ['front-end-https', 'on'],
]

describe.each(UNKEYED)('F6: %s: %s', (name, value) => {
  /** Answers by the field, as careless applications do. */
  const careless: RequestHandler = (req, res) => {
    res.set('cache-control', 'max-age=60').send(`link to ${req.headers[name.toLowerCase()] ?? 'home'}`)
  }

  test.each([
    ['a local handler', false],
    ['a proxy', true],
  ])('cannot leave its answer to others (%s)', async (_who, forward) => {
    const target = await origin((req, res) => {
      res.writeHead(200, { 'cache-control': 'max-age=60' })
      res.end(`link to ${req.headers[name.toLowerCase()] ?? 'home'}`)
    })
    const { url } = await gateway(forward ? { target } : { behind: [careless] })
    await request(`${url}/a`, { headers: [name, value, 'Host', 'shop.example'] })
    const victim = await request(`${url}/a`, { headers: ['Host', 'shop.example'] })
    expect(victim.text).not.toContain(value)
  })

  test('does not take others’ answers away', async () => {
    const { url } = await gateway({ behind: [careless] })
    await request(`${url}/a`)
    await request(`${url}/a`, { headers: [name, value, 'Host', new URL(url).host] })
    expect((await request(`${url}/a`)).headers['cache-status']).toContain('hit')
  })
})

describe('F7: a GET with content', () => {
  test.each([
    ['a length', 'Content-Length: 4\r\n\r\nevil'],
    ['chunks', 'Transfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n'],
  ])('(%s) is neither stored nor answered from the store', async (_name, rest) => {
    let calls = 0
    const echo: RequestHandler = (req, res) => {
      calls++
      let body = ''
      req.on('data', (chunk) => (body += String(chunk)))
      req.on('end', () => void res.set('cache-control', 'max-age=60').send(`body: ${body}`))
    }
    const { url, port } = await gateway({ behind: [echo] })
    const fat = async (): Promise<RawAnswer> =>
      rawRequest(port, `GET /a HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n${rest}`, { responses: 1 })
    expect((await fat()).response.body.toString()).toBe('body: evil')
    expect((await request(`${url}/a`)).text).toBe('body: ')
    const again = await fat()
    expect(again.response.body.toString()).toBe('body: evil')
    expect(again.response.headers['cache-status']).toBe('Postern; fwd=bypass; detail=request-content')
    expect(calls).toBe(3)
  })
})

test('F8: every spelling of a path is a resource of its own, as the handler sees it', async () => {
  const handler: RequestHandler = (req, res) => void res.set('cache-control', 'max-age=60').send(req.originalUrl)
  const { port } = await gateway({ behind: [handler] })
  const targets = [
    ...[
      '/a/b',
      '/a//b',
      '/A/b',
      '/a/b/',
      '/a/./b',
      '/a/x/../b',
      '/a%2fb',
      '/a%2Fb',
      '/%61/b',
      '/a/b;x',
      '/a/b%00',
      '/a/b?',
    ],
    ...['/a/b?x', '/a/b?x=', '/a/b?X', '/a/b%3Fx', '/a/b?x&', '/a/b?x;y', '/a\\b', '//a/b', '/a/b%20', '/a/b+'],
  ]
  for (let round = 0; round < 2; round++) {
    for (const target of targets) {
      const { response } = await rawRequest(port, `GET ${target} HTTP/1.1\r\nHost: shop.example\r\n\r\n`, {
        responses: 1,
      })
      expect(response.body.toString()).toBe(target)
      expect(response.headers['cache-status']).toContain(round === 0 ? 'fwd=uri-miss' : 'hit')
    }
  }
})

test('F8: an absolute-form target is the resource that it names, and Host does not count', async () => {
  const handler: RequestHandler = (req, res) =>
    void res.set('cache-control', 'max-age=60').send(String(req.headers.host))
  const { port } = await gateway({ behind: [handler] })
  const ask = async (target: string, host: string): Promise<string> => {
    const { response } = await rawRequest(port, `GET ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`, { responses: 1 })
    return response.headers['cache-status']!
  }
  await ask('http://one.example/a', 'one.example')
  expect(await ask('/a', 'one.example')).toContain('hit')
  expect(await ask('https://one.example/a', 'one.example')).toContain('hit')
  expect(await ask('/a', 'two.example')).not.toContain('hit')
})

test('F8: a request with two Host lines, or with none, is not answered from the store', async () => {
  const handler: RequestHandler = (_req, res) => void res.set('cache-control', 'max-age=60').send('answer')
  const { port, cache } = await gateway({ behind: [handler] })
  for (const head of ['Host: a.example\r\nHost: b.example\r\n', '']) {
    for (let i = 0; i < 2; i++) {
      const answer = await rawRequest(port, `GET /a HTTP/1.0\r\n${head}\r\n`)
      expect(answer.text).not.toContain('; hit')
    }
  }
  expect(cache.stats.responses).toBe(0)
})

test.each(['/account.css', '/account/x.js', '/account;x.css', '/account%0a.css', '/static/../account', '/favicon.ico'])(
  'F9: the name of %s is no reason to store it',
  async (path) => {
    let calls = 0
    const handler: RequestHandler = (_req, res) => {
      calls++
      res.setHeader('content-type', 'text/css')
      res.end('my account')
    }
    const { port } = await gateway({ behind: [handler] })
    for (let i = 0; i < 2; i++) {
      await rawRequest(port, `GET ${path} HTTP/1.1\r\nHost: shop.example\r\n\r\n`, { responses: 1 })
    }
    expect(calls).toBe(2)
  },
)

describe('F10: an error that one client causes', () => {
  test('made by the gateway is never stored, whatever the options are', async () => {
    const refused = await using(refusedPort())
    const { url, cache } = await gateway({
      target: refused,
      cache: { defaultTtlMs: 60_000, staleIfErrorMs: 60_000, statuses: [200, 400, 502, 503, 504] },
      last: [],
    })
    expect((await request(`${url}/a`)).status).toBe(502)
    expect((await request(`${url}/%2e%2e/a`, { path: '/..%2fa' })).status).toBe(400)
    expect((await request(`${url}/a`, { headers: { 'cache-control': 'only-if-cached' } })).status).toBe(504)
    expect(cache.stats).toMatchObject({ stored: 0, responses: 0, hits: 0 })
  })

  test.each([400, 401, 403, 405, 413, 414, 416, 429, 431, 500, 502, 503])(
    'a %i of the upstream without a lifetime of its own is not given to others',
    async (status) => {
      const target = await origin((req, res) => {
        res.writeHead(req.headers['x-odd'] === undefined ? 200 : status, {
          'last-modified': 'Mon, 01 Jan 2024 00:00:00 GMT',
        })
        res.end()
      })
      const { url } = await gateway({ target, cache: { defaultTtlMs: 60_000 } })
      expect((await request(`${url}/a`, { headers: { 'x-odd': '1' } })).status).toBe(status)
      expect((await request(`${url}/a`)).status).toBe(200)
    },
  )

  test.each([400, 401, 403, 405, 413, 429, 431, 500, 503])(
    '(%i) does not take away what is stored for others',
    async (status) => {
      const target = await origin((req, res) => {
        const isOdd = req.headers['x-odd'] !== undefined
        res.writeHead(isOdd ? status : 200, isOdd ? {} : { 'cache-control': 'max-age=60', etag: '"v"' })
        res.end('body')
      })
      const { url } = await gateway({ target })
      await request(`${url}/a`)
      const odd = { 'x-odd': '1', 'cache-control': 'no-cache' }
      expect((await request(`${url}/a`, { headers: odd })).status).toBe(status)
      expect((await request(`${url}/a`)).headers['cache-status']).toContain('hit')
    },
  )
})

test('F11: an answer that was cut is not stored: the next client gets the whole one', async () => {
  const whole = 'HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 5\r\n\r\nwhole'
  const cut = 'HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 5\r\n\r\nwho'
  const upstream = await using(startRawUpstream([answerThen(cut, 'close'), answerThen(whole, 'wait')]))
  const { url } = await gateway({ target: upstream })
  expect(await new Client(`${url}/a`).whole).toBe(false)
  expect((await request(`${url}/a`)).text).toBe('whole')
  expect((await request(`${url}/a`)).headers['cache-status']).toContain('hit')
})

describe('F12: kinds of answers are not mixed up', () => {
  async function typical() {
    const target = await origin((req, res) => {
      const fields = { 'cache-control': 'max-age=60', etag: '"v"' }
      if (req.headers['if-none-match'] === '"v"') res.writeHead(304, fields).end()
      else if (req.headers.range === 'bytes=0-1') {
        res.writeHead(206, { ...fields, 'content-range': 'bytes 0-1/4', 'content-length': 2 }).end('bo')
      } else res.writeHead(200, { ...fields, 'content-length': 4 }).end('body')
    })
    return gateway({ target })
  }

  test.each<[string, { method?: string; headers?: Record<string, string> }]>([
    ['HEAD', { method: 'HEAD' }],
    ['a part', { headers: { range: 'bytes=0-1' } }],
    ['a 304', { headers: { 'if-none-match': '"v"' } }],
    ['a 304 that the client insists on', { headers: { 'if-none-match': '"v"', 'cache-control': 'no-cache' } }],
  ])('after %s a plain GET gets the whole body', async (_name, options) => {
    const { url } = await typical()
    await request(`${url}/a`, options)
    const reply = await request(`${url}/a`)
    expect([reply.status, reply.text, reply.headers['content-range']]).toEqual([200, 'body', undefined])
    expect((await request(`${url}/a`)).text).toBe('body')
  })
})

test('bypass() keeps a request away from the store, both ways', async () => {
  let calls = 0
  const handler: RequestHandler = (_req, res) => void res.set('cache-control', 'max-age=60').send(`answer ${++calls}`)
  const options: CacheOptions = { bypass: (req) => req.headers['x-preview'] !== undefined }
  const { url } = await gateway({ behind: [handler], cache: options })
  const preview = { headers: { 'x-preview': '1' } }
  expect((await request(`${url}/a`, preview)).text).toBe('answer 1')
  expect((await request(`${url}/a`)).text).toBe('answer 2')
  const bypassed = await request(`${url}/a`, preview)
  expect([bypassed.text, bypassed.headers['cache-status']]).toEqual(['answer 3', 'Postern; fwd=bypass'])
  expect((await request(`${url}/a`)).text).toBe('answer 2')
})

describe('a store that somebody else has written to', () => {
  /** Gives out what it has with another head. */
  function tampered(change: (response: StoredResponse) => StoredResponse): CacheStore {
    const inner = memoryStore()
    return storeOver(inner, {
      get: (key) => (inner.get(key) as readonly StoredResponse[] | undefined)?.map(change),
    })
  }

  test.each<[string, (response: StoredResponse) => StoredResponse]>([
    ['a value with CR LF', (r) => ({ ...r, headers: [...r.headers, 'x-a', 'b\r\nset-cookie: evil=1'] })],
    ['a name with CR LF', (r) => ({ ...r, headers: [...r.headers, 'x-a: b\r\nset-cookie', 'evil=1'] })],
    ['a name that is none', (r) => ({ ...r, headers: [...r.headers, 'x a', 'b'] })],
    [
      'a field in front of a bad one',
      (r) => ({ ...r, headers: ['x-leak', '1', 'content-length', '3', 'x-b', '\r\n'] }),
    ],
    ['a reason with CR LF', (r) => ({ ...r, statusText: 'OK\r\nx-evil: 1' })],
    ['a status that is none', (r) => ({ ...r, status: 42 })],
    ['a status in front of a bad field', (r) => ({ ...r, status: 404, headers: ['x-b', '\r\n'] })],
    ['a list of odd length', (r) => ({ ...r, headers: [...r.headers, 'x-odd'] })],
    ['a value that is no text', (r) => ({ ...r, headers: [...r.headers, 'x-n', { a: 1 } as unknown as string] })],
  ])('(%s): the request is a miss, and nothing of it gets out', async (_name, change) => {
    const clock = new HandClock()
    let calls = 0
    const handler: RequestHandler = (_req, res) => void res.set('cache-control', 'max-age=60').send(`answer ${++calls}`)
    const { url } = await gateway({ behind: [handler], cache: { store: tampered(change), clock } })
    await request(`${url}/a`)
    const reply = await request(`${url}/a`)
    expect([reply.status, reply.statusMessage, reply.text]).toEqual([200, 'OK', 'answer 2'])
    for (const name of ['set-cookie', 'x-evil', 'x-leak', 'x-a', 'x-b']) expect(reply.headers).not.toHaveProperty(name)
    expect(reply.headers['cache-status']).toMatch(/^Postern; fwd=/)
  })
})

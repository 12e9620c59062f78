import express from 'express'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type ExplainRequest, type Route, router } from '../src/index.ts'
import { readCookies } from '../src/predicates/fields.ts'
import { contains, type Networks, readNetworks } from '../src/predicates/networks.ts'
import { ask, hear, say, send, serve } from './support.ts'

const handlers = () => {}

function matches(route: Omit<Route, 'handlers'>, request: Partial<ExplainRequest>): boolean {
  return router([{ handlers, ...route }]).explain({ url: '/', ...request }).winner !== undefined
}

describe('host', () => {
  const at = (host: string, asked: string) => matches({ host }, { headers: { host: asked } })

  it('compares without case, port and root dot', () => {
    expect(at('Example.COM', 'example.com')).toBe(true)
    expect(at('example.com', 'EXAMPLE.com:8080')).toBe(true)
    expect(at('example.com', 'example.com.')).toBe(true)
    expect(at('[2001:db8::1]', '[2001:DB8::1]:80')).toBe(true)
    expect(at('example.com', 'example.com.evil.test')).toBe(false)
    expect(at('example.com', 'notexample.com')).toBe(false)
  })

  it('covers any number of labels with a wildcard, but not the apex', () => {
    expect(at('*.example.com', 'a.example.com')).toBe(true)
    expect(at('*.example.com', 'a.b.c.example.com')).toBe(true)
    expect(at('*.example.com', 'example.com')).toBe(false)
    expect(at('*.example.com', '.example.com')).toBe(false)
    expect(at('*.example.com', 'aexample.com')).toBe(false)
  })

  it('is answered with 400 when Host is malformed or repeated', async () => {
    const port = await serve(router([{ host: 'a.test', handlers: say('a') }]))
    for (const lines of ['Host: a.test@evil', 'Host: a b', 'Host: a.test/x', 'Host: a.test\r\nHost: b.test']) {
      const answer = await send(port, `GET / HTTP/1.1\r\n${lines}\r\nConnection: close\r\n\r\n`)
      expect(answer).toMatch(/^HTTP\/1.1 400 /)
    }
    expect((await hear(port, '/', { headers: { host: 'A.test:1' } })).name).toBe('a')
  })

  it('believes X-Forwarded-Host from a trusted proxy only', async () => {
    const routes = router([{ host: 'a.test', handlers: say('a') }])
    const question = { headers: { host: 'proxy.test', 'x-forwarded-host': 'a.test' } }
    const trusting = express().set('trust proxy', true).use(routes)
    const wary = express().use(routes)
    expect((await hear(await serve(trusting), '/', question)).name).toBe('a')
    expect((await ask(await serve(wary), '/', question)).status).toBe(404)
  })
})

describe('headers, query and cookies', () => {
  it('are equal, fit a pattern, or are present', () => {
    const headers = { 'X-A': '1', 'x-b': /^v\d$/, 'x-c': true } as const
    expect(matches({ headers }, { headers: { 'x-a': '1', 'X-B': 'v2', 'x-c': '' } })).toBe(true)
    expect(matches({ headers }, { headers: { 'x-a': '1', 'x-b': 'w2', 'x-c': '' } })).toBe(false)
    expect(matches({ headers }, { headers: { 'x-a': '1', 'x-b': 'v2' } })).toBe(false)
    expect(matches({ query: { 'a b': 'é', c: true } }, { url: '/?a+b=%C3%A9&c' })).toBe(true)
    expect(matches({ query: { a: '1' } }, { url: '/?a=2&a=1' })).toBe(false)
    expect(matches({ cookies: { s: /^x/ } }, { headers: { cookie: 'a=1; s="x=y"; s=z' } })).toBe(true)
    expect(matches({ cookies: { s: '' } }, { headers: {} })).toBe(false)
  })

  it('never find what every object has', () => {
    expect(matches({ query: { toString: true as const } }, {})).toBe(false)
    expect(matches({ cookies: { hasOwnProperty: true as const } }, { headers: { cookie: 'a=1' } })).toBe(false)
  })

  it('read cookies as they were written', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), fc.string()), (given) => {
        const header = Object.entries(given)
          .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
          .join('; ')
        expect(Object.fromEntries(readCookies(header))).toEqual({ ...given })
      }),
    )
    expect(readCookies('a=%zz; =; b').get('a')).toBe('%zz')
  })
})

describe('client', () => {
  const inside = (networks: string[], address: string) => contains((readNetworks(networks) as Networks).list, address)

  it('is in IPv4 and IPv6 networks, mapped addresses counting as IPv4', () => {
    expect(inside(['10.0.0.0/8'], '10.255.0.1')).toBe(true)
    expect(inside(['10.0.0.0/8'], '11.0.0.1')).toBe(false)
    expect(inside(['10.0.0.0/8'], '::ffff:10.1.2.3')).toBe(true)
    expect(inside(['10.0.0.0/8'], '::FFFF:a01:203')).toBe(true)
    expect(inside(['::ffff:10.0.0.0/104'], '10.9.9.9')).toBe(true)
    expect(inside(['::ffff:a00:1'], '10.0.0.1')).toBe(true)
    expect(inside(['2001:db8::/32'], '2001:db8:1::2')).toBe(true)
    expect(inside(['2001:db8::/32'], '10.0.0.1')).toBe(false)
    expect(inside(['fe80::/10'], 'fe80::1%eth0')).toBe(true)
    expect(inside(['0.0.0.0/0'], '')).toBe(false)
    expect(inside(['192.0.2.7'], '192.0.2.7')).toBe(true)
    expect(inside(['192.0.2.7'], 'junk')).toBe(false)
  })

  it('is the peer, or what a trusted proxy says', async () => {
    const routes = router([{ client: '192.0.2.0/24', handlers: say('a') }])
    const question = { headers: { 'x-forwarded-for': '192.0.2.9' } }
    expect((await hear(await serve(express().set('trust proxy', true).use(routes)), '/', question)).name).toBe('a')
    expect((await ask(await serve(express().use(routes)), '/', question)).status).toBe(404)
    expect((await hear(await serve(router([{ client: ['127.0.0.1', '::1'], handlers: say('b') }])), '/')).name).toBe(
      'b',
    )
  })
})

describe('when', () => {
  it('sees request and exchange, and lets the route match by true alone', async () => {
    const port = await serve(
      router([
        { path: '/a', when: (req, exchange) => exchange.request === req && req.url === '/a?x', handlers: say('yes') },
        { path: '/a', when: (() => 'true') as never, handlers: say('text') },
        { path: '/a', when: (() => Promise.resolve(true)) as never, handlers: say('promise') },
        { path: '/a', handlers: say('no') },
      ]),
    )
    expect((await hear(port, '/a?x')).name).toBe('yes')
    expect((await hear(port, '/a')).name).toBe('no')
  })
})

describe('method', () => {
  it('may be a list, in any case', () => {
    expect(matches({ method: ['get', 'POST'] }, { method: 'POST' })).toBe(true)
    expect(matches({ method: ['get', 'POST'] }, { method: 'HEAD' })).toBe(true)
    expect(matches({ method: 'post' }, { method: 'HEAD' })).toBe(false)
  })
})

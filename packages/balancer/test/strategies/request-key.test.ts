import * as v from 'valibot'
import { describe, expect, it } from 'vitest'
import { keyReader, type RequestKey, requestKey } from '../../src/strategies/request-key.ts'
import { bareExchange, exchangeWith } from '../support.ts'

function keyOf(key: RequestKey, request: object): string | undefined {
  return keyReader(key)(exchangeWith(request))
}

describe('the key of a request', () => {
  it('is a header, in whatever case it is named', () => {
    expect(keyOf({ header: 'X-Tenant' }, { headers: { 'x-tenant': 'acme' } })).toBe('acme')
    expect(keyOf({ header: 'X-Tenant' }, {})).toBeUndefined()
  })

  it('is a cookie', () => {
    expect(keyOf({ cookie: 'sid' }, { headers: { cookie: 'a=1; sid=s1; b=2' } })).toBe('s1')
    expect(keyOf({ cookie: 'sid' }, { headers: { cookie: 'xsid=s1' } })).toBeUndefined()
    expect(keyOf({ cookie: 'sid' }, {})).toBeUndefined()
  })

  it('is the address of the client, IPv4 in its own form', () => {
    expect(keyOf('client', { socket: { remoteAddress: '::ffff:10.0.0.7' } })).toBe('10.0.0.7')
    expect(keyOf('client', {})).toBe('')
  })

  it.each([
    [{ url: '/a/b?x=1' }, '/a/b'],
    [{ url: '/b?x=1', originalUrl: '/a/b?x=2' }, '/a/b'],
    [{ url: 'http://shop.test/a/b?x=1' }, '/a/b'],
    [{ url: 'http://shop.test?x=1' }, '/'],
    [{ url: '*' }, '*'],
    [{}, '/'],
  ])('is the path without the query, mount path and all: %j', (request, path) => {
    expect(keyOf('path', request)).toBe(path)
  })

  it('is a parameter of the matched route, all segments of one that matched several', () => {
    const exchange = bareExchange()
    expect(keyReader({ param: 'id' })(exchange)).toBeUndefined()
    const params = Object.assign(Object.create(null), { id: '42', rest: ['a', 'b'] })
    exchange.route = { id: 'r', pattern: '/:id/*rest', params }
    expect(keyReader({ param: 'id' })(exchange)).toBe('42')
    expect(keyReader({ param: 'rest' })(exchange)).toBe('a/b')
    expect(keyReader({ param: 'other' })(exchange)).toBeUndefined()
  })

  it('is what a function returns, if that is text', () => {
    expect(keyOf(({ request }) => request.method, { method: 'PUT' })).toBe('PUT')
    expect(keyOf((() => 7) as unknown as () => string, {})).toBeUndefined()
  })

  it.each(['__proto__', 'constructor', 'toString'])('is nothing for a name that every object has: %s', (name) => {
    const exchange = bareExchange()
    exchange.route = { id: 'r', pattern: '/', params: {} }
    for (const key of [{ header: name }, { cookie: name }, { param: name }]) {
      expect(keyReader(key)(exchange)).toBeUndefined()
    }
  })
})

describe('the option', () => {
  it.each(['client', 'path', { header: 'X-Tenant' }, { cookie: 'sid' }, { param: 'id' }, () => undefined])(
    'takes %s',
    (key) => {
      expect(v.safeParse(requestKey, key)).toMatchObject({ success: true, output: key })
    },
  )

  it.each([
    ['ip', 'not "client"'],
    [7, 'not "client"'],
    [null, 'not "client"'],
    [{}, 'not "client"'],
    [{ header: '' }, 'not a header name'],
    [{ header: 'a b' }, 'not a header name'],
    [{ cookie: 'a=b' }, 'not a cookie name'],
    [{ param: '' }, 'not a parameter name'],
    [{ header: 'a', cookie: 'b' }, 'not "client"'],
    [{ query: 'q' }, 'not "client"'],
  ])('refuses %j', (key, message) => {
    const result = v.safeParse(requestKey, key)
    expect(result.issues?.map((issue) => issue.message)).toEqual([expect.stringContaining(message)])
  })
})

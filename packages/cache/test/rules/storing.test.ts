import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fieldLines, fieldValue } from '../../src/rules/field-list.ts'
import { assess } from '../../src/rules/storing.ts'
import {
  assessed,
  DAY,
  dateAt,
  fateOf,
  HOUR,
  headOf,
  NOW,
  RULES,
  requestOf,
  responseOf,
  SECOND,
} from './rule-samples.ts'

const FRESH = ['cache-control', 'max-age=60']
const ETAG = ['etag', '"v1"']

describe('which methods have responses stored', () => {
  it.each(['GET', 'HEAD'])('stores a response to %s', (method) => {
    expect(headOf(FRESH, 200, requestOf({ method })).method).toBe(method)
  })

  it.each(['PUT', 'DELETE', 'OPTIONS', 'get', 'QUERY', ''])('does not store a response to %j', (method) => {
    expect(fateOf(FRESH, 200, requestOf({ method }))).toBe('method')
  })

  it('keeps a response to HEAD apart from those to GET', () => {
    const head = headOf([...FRESH, 'content-length', '123'], 200, requestOf({ method: 'HEAD' }))
    expect(head.variant).not.toBe(headOf(FRESH).variant)
    expect(head.completeBytes).toBe(123)
  })

  it.each([['12x'], ['-1'], ['1, 1'], ['9'.repeat(30)]])('takes no length of %j from HEAD', (length) => {
    expect(
      headOf([...FRESH, 'content-length', length], 200, requestOf({ method: 'HEAD' })).completeBytes,
    ).toBeUndefined()
  })
})

describe('responses to POST', () => {
  const post = requestOf({ method: 'POST', uri: 'https://shop.example/products?page=2' })

  it.each([
    ['https://shop.example/products?page=2'],
    ['/products?page=2'],
    ['?page=2'],
    ['https://SHOP.example:443/products?page=2#top'],
  ])('are stored with a lifetime and the own URI in Content-Location: %s', (location) => {
    expect(fateOf([...FRESH, 'content-location', location], 200, post)).toBe('stored')
    expect(fateOf(['expires', dateAt(60), 'content-location', location], 200, post)).toBe('stored')
  })

  it.each<[string, readonly string[], number]>([
    ['without Content-Location', FRESH, 200],
    ['with another Content-Location', [...FRESH, 'content-location', '/products'], 200],
    ['with two Content-Locations', [...FRESH, 'content-location', '?page=2', 'content-location', '?page=2'], 200],
    ['with a Content-Location that is no URI', [...FRESH, 'content-location', 'https://['], 200],
    ['without a lifetime of their own', ['last-modified', dateAt(-9999), 'content-location', '?page=2'], 200],
    ['with an error', [...FRESH, 'content-location', '?page=2'], 404],
  ])('are not stored %s', (_, headers, status) => {
    expect(fateOf(headers, status, post)).toBe('method')
  })

  it('take the place of the response to GET', () => {
    const own = [...FRESH, 'content-location', '?page=2']
    expect(headOf(own, 200, post).variant).toBe(headOf(FRESH).variant)
  })
})

describe('which statuses are stored', () => {
  it.each([
    200, 203, 204, 299, 301, 302, 303, 307, 308, 400, 403, 404, 405, 410, 413, 414, 499, 500, 501, 502, 503, 504, 599,
  ])('stores %d with a lifetime of its own', (status) => {
    expect(fateOf(FRESH, status)).toBe('stored')
    expect(fateOf(['expires', dateAt(60)], status)).toBe('stored')
  })

  it.each([100, 101, 103, 199, 304, 407, 412, 416, 417, 428, 429, 431, 511, 600, 999, 0])(
    'never stores %d',
    (status) => {
      expect(fateOf(['cache-control', 'public, max-age=60'], status)).toBe('status')
    },
  )

  it.each([200, 203, 204, 300, 301, 308, 404, 410])(
    'stores %d without a lifetime, to be validated or estimated',
    (status) => {
      expect(fateOf(ETAG, status)).toBe('stored')
      expect(headOf(['last-modified', dateAt(-1000), 'date', dateAt(0)], status)).toMatchObject({
        lifetimeMs: 100 * SECOND,
        heuristic: true,
      })
    },
  )

  it.each([201, 202, 302, 303, 307, 403, 418, 451])('stores %d without a lifetime only when it is public', (status) => {
    expect(fateOf(ETAG, status)).toBe('no-freshness')
    expect(fateOf([...ETAG, 'cache-control', 'must-revalidate, no-cache'], status)).toBe('no-freshness')
    expect(fateOf([...ETAG, 'cache-control', 'public'], status)).toBe('stored')
  })

  it.each([400, 405, 413, 414, 421, 500, 501, 502, 503, 504, 599])(
    'does not store %d without a lifetime above 0, be it public',
    (status) => {
      const modified = ['last-modified', dateAt(-DAY / SECOND)]
      expect(fateOf([...ETAG, ...modified], status)).toBe('no-freshness')
      expect(fateOf([...ETAG, ...modified, 'cache-control', 'public'], status)).toBe('no-freshness')
      expect(fateOf([...ETAG, 'cache-control', 'public, max-age=0'], status)).toBe('no-freshness')
      expect(fateOf([...ETAG, 'expires', '0'], status)).toBe('no-freshness')
    },
  )

  it('stores only the statuses of the rules', () => {
    const rules = { ...RULES, statuses: new Set([200]) }
    expect(fateOf(FRESH, 200, requestOf(), rules)).toBe('stored')
    expect(fateOf(FRESH, 404, requestOf(), rules)).toBe('status')
  })
})

describe('what the response forbids', () => {
  it.each([
    ['no-store', 'no-store'],
    ['No-StOrE, max-age=60', 'no-store'],
    ['max-age=60, no-store=""', 'no-store'],
    ['private, max-age=60', 'private'],
    ['max-age=60, private=""', 'private'],
    ['max-age=60, private="a', 'private'],
    ['PRIVATE\t, max-age=60', 'private'],
    ['public, private, max-age=60', 'private'],
  ])('obeys %j', (value, reason) => {
    expect(fateOf(['cache-control', value])).toBe(reason)
  })

  it('obeys the second line', () => {
    expect(fateOf(['cache-control', 'max-age=60', 'cache-control', 'private'])).toBe('private')
  })

  it('obeys a targeted field before Cache-Control, whichever is stricter', () => {
    expect(fateOf(['cdn-cache-control', 'max-age=60', 'cache-control', 'no-store'])).toBe('stored')
    expect(fateOf(['cdn-cache-control', 'private', 'cache-control', 'max-age=60'])).toBe('private')
    expect(fateOf(['cdn-cache-control', 'max-age=60, &&', 'cache-control', 'no-store'])).toBe('no-store')
  })

  it('obeys the no-store of a request', () => {
    expect(fateOf(FRESH, 200, requestOf({ cacheControl: 'no-store' }))).toBe('request-no-store')
  })

  it('stores despite no-store where must-understand is there and the status is understood', () => {
    expect(fateOf(['cache-control', 'must-understand, no-store, max-age=60'])).toBe('stored')
    expect(fateOf(['cache-control', 'must-understand, no-store, max-age=60'], 404)).toBe('stored')
  })

  it.each([226, 299, 418, 451, 499, 599])(
    'does not store %d, which it does not understand, with must-understand',
    (status) => {
      expect(fateOf(['cache-control', 'must-understand, max-age=60'], status)).toBe('must-understand')
    },
  )

  it('does not let must-understand lift private', () => {
    expect(fateOf(['cache-control', 'must-understand, private, max-age=60'])).toBe('private')
  })

  it.each([['*'], ['*, *'], [', *'], ['accept, *'], ['*, accept']])('does not store Vary: %s', (value) => {
    expect(fateOf([...FRESH, 'vary', value])).toBe('vary')
  })

  it('does not store a Vary: * on a second line', () => {
    expect(fateOf([...FRESH, 'vary', 'accept', 'vary', '*'])).toBe('vary')
  })

  it('notes what the request had for the fields that Vary names', () => {
    const request = requestOf({ fields: { 'accept-language': 'de' } })
    const head = headOf([...FRESH, 'vary', 'Origin, Accept-Language'], 200, request)
    expect(head.vary).toEqual(['accept-language', 'origin'])
    expect(head.varyValues).toEqual(['de', undefined])
    expect(head.variant).not.toBe(headOf([...FRESH, 'vary', 'Origin, Accept-Language']).variant)
  })
})

describe('responses for somebody in particular', () => {
  const authorized = requestOf({ authorized: true })
  const withCookie = requestOf({ hasCookie: true })

  it.each([
    ['max-age=60'],
    ['no-cache'],
    ['proxy-revalidate, max-age=60'],
    ['s-maxage=abc, max-age=60'],
    ['public=1, max-age=60'],
  ])('does not store the answer to an authorized request for %j', (value) => {
    expect(fateOf([...ETAG, 'cache-control', value], 200, authorized)).toBe('authorization')
  })

  it('does not store the answer to an authorized request without Cache-Control', () => {
    expect(fateOf(['expires', dateAt(60)], 200, authorized)).toBe('authorization')
  })

  it.each([['public, max-age=60'], ['s-maxage=60'], ['must-revalidate, max-age=60']])(
    'stores the answer to an authorized request that says %j',
    (value) => {
      expect(fateOf(['cache-control', value], 200, authorized)).toBe('stored')
    },
  )

  it('does not estimate a lifetime for the answer to an authorized request, nor keep it to be validated, unless it is public', () => {
    const modified = [...ETAG, 'last-modified', dateAt(-9999), 'cache-control']
    expect(fateOf([...modified, 'must-revalidate'], 200, authorized)).toBe('authorization')
    expect(fateOf([...modified, 'public'], 200, authorized)).toBe('stored')
  })

  it('stores the answer to a request with a cookie when it has a lifetime', () => {
    expect(fateOf(FRESH, 200, withCookie)).toBe('stored')
    expect(fateOf(['cache-control', 'max-age=0, stale-while-revalidate=60'], 200, withCookie)).toBe('stored')
  })

  it.each<[string, readonly string[]]>([
    ['a lifetime estimated', ['last-modified', dateAt(-9999)]],
    ['nothing but a validator', ETAG],
    ['no lifetime, to be validated', [...ETAG, 'cache-control', 'max-age=0']],
    ['no-cache', [...ETAG, 'cache-control', 'max-age=60, no-cache']],
  ])('does not store the answer to a request with a cookie that has %s', (_, headers) => {
    expect(fateOf(headers)).toBe('stored')
    expect(fateOf(headers, 200, withCookie)).not.toBe('stored')
    expect(fateOf([...headers, 'cache-control', 'public'], 200, withCookie)).toBe('stored')
  })

  it('does not store a response that sets a cookie', () => {
    expect(fateOf([...FRESH, 'set-cookie', 'a=1'])).toBe('set-cookie')
    expect(fateOf([...FRESH, 'set-cookie2', 'a=1'])).toBe('set-cookie')
  })

  it.each([['public, max-age=60'], ['max-age=60, no-cache="Set-Cookie"'], ['max-age=60, private="set-cookie"']])(
    'stores a response that sets a cookie without it for %j',
    (value) => {
      const head = headOf(['cache-control', value, 'set-cookie', 'a=1', 'set-cookie', 'b=2', 'x', 'y'])
      expect(fieldLines(head.headers, 'set-cookie')).toEqual([])
      expect(fieldValue(head.headers, 'x')).toBe('y')
    },
  )

  it('stores every response without its cookie where the rules say so', () => {
    const head = headOf([...FRESH, 'set-cookie', 'a=1'], 200, requestOf(), { ...RULES, setCookie: 'strip' })
    expect(head.headers).not.toContain('set-cookie')
  })

  it('keeps partitions apart', () => {
    const head = headOf(FRESH, 200, requestOf({ partition: 'anna' }))
    expect(head.partition).toBe('anna')
    expect(head.variant).not.toBe(headOf(FRESH).variant)
  })
})

describe('what is of no use in a store', () => {
  it.each<[string, readonly string[]]>([
    ['neither lifetime nor validator', []],
    ['a lifetime of 0 and no validator', ['cache-control', 'max-age=0']],
    ['an Expires that makes no sense and no validator', ['expires', '0']],
    ['no-cache and no validator', ['cache-control', 'no-cache, max-age=60']],
    ['no-cache, stale-while-revalidate and no validator', ['cache-control', 'no-cache, stale-while-revalidate=60']],
    [
      'an allowance for stale use that must-revalidate takes back',
      ['cache-control', 'max-age=0, must-revalidate, stale-if-error=60'],
    ],
    ['a Last-Modified that is no date', ['last-modified', 'yesterday']],
    ['an empty ETag', ['etag', '']],
    ['two ETags', ['etag', '"a"', 'etag', '"b"']],
  ])('does not store a response with %s', (_, headers) => {
    expect(fateOf(headers)).toBe('no-freshness')
  })

  it.each<[string, readonly string[]]>([
    ['a lifetime of 0 and a validator', ['cache-control', 'max-age=0', ...ETAG]],
    ['a lifetime of 0 and stale-while-revalidate', ['cache-control', 'max-age=0, stale-while-revalidate=60']],
    ['no-cache and a validator', ['cache-control', 'no-cache', ...ETAG]],
    ['an Age beyond its lifetime, which a client may still take', [...FRESH, 'age', '100']],
  ])('stores a response with %s', (_, headers) => {
    expect(fateOf(headers)).toBe('stored')
  })

  it('does not look at the query', () => {
    const modified = ['last-modified', dateAt(-9999)]
    expect(fateOf(modified, 200, requestOf({ uri: 'https://shop.example/search?q=shoes' }))).toBe('stored')
  })
})

describe('partial responses', () => {
  it('are stored with the part that they are', () => {
    const head = headOf([...FRESH, 'content-range', 'bytes 4-9/10'], 206)
    expect(head.parts).toEqual([{ first: 4, last: 9 }])
    expect(head.completeBytes).toBe(10)
    expect(head.variant).not.toBe(headOf(FRESH).variant)
    expect(head.headers).not.toContain('content-range')
  })

  it('are stored when they do not say the whole length', () => {
    expect(headOf([...FRESH, 'content-range', 'bytes 4-9/*'], 206).completeBytes).toBeUndefined()
  })

  it.each<[string, readonly string[]]>([
    ['no Content-Range', []],
    ['another unit', ['content-range', 'pages 1-2/3']],
    ['an end before the start', ['content-range', 'bytes 9-4/10']],
    ['an end beyond the length', ['content-range', 'bytes 4-10/10']],
    ['nothing but the length', ['content-range', 'bytes */10']],
    ['two Content-Ranges', ['content-range', 'bytes 0-1/10', 'content-range', 'bytes 2-3/10']],
    ['several parts', ['content-type', 'multipart/byteranges; boundary=x']],
    ['several parts and a Content-Range', ['content-type', 'Multipart/Byteranges', 'content-range', 'bytes 0-1/10']],
  ])('are not stored with %s', (_, headers) => {
    expect(fateOf([...FRESH, ...headers], 206)).toBe('partial')
  })

  it('are not stored when they answer HEAD or POST', () => {
    const headers = [...FRESH, 'content-range', 'bytes 0-1/10', 'content-location', '/products']
    expect(fateOf(headers, 206, requestOf({ method: 'HEAD' }))).toBe('partial')
    expect(fateOf(headers, 206, requestOf({ method: 'POST' }))).toBe('partial')
  })

  it('leave the Content-Range of other statuses alone, where it means nothing', () => {
    const head = headOf([...FRESH, 'content-range', 'bytes 4-9/10'])
    expect(head.parts).toBeUndefined()
    expect(head.headers).toContain('content-range')
  })
})

describe('which fields are stored', () => {
  it('keeps all that it does not know, in their order', () => {
    const headers = ['date', dateAt(0), 'x-b', '2', ...FRESH, 'x-a', '1', 'x-b', '3', 'www-authenticate', 'Basic']
    expect(headOf(headers).headers).toEqual(headers)
  })

  it.each([
    'connection',
    'keep-alive',
    'proxy-connection',
    'te',
    'trailer',
    'transfer-encoding',
    'upgrade',
    'proxy-authenticate',
    'proxy-authentication-info',
    'proxy-authorization',
    'age',
    'content-length',
  ])('leaves out %s', (name) => {
    expect(headOf([...FRESH, name, '1']).headers).not.toContain(name)
  })

  it('leaves out what Connection names', () => {
    const head = headOf([
      ...FRESH,
      'connection',
      'a, B',
      'connection',
      '"x", c',
      'a',
      '1',
      'b',
      '2',
      'c',
      '3',
      'd',
      '4',
    ])
    expect(head.headers).toEqual([...FRESH, 'd', '4', 'date', dateAt(0)])
  })

  it.each([['no-cache="A, b"'], ['private="a, B"'], ['private="a", no-cache="b"'], ['no-cache=a, private=b']])(
    'leaves out what %j names, and reuses the rest',
    (value) => {
      const head = headOf(['cache-control', `max-age=60, ${value}`, 'a', '1', 'b', '2', 'c', '3'])
      expect(head.headers).not.toContain('a')
      expect(head.headers).not.toContain('b')
      expect(fieldValue(head.headers, 'c')).toBe('3')
      expect(head).toMatchObject({ noCache: false, mustRevalidate: false, lifetimeMs: 60 * SECOND })
    },
  )

  it('does not keep a validator that must not be stored', () => {
    expect(headOf([...ETAG, 'cache-control', 'max-age=60, private="etag"']).etag).toBeUndefined()
  })

  it('adds the Date that is missing', () => {
    const head = headOf(FRESH)
    expect(head.dateMs).toBe(NOW)
    expect(fieldValue(head.headers, 'date')).toBe(dateAt(0))
  })

  it('keeps the Date that is there', () => {
    const head = headOf([...FRESH, 'date', 'Sunday, 06-Nov-22 08:49:07 GMT'])
    expect(head.dateMs).toBe(NOW - 30 * SECOND)
    expect(fieldValue(head.headers, 'date')).toBe('Sunday, 06-Nov-22 08:49:07 GMT')
  })

  it('replaces a Date that is none, and does not let it end the lifetime', () => {
    const head = headOf(['date', 'foo', 'expires', dateAt(10)])
    expect(fieldLines(head.headers, 'date')).toEqual([dateAt(0)])
    expect(head.lifetimeMs).toBe(10 * SECOND)
  })

  it('takes the earliest of several Dates', () => {
    const head = headOf([...FRESH, 'date', dateAt(0), 'date', dateAt(-50), 'date', 'foo'])
    expect(fieldLines(head.headers, 'date')).toEqual([dateAt(-50)])
    expect(head.initialAgeMs).toBe(50 * SECOND)
  })

  it('keeps a Date, and but one, when something names it', () => {
    const head = headOf(['cache-control', 'max-age=60, no-cache="date"', 'date', dateAt(-5)])
    expect(fieldLines(head.headers, 'date')).toEqual([dateAt(-5)])
  })
})

describe('what is read from a response', () => {
  it('is its age when it was received', () => {
    const received = responseOf([...FRESH, 'age', '5', 'date', dateAt(0)], { requestedAtMs: NOW - 2 * SECOND })
    const assessment = assess(requestOf(), received, RULES, 'id')
    expect(assessment).toMatchObject({ head: { initialAgeMs: 7 * SECOND, receivedAtMs: NOW, id: 'id' } })
  })

  it('are its validators', () => {
    const head = headOf([...FRESH, 'etag', 'W/"v1"', 'last-modified', dateAt(-9)])
    expect(head).toMatchObject({ etag: 'W/"v1"', lastModifiedMs: NOW - 9 * SECOND })
  })

  it.each([
    ['must-revalidate', true],
    ['proxy-revalidate', true],
    ['s-maxage=60', true],
    ['no-cache', true],
    ['no-cache="a"', false],
    ['public', false],
  ])('is whether it may be used stale: %s', (value, mustRevalidate) => {
    expect(headOf([...ETAG, 'cache-control', `max-age=60, ${value}`]).mustRevalidate).toBe(mustRevalidate)
  })

  it('is how long it may be used stale', () => {
    const head = headOf(['cache-control', 'max-age=60, stale-while-revalidate=5, stale-if-error=6'])
    expect(head).toMatchObject({ staleWhileRevalidateMs: 5 * SECOND, staleIfErrorMs: 6 * SECOND })
  })

  const lenient = { ...RULES, staleWhileRevalidateMs: HOUR, staleIfErrorMs: DAY }

  it('is what the rules say of stale use, where the response says nothing', () => {
    const head = headOf(['cache-control', 'max-age=60, stale-while-revalidate=0'], 200, requestOf(), lenient)
    expect(head).toMatchObject({ staleWhileRevalidateMs: 0, staleIfErrorMs: DAY })
  })

  it('is not what the rules say of stale use, when the response is never fresh', () => {
    const head = headOf(['cache-control', 'max-age=0', ...ETAG], 200, requestOf(), lenient)
    expect(head).toMatchObject({ staleWhileRevalidateMs: 0, staleIfErrorMs: 0 })
    expect(fateOf(['cache-control', 'max-age=0'], 200, requestOf(), lenient)).toBe('no-freshness')
  })

  it('are its tags', () => {
    expect(headOf([...FRESH, 'cache-tag', 'a, b', 'surrogate-key', 'c d']).tags).toEqual(['a', 'b', 'c', 'd'])
  })
})

describe('any response', () => {
  const directive = fc.constantFrom(
    'max-age=60',
    'max-age=0',
    's-maxage=5',
    'public',
    'must-revalidate',
    'proxy-revalidate',
    'no-cache',
    'no-cache="a"',
    'private="b"',
    'stale-while-revalidate=9',
    'stale-if-error=9',
    'immutable',
    'x="y, z"',
  )
  const headers = fc
    .record({
      control: fc.array(directive, { maxLength: 4 }),
      expires: fc.constantFrom([], ['expires', dateAt(60)], ['expires', '0']),
      validators: fc.constantFrom([], ETAG, ['last-modified', dateAt(-9999)]),
      cookie: fc.constantFrom([], ['set-cookie', 'a=1']),
    })
    .map(({ control, expires, validators, cookie }) => [
      ...control.flatMap((text) => ['cache-control', text]),
      ...expires,
      ...validators,
      ...cookie,
    ])
  const status = fc.constantFrom(200, 204, 302, 404, 500)
  const request = fc
    .record({ authorized: fc.boolean(), hasCookie: fc.boolean(), method: fc.constantFrom('GET', 'HEAD') })
    .map(requestOf)

  it('is not stored once no-store is added', () => {
    fc.assert(
      fc.property(headers, status, request, (list, code, asked) => {
        expect(fateOf([...list, 'cache-control', 'no-store'], code, asked)).not.toBe('stored')
      }),
    )
  })

  it.each([
    'private',
    'no-cache',
    'must-revalidate',
    'proxy-revalidate',
    'max-age=0',
    'max-age=x',
    's-maxage=0',
    's-maxage=x',
  ])('lives no longer and is used no more freely for an added %s', (added) => {
    fc.assert(
      fc.property(headers, status, (list, code) => {
        const before = assessed(list, code)
        const after = assessed([...list, 'cache-control', added], code)
        if (!after.storable || !before.storable) return
        expect(after.head.lifetimeMs).toBeLessThanOrEqual(before.head.lifetimeMs)
        expect(!before.head.mustRevalidate || after.head.mustRevalidate).toBe(true)
        expect(!before.head.noCache || after.head.noCache).toBe(true)
      }),
    )
  })

  it('is never stored with a cookie or a field of the connection', () => {
    fc.assert(
      fc.property(headers, status, request, (list, code, asked) => {
        const rules = { ...RULES, setCookie: 'strip' } as const
        const assessment = assessed([...list, 'connection', 'x', 'x', '1', 'keep-alive', 'y'], code, asked, rules)
        if (!assessment.storable) return
        const names = assessment.head.headers.filter((_, index) => index % 2 === 0)
        for (const name of ['set-cookie', 'connection', 'x', 'keep-alive']) expect(names).not.toContain(name)
        expect(names.filter((name) => name === 'date')).toHaveLength(1)
      }),
    )
  })

  it('of 100 kB is decided on', () => {
    const long = Array.from({ length: 10_000 }, (_, index) => `a${index}`).join(', ')
    expect(fateOf([...FRESH, 'connection', long, 'vary', 'accept', 'cache-tag', long])).toBe('stored')
    expect(fateOf(['cache-control', `${long}, private`])).toBe('private')
  })
})

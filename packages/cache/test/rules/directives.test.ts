import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  MAX_DELTA_S,
  parseRequestDirectives,
  parseResponseDirectives,
  type RequestDirectives,
  type ResponseDirectives,
} from '../../src/rules/directives.ts'

const NOTHING: ResponseDirectives = {
  maxAgeS: undefined,
  sMaxAgeS: undefined,
  noStore: false,
  noCache: false,
  private: false,
  public: false,
  mustRevalidate: false,
  proxyRevalidate: false,
  mustUnderstand: false,
  noTransform: false,
  immutable: false,
  noCacheFields: [],
  privateFields: [],
  staleWhileRevalidateS: undefined,
  staleIfErrorS: undefined,
}

const parse = parseResponseDirectives

/** Reads as these directives and no others. */
function expectDirectives(value: string, directives: Partial<ResponseDirectives>): void {
  expect(parse(value)).toEqual({ ...NOTHING, ...directives })
}

describe('response directives', () => {
  it.each<[string, Partial<ResponseDirectives>]>([
    ['', {}],
    ['max-age=3600', { maxAgeS: 3600 }],
    ['s-maxage=10', { sMaxAgeS: 10 }],
    ['no-store', { noStore: true }],
    ['no-cache', { noCache: true }],
    ['private', { private: true }],
    ['public', { public: true }],
    ['must-revalidate', { mustRevalidate: true }],
    ['proxy-revalidate', { proxyRevalidate: true }],
    ['must-understand', { mustUnderstand: true }],
    ['no-transform', { noTransform: true }],
    ['immutable', { immutable: true }],
    ['stale-while-revalidate=5', { staleWhileRevalidateS: 5 }],
    ['stale-if-error=6', { staleIfErrorS: 6 }],
    ['no-cache="Set-Cookie, X-User"', { noCache: true, noCacheFields: ['set-cookie', 'x-user'] }],
    ['private="Set-Cookie"', { private: true, privateFields: ['set-cookie'] }],
    ['public, max-age=60, must-revalidate', { public: true, maxAgeS: 60, mustRevalidate: true }],
  ])('reads %j', expectDirectives)

  it.each<[string, Partial<ResponseDirectives>]>([
    ['No-StOrE', { noStore: true }],
    ['MaX-aGe=3600', { maxAgeS: 3600 }],
    ['PRIVATE', { private: true }],
  ])('takes names of any case: %j', expectDirectives)

  it.each<[string, Partial<ResponseDirectives>]>([
    ['\tmax-age=1\t,\t no-store ', { maxAgeS: 1, noStore: true }],
    [',,max-age=1,,', { maxAgeS: 1 }],
    ['public,max-age=1', { public: true, maxAgeS: 1 }],
  ])('takes space and empty elements where the list allows them: %j', expectDirectives)

  it.each<[string, Partial<ResponseDirectives>]>([
    ['max-age="3600"', { maxAgeS: 3600 }],
    ['max-age="36\\00"', { maxAgeS: 3600 }],
    ['no-cache=set-cookie', { noCache: true, noCacheFields: ['set-cookie'] }],
    ['private=x-user', { private: true, privateFields: ['x-user'] }],
    ['s-maxage="1"', { sMaxAgeS: 1 }],
    ['stale-if-error="1"', { staleIfErrorS: 1 }],
  ])('takes arguments with and without quotes: %j', expectDirectives)

  it.each<[string, Partial<ResponseDirectives>]>([
    ['community="UCI, no-store", max-age=5', { maxAgeS: 5 }],
    ['extension="max-age=3600", max-age=1', { maxAgeS: 1 }],
    ['max-age=1, extension="max-age=3600"', { maxAgeS: 1 }],
    ['x="a\\", no-store", max-age=1', { maxAgeS: 1 }],
    ['foo, bar=1, max-age=1', { maxAgeS: 1 }],
    ['x-no-store', {}],
    ['no-store-x', {}],
    ["'no-store'", {}],
  ])('ignores what it does not know, quotes and all: %j', expectDirectives)

  it.each<[string, Partial<ResponseDirectives>]>([
    ['no-cache, no-cache="a"', { noCache: true }],
    ['private="a", private', { private: true }],
    ['private="a", private="b, c"', { private: true, privateFields: ['a', 'b', 'c'] }],
  ])('lets the unqualified form win: %j', expectDirectives)
})

describe('seconds in response directives', () => {
  it.each([
    ['0', 0],
    ['003600', 3600],
    ['2147483648', MAX_DELTA_S],
    ['2147483649', MAX_DELTA_S],
    ['99999999999', MAX_DELTA_S],
    ['9'.repeat(400), MAX_DELTA_S],
  ])('reads max-age=%s as a number', (text, seconds) => {
    expect(parse(`max-age=${text}`).maxAgeS).toBe(seconds)
  })

  it.each([
    ['max-age=-1'],
    ['max-age=+1'],
    ['max-age=3600.0'],
    ['max-age=3600.5'],
    ['max-age=1e3'],
    ['max-age=0x10'],
    ['max-age=a3600'],
    ['max-age=3600a'],
    ["max-age='3600'"],
    ['max-age=" 3600"'],
    ['max-age=""'],
    ['max-age='],
    ['max-age'],
    ['max-age =3600'],
    ['max-age= 3600'],
    ['max-age\t=3600'],
    ['max-age 3600'],
    ['max-age:3600'],
    ['max-age=3600;'],
    ['max-age=3600 public'],
    ['max-age=36 00'],
    ['max-age="3600" 1'],
    ['max-age="3600'],
    ['max-age=\u0663\u0666'],
    [';max-age=3600'],
    ['"max-age=3600"'],
  ])('takes the response for stale: %j', (value) => {
    expectDirectives(value, { maxAgeS: 0 })
  })

  it('takes a max-age given twice with different values for stale, in either order', () => {
    expect(parse('max-age=1800, max-age=1').maxAgeS).toBe(0)
    expect(parse('max-age=1, max-age=1800').maxAgeS).toBe(0)
    expect(parse('s-maxage=1, s-maxage=2').sMaxAgeS).toBe(0)
  })

  it('takes a max-age given twice with one value', () => {
    expect(parse('max-age=60, max-age="60"').maxAgeS).toBe(60)
  })

  it('takes the smaller of two allowances for stale use', () => {
    expect(parse('stale-while-revalidate=5, stale-while-revalidate=3').staleWhileRevalidateS).toBe(3)
    expect(parse('stale-if-error=5, stale-if-error=x').staleIfErrorS).toBe(0)
  })

  it('lets an s-maxage that makes no sense restrict but permit nothing', () => {
    expectDirectives('s-maxage=abc', { maxAgeS: 0, proxyRevalidate: true })
    expectDirectives('s-maxage=60, s-maxage=abc, max-age=60', { maxAgeS: 0, proxyRevalidate: true })
  })
})

describe('malformed response directives', () => {
  it.each([
    ['private='],
    ['private=""'],
    ['private=" , "'],
    ['private = "set-cookie"'],
    ['private= "set-cookie"'],
    ['private="set-cookie'],
    ['private="a b"'],
    ['private="a;b"'],
    ['private="set-cookie" x'],
    ['private set-cookie'],
    ['private;'],
    ['"private"'],
    ['(private)'],
    ['=private'],
    ['\u00a0private'],
    ['private\u00a0'],
  ])('takes %j for unqualified private', (value) => {
    expectDirectives(value, { private: true })
  })

  it.each([
    ['no-cache='],
    ['no-cache=""'],
    ['no-cache="a'],
    ['no-cache=a b'],
    ['no-cache foo'],
    ['no-cache="\\"a\\""'],
  ])('takes %j for unqualified no-cache', (value) => {
    expectDirectives(value, { noCache: true })
  })

  it.each([['no-store=1'], ['no-store='], ['no-store="x"'], ['no-store foo'], ['no-store;'], ['"no-store"']])(
    'takes %j for no-store',
    (value) => {
      expectDirectives(value, { noStore: true })
    },
  )

  it.each([['public=1'], ['public='], ['public x'], ['public;'], ['"public"'], ['immutable;'], ['public="no-cache"']])(
    'permits nothing by %j',
    (value) => {
      expectDirectives(value, {})
    },
  )

  it('takes immutable with an argument, which has no meaning', () => {
    expectDirectives('immutable=1', { immutable: true })
  })

  it('lets a must-revalidate with an argument restrict but permit nothing', () => {
    expectDirectives('must-revalidate=1', { proxyRevalidate: true })
  })

  it('reads a must-understand that makes no sense as the no-store that it would lift', () => {
    expectDirectives('must-understand=1', { noStore: true })
  })

  it('still sees restrictions around and within quotes that do not end, but no permissions', () => {
    expectDirectives('public, x="a, no-store', { noStore: true })
    expectDirectives('max-age="60, public, private="set-cookie", s-maxage=5', {
      maxAgeS: 0,
      private: true,
      proxyRevalidate: true,
    })
    expectDirectives('max-age=60, x="\\"', { maxAgeS: 0 })
  })
})

describe('reading response directives, whatever they are', () => {
  const directive = fc.constantFrom(
    ['max-age=7', { maxAgeS: 7 }],
    ['s-maxage=8', { sMaxAgeS: 8 }],
    ['no-store', { noStore: true }],
    ['private="a, b"', { private: true, privateFields: ['a', 'b'] }],
    ['no-cache="c"', { noCache: true, noCacheFields: ['c'] }],
    ['public', { public: true }],
    ['must-revalidate', { mustRevalidate: true }],
    ['proxy-revalidate', { proxyRevalidate: true }],
    ['must-understand', { mustUnderstand: true }],
    ['no-transform', { noTransform: true }],
    ['immutable', { immutable: true }],
    ['stale-while-revalidate=9', { staleWhileRevalidateS: 9 }],
    ['stale-if-error=10', { staleIfErrorS: 10 }],
    ['unknown="x, no-store"', {}],
  ) as fc.Arbitrary<[string, Partial<ResponseDirectives>]>
  const directives = fc.uniqueArray(directive, { selector: ([text]) => text })
  /** Text that looks like directives, and sometimes is. */
  const anyText = fc
    .array(
      fc.oneof(
        fc.constantFrom(
          'max-age',
          'private',
          'no-store',
          'public',
          'no-cache',
          '=',
          '"',
          ',',
          ' ',
          '\t',
          '\\',
          ';',
          '5',
        ),
        fc.string({ maxLength: 3, unit: 'binary' }),
      ),
      { maxLength: 20 },
    )
    .map((pieces) => pieces.join(''))

  it('never throws', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const { maxAgeS } = parse(text)
        expect(maxAgeS === undefined || (maxAgeS >= 0 && maxAgeS <= MAX_DELTA_S)).toBe(true)
      }),
    )
  })

  it('gives back what was joined, in any case and with any space between', () => {
    const separator = fc.constantFrom(',', ', ', ' ,\t', ' , ,')
    fc.assert(
      fc.property(directives, separator, fc.boolean(), (list, between, upper) => {
        const text = list.map(([text]) => text).join(between)
        expectDirectives(upper ? text.toUpperCase() : text, Object.assign({}, ...list.map(([, facts]) => facts)))
      }),
    )
  })

  it('sees no-store behind anything', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        // Behind a balanced text it stands alone; in open quotes it counts all the same.
        expect(parse(`${text}, no-store`).noStore).toBe(true)
      }),
    )
  })

  it('sees private behind anything, and unqualified', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const directives = parse(`${text}, private`)
        expect(directives.private && directives.privateFields.length === 0).toBe(true)
      }),
    )
  })

  it('gives no longer lifetime for saying it again differently', () => {
    fc.assert(
      fc.property(fc.nat(), anyText, (seconds, text) => {
        expect(parse(`max-age=${seconds}, max-age=${text}`).maxAgeS).toBeLessThanOrEqual(Math.min(seconds, MAX_DELTA_S))
      }),
    )
  })

  it.each([
    ['commas', ','.repeat(100_000), {}],
    ['spaces', `${' '.repeat(100_000)}no-store`, { noStore: true }],
    ['open quotes', `${'x="'.repeat(33_000)},no-store`, { noStore: true }],
    ['open quotes of their own', `${'x=",'.repeat(25_001)}private`, { private: true }],
    ['backslashes', `x="${'\\'.repeat(100_000)}", no-store`, { noStore: true }],
    ['equals signs', `max-age${'='.repeat(100_000)}`, { maxAgeS: 0 }],
    ['digits', `max-age=${'1'.repeat(100_000)}`, { maxAgeS: MAX_DELTA_S }],
    ['directives', `${'max-age=5,'.repeat(10_000)}no-store`, { maxAgeS: 5, noStore: true }],
  ])('reads 100 kB of %s', (_, text, facts) => {
    expectDirectives(text, facts)
  })

  it('reads 100 kB of field names', () => {
    const names = Array.from({ length: 15_000 }, (_, index) => `a${index}`)
    expect(parse(`private="${names.join(',')}"`).privateFields).toEqual(names)
    expect(parse(names.map((name) => `no-cache="${name}"`).join(',')).noCacheFields).toEqual(names)
  })
})

const NO_REQUEST: RequestDirectives = {
  noCache: false,
  noStore: false,
  onlyIfCached: false,
  maxAgeS: undefined,
  minFreshS: undefined,
  maxStaleS: undefined,
  staleIfErrorS: undefined,
}

describe('request directives', () => {
  it.each<[string, Partial<RequestDirectives>]>([
    ['no-cache', { noCache: true }],
    ['No-Store', { noStore: true }],
    ['only-if-cached', { onlyIfCached: true }],
    ['max-age=0', { maxAgeS: 0 }],
    ['max-age="5"', { maxAgeS: 5 }],
    ['min-fresh=20', { minFreshS: 20 }],
    ['max-stale=10', { maxStaleS: 10 }],
    ['max-stale', { maxStaleS: Number.POSITIVE_INFINITY }],
    ['stale-if-error=60', { staleIfErrorS: 60 }],
    ['max-age=5, max-stale=7, x=y', { maxAgeS: 5, maxStaleS: 7 }],
  ])('reads %j', (value, directives) => {
    expect(parseRequestDirectives(value, undefined)).toEqual({ ...NO_REQUEST, ...directives })
  })

  it.each<[string, Partial<RequestDirectives>]>([
    ['max-age=abc', { maxAgeS: 0 }],
    ['max-age', { maxAgeS: 0 }],
    ['max-age=9, max-age=5', { maxAgeS: 5 }],
    ['min-fresh=abc', { minFreshS: MAX_DELTA_S }],
    ['min-fresh=9, min-fresh=5', { minFreshS: 9 }],
    ['max-stale=', { maxStaleS: 0 }],
    ['max-stale=abc', { maxStaleS: 0 }],
    ['max-stale, max-stale=5', { maxStaleS: 5 }],
    ['max-stale=5, max-stale', { maxStaleS: 5 }],
    ['no-cache=1', { noCache: true }],
    ['no-store;', { noStore: true }],
  ])('takes %j at its strictest', (value, directives) => {
    expect(parseRequestDirectives(value, undefined)).toEqual({ ...NO_REQUEST, ...directives })
  })

  it('has nothing to say where the client says nothing that a cache has to know', () => {
    expect(parseRequestDirectives(undefined, undefined)).toBeUndefined()
    expect(parseRequestDirectives('', undefined)).toBeUndefined()
    expect(parseRequestDirectives('no-transform, immutable, x=1', undefined)).toBeUndefined()
    expect(parseRequestDirectives(undefined, 'x')).toBeUndefined()
  })

  it('takes Pragma: no-cache for no-cache', () => {
    expect(parseRequestDirectives(undefined, 'x, No-Cache')?.noCache).toBe(true)
  })

  it('looks at Pragma only where there is no Cache-Control', () => {
    expect(parseRequestDirectives('max-age=60', 'no-cache')).toEqual({ ...NO_REQUEST, maxAgeS: 60 })
    expect(parseRequestDirectives('', 'no-cache')).toBeUndefined()
  })

  it('never throws', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (cacheControl, pragma) => {
        parseRequestDirectives(cacheControl, pragma)
        parseRequestDirectives(undefined, pragma)
      }),
    )
  })
})

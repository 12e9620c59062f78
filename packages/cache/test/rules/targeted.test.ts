import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MAX_DELTA_S, type ResponseDirectives } from '../../src/rules/directives.ts'
import { controllingDirectives, parseTargeted } from '../../src/rules/targeted.ts'
import { RULES } from './rule-samples.ts'

describe('targeted fields', () => {
  it.each<[string, Partial<ResponseDirectives>]>([
    ['max-age=3600', { maxAgeS: 3600 }],
    ['max-age=0', { maxAgeS: 0 }],
    ['max-age=99999999999', { maxAgeS: MAX_DELTA_S }],
    ['foobar, max-age=3600', { maxAgeS: 3600 }],
    ['max-age=60;x=1.5, s-maxage=5', { maxAgeS: 60, sMaxAgeS: 5 }],
    ['no-store', { noStore: true }],
    ['private, no-cache', { private: true, noCache: true }],
    ['private="a, B"', { private: true, privateFields: ['a', 'b'] }],
    ['must-revalidate, public, immutable', { mustRevalidate: true, public: true, immutable: true }],
    ['stale-while-revalidate=5, stale-if-error=6', { staleWhileRevalidateS: 5, staleIfErrorS: 6 }],
    ['max-age=1, max-age=2', { maxAgeS: 2 }],
    ['x="max-age=1.0", y=1.5, z=(1 "a,b"), max-age=2', { maxAgeS: 2 }],
    ['none', {}],
  ])('reads %j', (value, directives) => {
    expect(parseTargeted(value)).toMatchObject(directives)
  })

  it('gives a policy that permits and forbids nothing when no member is a directive', () => {
    expect(parseTargeted('none')).toMatchObject({ maxAgeS: undefined, noStore: false, private: false, noCache: false })
  })

  it.each([
    [''],
    ['   '],
    ['max-age=10000, &&&&&'],
    ['max-age =100'],
    ['max-age= 100'],
    ['max-age=100,'],
    ['MaX-aGe=3600'],
    ['max-age="3600'],
    ['max-age=1000000000000000000'],
    ['\u00e4'],
  ])('ignores %j, which is empty or no dictionary', (value) => {
    expect(parseTargeted(value)).toBeUndefined()
  })

  it.each([
    ['max-age="10000"'],
    ['max-age=3600.0'],
    ['max-age=3600.5'],
    ['max-age=3600.0;a=1'],
    ['max-age=-1'],
    ['max-age'],
    ['max-age=?0'],
    ['max-age=abc'],
    ['max-age=(60)'],
    ['max-age=:NjA=:'],
    ['max-age=@60'],
  ])('takes a response with %j for stale', (value) => {
    expect(parseTargeted(value)).toMatchObject({ maxAgeS: 0 })
  })

  it.each<[string, Partial<ResponseDirectives>]>([
    ['private=?0', { private: true, privateFields: [] }],
    ['private=5', { private: true, privateFields: [] }],
    ['private=set-cookie', { private: true, privateFields: [] }],
    ['private=("a" "b")', { private: true, privateFields: [] }],
    ['no-cache=a', { noCache: true, noCacheFields: [] }],
    ['no-store="x"', { noStore: true }],
    ['no-store=?0', { noStore: true }],
    ['public=?0', { public: false }],
    ['public=1', { public: false }],
    ['immutable=?0', { immutable: false }],
    ['must-revalidate=?0', { mustRevalidate: false, proxyRevalidate: true }],
    ['must-understand=?0', { mustUnderstand: false, noStore: true }],
  ])('takes a value of the wrong type at its strictest: %j', (value, directives) => {
    expect(parseTargeted(value)).toMatchObject(directives)
  })

  it('takes a field that is too long to read for no-store', () => {
    expect(parseTargeted(`max-age=60, x="${'a'.repeat(100_000)}"`)).toMatchObject({ noStore: true })
  })

  it('never throws', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        parseTargeted(text)
        parseTargeted(`max-age=${text}`)
      }),
    )
  })
})

describe('the directives that a response is judged by', () => {
  it('are those of the first targeted field on the list, wherever it stands in the response', () => {
    const headers = [
      'cdn-cache-control',
      'max-age=1',
      'postern-cache-control',
      'max-age=2',
      'cache-control',
      'no-store',
    ]
    const { directives, targeted } = controllingDirectives(headers, RULES)
    expect(targeted).toBe('postern-cache-control')
    expect(directives).toMatchObject({ maxAgeS: 2, noStore: false })
  })

  it('are those of the next one when the first is empty or no dictionary', () => {
    const headers = ['postern-cache-control', '', 'cdn-cache-control', 'max-age=1', 'cache-control', 'max-age=3']
    expect(controllingDirectives(headers, RULES).targeted).toBe('cdn-cache-control')
    headers[1] = '&&&'
    expect(controllingDirectives(headers, RULES).targeted).toBe('cdn-cache-control')
  })

  it('are those of Cache-Control when no targeted field says anything', () => {
    const headers = [
      'cdn-cache-control',
      'max-age=10000, &&&&&',
      'cache-control',
      'max-age=5',
      'cache-control',
      'no-store',
    ]
    const { directives, targeted } = controllingDirectives(headers, RULES)
    expect(targeted).toBeUndefined()
    expect(directives).toMatchObject({ maxAgeS: 5, noStore: true })
  })

  it('do not come from targeted fields that are for others', () => {
    const headers = ['other-cache-control', 'max-age=1', 'surrogate-control', 'max-age=2']
    expect(controllingDirectives(headers, RULES)).toEqual({ directives: undefined, targeted: undefined })
  })

  it('come from all lines of a targeted field', () => {
    const headers = ['cdn-cache-control', 'max-age=1', 'cdn-cache-control', 'private']
    expect(controllingDirectives(headers, RULES).directives).toMatchObject({ maxAgeS: 1, private: true })
  })
})

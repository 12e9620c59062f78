import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { headerValue, MAX_HEADERS_LENGTH, TOO_LONG } from '../../src/forward/header-value.ts'

const anyText = fc.string({ unit: 'binary', minLength: 1, maxLength: 60 })
/** What may stand in a field, with nothing that a recipient would trim (RFC 9110 §5.5). */
const FIELD = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/

describe('a claim as a header value', () => {
  test('any text can stand in a field, and is given back by decodeURIComponent()', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const value = headerValue(text) as string
        expect(value).toMatch(FIELD)
        expect(decodeURIComponent(value)).toBe(text)
      }),
    )
  })

  test('any list is given back by splitting at commas', () => {
    fc.assert(
      fc.property(fc.array(anyText, { minLength: 1, maxLength: 6 }), (list) => {
        const value = headerValue(list) as string
        expect(value).toMatch(FIELD)
        expect(value.split(',').map(decodeURIComponent)).toEqual(list)
      }),
    )
  })

  test('any JSON object is given back', () => {
    fc.assert(
      fc.property(fc.dictionary(anyText, fc.jsonValue({ maxDepth: 2 }), { maxKeys: 4 }), (object) => {
        const value = headerValue(object)
        if (value === TOO_LONG) return
        expect(value).toMatch(FIELD)
        expect(JSON.parse(decodeURIComponent(value!))).toEqual(JSON.parse(JSON.stringify(object)))
      }),
    )
  })

  test('lone surrogates, line ends and percent signs become what no parser trips over', () => {
    expect(headerValue('a\r\nx-admin: 1')).toBe('a%0D%0Ax-admin: 1')
    expect(headerValue('100%')).toBe('100%25')
    expect(headerValue('\ud800!')).toBe('%EF%BF%BD!')
    expect(headerValue('Zürich 😀')).toBe('Z%C3%BCrich %F0%9F%98%80')
    expect(headerValue(['a,b', 'c'])).toBe('a%2Cb,c')
    expect(headerValue('a,b')).toBe('a,b')
  })

  test('numbers and booleans are text; what says nothing is no value', () => {
    expect([headerValue(7), headerValue(false), headerValue(10n), headerValue([1, true])]).toEqual([
      '7',
      'false',
      '10',
      '1,true',
    ])
    for (const nothing of [undefined, null, '', [], Number.NaN, () => 1, Symbol('s')]) {
      expect(headerValue(nothing)).toBe(undefined)
    }
  })

  test('what is longer than the limit, before or after its encoding, is told to be', () => {
    expect(headerValue('x'.repeat(MAX_HEADERS_LENGTH))).toHaveLength(MAX_HEADERS_LENGTH)
    expect(headerValue('x'.repeat(MAX_HEADERS_LENGTH + 1))).toBe(TOO_LONG)
    expect(headerValue('ü'.repeat(MAX_HEADERS_LENGTH / 4))).toBe(TOO_LONG)
    expect(headerValue(new Array(1e6).fill('role'))).toBe(TOO_LONG)
    expect(headerValue({ text: 'x'.repeat(MAX_HEADERS_LENGTH) })).toBe(TOO_LONG)
  })

  test('the longest texts take no time that grows with the square of their length', () => {
    const startedAt = performance.now()
    for (const text of [' '.repeat(4_096), `x${' '.repeat(4_000)}x`, '\u0000'.repeat(4_096)]) headerValue(text)
    expect(performance.now() - startedAt).toBeLessThan(50)
  })
})

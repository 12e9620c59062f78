import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  fieldLines,
  fieldValue,
  invalidField,
  isFieldValue,
  isToken,
  tokenList,
  withoutFields,
} from '../../src/rules/field-list.ts'

/** Short texts of characters around those that count. */
const bytes = fc.array(fc.integer({ min: 0, max: 260 }), { maxLength: 3 }).map((codes) => String.fromCharCode(...codes))

const HEADERS = ['vary', 'accept', 'etag', '"1"', 'vary', 'origin']

describe('lists of header fields', () => {
  it('gives all lines of a field in their order', () => {
    expect(fieldLines(HEADERS, 'vary')).toEqual(['accept', 'origin'])
  })

  it('gives no lines of an absent field, without making a list for it', () => {
    expect(fieldLines(HEADERS, 'age')).toEqual([])
    expect(fieldLines(HEADERS, 'age')).toBe(fieldLines([], 'date'))
    expect(() => fieldLines(HEADERS, 'age').push('x')).toThrow(TypeError)
  })

  it('joins the lines of a field', () => {
    expect(fieldValue(HEADERS, 'vary')).toBe('accept, origin')
    expect(fieldValue(HEADERS, 'etag')).toBe('"1"')
    expect(fieldValue(HEADERS, 'age')).toBeUndefined()
  })

  it('does not take a value for a name', () => {
    expect(fieldValue(['a', 'etag', 'b', 'x'], 'etag')).toBeUndefined()
  })

  it('leaves fields out', () => {
    expect(withoutFields(HEADERS, new Set(['vary']))).toEqual(['etag', '"1"'])
  })
})

describe('what must not be sent', () => {
  it.each([
    ['a line break', ['a', '1', 'b', 'x\r\ny: z'], 'x\r\ny: z'],
    ['a carriage return', ['b', 'x\ry'], 'x\ry'],
    ['NUL', ['b', 'x\0'], 'x\0'],
    ['DEL', ['b', '\x7f'], '\x7f'],
    ['a character that is no byte', ['b', '\u2028'], '\u2028'],
    ['a name with a space', ['a b', '1'], 'a b'],
    ['a name with a colon', ['a:', '1'], 'a:'],
    ['an empty name', ['', '1'], ''],
    ['a name with a letter beyond ASCII', ['\u00e4', '1'], '\u00e4'],
  ])('finds %s', (_, headers, found) => {
    expect(invalidField(headers)).toBe(found)
  })

  it('finds nothing in what may be sent', () => {
    expect(invalidField(['x-name', 'tab\tspace caf\u00e9', "x!#$%&'*+-.^_`|~9", ''])).toBeUndefined()
  })

  it('agrees with the grammar of tokens', () => {
    fc.assert(
      fc.property(bytes, (text) => {
        expect(isToken(text)).toBe(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(text))
      }),
    )
  })

  it('agrees with the grammar of values', () => {
    fc.assert(
      fc.property(bytes, (text) => {
        expect(isFieldValue(text)).toBe(/^[\t\x20-\x7e\x80-\xff]*$/.test(text))
      }),
    )
  })
})

describe('lists of tokens', () => {
  it.each([
    ['a, B ,\tc', ['a', 'b', 'c']],
    [',, a,', ['a']],
    ['', []],
    [' , ', []],
    ['a b', undefined],
    ['a, "b"', undefined],
    ['a\u00a0, b', undefined],
  ])('reads %j', (value, names) => {
    expect(tokenList(value)).toEqual(names)
  })
})

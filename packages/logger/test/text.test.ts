import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bounded, MAX_VALUE_LENGTH, printableJson, quoted, visible } from '../src/text.ts'

/** What may not stand in a line: controls, separators, bidirectional and invisible characters, halves of pairs. */
const FORBIDDEN = /\p{Cc}|\p{Zl}|\p{Zp}|\p{Bidi_Control}|\p{Surrogate}|[\u200b-\u200d\u2060\ufeff\u{e0000}-\u{e0fff}]/u

const anyText = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: 'grapheme' }),
  fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 50 }).map((units) => String.fromCharCode(...units)),
  fc
    .array(
      fc.constantFrom('\r', '\n', '\u001b[31m', '\u0085', '\u2028', '\u202e', '\u2066', '"', '\\', '\u{e0041}', 'a'),
    )
    .map((parts) => parts.join('')),
)

describe('quoted', () => {
  it('prints any text on one line, and parses back to it', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const json = quoted(text)
        expect(json).not.toMatch(FORBIDDEN)
        expect(JSON.parse(json)).toBe(text)
      }),
      { numRuns: 1000 },
    )
  })

  it('leaves printable text as it is', () => {
    expect(quoted('/straße/日本?q=1')).toBe('"/straße/日本?q=1"')
  })
})

describe('printableJson', () => {
  it('changes no value', () => {
    fc.assert(
      fc.property(fc.jsonValue(), anyText, (value, text) => {
        const json = printableJson(JSON.stringify({ value, text }))
        expect(json).not.toMatch(FORBIDDEN)
        expect(JSON.parse(json)).toEqual(JSON.parse(JSON.stringify({ value, text })))
      }),
    )
  })
})

describe('visible', () => {
  it('writes any text on one printable line', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        expect(visible(text)).not.toMatch(FORBIDDEN)
      }),
      { numRuns: 1000 },
    )
  })

  it('tells a control character from its written form', () => {
    expect(visible('a\nb')).toBe('a\\x0ab')
    expect(visible('a\\x0ab')).toBe('a\\\\x0ab')
    expect(visible('\u2028\u001b[2J')).toBe('\\u2028\\x1b[2J')
  })
})

describe('bounded', () => {
  it('cuts long values and says how much is gone', () => {
    const long = 'x'.repeat(MAX_VALUE_LENGTH + 7)
    expect(bounded(long)).toBe(`${'x'.repeat(MAX_VALUE_LENGTH)}...[cut 7]`)
    expect(bounded('x'.repeat(MAX_VALUE_LENGTH))).toBe('x'.repeat(MAX_VALUE_LENGTH))
  })

  it('never cuts a character in half', () => {
    const text = bounded(`${'x'.repeat(MAX_VALUE_LENGTH - 1)}😀😀`)
    expect(text.isWellFormed()).toBe(true)
    expect(text).toBe(`${'x'.repeat(MAX_VALUE_LENGTH - 1)}...[cut 4]`)
  })
})

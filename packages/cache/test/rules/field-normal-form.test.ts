import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { normaliseField } from '../../src/rules/vary.ts'

describe('values that mean the same', () => {
  it.each([
    ['foo', '1,2', ' 1 ,\t2 '],
    ['foo', '"a, b",c', '"a, b" , c'],
    ['accept-encoding', 'gzip, br', 'br,gzip'],
    ['accept-encoding', 'gzip, br', 'GZIP , Br'],
    ['accept-encoding', 'gzip', 'gzip;q=1.000'],
    ['accept-encoding', 'gzip;q=0.5', 'gzip ; Q=0.500'],
    ['accept-encoding', 'gzip;q=0', 'gzip;q=0.0'],
    ['accept-encoding', 'gzip', 'gzip, gzip'],
    ['accept-encoding', 'gzip', 'x-gzip'],
    ['accept-encoding', 'gzip', ', gzip,,'],
    ['accept-language', 'en, de', 'de, en'],
    ['accept-language', 'en, de', 'eN, De'],
    ['accept-language', 'en, de', ' en ,   de'],
    ['accept-language', 'de;q=0.5, en', 'en, de;q=0.5'],
    ['accept', 'text/html, application/json;q=0.9', 'Application/JSON;q=0.90,TEXT/html'],
    ['accept', 'text/html;level=1', 'text/html; Level=1'],
    ['accept-charset', 'utf-8, iso-8859-1', 'ISO-8859-1,UTF-8'],
    ['user-agent', 'Firefox', ' Firefox '],
  ])('%s: %s and %s', (name, one, other) => {
    expect(normaliseField(name, one)).toBe(normaliseField(name, other))
  })
})

describe('values that mean something different, or may', () => {
  it.each([
    ['foo', '1,2', '2,1'],
    ['foo', 'a', 'A'],
    ['foo', 'a b', 'ab'],
    ['foo', 'a', 'a\u00a0'],
    ['foo', '"a, b"', '"a,b"'],
    ['foo', '"a\\", b"', '"a\\",b"'],
    ['foo', '"a , b', '"a,b'],
    ['user-agent', 'X (KHTML, like Gecko)', 'X (KHTML,like Gecko)'],
    ['cookie', 'a=1, 2', 'a=1,2'],
    ['accept-encoding', 'gzip', 'gzip;q=0'],
    ['accept-encoding', 'gzip;q=0.5', 'gzip;q=0.501'],
    ['accept-encoding', 'gzip', ''],
    ['accept-encoding', 'gzip;q=0, gzip', 'gzip, gzip;q=0'],
    ['accept-encoding', 'gzip;q=0, gzip', 'gzip'],
    ['accept-encoding', 'gzip, *;q=0', 'gzip'],
    ['accept-encoding', 'gzip, br;q=2', 'br;q=2, gzip'],
    ['accept-encoding', 'gzip;x=1', 'gzip'],
    ['accept-language', 'en', 'en-GB'],
    ['accept-language', 'en, de', 'en, de;q=0.9'],
    ['accept-language', 'en_US, de', 'de, en_US'],
    ['accept', 'text/html;level=1', 'text/html;level=2'],
    ['accept', 'text/html;level=a', 'text/html;level=A'],
    ['accept', 'text/html;q=0.5;ext=1', 'text/html;q=0.5'],
    ['accept', 'a/b;x="1, 2"', 'a/b;x="1,2"'],
    ['accept', 'text, a/b', 'a/b, text'],
  ])('%s: %s and %s', (name, one, other) => {
    expect(normaliseField(name, one)).not.toBe(normaliseField(name, other))
  })
})

const NAMES = ['foo', 'cookie', 'accept', 'accept-charset', 'accept-encoding', 'accept-language']

/** Text of the characters that such values are made of, well-formed by chance. */
const value = fc.oneof(
  fc.string(),
  fc.string({
    unit: fc.constantFrom(' ', '\t', ',', ';', '"', '\\', '=', 'q', 'Q', '0', '.', '5', 'a', 'B', '/', '*'),
  }),
  fc.array(fc.constantFrom('gzip', 'BR', 'a/b', 'a/b;c=d', 'en-GB', '*', 'x-gzip')).chain((members) =>
    fc
      .array(fc.constantFrom('', ';q=1', ';q=0.5', ' ; q=0.50', ';q=0'), {
        minLength: members.length,
        maxLength: members.length,
      })
      .map((weights) => members.map((member, i) => member + weights[i]).join(' , ')),
  ),
)

describe('the normal form', () => {
  it('is normal already', () => {
    fc.assert(
      fc.property(fc.constantFrom(...NAMES), value, (name, value) => {
        const normal = normaliseField(name, value)
        expect(normaliseField(name, normal)).toBe(normal)
      }),
      { numRuns: 2000 },
    )
  })

  it('is never longer, but for a space less it is the same where nothing is known of the field', () => {
    fc.assert(
      fc.property(value, (value) => {
        const normal = normaliseField('foo', value)
        expect(normal.length).toBeLessThanOrEqual(value.length)
        expect(normal.replace(/[ \t]/g, '')).toBe(value.replace(/[ \t]/g, ''))
      }),
    )
  })

  it('of weighted lists gives every member the weight that it had', () => {
    const weights = (text: string) =>
      new Map(
        text
          .split(',')
          .map((member) => member.split(';q='))
          .map(([name, weight]) => [name!.trim().toLowerCase(), Number(weight ?? '1')]),
      )
    const members = fc.uniqueArray(fc.record({ name: fc.stringMatching(/^[a-zA-Z]{1,5}$/), weight: fc.nat(1000) }), {
      minLength: 1,
      selector: ({ name }) => name.toLowerCase(),
    })
    fc.assert(
      fc.property(members, (members) => {
        const text = members.map(({ name, weight }) => `${name};q=${weight / 1000}`).join(', ')
        expect(weights(normaliseField('accept-language', text))).toEqual(weights(text))
      }),
    )
  })

  it('leaves very long values alone, so that nobody makes us sort them', () => {
    const long = Array.from({ length: 2000 }, (_, i) => `l${2000 - i}`).join(', ')
    expect(normaliseField('accept-language', long)).toBe(long)
  })
})

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  contentRange,
  coveredBy,
  parseContentRange,
  planFromStored,
  planRanges,
  sliceBody,
  unsatisfiedRange,
} from '../../src/rules/ranges.ts'
import type { BytePart } from '../../src/stored-response.ts'
import { storedWith } from './rule-samples.ts'

/** The parts of a plan as text; the plan itself when it has none. */
function planned(range: string | undefined, completeBytes: number): string {
  const plan = planRanges(range, completeBytes)
  if (plan === 'whole') return 'whole'
  return plan.kind === 'ranges' ? plan.parts.map(({ first, last }) => `${first}-${last}`).join() : plan.kind
}

describe('what a Range asks for', () => {
  it.each([
    ['bytes=0-1', 11, '0-1'],
    ['bytes=1-', 11, '1-10'],
    ['bytes=-1', 11, '10-10'],
    ['bytes=0-0', 11, '0-0'],
    ['bytes=0-', 11, '0-10'],
    ['bytes=5-100', 11, '5-10'],
    ['bytes=-100', 11, '0-10'],
    ['BYTES=0-1', 11, '0-1'],
    ['bytes=0-99999999999999999999999', 11, '0-10'],
    ['bytes=-99999999999999999999999', 11, '0-10'],
    ['bytes=00-01', 11, '0-1'],
    ['bytes= 0-1 , 5-6\t', 11, '0-1,5-6'],
    ['bytes=,0-1,,', 11, '0-1'],
    ['bytes=5-6,0-1', 11, '5-6,0-1'],
    ['bytes=0-1,20-30', 11, '0-1'],
    ['bytes=20-30,-2', 11, '9-10'],
  ])('%s of %i bytes', (range, bytes, parts) => {
    expect(planned(range, bytes)).toBe(parts)
  })

  it.each([
    ['at the end', 'bytes=11-'],
    ['behind the end', 'bytes=12-20'],
    ['far behind the end', 'bytes=99999999999999999999-'],
    ['the last none', 'bytes=-0'],
    ['several behind the end', 'bytes=11-12,-0'],
  ])('cannot be had: %s', (_, range) => {
    expect(planned(range, 11)).toBe('unsatisfiable')
  })

  it.each([
    ['no Range', undefined],
    ['another unit', 'lines=0-1'],
    ['no unit', '0-1'],
    ['no range', 'bytes='],
    ['only commas', 'bytes=,,'],
    ['no number', 'bytes=-'],
    ['a last before the first', 'bytes=5-4'],
    ['a last before the first, among good ones', 'bytes=0-1,5-4'],
    ['letters', 'bytes=a-b'],
    ['a hexadecimal number', 'bytes=0x1-5'],
    ['a sign', 'bytes=+1-5'],
    ['a fraction', 'bytes=0.5-5'],
    ['two dashes', 'bytes=1-2-3'],
    ['a negative first', 'bytes=--1'],
    ['a space within', 'bytes=1 -2'],
    ['a space before the equals sign', 'bytes =1-2'],
    ['no dash', 'bytes=5'],
    ['no dash before a comma', 'bytes=5,1-2'],
    ['text behind', 'bytes=0-1;x'],
    ['more ranges than are served', `bytes=${Array.from({ length: 51 }, (_, i) => `${2 * i}-${2 * i}`)}`],
  ])('is ignored: %s', (_, range) => {
    expect(planned(range, 1000)).toBe('whole')
  })

  it('is ignored for a representation without content', () => {
    expect(planned('bytes=0-', 0)).toBe('whole')
    expect(planned('bytes=-1', 0)).toBe('whole')
  })

  it.each([
    ['that overlap are one part', 'bytes=0-5,3-8', '0-8'],
    ['that touch are one part', 'bytes=0-4,5-9', '0-9'],
    ['that are the same are one part', 'bytes=1-2,1-2,1-2', '1-2'],
    ['within another are one part', 'bytes=0-100,5-6', '0-100'],
    ['that overlap stand where the first of them stood', 'bytes=50-60,0-5,55-70', '50-70,0-5'],
    ['that overlap stand so in whichever order they come', 'bytes=55-70,0-5,50-60', '50-70,0-5'],
    ['that are near stay apart while they are few', 'bytes=0-0,2-2,4-4', '0-0,2-2,4-4'],
  ])('ranges %s', (_, range, parts) => {
    expect(planned(range, 1000)).toBe(parts)
  })

  it('many ranges are joined where the gap costs less than another part', () => {
    const every = (step: number) => `bytes=${Array.from({ length: 9 }, (_, i) => `${i * step}-${i * step}`)}`
    expect(planned(every(80), 10_000)).toBe('0-640')
    expect(planned(every(81), 10_000).split(',')).toHaveLength(9)
  })

  it('parts lie within the representation and are together never longer than it', () => {
    const position = fc.oneof(fc.nat(30), fc.nat())
    const spec = fc.oneof(
      fc.tuple(position, position).map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`),
      position.map((first) => `${first}-`),
      position.map((suffix) => `-${suffix}`),
    )
    fc.assert(
      fc.property(fc.array(spec, { minLength: 1, maxLength: 60 }), fc.nat(40), (specs, bytes) => {
        const plan = planRanges(`bytes=${specs}`, bytes)
        if (plan === 'whole') {
          expect(bytes === 0 || specs.length > 50).toBe(true)
          return
        }
        // A byte is asked for exactly when it is in one of the ranges; small gaps may come on top of more than eight parts.
        const asked = (at: number) =>
          specs.some((text) => {
            const [first, last] = text.split('-')
            if (first === '') return at >= bytes - Number(last)
            return at >= Number(first) && (last === '' || at <= Number(last))
          })
        const wanted = Array.from({ length: bytes }, (_, at) => at).filter(asked)
        if (plan.kind === 'unsatisfiable') {
          expect(wanted).toEqual([])
          return
        }
        const sent: number[] = []
        for (const { first, last } of plan.parts) {
          expect(0 <= first && first <= last && last < bytes).toBe(true)
          for (let at = first; at <= last; at++) sent.push(at)
        }
        expect(new Set(sent).size).toBe(sent.length)
        expect(wanted.every((at) => sent.includes(at))).toBe(true)
        expect(
          plan.parts.length === 1 || plan.parts.length > 8 || sent.length === wanted.length || specs.length > 8,
        ).toBe(true)
      }),
    )
  })

  it('any text is understood or ignored', () => {
    const text = fc.string({ unit: fc.constantFrom('0', '1', '9', '-', ',', ' ', 'b', '=') })
    fc.assert(
      fc.property(text, (text) => {
        const plan = planRanges(`bytes=${text}`, 10)
        if (plan !== 'whole' && plan.kind === 'ranges') {
          for (const { first, last } of plan.parts) expect(0 <= first && first <= last && last < 10).toBe(true)
        }
      }),
    )
  })
})

describe('ranges of what is stored', () => {
  const partial = storedWith('max-age=60', {
    status: 206,
    parts: [
      { first: 0, last: 1 },
      { first: 4, last: 9 },
    ],
    completeBytes: 10,
    bodyBytes: 8,
  })
  const open = { ...partial, completeBytes: undefined }

  it.each([
    ['a smaller range', 'bytes=6-8', [{ first: 6, last: 8 }]],
    ['from somewhere to the end', 'bytes=6-', [{ first: 6, last: 9 }]],
    ['the last bytes', 'bytes=-1', [{ first: 9, last: 9 }]],
    [
      'two ranges in two parts',
      'bytes=5-6,0-1',
      [
        { first: 5, last: 6 },
        { first: 0, last: 1 },
      ],
    ],
  ])('a partial response gives %s', (_, range, parts) => {
    expect(planFromStored(range, partial)).toEqual({ kind: 'ranges', parts })
  })

  it.each([
    ['what it has only half', 'bytes=1-2'],
    ['what lies over a gap', 'bytes=1-4'],
    ['two ranges of which it has one', 'bytes=0-1,3-4'],
    ['everything', undefined],
    ['a header that means everything', 'bytes=x'],
  ])('a partial response does not give %s', (_, range) => {
    expect(planFromStored(range, partial)).toBe('not-stored')
  })

  it('a partial response knows that nothing lies behind the end', () => {
    expect(planFromStored('bytes=10-', partial)).toEqual({ kind: 'unsatisfiable' })
  })

  it('without a known end nothing is given that depends on it', () => {
    for (const range of ['bytes=-1', 'bytes=6-', 'bytes=10-', 'bytes=99-100']) {
      expect(planFromStored(range, open)).toBe('not-stored')
    }
    expect(planFromStored('bytes=6-9', open)).toEqual({ kind: 'ranges', parts: [{ first: 6, last: 9 }] })
  })

  it('a complete response gives any', () => {
    expect(planFromStored('bytes=-1', storedWith('max-age=60', { bodyBytes: 11 }))).toEqual({
      kind: 'ranges',
      parts: [{ first: 10, last: 10 }],
    })
  })

  it('parts cover what lies within one of them', () => {
    const parts = [
      { first: 0, last: 4 },
      { first: 5, last: 9 },
    ]
    expect(
      coveredBy(parts, [
        { first: 0, last: 4 },
        { first: 6, last: 6 },
      ]),
    ).toBe(true)
    expect(coveredBy(parts, [{ first: 4, last: 5 }])).toBe(false)
    expect(coveredBy([], [{ first: 0, last: 0 }])).toBe(false)
  })
})

/** Content in pieces, cut at random, empty ones among them. */
const content = fc.array(fc.uint8Array({ maxLength: 6 }), { minLength: 1, maxLength: 8 })

describe('cutting a part out of content', () => {
  it('gives the bytes of the part, however the content is cut', () => {
    fc.assert(
      fc.property(content, fc.nat(), fc.nat(), (pieces, a, b) => {
        const whole = Buffer.concat(pieces)
        fc.pre(whole.length > 0)
        const first = Math.min(a % whole.length, b % whole.length)
        const last = Math.max(a % whole.length, b % whole.length)
        const slices = sliceBody(pieces, undefined, { first, last })
        expect(Buffer.concat(slices)).toEqual(whole.subarray(first, last + 1))
        for (const slice of slices) expect(pieces.some((piece) => piece.buffer === slice.buffer)).toBe(true)
      }),
    )
  })

  it('finds a part within the parts of a partial response', () => {
    const stored: BytePart[] = [
      { first: 2, last: 4 },
      { first: 10, last: 13 },
    ]
    const body = [Buffer.from('cd'), Buffer.from('ek'), Buffer.from('lmn')]
    const cut = (first: number, last: number) => Buffer.concat(sliceBody(body, stored, { first, last })).toString()
    expect(cut(2, 4)).toBe('cde')
    expect(cut(3, 3)).toBe('d')
    expect(cut(10, 13)).toBe('klmn')
    expect(cut(12, 13)).toBe('mn')
  })

  it('refuses what is not there rather than sending something else', () => {
    expect(() => sliceBody([Buffer.from('abc')], undefined, { first: 1, last: 3 })).toThrow(RangeError)
    expect(() => sliceBody([Buffer.from('abc')], [{ first: 5, last: 7 }], { first: 4, last: 5 })).toThrow(RangeError)
  })
})

describe('Content-Range', () => {
  it('is written with the length, or without when it is not known', () => {
    expect(contentRange({ first: 0, last: 4 }, 10)).toBe('bytes 0-4/10')
    expect(contentRange({ first: 0, last: 4 }, undefined)).toBe('bytes 0-4/*')
    expect(unsatisfiedRange(10)).toBe('bytes */10')
  })

  it('is read as it was written', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.nat(), fc.option(fc.nat(), { nil: undefined }), (a, b, c) => {
        const first = a % 10 ** 14
        const last = first + b
        const complete = c === undefined ? undefined : last + 1 + c
        expect(parseContentRange(contentRange({ first, last }, complete))).toEqual({ first, last, complete })
      }),
    )
  })

  it('may have the unit in capitals', () => {
    expect(parseContentRange('Bytes 0-4/10')).toEqual({ first: 0, last: 4, complete: 10 })
  })

  it.each([
    ['nothing', ''],
    ['no part', 'bytes */1234'],
    ['no part and no length', 'bytes */*'],
    ['another unit', 'lines 0-4/10'],
    ['a last before the first', 'bytes 5-4/10'],
    ['a part beyond the length', 'bytes 0-10/10'],
    ['no length', 'bytes 0-4'],
    ['an empty length', 'bytes 0-4/'],
    ['an equals sign', 'bytes=0-4/10'],
    ['two spaces', 'bytes  0-4/10'],
    ['a space at the end', 'bytes 0-4/10 '],
    ['two values', 'bytes 0-4/10, bytes 0-4/10'],
    ['a sign', 'bytes +0-4/10'],
    ['numbers too large to count with', 'bytes 0-4/99999999999999999999'],
  ])('is not taken with %s', (_, text) => {
    expect(parseContentRange(text)).toBeUndefined()
  })
})

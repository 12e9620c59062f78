import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type VariantParts, variantOf } from '../../src/rules/variant.ts'

const PLAIN: VariantParts = { partition: '', vary: [], varyValues: [], method: 'GET', partial: false }

describe('variants of one key', () => {
  it('a plain response has the empty one', () => {
    expect(variantOf(PLAIN)).toBe('')
  })

  it('responses to GET and POST take each other’s place', () => {
    expect(variantOf({ ...PLAIN, method: 'POST' })).toBe(variantOf(PLAIN))
  })

  it('responses to HEAD and partial ones stand beside complete ones', () => {
    const variants = [
      variantOf(PLAIN),
      variantOf({ ...PLAIN, method: 'HEAD' }),
      variantOf({ ...PLAIN, partial: true }),
      variantOf({ ...PLAIN, partition: 'ann' }),
      variantOf({ ...PLAIN, method: 'HEAD', partition: 'ann' }),
      variantOf({ ...PLAIN, partial: true, partition: 'ann' }),
    ]
    expect(new Set(variants).size).toBe(variants.length)
  })

  it('an absent field is not an empty one', () => {
    const vary = ['accept']
    expect(variantOf({ ...PLAIN, vary, varyValues: [undefined] })).not.toBe(
      variantOf({ ...PLAIN, vary, varyValues: [''] }),
    )
  })

  it.each([
    ['a value that looks like the next field', ['a=0:|1:b', ''], ['', 'a=0:|1:b']],
    ['a value that looks like the next field and its value', ['x|1:b=y', undefined], ['x', 'y|1:b-']],
    ['a value that looks like a length', ['1:x', 'y'], ['1', ':xy']],
    ['values that are only split differently', ['ab', 'c'], ['a', 'bc']],
    ['lone surrogates', ['\ud800'.repeat(300), ''], ['\udbff'.repeat(300), '']],
  ])('%s makes no two variants one', (_, one, other) => {
    const vary = ['a', 'b']
    expect(variantOf({ ...PLAIN, vary, varyValues: one })).not.toBe(variantOf({ ...PLAIN, vary, varyValues: other }))
  })

  it('stays short, however long the values', () => {
    const long = variantOf({
      ...PLAIN,
      partition: 'p'.repeat(5000),
      vary: ['cookie'],
      varyValues: ['c'.repeat(100_000)],
    })
    expect(long.length).toBeLessThanOrEqual(300)
    expect(long).not.toBe(
      variantOf({ ...PLAIN, partition: 'p'.repeat(5000), vary: ['cookie'], varyValues: ['c'.repeat(100_001)] }),
    )
  })

  it('no two different responses have the same', () => {
    const text = fc.string({ unit: fc.constantFrom('|', ':', '=', '-', '#', '0', '1', '2', 'a'), maxLength: 200 })
    const parts = fc
      .record({
        partition: text,
        fields: fc.array(fc.tuple(text, fc.option(text, { nil: undefined })), { maxLength: 4 }),
        head: fc.boolean(),
        partial: fc.boolean(),
      })
      .map(({ partition, fields, head, partial }) => ({
        partition,
        vary: fields.map(([name]) => name),
        varyValues: fields.map(([, value]) => value),
        method: head ? ('HEAD' as const) : ('GET' as const),
        partial,
      }))
    fc.assert(
      fc.property(parts, parts, (one, other) => {
        fc.pre(
          JSON.stringify([one, one.varyValues.map(String)]) !== JSON.stringify([other, other.varyValues.map(String)]),
        )
        expect(variantOf(one)).not.toBe(variantOf(other))
      }),
      { numRuns: 2000 },
    )
  })
})

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MAX_TAGS, tagsOf } from '../../src/rules/tags.ts'

const FIELDS = ['cache-tag', 'surrogate-key']

describe('the tags of a response', () => {
  it.each<[readonly string[], readonly string[]]>([
    [[], []],
    [['cache-tag', 'a'], ['a']],
    [
      ['cache-tag', 'a,b , c d,,'],
      ['a', 'b', 'c d'],
    ],
    [
      ['surrogate-key', 'a  b\tc,d'],
      ['a', 'b', 'c,d'],
    ],
    [
      ['cache-tag', 'a', 'x', 'y', 'cache-tag', 'b'],
      ['a', 'b'],
    ],
    [
      ['cache-tag', 'a, b, a', 'surrogate-key', 'b c'],
      ['a', 'b', 'c'],
    ],
    [
      ['cache-tag', 'A, a'],
      ['A', 'a'],
    ],
    [['x-tags', 'a'], []],
    [['cache-tag', ''], []],
  ])('of %j', (headers, tags) => {
    expect(tagsOf(headers, FIELDS)).toEqual(tags)
  })

  it('come only from the fields of the rules', () => {
    expect(tagsOf(['cache-tag', 'a', 'x-tags', 'b'], ['x-tags'])).toEqual(['b'])
  })

  it('are the first 128', () => {
    const many = Array.from({ length: 200 }, (_, index) => `t${index}`)
    expect(tagsOf(['cache-tag', many.join(',')], FIELDS)).toEqual(many.slice(0, 128))
    expect(
      tagsOf(
        many.flatMap((tag) => ['surrogate-key', tag]),
        FIELDS,
      ),
    ).toEqual(many.slice(0, 128))
  })

  it('are those of up to 256 characters', () => {
    expect(tagsOf(['cache-tag', `${'a'.repeat(257)}, ${'b'.repeat(256)}`], FIELDS)).toEqual(['b'.repeat(256)])
  })

  it('are read from 100 kB', () => {
    expect(tagsOf(['cache-tag', ','.repeat(100_000), 'surrogate-key', 'a '.repeat(50_000)], FIELDS)).toEqual(['a'])
  })

  it('are never more, never longer, never twice the same', () => {
    const list = fc.array(fc.string({ maxLength: 300 }), { maxLength: 300 })
    fc.assert(
      fc.property(list, (pieces) => {
        const tags = tagsOf(['cache-tag', pieces.join(','), 'surrogate-key', pieces.join(' ')], FIELDS)
        expect(tags.length).toBeLessThanOrEqual(MAX_TAGS)
        expect(new Set(tags).size).toBe(tags.length)
        for (const tag of tags) expect(tag.length > 0 && tag.length <= 256).toBe(true)
      }),
    )
  })
})

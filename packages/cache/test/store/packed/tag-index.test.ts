import { describe, expect, it } from 'vitest'
import { Ledger } from '../../../src/store/packed/ledger.ts'
import { mostTagBytes, TagIndex } from '../../../src/store/packed/tag-index.ts'

describe('the index of tags', () => {
  it('knows all responses of a tag, one or many', () => {
    const tags = new TagIndex(new Ledger())
    tags.add(['shoes', 'shoes'], 1)
    expect(tags.locations('shoes')).toEqual([1])
    for (const location of [2, 3, 3]) tags.add(['shoes'], location)
    tags.remove(['shoes', 'unknown'], 2)
    expect(tags.locations('shoes')).toEqual([1, 3])
    expect([tags.count('shoes'), tags.count('unknown')]).toEqual([2, 0])
  })

  it('leaves a tag alone that another response has', () => {
    const tags = new TagIndex(new Ledger())
    tags.add(['shoes'], 1)
    tags.remove(['shoes'], 2)
    expect(tags.locations('shoes')).toEqual([1])
  })

  it('books no more than it said, and gives all of it back', () => {
    const ledger = new Ledger()
    const tags = new TagIndex(ledger)
    const given = ['shoes', 'a tag that is longer', '\u4e16'.repeat(20), 'shoes']
    for (let location = 1; location < 50; location++) {
      const most = ledger.bytes + mostTagBytes(given)
      tags.add(given, location)
      expect(ledger.bytes).toBeLessThanOrEqual(most)
    }
    for (let location = 1; location < 50; location++) tags.remove(given, location)
    expect(ledger.bytes).toBe(0)
    expect(tags.size).toBe(0)
  })
})

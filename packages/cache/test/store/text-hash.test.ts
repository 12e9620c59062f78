import { describe, expect, it } from 'vitest'
import { textHash } from '../../src/store/text-hash.ts'

describe('the hash of a text', () => {
  it('is the same for the same text and seed, and another for another', () => {
    expect(textHash('products', 1)).toBe(textHash('products', 1))
    expect(textHash('products', 1)).not.toBe(textHash('products', 2))
    expect(textHash('products', 1)).not.toBe(textHash('product', 1))
  })

  it('depends on every character, however long the text is', () => {
    const hashes = new Set<number>()
    for (let at = 0; at < 5_000; at++) hashes.add(textHash(`${'x'.repeat(at)}y${'x'.repeat(4_999 - at)}`, 1))
    expect(hashes.size).toBeGreaterThan(4_990)
  })

  it('spreads texts that differ in a number evenly, in its low bits and in its high ones', () => {
    const low = new Uint32Array(64)
    const high = new Uint32Array(64)
    for (let at = 0; at < 64_000; at++) {
      const hash = textHash(`GET https://shop.example/products/${at}?page=${at % 10}`, 12_345)
      low[hash % 64]!++
      high[hash >>> 26]!++
    }
    for (const count of [...low, ...high]) {
      expect(count).toBeGreaterThan(750)
      expect(count).toBeLessThan(1_250)
    }
  })
})

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { placeOf, TextHash } from '../../src/strategies/text-hash.ts'
import { chiSquared, criticalChiSquared } from '../support.ts'

const anyText = fc.string({ unit: 'binary', maxLength: 3_000 })

describe('the hash of a text', () => {
  it('is the same for the same text, and 64 bits', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const { high, low } = new TextHash(text)
        expect(new TextHash(text)).toEqual({ high, low })
        for (const half of [high, low]) expect(half >>> 0).toBe(half)
      }),
    )
  })

  it('is another for short keys that differ in one character', () => {
    const seen = new Set<string>()
    for (let i = 0; i < 50_000; i++) {
      const { high, low } = new TextHash(`k${i}`)
      seen.add(`${high}/${low}`)
    }
    expect(seen.size).toBe(50_000)
  })

  it('tells long texts apart by both ends and by their length', () => {
    const long = 'x'.repeat(5_000)
    const texts = [long, `y${long.slice(1)}`, `${long.slice(1)}y`, `${long}x`]
    expect(new Set(texts.map((text) => new TextHash(text).high)).size).toBe(4)
  })

  it('reads no more of a long text than of one with 1,024 characters', () => {
    let reads = 0
    const text = {
      length: 10_000_000,
      charCodeAt: () => {
        reads++
        return 120
      },
    }
    expect(new TextHash(text as unknown as string).high).toBeGreaterThanOrEqual(0)
    expect(reads).toBe(2 * 1_024)
  })
})

describe('the place of a key at a target', () => {
  it('lies between 0 and 1, both excluded', () => {
    fc.assert(
      fc.property(fc.nat(2 ** 32 - 1), fc.nat(2 ** 32 - 1), fc.string(), (high, low, id) => {
        const place = placeOf({ high, low }, new TextHash(id))
        expect(place).toBeGreaterThan(0)
        expect(place).toBeLessThan(1)
        expect(Math.log(place)).toBeLessThan(0)
      }),
    )
  })

  it('is finite to the logarithm at the outermost hashes', () => {
    // The inverse of the mixing is not at hand: 0 stays 0, which is the one end.
    const place = placeOf({ high: 0, low: 0 }, { high: 0, low: 0 })
    expect(place).toBeGreaterThan(0)
    expect(1 / -Math.log(place)).toBeGreaterThan(0)
  })

  it('is spread evenly, and independently at two targets', () => {
    const [a, b] = [new TextHash('a', 1), new TextHash('b', 1)]
    const bins = Array.from({ length: 100 }, () => 0)
    for (let i = 0; i < 20_000; i++) {
      const key = new TextHash(`/products/${i}`)
      bins[Math.floor(placeOf(key, a) * 10) * 10 + Math.floor(placeOf(key, b) * 10)]!++
    }
    expect(
      chiSquared(
        bins,
        bins.map(() => 1),
      ),
    ).toBeLessThan(criticalChiSquared(99))
  })
})

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { smoothSequence } from '../../src/strategies/smooth-sequence.ts'
import { letter } from '../support.ts'

function text(weights: readonly number[]): string | undefined {
  const sequence = smoothSequence(weights)
  return sequence && [...sequence].map(letter).join('')
}

const someWeights = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 12 })

describe('smoothSequence', () => {
  it('gives a a b a c a a for 5:1:1', () => {
    expect(text([5, 1, 1])).toBe('aabacaa')
  })

  it('takes the earlier target when two are even', () => {
    expect(text([1, 1, 1])).toBe('abc')
  })

  it('makes the round no longer than the proportions need', () => {
    expect(text([500, 100, 100])).toBe('aabacaa')
    expect(text([2, 2])).toBe('ab')
  })

  it('takes fractions for what they are', () => {
    expect(text([0.5, 0.1, 0.1])).toBe('aabacaa')
    expect(text([0.375, 0.125])).toBe('aaba')
  })

  it('gives up on rounds that would be too long or too much work', () => {
    expect(smoothSequence([1_000_000, 1])).toBeUndefined()
    expect(smoothSequence(Array.from({ length: 1_000 }, (_, i) => 1 + (i % 3)))).toBeUndefined()
  })

  it('gives up on weights that have no short whole proportions', () => {
    expect(smoothSequence([1, Math.PI])).toBeUndefined()
    expect(smoothSequence([1, 0.0001])).toBeUndefined()
  })

  it('gives each target exactly its weight in a round', () => {
    fc.assert(
      fc.property(someWeights, (weights) => {
        const sequence = smoothSequence(weights)!
        const unit = weights.reduce((a, b) => a + b, 0) / sequence.length
        weights.forEach((weight, i) => {
          expect(sequence.filter((index) => index === i).length).toBe(weight / unit)
        })
      }),
    )
  })

  it('never lets a target get ahead of its share by a whole turn', () => {
    fc.assert(
      fc.property(someWeights, (weights) => {
        const sum = weights.reduce((a, b) => a + b, 0)
        const counts = weights.map(() => 0)
        smoothSequence(weights)!.forEach((index, at) => {
          counts[index]!++
          expect(counts[index]! * sum).toBeLessThan((at + 1) * weights[index]! + sum)
        })
      }),
    )
  })

  it('keeps the longest gap between two turns under twice the fair distance, for all weights up to 6', () => {
    const range = [1, 2, 3, 4, 5, 6]
    const all = range.flatMap((a) => range.flatMap((b) => range.flatMap((c) => range.map((d) => [a, b, c, d]))))
    const tooLong = all.filter((weights) => {
      const sequence = smoothSequence(weights)!
      const sum = weights.reduce((a, b) => a + b, 0)
      return weights.some((weight, i) => longestGap(sequence, i) >= (2 * sum) / weight)
    })
    expect(tooLong).toEqual([])
  })
})

/** Longest distance between two turns of `index`, going round. */
function longestGap(sequence: Uint32Array, index: number): number {
  const turns = [...sequence.keys()].filter((at) => sequence[at] === index)
  return Math.max(...turns.map((at, k) => (turns[k + 1] ?? turns[0]! + sequence.length) - at))
}

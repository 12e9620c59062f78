import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DeadlineQueue } from '../../src/strategies/deadline-queue.ts'

function countsOf(queue: DeadlineQueue, length: number, turns: number): number[] {
  const counts = Array.from({ length }, () => 0)
  for (let i = 0; i < turns; i++) counts[queue.next()]!++
  return counts
}

describe('DeadlineQueue', () => {
  it('never lets turns divided by weight differ by more than one turn of each', () => {
    const weight = fc.double({ min: 0.01, max: 100, noNaN: true })
    fc.assert(
      fc.property(
        fc.array(weight, { minLength: 2, maxLength: 20 }),
        fc.integer({ min: 1, max: 500 }),
        (weights, turns) => {
          const counts = countsOf(new DeadlineQueue(weights), weights.length, turns)
          weights.forEach((a, i) => {
            weights.forEach((b, j) => {
              const apart = Math.abs(counts[i]! / a - counts[j]! / b)
              expect(apart).toBeLessThanOrEqual((1 / a + 1 / b) * (1 + 1e-9))
            })
          })
        },
      ),
    )
  })

  it('gives the lower index the turn when deadlines are equal', () => {
    const queue = new DeadlineQueue([1, 1, 1, 1])
    expect([queue.next(), queue.next(), queue.next(), queue.next(), queue.next()]).toEqual([0, 1, 2, 3, 0])
  })

  it('shares a million to one', () => {
    expect(countsOf(new DeadlineQueue([1_000_000, 1]), 2, 2_000_002)).toEqual([2_000_000, 2])
  })

  it('goes on fairly after its deadlines have started again from 0', () => {
    // As after two billion periods of the heavier one.
    const queue = new DeadlineQueue([2, 1], [2e9, 1e9])
    expect(countsOf(queue, 2, 300)).toEqual([200, 100])
    expect(queue.waitOf(0)).toBeLessThanOrEqual(1)
    expect(queue.waitOf(1)).toBeLessThanOrEqual(1)
  })

  it('can be made again from what each has still to wait, without anyone losing a turn', () => {
    const weights = [3.7, 1.1, 0.9, 2.3]
    let queue = new DeadlineQueue(weights)
    const kept = new DeadlineQueue(weights)
    const counts = weights.map(() => 0)
    for (let i = 0; i < 1_000; i++) {
      counts[queue.next()]!++
      queue = new DeadlineQueue(
        weights,
        weights.map((_, index) => queue.waitOf(index)),
      )
    }
    const expected = countsOf(kept, weights.length, 1_000)
    counts.forEach((count, i) => {
      expect(Math.abs(count - expected[i]!)).toBeLessThanOrEqual(1)
    })
  })
})

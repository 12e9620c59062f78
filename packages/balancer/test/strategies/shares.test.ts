import type { Target } from '@postern/contracts'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { StrategyName } from '../../src/index.ts'
import { STRATEGY_NAMES } from '../../src/strategies/built-in.ts'
import { balancerOf, chiSquared, criticalChiSquared, lease, letter, OK, seeded } from '../support.ts'

const REQUESTS = 4_000
/** All targets answer equally fast, down to the last digit. */
const STILL = { now: () => 0, wallNow: () => 0 }
/** `first` shares nothing; `hash` shares requests without a key, as these are. */
const SHARING = STRATEGY_NAMES.filter((name) => name !== 'first')

/** Counts by target of requests that come one after the other. */
function countsOf(
  strategy: StrategyName,
  weights: readonly number[],
  seed: number,
  accept?: (target: Target) => boolean,
): number[] {
  const handler = balancerOf(weights, { strategy, random: seeded(seed), clock: STILL })
  for (let i = 0; i < REQUESTS; i++) lease(handler, accept).settle(OK)
  return handler.targets.map((target) => target.requests)
}

describe.each(SHARING)('%s', (strategy) => {
  it('shares an idle pool of equal targets evenly', () => {
    const counts = countsOf(strategy, [1, 1, 1, 1, 1, 1, 1, 1, 1, 1], 11)
    expect(
      chiSquared(
        counts,
        counts.map(() => 1),
      ),
    ).toBeLessThan(criticalChiSquared(9))
  })

  it('shares an idle pool by weight', () => {
    const weight = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.double({ min: 0.5, max: 20, noNaN: true }))
    fc.assert(
      fc.property(fc.array(weight, { minLength: 2, maxLength: 12 }), fc.integer(), (weights, seed) => {
        const counts = countsOf(strategy, weights, seed)
        expect(chiSquared(counts, weights)).toBeLessThan(criticalChiSquared(weights.length - 1))
      }),
      { numRuns: 30 },
    )
  })

  it('shares by weight among the targets that are accepted', () => {
    const counts = countsOf(strategy, [4, 3, 2, 1], 5, (target) => target.id !== letter(0))
    expect(counts[0]).toBe(0)
    // The power of two choices draws its second before it knows what is accepted, which shifts shares a little.
    const expected = [3, 2, 1]
    const sum = counts.reduce((a, b) => a + b, 0)
    expected.forEach((weight, i) => {
      expect(Math.abs(counts[i + 1]! / sum - weight / 6)).toBeLessThan(0.05)
    })
  })
})

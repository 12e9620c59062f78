import { describe, expect, it } from 'vitest'
import { First } from '../../src/strategies/first.ts'
import { PeakEwma } from '../../src/strategies/peak-ewma.ts'
import { PowerOfTwoChoices } from '../../src/strategies/power-of-two-choices.ts'
import { Random } from '../../src/strategies/random.ts'
import { RoundRobin } from '../../src/strategies/round-robin.ts'
import type { Candidate, Strategy } from '../../src/strategies/strategy.ts'
import { candidates, choiceContext, OK, seeded } from '../support.ts'

const CASES: [string, () => Strategy, (index: number) => number][] = [
  ['round-robin, equal weights', () => new RoundRobin(), () => 1],
  ['round-robin, weights with a short round', () => new RoundRobin(), (i) => (i === 0 ? 2 : 1)],
  ['round-robin, weights without one', () => new RoundRobin(), (i) => 1 + Math.sqrt(i)],
  ['random, equal weights', () => new Random(), () => 1],
  ['random, different weights', () => new Random(), (i) => 1 + (i % 7)],
  ['power-of-two-choices, equal weights', () => new PowerOfTwoChoices(), () => 1],
  ['power-of-two-choices, different weights', () => new PowerOfTwoChoices(), (i) => 1 + (i % 7)],
  ['peak-ewma, equal weights', () => new PeakEwma(), () => 1],
  ['peak-ewma, different weights', () => new PeakEwma(), (i) => 1 + (i % 7)],
  ['first', () => new First(), () => 1],
]

/** How many elements of the list a strategy reads for 1,000 choices, once it has seen the list. */
function readsOf(strategy: Strategy, list: readonly Candidate[]): number {
  let reads = 0
  const watched = new Proxy(list, {
    get(array, key, receiver) {
      if (typeof key === 'string' && /^\d+$/.test(key)) reads++
      return Reflect.get(array, key, receiver)
    },
  })
  const context = choiceContext({ random: seeded(2) })
  for (const candidate of list) strategy.settled?.(candidate, OK, context)
  strategy.choose(watched, context)
  reads = 0
  for (let i = 0; i < 1_000; i++) strategy.choose(watched, context)
  return reads
}

describe('the cost of a choice', () => {
  it.each(CASES)('%s: 1,000 targets are read no more than 3', (_, create, weightOf) => {
    const few = readsOf(create(), candidates(...Array.from({ length: 3 }, (_, i) => weightOf(i))))
    const many = readsOf(create(), candidates(...Array.from({ length: 1_000 }, (_, i) => weightOf(i))))
    expect(many).toBe(few)
    expect(many).toBeGreaterThanOrEqual(1_000)
    expect(many).toBeLessThanOrEqual(2_000)
  })
})

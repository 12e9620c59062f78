import { describe, expect, it } from 'vitest'
import { PerTier } from '../../src/strategies/per-tier.ts'
import { RoundRobin } from '../../src/strategies/round-robin.ts'
import type { Strategy } from '../../src/strategies/strategy.ts'
import { candidates, choiceContext, OK } from '../support.ts'

const tierOf = (tier: number, ...weights: number[]) => candidates(...weights).map((one) => Object.assign(one, { tier }))

describe('a strategy for each tier', () => {
  it('keeps the turns of one tier while another is used in between', () => {
    const strategy = new PerTier(() => new RoundRobin())
    const first = tierOf(0, 5, 1, 1)
    const backup = tierOf(1, 1, 1)
    const ids: string[] = []
    const backupIds: string[] = []
    for (let i = 0; i < 7; i++) {
      ids.push(strategy.choose(first, choiceContext())!.target.id)
      backupIds.push(strategy.choose(backup, choiceContext())!.target.id)
    }
    expect(ids.join('')).toBe('aabacaa')
    expect(backupIds.join('')).toBe('abababa')
  })

  it('tells the strategy of the tier that a target is in about its attempts', () => {
    const told: string[] = []
    let made = 0
    const strategy = new PerTier((): Strategy => {
      const name = `strategy ${made++}`
      return { choose: (list) => list[0], settled: (candidate) => void told.push(`${name}: ${candidate.target.id}`) }
    })
    const [one] = tierOf(0, 1)
    const [other] = tierOf(3, 1)
    strategy.settled(one!, OK, choiceContext())
    strategy.settled(other!, OK, choiceContext())
    Object.assign(one!, { tier: 3 })
    strategy.settled(one!, OK, choiceContext())
    expect(told).toEqual(['strategy 0: a', 'strategy 1: a', 'strategy 1: a'])
  })

  it('makes the first at the start, and no more than there are tiers', () => {
    let made = 0
    const strategy = new PerTier(() => {
      made++
      return { choose: (list) => list[0] }
    })
    expect(made).toBe(1)
    for (let i = 0; i < 10; i++) for (const tier of [0, 1]) strategy.choose(tierOf(tier, 1), choiceContext())
    expect(made).toBe(2)
  })

  it('needs no settled() of a strategy that does not learn', () => {
    const strategy = new PerTier(() => ({ choose: (list) => list[0] }))
    expect(() => strategy.settled(tierOf(0, 1)[0]!, OK, choiceContext())).not.toThrow()
  })
})

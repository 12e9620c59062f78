import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isFuller, PowerOfTwoChoices } from '../../src/strategies/power-of-two-choices.ts'
import { WeightedDraw } from '../../src/strategies/weighted-draw.ts'
import { balancerOf, candidates, choiceContext, lease, OK, scripted, seeded } from '../support.ts'

describe('power-of-two-choices', () => {
  it('takes the one of two drawn that has fewer in flight', () => {
    const list = candidates(1, 1, 1)
    list[0]!.inFlight = 3
    list[2]!.inFlight = 2
    // Draws a, then c.
    const context = choiceContext({ random: scripted(0.1, 0.9) })
    expect(new PowerOfTwoChoices().choose(list, context)?.target.id).toBe('c')
  })

  it('takes the first drawn when both have as many', () => {
    const list = candidates(1, 1, 1)
    const context = choiceContext({ random: scripted(0.9, 0.1) })
    expect(new PowerOfTwoChoices().choose(list, context)?.target.id).toBe('c')
  })

  it('needs no second draw for a single target', () => {
    const context = choiceContext({ random: scripted(0.5) })
    expect(new PowerOfTwoChoices().choose(candidates(1), context)?.target.id).toBe('a')
  })

  it('never picks the fuller of the two it drew', () => {
    const member = fc.record({ weight: fc.integer({ min: 1, max: 100 }), inFlight: fc.nat(1_000) })
    fc.assert(
      fc.property(fc.array(member, { minLength: 2, maxLength: 20 }), fc.integer(), (members, seed) => {
        const list = candidates(...members.map(({ weight }) => weight))
        for (const [i, { inFlight }] of members.entries()) list[i]!.inFlight = inFlight
        const draw = new WeightedDraw()
        const context = choiceContext({ random: seeded(seed) })
        const i = draw.first(list, context)
        const j = draw.second(list, context, i)
        expect(j).not.toBe(i)
        const chosen = new PowerOfTwoChoices().choose(list, choiceContext({ random: seeded(seed) }))!
        expect([list[i], list[j]]).toContain(chosen)
        const other = chosen === list[i] ? list[j]! : list[i]!
        // In whole requests of the lighter one.
        const unit = Math.min(chosen.effectiveWeight, other.effectiveWeight)
        expect(Math.floor((chosen.inFlight * unit) / chosen.effectiveWeight)).toBeLessThanOrEqual(
          Math.floor((other.inFlight * unit) / other.effectiveWeight),
        )
      }),
    )
  })

  it('draws every pair of equal targets equally often', () => {
    const list = candidates(1, 1, 1, 1)
    const draw = new WeightedDraw()
    const context = choiceContext({ random: seeded(7) })
    const pairs = new Map<string, number>()
    for (let n = 0; n < 12_000; n++) {
      const i = draw.first(list, context)
      const pair = `${i}${draw.second(list, context, i)}`
      pairs.set(pair, (pairs.get(pair) ?? 0) + 1)
    }
    expect(pairs.size).toBe(12)
    for (const count of pairs.values()) expect(Math.abs(count - 1_000)).toBeLessThan(150)
  })

  it('counts requests in flight relative to weight', () => {
    const [heavy, light] = candidates(10, 1) as [ReturnType<typeof candidates>[0], ReturnType<typeof candidates>[0]]
    heavy.inFlight = 9
    expect([isFuller(heavy, light), isFuller(light, heavy)]).toEqual([false, false])
    heavy.inFlight = 10
    expect([isFuller(heavy, light), isFuller(light, heavy)]).toEqual([true, false])
    light.inFlight = 2
    expect([isFuller(heavy, light), isFuller(light, heavy)]).toEqual([false, true])
  })

  it('leaves a target of 1 % at 1 % while ten requests are always in flight', () => {
    const handler = balancerOf([99, 1], { random: seeded(3) })
    const open = Array.from({ length: 10 }, () => lease(handler))
    for (let i = 0; i < 20_000; i++) {
      open.push(lease(handler))
      open.shift()?.settle(OK)
    }
    const share = handler.targets[1]!.requests / 20_010
    expect(share).toBeGreaterThan(0.007)
    expect(share).toBeLessThan(0.013)
  })

  it('sends a slow target less', () => {
    const handler = balancerOf([1, 1, 1], { random: seeded(5) })
    const slow = Array.from({ length: 50 }, () => lease(handler, (target) => target.id === 'a'))
    for (let i = 0; i < 3_000; i++) lease(handler).settle(OK)
    expect(handler.targets[0]!.requests).toBe(slow.length)
  })
})

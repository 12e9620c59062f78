import { describe, expect, it } from 'vitest'
import { RoundRobin } from '../../src/strategies/round-robin.ts'
import type { Candidate } from '../../src/strategies/strategy.ts'
import { balancerOf, candidates, choiceContext, lease, OK } from '../support.ts'

function draw(strategy: RoundRobin, list: readonly Candidate[], times: number, context = choiceContext()): string {
  return Array.from({ length: times }, () => strategy.choose(list, context)?.target.id).join('')
}

describe('round-robin', () => {
  it('goes through equal targets in their order', () => {
    expect(draw(new RoundRobin(), candidates(1, 1, 1), 7)).toBe('abcabca')
  })

  it('gives a a b a c a a for 5:1:1, round after round', () => {
    expect(draw(new RoundRobin(), candidates(5, 1, 1), 14)).toBe('aabacaaaabacaa')
  })

  it('passes over what is not accepted, which loses its turn', () => {
    const accepts = (candidate: Candidate) => candidate.target.id !== 'b'
    expect(draw(new RoundRobin(), candidates(1, 1, 1), 6, choiceContext({ accepts }))).toBe('acacac')
  })

  it('passes over what is not accepted among weights that make no short round', () => {
    const accepts = (candidate: Candidate) => candidate.target.id === 'c'
    expect(draw(new RoundRobin(), candidates(Math.PI, Math.E, 1), 3, choiceContext({ accepts }))).toBe('ccc')
  })

  it('goes on where it was when a target leaves', () => {
    const strategy = new RoundRobin()
    const list = candidates(1, 1, 1, 1)
    expect(draw(strategy, list, 2)).toBe('ab')
    expect(draw(strategy, list.slice(0, 3), 3)).toBe('cab')
  })

  it('gives every target its turn although the list changes before every request', () => {
    const strategy = new RoundRobin()
    const list = candidates(Math.PI, Math.PI, Math.PI, 1)
    const counts = new Map<string, number>()
    for (let i = 0; i < 400; i++) {
      const id = draw(strategy, [...list], 1)
      counts.set(id, (counts.get(id) ?? 0) + 1)
    }
    const sum = 3 * Math.PI + 1
    expect(counts.get('a')).toBeCloseTo((400 * Math.PI) / sum, -1)
    expect(counts.get('d')).toBeCloseTo(400 / sum, -1)
  })

  it('gives a retry another target, and the next request goes on behind it', () => {
    const handler = balancerOf([1, 1, 1], { strategy: 'round-robin' })
    const ids = [lease(handler), lease(handler, (target) => target.id === 'c'), lease(handler)].map((l) => {
      l.settle(OK)
      return l.target.id
    })
    expect(ids).toEqual(['a', 'c', 'a'])
  })

  it('finds the one target that a retry may use, however seldom its turn comes', () => {
    const handler = balancerOf([9_999, 1], { strategy: 'round-robin' })
    expect(lease(handler, (target) => target.id === 'b').target.id).toBe('b')
  })
})

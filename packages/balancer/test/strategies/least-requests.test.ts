import { describe, expect, it } from 'vitest'
import { LeastRequests } from '../../src/strategies/least-requests.ts'
import type { Candidate } from '../../src/strategies/strategy.ts'
import { balancerOf, candidates, choiceContext, lease, OK } from '../support.ts'

describe('least-requests', () => {
  it('takes the target with the fewest in flight', () => {
    const list = candidates(1, 1, 1)
    list[0]!.inFlight = 2
    list[1]!.inFlight = 1
    list[2]!.inFlight = 3
    expect(new LeastRequests().choose(list, choiceContext())?.target.id).toBe('b')
  })

  it('takes turns among targets that are even', () => {
    const list = candidates(1, 1, 1, 1)
    list[1]!.inFlight = 1
    const strategy = new LeastRequests()
    const ids = Array.from({ length: 6 }, () => strategy.choose(list, choiceContext())?.target.id)
    expect(ids.join('')).toBe('acdacd')
  })

  it('takes the least busy of those that are accepted', () => {
    const list = candidates(1, 1, 1)
    list[1]!.inFlight = 5
    list[2]!.inFlight = 4
    const accepts = (candidate: Candidate) => candidate.target.id !== 'a'
    expect(new LeastRequests().choose(list, choiceContext({ accepts }))?.target.id).toBe('c')
  })

  it('shares an idle pool by weight, spread evenly', () => {
    const list = candidates(5, 1, 1)
    const strategy = new LeastRequests()
    const ids = Array.from({ length: 7 }, () => strategy.choose(list, choiceContext())?.target.id)
    expect(ids.join('')).toBe('aabacaa')
  })

  it('divides the weight of a busy target by its requests in flight and one more', () => {
    const list = candidates(5, 1)
    // 5 / (4 + 1) = 1 against 1 / (0 + 1): turns of equal number.
    list[0]!.inFlight = 4
    const strategy = new LeastRequests()
    const ids = Array.from({ length: 100 }, () => strategy.choose(list, choiceContext())?.target.id)
    expect(ids.filter((id) => id === 'a')).toHaveLength(50)
  })

  it('counts requests in flight by the power of the bias', () => {
    const list = candidates(18, 1)
    // 18 / (2 + 1)^2 = 2 against 1.
    list[0]!.inFlight = 2
    const strategy = new LeastRequests(2)
    const ids = Array.from({ length: 300 }, () => strategy.choose(list, choiceContext())?.target.id)
    expect(ids.filter((id) => id === 'a')).toHaveLength(200)
  })

  it('with bias 0 does not look at requests in flight', () => {
    const list = candidates(5, 1, 1)
    list[0]!.inFlight = 100
    const strategy = new LeastRequests(0)
    const ids = Array.from({ length: 7 }, () => strategy.choose(list, choiceContext())?.target.id)
    expect(ids.join('')).toBe('aabacaa')
  })

  it('keeps requests in flight even while answers are outstanding', () => {
    const handler = balancerOf([1, 1, 1], { strategy: 'least-requests' })
    const open = Array.from({ length: 30 }, () => lease(handler))
    expect(handler.targets.map((target) => target.inFlight)).toEqual([10, 10, 10])
    for (const one of open.filter((one) => one.target.id === 'b')) one.settle(OK)
    for (let i = 0; i < 10; i++) lease(handler)
    expect(handler.targets.map((target) => target.inFlight)).toEqual([10, 10, 10])
  })

  it('keeps what targets are owed when another leaves', () => {
    const strategy = new LeastRequests()
    const list = candidates(3, 2, 2)
    const counts = new Map<string, number>()
    for (let i = 0; i < 700; i++) {
      const id = strategy.choose([...list], choiceContext())!.target.id
      counts.set(id, (counts.get(id) ?? 0) + 1)
    }
    expect([...counts.entries()].sort()).toEqual([
      ['a', 300],
      ['b', 200],
      ['c', 200],
    ])
  })
})

import { once } from 'node:events'
import { isRefusal } from '@postern/contracts'
import { describe, expect, it } from 'vitest'
import { balancer, type Candidate, type ChoiceContext, type Strategy } from '../src/index.ts'
import { STRATEGY_NAMES } from '../src/strategies/built-in.ts'
import { balancerOf, CLIENT_LEFT, lease, OK, REFUSED, seeded, selectionOf } from './support.ts'

describe('a selection', () => {
  it('leases a target and counts it until it is settled', () => {
    const handler = balancerOf([1])
    const one = lease(handler)
    expect(handler.targets[0]).toMatchObject({ inFlight: 1, requests: 1 })
    one.settle(OK)
    expect(handler.targets[0]).toMatchObject({ inFlight: 0, requests: 1 })
  })

  it('leases again for the next attempt of the same request', () => {
    const selection = selectionOf(balancerOf([1, 1, 1], { strategy: 'round-robin' }))
    const ids = [selection.acquire(), selection.acquire(), selection.acquire()].map((result) =>
      isRefusal(result) ? result.reason : result.target.id,
    )
    expect(ids).toEqual(['a', 'b', 'c'])
  })

  it('has the number of targets that take requests as its size', () => {
    const handler = balancerOf([1, 0, 1])
    const selection = selectionOf(handler)
    expect(selection.size).toBe(2)
    void handler.drain('a')
    expect(selection.size).toBe(1)
  })

  it.each(STRATEGY_NAMES)('%s leases only what is accepted, down to the last one, and then refuses', (strategy) => {
    const selection = selectionOf(balancerOf([5, 1, 1, 2], { strategy }))
    const tried = new Set<string>()
    for (let i = 0; i < 4; i++) {
      const result = selection.acquire((target) => !tried.has(target.id))
      if (isRefusal(result)) throw new Error('refused too early')
      tried.add(result.target.id)
    }
    expect([...tried].sort()).toEqual(['a', 'b', 'c', 'd'])
    expect(selection.acquire((target) => !tried.has(target.id))).toEqual({ reason: 'no_targets' })
  })

  it.each([
    ['there are none', []],
    ['all have weight 0', [0, 0]],
  ])('refuses with no_targets when %s', (_, weights) => {
    expect(selectionOf(balancerOf(weights)).acquire()).toEqual({ reason: 'no_targets' })
  })

  it('ignores a second settling, and warns of it once', async () => {
    const handler = balancerOf([1])
    const warned = once(process, 'warning')
    const warnings: string[] = []
    const collect = (warning: Error & { code?: string }) => warnings.push(warning.code ?? '')
    process.on('warning', collect)
    const kept = lease(handler)
    for (let i = 0; i < 3; i++) {
      const one = lease(handler)
      one.settle(OK)
      one.settle(REFUSED)
    }
    expect(handler.targets[0]).toMatchObject({ inFlight: 1, failures: 0 })
    kept.settle(OK)
    await warned
    await new Promise(setImmediate)
    process.off('warning', collect)
    expect(warnings).toEqual(['POSTERN_LEASE_SETTLED_TWICE'])
  })

  it('counts as failures what the target did, not what the client did', () => {
    const handler = balancerOf([1])
    for (const outcome of [OK, { ...OK, status: 404 }, { ...OK, status: 429 }, CLIENT_LEFT])
      lease(handler).settle(outcome)
    expect(handler.targets[0]?.failures).toBe(0)
    for (const outcome of [{ ...OK, status: 500 }, { ...OK, status: 503 }, REFUSED]) lease(handler).settle(outcome)
    expect(handler.targets[0]?.failures).toBe(3)
  })
})

describe('priority tiers', () => {
  const tiered = [
    { url: 'http://127.0.0.1:3001', id: 'a' },
    { url: 'http://127.0.0.1:3002', id: 'b' },
    { url: 'http://127.0.0.1:3003', id: 'backup', tier: 1 },
    { url: 'http://127.0.0.1:3004', id: 'last', tier: 7 },
  ]

  it.each(STRATEGY_NAMES)('%s uses a tier only when nothing in the lower ones is accepted', (strategy) => {
    const handler = balancer({ targets: tiered.toReversed(), strategy, random: seeded(3) })
    for (let i = 0; i < 50; i++) expect(['a', 'b']).toContain(lease(handler).target.id)
    const selection = selectionOf(handler)
    const tried: string[] = []
    for (let i = 0; i < 4; i++) {
      const result = selection.acquire((target) => !tried.includes(target.id))
      if (isRefusal(result)) throw new Error('refused too early')
      tried.push(result.target.id)
    }
    expect(tried.slice(0, 2).sort()).toEqual(['a', 'b'])
    expect(tried.slice(2)).toEqual(['backup', 'last'])
    expect(selection.acquire((target) => !tried.includes(target.id))).toEqual({ reason: 'no_targets' })
  })

  it('counts the targets of all tiers in its size', () => {
    const handler = balancer({ targets: tiered })
    void handler.drain('a')
    expect(selectionOf(handler).size).toBe(3)
  })

  it('goes to the backups while the whole tier drains, and back when it serves again', async () => {
    const handler = balancer({ targets: tiered })
    await Promise.all([handler.drain('a'), handler.drain('b')])
    expect(lease(handler).target.id).toBe('backup')
    handler.undrain('b')
    expect(lease(handler).target.id).toBe('b')
  })

  it('refuses with saturated when the strategy takes none, and asks no other tier', () => {
    const lists: number[] = []
    const strategy: Strategy = { choose: (candidates) => void lists.push(candidates.length) }
    const handler = balancer({ targets: tiered, strategy })
    expect(selectionOf(handler).acquire()).toEqual({ reason: 'saturated' })
    expect(lists).toEqual([2])
  })
})

describe("a strategy of one's own", () => {
  const targets = [
    { url: 'http://127.0.0.1:3001', id: 'a' },
    { url: 'http://127.0.0.1:3002', id: 'b' },
  ]

  it('is a plain object with choose()', () => {
    const handler = balancer({ targets, strategy: { choose: (candidates) => candidates.at(-1) } })
    expect(lease(handler).target.id).toBe('b')
  })

  it('is asked again with the accepted targets alone when it does not look at accepts()', () => {
    const calls: [number, boolean][] = []
    const strategy: Strategy = {
      choose(candidates, context) {
        calls.push([candidates.length, context.narrowed])
        return candidates.at(-1)
      },
    }
    const handler = balancer({ targets, strategy })
    expect(lease(handler, (target) => target.id === 'a').target.id).toBe('a')
    expect(calls).toEqual([
      [2, false],
      [1, true],
    ])
  })

  it('sees the exchange, the clock and the random source', () => {
    let seen: ChoiceContext | undefined
    const clock = { now: () => 5, wallNow: () => 6 }
    const strategy: Strategy = {
      choose(candidates, context) {
        seen = context
        return candidates[0]
      },
    }
    lease(balancer({ targets, strategy, clock, random: () => 0.25 }))
    expect([seen?.clock.now(), seen?.random(), seen?.exchange.id.length]).toEqual([5, 0.25, 36])
  })

  it('gets the same list until a target changes, then another', () => {
    const lists: (readonly Candidate[])[] = []
    const strategy: Strategy = {
      choose(candidates) {
        lists.push(candidates)
        return candidates[0]
      },
    }
    const handler = balancer({ targets, strategy })
    lease(handler)
    handler.replace(targets)
    lease(handler)
    handler.setWeight('b', 2)
    lease(handler)
    expect(lists[1]).toBe(lists[0])
    expect(lists[2]).not.toBe(lists[0])
  })

  it('keeps its memory of a target in slot, and hears of each outcome', () => {
    const strategy: Strategy = {
      choose: (candidates) => candidates.find((candidate) => candidate.slot !== 'bad'),
      settled(candidate, outcome) {
        candidate.slot = 'type' in outcome ? 'bad' : 'good'
      },
    }
    const handler = balancer({ targets, strategy })
    lease(handler).settle(REFUSED)
    handler.setWeight('a', 5)
    const other = lease(handler)
    expect(other.target.id).toBe('b')
    other.settle(OK)
    expect(lease(handler).target.id).toBe('b')
  })

  it('refuses with saturated when it chooses none', () => {
    const handler = balancer({ targets, strategy: { choose: () => undefined } })
    expect(selectionOf(handler).acquire()).toEqual({ reason: 'saturated' })
  })

  it('that throws fails no request: another target serves', async () => {
    const warned = once(process, 'warning')
    const strategy: Strategy = {
      choose() {
        throw new Error('no idea')
      },
      settled() {
        throw new Error('do not care')
      },
    }
    const handler = balancer({ targets, strategy, name: 'thrower' })
    lease(handler, (target) => target.id === 'b').settle(OK)
    expect(handler.targets[1]).toMatchObject({ inFlight: 0, requests: 1 })
    const [warning] = await warned
    expect(warning).toMatchObject({ code: 'POSTERN_STRATEGY_FAILED', message: expect.stringContaining('no idea') })
  })

  it('cannot lease a target that drains, although it remembers it', async () => {
    const warned = once(process, 'warning')
    let remembered: Candidate | undefined
    const strategy: Strategy = {
      choose(candidates) {
        remembered ??= candidates[0]
        return remembered
      },
    }
    const handler = balancer({ targets, strategy, name: 'rememberer' })
    lease(handler).settle(OK)
    await handler.drain('a')
    expect(lease(handler).target.id).toBe('b')
    const [warning] = await warned
    expect(warning).toMatchObject({ code: 'POSTERN_STRATEGY_FAILED' })
  })
})

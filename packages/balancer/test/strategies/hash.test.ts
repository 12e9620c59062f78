import type { Exchange } from '@postern/contracts'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Hash } from '../../src/strategies/hash.ts'
import type { Candidate } from '../../src/strategies/strategy.ts'
import {
  bareExchange,
  candidates,
  chiSquared,
  choiceContext,
  criticalChiSquared,
  type FakeCandidate,
  seeded,
} from '../support.ts'

/** An exchange whose key is that text. */
function exchangeOfKey(key: string): Exchange {
  const exchange = bareExchange()
  exchange.request.headers.key = key
  return exchange
}

const unbounded = () => new Hash({ key: { header: 'Key' }, boundedLoad: false })
const bounded = (boundedLoad?: number) =>
  new Hash({ key: { header: 'Key' }, ...(boundedLoad === undefined ? {} : { boundedLoad }) })

function idOf(strategy: Hash, list: readonly Candidate[], key: string): string {
  return strategy.choose(list, choiceContext({ exchange: exchangeOfKey(key) }))!.target.id
}

const KEYS = Array.from({ length: 10_000 }, (_, i) => `user-${i}`)

describe('hash', () => {
  it('sends a key to the same target, whoever asks and in whatever order the targets stand', () => {
    const list = candidates(1, 1, 1, 1, 1)
    for (const key of KEYS.slice(0, 200)) {
      const id = idOf(unbounded(), list, key)
      expect(idOf(unbounded(), list, key)).toBe(id)
      expect(idOf(unbounded(), candidates(1, 1, 1, 1, 1).toReversed(), key)).toBe(id)
    }
  })

  it('spreads keys evenly over equal targets', () => {
    const list = candidates(...Array.from({ length: 10 }, () => 1))
    const counts = new Map(list.map(({ target }) => [target.id, 0]))
    const strategy = unbounded()
    for (const key of KEYS) {
      const id = idOf(strategy, list, key)
      counts.set(id, counts.get(id)! + 1)
    }
    expect(chiSquared([...counts.values()], [1, 1, 1, 1, 1, 1, 1, 1, 1, 1])).toBeLessThan(criticalChiSquared(9))
  })

  it('spreads keys by weight', () => {
    const weight = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.double({ min: 0.5, max: 20, noNaN: true }))
    fc.assert(
      fc.property(fc.array(weight, { minLength: 2, maxLength: 12 }), fc.nat(1_000), (weights, salt) => {
        const list = candidates(...weights)
        const strategy = unbounded()
        const counts = new Map(list.map(({ target }) => [target.id, 0]))
        for (let i = 0; i < 2_000; i++) {
          const id = idOf(strategy, list, `${salt}:${i}`)
          counts.set(id, counts.get(id)! + 1)
        }
        expect(chiSquared([...counts.values()], weights)).toBeLessThan(criticalChiSquared(weights.length - 1))
      }),
      { numRuns: 20 },
    )
  })

  it.each([0, 1, 4, 9])(
    'moves at most 12 %% of 10,000 keys when target %i of ten leaves, and none between the others',
    (gone) => {
      const list = candidates(...Array.from({ length: 10 }, () => 1))
      const left = list.toSpliced(gone, 1)
      const strategy = unbounded()
      let moved = 0
      for (const key of KEYS) {
        const before = idOf(strategy, list, key)
        const after = idOf(strategy, left, key)
        if (before === after) continue
        moved++
        expect(before).toBe(list[gone]!.target.id)
      }
      expect(moved).toBeLessThanOrEqual(1_200)
      expect(moved).toBeGreaterThan(800)
    },
  )

  it('moves keys only to the target whose weight grows', () => {
    const light = candidates(1, 1, 1)
    const heavy = candidates(1, 3, 1)
    const strategy = unbounded()
    for (const key of KEYS.slice(0, 2_000)) {
      const after = idOf(strategy, heavy, key)
      if (after !== idOf(strategy, light, key)) expect(after).toBe('b')
    }
  })

  it('goes on along the order of the key when its target was tried', () => {
    const list = candidates(1, 1, 1, 1)
    const strategy = unbounded()
    for (const key of KEYS.slice(0, 200)) {
      const first = idOf(strategy, list, key)
      const context = choiceContext({
        exchange: exchangeOfKey(key),
        accepts: (candidate) => candidate.target.id !== first,
      })
      const second = strategy.choose(list, context)?.target.id
      expect(second).toBe(
        idOf(
          strategy,
          list.filter(({ target }) => target.id !== first),
          key,
        ),
      )
    }
  })

  it('sends requests without the key anywhere, by weight', () => {
    const list = candidates(3, 1)
    const strategy = unbounded()
    const random = seeded(4)
    let toFirst = 0
    for (let i = 0; i < 4_000; i++) {
      const context = choiceContext({ exchange: i % 2 === 0 ? bareExchange() : exchangeOfKey(''), random })
      if (strategy.choose(list, context)?.target.id === 'a') toFirst++
    }
    expect(chiSquared([toFirst, 4_000 - toFirst], [3, 1])).toBeLessThan(criticalChiSquared(1))
  })

  it('takes the key from a function of its own', () => {
    const list = candidates(1, 1, 1)
    const own = new Hash({ key: (exchange) => exchange.request.headers.key as string })
    for (const key of KEYS.slice(0, 50)) expect(idOf(own, list, key)).toBe(idOf(bounded(), list, key))
  })
})

describe('hash with bounded load', () => {
  it('never fills a target beyond 1.25 times its share, though all requests have one key', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(1, 1, 1, 2, 5), { minLength: 1, maxLength: 10 }),
        fc.constantFrom(1.01, 1.25, 2),
        fc.array(fc.tuple(fc.nat(3), fc.boolean(), fc.nat()), { maxLength: 150 }),
        (weights, factor, steps) => {
          const list = candidates(...weights)
          const sum = weights.reduce((a, b) => a + b, 0)
          const strategy = bounded(factor)
          const open: FakeCandidate[] = []
          for (const [key, settles, at] of steps) {
            const chosen = strategy.choose(list, choiceContext({ exchange: exchangeOfKey(`k${key}`) })) as FakeCandidate
            chosen.inFlight++
            open.push(chosen)
            const limit = Math.ceil((factor * open.length * chosen.effectiveWeight) / sum + 1e-9)
            expect(chosen.inFlight).toBeLessThanOrEqual(limit)
            if (settles) open.splice(at % open.length, 1)[0]!.inFlight--
          }
        },
      ),
    )
  })

  it('holds 1.25 by default: 100 requests for one key at ten targets, at most 13 at one', () => {
    const list = candidates(...Array.from({ length: 10 }, () => 1))
    const strategy = bounded()
    for (let i = 0; i < 100; i++) {
      const chosen = strategy.choose(list, choiceContext({ exchange: exchangeOfKey('hot') })) as FakeCandidate
      chosen.inFlight++
    }
    expect(Math.max(...list.map(({ inFlight }) => inFlight))).toBeLessThanOrEqual(13)
  })

  it('sends a key where it belongs again once there is room', () => {
    const list = candidates(1, 1, 1)
    const strategy = bounded()
    const home = idOf(strategy, list, 'k')
    const target = list.find((one) => one.target.id === home)!
    target.inFlight = 3
    expect(idOf(strategy, list, 'k')).not.toBe(home)
    target.inFlight = 0
    expect(idOf(strategy, list, 'k')).toBe(home)
  })

  it('counts the request that is being placed: of two targets one may take a second for its key, and no third', () => {
    const list = candidates(1, 1)
    const home = idOf(bounded(), list, 'k')
    const target = list.find((one) => one.target.id === home)!
    // ceil(1.25 × (1 + 1) / 2) = 2, and ceil(1.25 × (2 + 1) / 2) = 2.
    target.inFlight = 1
    expect(idOf(bounded(), list, 'k')).toBe(home)
    target.inFlight = 2
    expect(idOf(bounded(), list, 'k')).not.toBe(home)
  })

  it('uses a filled target rather than none when no other is accepted', () => {
    const list = candidates(1, 1, 1)
    list[1]!.inFlight = 50
    const accepts = (candidate: Candidate) => candidate.target.id === 'b'
    const chosen = bounded().choose(list, choiceContext({ exchange: exchangeOfKey('k'), accepts }))
    expect(chosen?.target.id).toBe('b')
  })

  it('never turns away the only target', () => {
    const list = candidates(1)
    list[0]!.inFlight = 5_000
    expect(idOf(bounded(), list, 'k')).toBe('a')
  })

  it('keeps a key together whatever it costs when it is off', () => {
    const list = candidates(1, 1, 1)
    const home = idOf(unbounded(), list, 'k')
    list.find((one) => one.target.id === home)!.inFlight = 5_000
    expect(idOf(unbounded(), list, 'k')).toBe(home)
  })
})

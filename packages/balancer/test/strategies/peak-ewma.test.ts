import type { Failure, Outcome } from '@postern/contracts'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { PeakEwmaOptions } from '../../src/index.ts'
import { PeakEwma } from '../../src/strategies/peak-ewma.ts'
import {
  balancerOf,
  CLIENT_LEFT,
  candidates,
  chiSquared,
  choiceContext,
  criticalChiSquared,
  type FakeCandidate,
  lease,
  REFUSED,
  seeded,
} from '../support.ts'

const SUPERSEDED: Failure = { type: 'superseded', phase: 'headers', side: 'gateway', totalMs: 300 }
const QUEUED: Failure = { type: 'queue_timeout', phase: 'queue', side: 'gateway', totalMs: 400 }

const answered = (headersMs: number, status = 200): Outcome => ({ status, headersMs, totalMs: headersMs + 50_000 })

/** Two targets of equal weight, a strategy and a clock that is moved by hand: which of the two is better at the moment? */
function duel(options: Omit<PeakEwmaOptions, 'name'> = {}) {
  const strategy = new PeakEwma(options)
  const [a, b] = candidates(1, 1) as [FakeCandidate, FakeCandidate]
  const state = { now: 0 }
  const clock = { now: () => state.now, wallNow: () => 0 }
  const context = (random: number) => choiceContext({ clock, random: () => random })
  const pick = (random: number) => strategy.choose([a, b], context(random))?.target.id
  return {
    a,
    b,
    state,
    settle: (candidate: FakeCandidate, outcome: Outcome) => strategy.settled(candidate, outcome, context(0)),
    /** The better of the two, whichever is drawn first; `even` when it depends on that. */
    better: () => (pick(0.1) === pick(0.9) ? pick(0.1) : 'even'),
  }
}

describe('peak-ewma', () => {
  it('takes the target that has answered faster', () => {
    const { a, b, settle, better } = duel()
    settle(a, answered(20))
    settle(b, answered(10))
    expect(better()).toBe('b')
    settle(b, answered(30))
    expect(better()).toBe('a')
  })

  it('counts what is in flight: three requests of 10 ms are more than one of 35', () => {
    const { a, b, settle, better } = duel()
    settle(a, answered(35))
    settle(b, answered(10))
    b.inFlight = 3
    expect(better()).toBe('a')
    b.inFlight = 2
    expect(better()).toBe('b')
  })

  it('takes the first drawn when both are even', () => {
    const { a, b, settle, better } = duel()
    expect(better()).toBe('even')
    settle(a, answered(10))
    settle(b, answered(10))
    expect(better()).toBe('even')
  })

  it('goes by the time to the head, not by how long a body or stream goes on', () => {
    const { a, b, settle, better } = duel()
    settle(a, { status: 200, headersMs: 5, totalMs: 600_000 })
    settle(b, { status: 200, headersMs: 6, totalMs: 6 })
    expect(better()).toBe('a')
  })

  it('explores a target that was never measured, with one request at a time', () => {
    const { a, b, settle, better } = duel()
    settle(a, answered(1))
    expect(better()).toBe('b')
    b.inFlight = 1
    a.inFlight = 1_000
    expect(better()).toBe('a')
  })

  it('spreads over targets of which none has answered yet', () => {
    const { a, b, better } = duel()
    a.inFlight = 2
    b.inFlight = 1
    expect(better()).toBe('b')
  })

  it('tries a slow target again when it was left alone for long enough', () => {
    const { a, b, state, settle, better } = duel()
    settle(a, answered(1_000))
    for (; state.now < 46_000; state.now += 500) {
      settle(b, answered(10))
      expect(better()).toBe('b')
    }
    // 1000 × e^(-46,1/10) = 9.96
    state.now = 46_100
    settle(b, answered(10))
    expect(better()).toBe('a')
  })

  it('sends one request to a target that it tries again, and no more until that is answered', () => {
    const { a, b, state, settle, better } = duel()
    settle(a, answered(1_000))
    state.now = 100_000
    settle(b, answered(10))
    a.inFlight = 1
    b.inFlight = 50
    expect(better()).toBe('b')
    state.now = 200_000
    expect(better()).toBe('b')
  })

  it.each([
    ['a refused connection', REFUSED],
    ['a 500', answered(1, 500)],
    ['a 503', answered(1, 503)],
    ['a 429', answered(1, 429)],
  ])('counts %s as 5 seconds, however fast it was', (_, outcome) => {
    const { a, b, settle, better } = duel()
    settle(a, outcome)
    settle(b, answered(4_999))
    expect(better()).toBe('b')
    settle(b, answered(5_001))
    expect(better()).toBe('a')
  })

  it('counts a failure that took longer than the penalty with what it took', () => {
    const { a, b, settle, better } = duel({ failurePenaltyMs: 100 })
    settle(a, { ...REFUSED, type: 'http_response_timeout', totalMs: 30_000 })
    settle(b, answered(29_000))
    expect(better()).toBe('b')
  })

  it.each([
    ['a client that left', CLIENT_LEFT],
    ['a queue of our own that was too long', QUEUED],
  ])('learns nothing from %s', (_, outcome) => {
    const { a, b, settle, better } = duel()
    settle(a, answered(10))
    settle(b, answered(10))
    settle(a, outcome)
    expect(better()).toBe('even')
    expect(a.slot).toEqual(b.slot)
  })

  it('takes a 4xx for a healthy answer', () => {
    const { a, b, settle, better } = duel()
    settle(a, answered(5, 404))
    settle(b, answered(6))
    expect(better()).toBe('a')
  })

  it('takes the time of an attempt that lost against a hedge as the least it would have been', () => {
    const { a, b, settle, better } = duel()
    settle(a, answered(10))
    settle(b, answered(200))
    settle(b, SUPERSEDED)
    settle(a, answered(250))
    expect(better()).toBe('a')
    settle(a, { ...SUPERSEDED, totalMs: 100 })
    settle(b, answered(300))
    expect(better()).toBe('a')
  })

  it('does not explore a target again whose only attempt lost against a hedge', () => {
    const { a, b, settle, better } = duel()
    settle(a, answered(10))
    settle(b, SUPERSEDED)
    expect(better()).toBe('a')
  })

  it('forgets as fast as decayMs says', () => {
    const { a, b, state, settle, better } = duel({ decayMs: 100 })
    settle(a, answered(1_000))
    state.now = 1_000
    settle(b, answered(10))
    expect(better()).toBe('a')
  })

  it('does not fill a target that answers in no measurable time', () => {
    const { a, b, settle, better } = duel()
    settle(a, answered(0))
    settle(b, answered(0))
    a.inFlight = 5
    expect(better()).toBe('b')
  })

  it('needs no second draw for a single target', () => {
    expect(new PeakEwma().choose(candidates(1), choiceContext())?.target.id).toBe('a')
  })
})

/** Requests at a fixed rate to targets that answer in a fixed time each; counts of requests by target. */
function simulate(
  weights: readonly number[],
  latencies: readonly number[],
  everyMs: number,
  requests: number,
): number[] {
  let now = 0
  const handler = balancerOf(weights, {
    strategy: 'peak-ewma',
    random: seeded(9),
    clock: { now: () => now, wallNow: () => 0 },
  })
  const open: { at: number; settle: () => void }[] = []
  for (let i = 0; i < requests; i++) {
    now = i * everyMs
    for (const one of open.filter(({ at }) => at <= now)) {
      one.settle()
      open.splice(open.indexOf(one), 1)
    }
    const one = lease(handler)
    const headersMs = latencies[one.target.id.charCodeAt(0) - 97]!
    open.push({ at: now + headersMs, settle: () => one.settle(answered(headersMs)) })
  }
  return handler.targets.map((target) => target.requests)
}

describe('peak-ewma over time', () => {
  it('sends a target that is ten times slower under 5 %, and does not forget it', () => {
    const [slow, ...fast] = simulate([1, 1, 1], [100, 10, 10], 2, 20_000)
    expect(slow).toBeLessThan(1_000)
    expect(slow).toBeGreaterThan(5)
    expect(Math.abs(fast[0]! - fast[1]!)).toBeLessThan(2_000)
  })

  it('shares about by weight among targets that are equally fast, idle and busy', () => {
    for (const everyMs of [20, 1]) {
      const weights = [4, 2, 1, 1]
      const counts = simulate(weights, [10, 10, 10, 10], everyMs, 8_000)
      const sum = counts.reduce((all, count) => all + count, 0)
      counts.forEach((count, i) => {
        expect(Math.abs(count / sum - weights[i]! / 8)).toBeLessThan(0.1)
      })
    }
  })

  it.each([20, 1])('leaves a canary of 1 %% near 1 %%, although it is idle more often (every %i ms)', (everyMs) => {
    const [, canary] = simulate([99, 1], [10, 10], everyMs, 20_000)
    expect(canary! / 20_000).toBeLessThan(0.015)
    expect(canary! / 20_000).toBeGreaterThan(0.005)
  })

  it('does not send a canary everything while the others are three times slower', () => {
    const [, canary] = simulate([99, 1], [30, 10], 1, 20_000)
    expect(canary! / 20_000).toBeLessThan(0.05)
  })

  it('draws fairly among equal targets, whatever their number', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 12 }), (count) => {
        const weights = Array.from({ length: count }, () => 1)
        const counts = simulate(
          weights,
          weights.map(() => 10),
          10,
          2_000,
        )
        expect(chiSquared(counts, weights)).toBeLessThan(criticalChiSquared(count - 1))
      }),
      { numRuns: 10 },
    )
  })
})

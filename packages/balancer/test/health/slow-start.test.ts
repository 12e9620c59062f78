import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { nextStepMs, slowStartShare } from '../../src/health/slow-start.ts'
import { balancer } from '../../src/index.ts'
import { balancerOf, lease, manualClock, OK, seeded, selectionOf } from '../support.ts'

const FAILED = { status: 500, headersMs: 1, totalMs: 2 } as const
const options = fc.record({
  windowMs: fc.integer({ min: 1, max: 1_000_000 }),
  aggression: fc.double({ min: 0.01, max: 100, noNaN: true }),
  minShare: fc.double({ min: 0.001, max: 1, noNaN: true }),
})

describe('the share of its weight that a target starts with', () => {
  it('never falls, begins with minShare and ends with all', () => {
    fc.assert(
      fc.property(options, fc.array(fc.double({ min: 0, max: 2e6, noNaN: true })), (given, times) => {
        const shares = times.sort((a, b) => a - b).map((ms) => slowStartShare(ms, given))
        expect(shares).toEqual([...shares].sort((a, b) => a - b))
        expect(slowStartShare(0, given)).toBe(given.minShare)
        expect(slowStartShare(given.windowMs, given)).toBe(1)
      }),
    )
  })

  it('stays the same until the next step', () => {
    fc.assert(
      fc.property(options, fc.nat(999), (given, thousandths) => {
        const sinceMs = ((thousandths + 0.5) / 1_000) * given.windowMs
        const next = nextStepMs(sinceMs, given)
        expect(next).toBeGreaterThan(sinceMs)
        expect(next).toBeLessThanOrEqual(sinceMs + given.windowMs / 10)
        const justBefore = sinceMs + (next - sinceMs) * 0.999
        expect(slowStartShare(justBefore, given)).toBe(slowStartShare(sinceMs, given))
      }),
    )
  })

  it.each([
    [1, [0.1, 0.1, 0.5, 0.9, 1]],
    [2, [0.1, 0.316, Math.SQRT1_2, 0.949, 1]],
  ])('follows (t / window) ^ (1 / %s)', (aggression, expected) => {
    const shares = [0, 10, 50, 90, 100].map((ms) => slowStartShare(ms, { windowMs: 100, aggression, minShare: 0.1 }))
    for (const [i, share] of shares.entries()) expect(share).toBeCloseTo(expected[i]!, 3)
  })
})

describe('slow start in a pool', () => {
  it('gives a target that was ejected its weight back step by step', () => {
    const clock = manualClock()
    const handler = balancerOf([4, 4], { clock, random: () => 0, slowStart: 1_000, outliers: { baseMs: 500 } })
    const [a] = handler.targets
    for (let i = 0; i < 5; i++) lease(handler, ({ id }) => id === 'a').settle(FAILED)
    expect(a).toMatchObject({ eligible: false, effectiveWeight: 0 })
    clock.advance(500)
    expect(a).toMatchObject({ eligible: true, effectiveWeight: 0.4, weight: 4 })
    clock.advance(499)
    expect(a?.effectiveWeight).toBeCloseTo(1.6)
    clock.advance(1)
    expect(a?.effectiveWeight).toBe(2)
    clock.advance(500)
    expect(a?.effectiveWeight).toBe(4)
  })

  it('starts a new target slowly in a pool that serves, and not in one that begins', () => {
    const clock = manualClock()
    const handler = balancer({ targets: [], clock, slowStart: { windowMs: 1_000, minShare: 0.25 } })
    const a = { url: 'http://target-0:80', id: 'a' }
    handler.replace([a])
    expect(handler.targets[0]?.effectiveWeight).toBe(1)
    lease(handler).settle(OK)
    handler.replace([a, { url: 'http://target-1:80', id: 'b' }])
    expect(handler.targets.map(({ effectiveWeight }) => effectiveWeight)).toEqual([1, 0.25])
    clock.advance(1_000)
    expect(handler.targets.map(({ effectiveWeight }) => effectiveWeight)).toEqual([1, 1])
  })

  it('holds for any strategy, since it is the weight that grows', () => {
    const clock = manualClock()
    const handler = balancer({
      targets: [{ url: 'http://target-0:80', id: 'a' }],
      clock,
      random: seeded(3),
      strategy: 'round-robin',
      slowStart: 10_000,
    })
    lease(handler).settle(OK)
    handler.replace(['a', 'b'].map((id, i) => ({ url: `http://target-${i}:80`, id })))
    const share = () => {
      const before = handler.targets[1]!.requests
      for (let i = 0; i < 110; i++) lease(handler).settle(OK)
      return (handler.targets[1]!.requests - before) / 110
    }
    expect(share()).toBeCloseTo(1 / 11, 2)
    clock.advance(5_000)
    expect(share()).toBeCloseTo(1 / 3, 1)
    clock.advance(5_000)
    expect(share()).toBeCloseTo(1 / 2, 2)
  })

  it('asks no clock for a request while nothing is pending', () => {
    let asked = 0
    const clock = { now: () => ++asked, wallNow: () => 0 }
    const handler = balancerOf([1, 1, 1], { clock, strategy: 'round-robin', slowStart: 1_000 })
    const before = asked
    for (let i = 0; i < 10; i++) lease(handler).settle(OK)
    selectionOf(handler).acquire()
    expect(asked).toBe(before)
  })
})

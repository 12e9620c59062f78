import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { seeded } from '../support.ts'
import { goodput, simulate } from './simulation.ts'
import { adaptiveLimit } from './support.ts'

/** The limit as it was at the end of each second. */
function history(
  options: Omit<Parameters<typeof simulate>[0], 'limit' | 'random'> & {
    adaptive?: Parameters<typeof adaptiveLimit>[0]
  },
) {
  const bySecond: number[] = []
  const { tries } = simulate({
    ...options,
    limit: adaptiveLimit(options.adaptive),
    random: seeded(11),
    onLimit: (limit, nowMs) => {
      bySecond[Math.floor(nowMs / 1000)] = limit
    },
  })
  return {
    tries,
    bySecond,
    refused: (fromMs: number) =>
      tries.filter(({ bornMs, outcome }) => bornMs >= fromMs && outcome !== 'answered').length,
  }
}

describe('an adaptive limit', () => {
  it('leaves a service alone that is slow by nature', () => {
    // 200 a second for 0.8 s each: 160 in flight, and room for 500.
    const { refused, bySecond } = history({ service: { workers: 500, serviceMs: 800 }, rate: () => 200, endMs: 90_000 })
    expect(refused(20_000)).toBe(0)
    expect(bySecond[89]).toBeGreaterThan(160)
  })

  it('does not hold a busy service low that has no overload, even when it measures', () => {
    const { refused } = history({
      service: { workers: 100, serviceMs: 100 },
      rate: () => 300,
      endMs: 200_000,
      adaptive: { initialLimit: 100 },
    })
    expect(refused(0)).toBe(0)
  })

  it('finds its way from the least limit to what the service can carry', () => {
    const { tries, bySecond } = history({
      service: { workers: 64, serviceMs: 20 },
      rate: () => 4_000,
      endMs: 12_000,
      adaptive: { initialLimit: 3 },
    })
    expect(bySecond[11]).toBeGreaterThan(64)
    expect(goodput(tries, 5_000, 12_000)).toBeGreaterThan(0.95 * 3_200)
  })

  it('grows when more capacity appears', () => {
    const service = { workers: 2, serviceMs: 20 }
    const { tries, bySecond } = history({
      service,
      rate: () => 600,
      endMs: 30_000,
      events: [{ atMs: 10_000, act: () => (service.workers = 10) }],
    })
    expect(bySecond[9]).toBeLessThanOrEqual(6)
    expect(bySecond[29]).toBeGreaterThanOrEqual(10)
    expect(goodput(tries, 13_000, 30_000)).toBeGreaterThan(0.9 * 500)
  })

  it('takes a service that has become slower by nature for overload at first, and learns better', () => {
    const service = { workers: 500, serviceMs: 50 }
    const { refused, bySecond } = history({
      service,
      rate: () => 200,
      endMs: 60_000,
      events: [{ atMs: 10_000, act: () => (service.serviceMs = 250) }],
    })
    expect(refused(25_000)).toBe(0)
    expect(bySecond[59]).toBeGreaterThan(50)
  })

  it('does not grow beyond what was used', () => {
    const { bySecond } = history({ service: { workers: 500, serviceMs: 50 }, rate: () => 40, endMs: 60_000 })
    expect(Math.max(...bySecond.filter((limit) => limit !== undefined))).toBe(20)
  })

  it('is held at the least limit while it measures under load, and goes back to where it was', () => {
    const limit = adaptiveLimit({ measureRequests: 5, minLimit: 3, initialLimit: 10 })
    for (let inFlight = 1; inFlight <= 10; inFlight++) limit.onAdmitted(inFlight, 0)
    expect([limit.limit, limit.settledLimit]).toEqual([3, 10])
    // Those that were let in before it was held low say nothing.
    for (let i = 0; i < 10; i++) limit.onAnswered(500, -1, 10)
    expect(limit.limit).toBe(3)
    for (const latencyMs of [30, 10, 20, 10, 90]) limit.onAnswered(latencyMs, 10, 100)
    expect([limit.limit, limit.settledLimit, limit.idealMs]).toEqual([10, 10, 20])
  })

  it('is not held low for long when streams have the few places that are left', () => {
    const limit = adaptiveLimit({ measureRequests: 5, initialLimit: 10 })
    for (let inFlight = 1; inFlight <= 10; inFlight++) limit.onAdmitted(inFlight, 0)
    limit.onBlocked(2_999)
    expect(limit.limit).toBe(3)
    limit.onBlocked(3_000)
    expect([limit.limit, limit.idealMs]).toEqual([10, undefined])
    // Nothing was learnt: it goes on measuring, and is not held low for that again before the next time.
    limit.onAdmitted(10, 3_100)
    expect(limit.limit).toBe(10)
    for (let i = 0; i < 5; i++) limit.onAnswered(20, 3_100, 3_200)
    expect(limit.idealMs).toBe(20)
  })

  it('measures without being held low while it is not reached', () => {
    const limit = adaptiveLimit({ measureRequests: 5, initialLimit: 10 })
    for (let i = 0; i < 5; i++) {
      limit.onAdmitted(9, i)
      expect(limit.limit).toBe(10)
      limit.onAnswered(20, i, i + 20)
    }
    expect(limit.idealMs).toBe(20)
  })

  it('follows the formula, and never more than by half or double a window', () => {
    const after = (latencyMs: number): number => {
      const limit = adaptiveLimit({ measureRequests: 5, initialLimit: 100 })
      for (let i = 0; i < 5; i++) limit.onAnswered(100, 0, 100)
      limit.onAdmitted(100, 200)
      for (let i = 0; i < 5; i++) limit.onAnswered(latencyMs, 200, 600)
      return limit.limit
    }
    // 100 × (100 · 1.25 / sample) + √100
    expect(after(125)).toBe(110)
    expect(after(100)).toBe(135)
    expect(after(200)).toBe(72)
    expect(after(100_000)).toBe(60)
    expect(after(1)).toBe(210)
  })

  it('goes on from a limit that was set by hand', () => {
    const limit = adaptiveLimit({ initialLimit: 10 })
    limit.set(40, 0)
    expect([limit.limit, limit.settledLimit]).toEqual([40, 40])
    limit.onAdmitted(40, 1)
    limit.set(50, 2)
    expect([limit.limit, limit.settledLimit]).toEqual([3, 50])
  })

  it('stays within its bounds, and is a whole number, whatever it is told', () => {
    const step = fc.record({
      inFlight: fc.integer({ min: 1, max: 60 }),
      latencyMs: fc.double({ min: 0, max: 1e6, noNaN: true }),
      elapsedMs: fc.integer({ min: 0, max: 5_000 }),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const limit = adaptiveLimit({ minLimit: 2, maxLimit: 50, measureRequests: 5, remeasureMs: 1_000 })
        let nowMs = 0
        for (const { inFlight, latencyMs, elapsedMs } of steps) {
          nowMs += elapsedMs
          limit.onAdmitted(inFlight, nowMs)
          limit.onAnswered(latencyMs, nowMs, nowMs + latencyMs)
          expect(Number.isInteger(limit.limit) && limit.limit >= 2 && limit.limit <= 50).toBe(true)
          expect(limit.settledLimit).toBeGreaterThanOrEqual(limit.limit)
        }
      }),
    )
  })
})

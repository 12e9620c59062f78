import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PRIORITIES, type Priority } from '../../src/shedder/priority.ts'
import { ShedPolicy } from '../../src/shedder/shed-policy.ts'
import { seeded } from '../support.ts'

const shares = { low: 0.6, normal: 0.8, high: 0.9, critical: 1 }
const policy = new ShedPolicy(100, 100, shares, seeded(1))

/** The share of 2,000 requests of a class that are shed. */
function shedShare(priority: Priority, inFlight: number, delayMs: number): number {
  let shed = 0
  for (let i = 0; i < 2_000; i++) if (policy.judge(priority, inFlight, delayMs) !== undefined) shed++
  return shed / 2_000
}

describe('the shed policy', () => {
  it.each([
    [0, 0],
    [60, 0],
    [0, 60],
    [60, 60],
  ])('sheds nothing at %i in flight and %i ms', (inFlight, delayMs) => {
    expect(PRIORITIES.map((priority) => shedShare(priority, inFlight, delayMs))).toEqual([0, 0, 0, 0])
  })

  it.each([
    [80, 0, [1, 0, 0, 0]],
    [90, 0, [1, 1, 0, 0]],
    [99, 0, [1, 1, 0.9, 0]],
    [100, 0, [1, 1, 1, 1]],
    [0, 80, [1, 0, 0, 0]],
    [0, 100, [1, 1, 1, 0]],
    [0, 150, [1, 1, 1, 0.5]],
    [0, 200, [1, 1, 1, 1]],
  ])(
    'at %i in flight and %i ms sheds these shares of low, normal, high and critical: %j',
    (inFlight, delayMs, wanted) => {
      for (const [i, priority] of PRIORITIES.entries()) {
        expect(Math.abs(shedShare(priority, inFlight, delayMs) - wanted[i]!)).toBeLessThan(0.05)
      }
    },
  )

  it('thins a class out before it cuts it off', () => {
    const shed = [65, 70, 75].map((inFlight) => shedShare('low', inFlight, 0))
    for (const [i, wanted] of [0.25, 0.5, 0.75].entries()) expect(Math.abs(shed[i]! - wanted)).toBeLessThan(0.05)
  })

  it('says which limit was nearer', () => {
    expect(policy.judge('low', 95, 10)).toBe('in_flight')
    expect(policy.judge('low', 10, 95)).toBe('event_loop_delay')
  })

  it('cuts a class off at once where the class above begins at the same share', () => {
    const steep = new ShedPolicy(100, 100, { low: 0.5, normal: 0.5, high: 1, critical: 1 }, () => 0.999)
    expect([steep.judge('low', 50, 0), steep.judge('low', 51, 0), steep.judge('normal', 51, 0)]).toEqual([
      undefined,
      'in_flight',
      undefined,
    ])
  })

  it('knows a limit that is switched off', () => {
    const byDelay = new ShedPolicy(Number.POSITIVE_INFINITY, 100, shares, () => 0)
    expect([byDelay.judge('low', 1e9, 0), byDelay.judge('low', 0, 90)]).toEqual([undefined, 'event_loop_delay'])
    const byCount = new ShedPolicy(100, Number.POSITIVE_INFINITY, shares, () => 0)
    expect([byCount.judge('low', 0, 1e9), byCount.judge('low', 90, 0)]).toEqual([undefined, 'in_flight'])
  })

  it('never sheds a class and lets in one that matters less, and never lets in beyond the limit', () => {
    const share = fc.double({ min: 0, max: 1, noNaN: true })
    fc.assert(
      fc.property(
        fc.tuple(share, share, share),
        fc.nat(120),
        fc.double({ min: 0, max: 300, noNaN: true }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (some, inFlight, delayMs, chance) => {
          const [low = 0, normal = 0, high = 0] = [...some].sort((a, b) => a - b)
          const one = new ShedPolicy(100, 100, { low, normal, high, critical: 1 }, () => chance)
          const shed = PRIORITIES.map((priority) => one.judge(priority, inFlight, delayMs) !== undefined)
          expect([...shed].sort((a, b) => Number(b) - Number(a))).toEqual(shed)
          if (inFlight >= 100) expect(shed).toEqual([true, true, true, true])
        },
      ),
    )
  })
})

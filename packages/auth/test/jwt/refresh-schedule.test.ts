import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { RefreshSchedule } from '../../src/jwt/refresh-schedule.ts'

const POLICY = { coolDownMs: 30_000, minFreshMs: 30_000, maxStaleMs: 3_600_000 }

describe('when keys are fetched', () => {
  test('at once when there are none', () => {
    const schedule = new RefreshSchedule(POLICY, () => 0)
    expect(schedule.isUsable(0)).toBe(false)
    expect(schedule.dueAtMs).toBeLessThanOrEqual(0)
    expect(schedule.isFailing).toBe(false)
  })

  test('again when their time is over; they stay of use meanwhile', () => {
    const schedule = new RefreshSchedule(POLICY, () => 0)
    schedule.succeeded(0, 50, 60_000)
    expect(schedule.dueAtMs).toBe(60_000)
    expect(schedule.isUsable(60_000 + POLICY.maxStaleMs - 1)).toBe(true)
    expect(schedule.isUsable(60_000 + POLICY.maxStaleMs)).toBe(false)
  })

  test('after failures with pauses that double, up to the cool-down', () => {
    const schedule = new RefreshSchedule(POLICY, () => 0)
    const pauses = Array.from({ length: 8 }, () => {
      schedule.failed(0)
      return schedule.dueAtMs
    })
    expect(pauses).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000])
  })

  test('with pauses that chance shortens, never below the half', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        fc.integer({ min: 1, max: 2_000 }),
        (chance, failures) => {
          const schedule = new RefreshSchedule(POLICY, () => chance)
          for (let i = 0; i < failures; i++) schedule.failed(0)
          const longest = Math.min(1_000 * 2 ** Math.min(failures - 1, 20), POLICY.coolDownMs)
          expect(schedule.dueAtMs).toBeGreaterThanOrEqual(longest / 2)
          expect(schedule.dueAtMs).toBeLessThanOrEqual(longest)
        },
      ),
    )
  })

  test('from the first pause again once a fetch has succeeded', () => {
    const schedule = new RefreshSchedule(POLICY, () => 0)
    schedule.failed(0)
    schedule.failed(0)
    schedule.succeeded(5_000, 5_000, 30_000)
    expect(schedule.isFailing).toBe(false)
    schedule.failed(40_000)
    expect(schedule.dueAtMs).toBe(41_000)
  })

  test('for unknown kids at most once in any cool-down, whatever happens meanwhile', () => {
    const event = fc.record({
      afterMs: fc.integer({ min: 0, max: 20_000 }),
      succeeds: fc.boolean(),
      takesMs: fc.integer({ min: 0, max: 5_000 }),
    })
    fc.assert(
      fc.property(
        fc.array(event, { maxLength: 60 }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (events, chance) => {
          const schedule = new RefreshSchedule(POLICY, () => chance)
          let nowMs = 0
          let lastMs = Number.NEGATIVE_INFINITY
          for (const { afterMs, succeeds, takesMs } of events) {
            nowMs += afterMs
            if (!schedule.mayFetchForUnknown(nowMs)) continue
            expect(nowMs - lastMs).toBeGreaterThanOrEqual(POLICY.coolDownMs)
            lastMs = nowMs
            schedule.coolDown(nowMs)
            nowMs += takesMs
            if (succeeds) schedule.succeeded(lastMs, nowMs, 600_000)
            else schedule.failed(nowMs)
          }
        },
      ),
    )
  })

  test('tells the client to come back when there can be something new', () => {
    const schedule = new RefreshSchedule(POLICY, () => 0)
    schedule.failed(0)
    expect(schedule.retryAfterMs(400)).toBe(600)
    expect(schedule.retryAfterMs(5_000)).toBe(0)
  })
})

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PeakAverage } from '../../src/strategies/peak-average.ts'

const DECAY = 10_000

describe('the peak average', () => {
  it('takes a peak as it is, at once', () => {
    const average = new PeakAverage(0)
    average.observe(10, 0, DECAY)
    average.observe(900, 1, DECAY)
    expect(average.costMs).toBe(900)
  })

  it('comes down by the time that has passed, as e^(-t/decay)', () => {
    const average = new PeakAverage(0)
    average.observe(100, 0, DECAY)
    average.observe(20, DECAY, DECAY)
    expect(average.costMs).toBeCloseTo(100 / Math.E + 20 * (1 - 1 / Math.E), 10)
  })

  it('does not come down by many answers in one moment', () => {
    const average = new PeakAverage(0)
    average.observe(100, 5, DECAY)
    for (let i = 0; i < 1_000; i++) average.observe(1, 5, DECAY)
    expect(average.costMs).toBe(100)
  })

  it('fades while nothing is measured', () => {
    const average = new PeakAverage(0)
    average.observe(100, 0, DECAY)
    expect(average.fadedMs(DECAY, DECAY)).toBeCloseTo(100 / Math.E, 10)
    expect(average.costMs).toBe(100)
  })

  it('is raised and never lowered by a lower bound', () => {
    const average = new PeakAverage(0)
    average.observe(100, 0, DECAY)
    average.observeAtLeast(50, 30_000)
    expect(average.costMs).toBe(100)
    expect(average.fadedMs(DECAY, DECAY)).toBeCloseTo(100 / Math.E, 10)
    average.observeAtLeast(150, 30_000)
    expect([average.costMs, average.fadedMs(30_000, DECAY)]).toEqual([150, 150])
  })

  it('is never less than the newest latency nor more than the highest, in whatever order', () => {
    const latency = fc.double({ min: 0.001, max: 60_000, noNaN: true })
    // Clocks that stand still or even run backwards must do no harm either.
    const step = fc.double({ min: -10, max: 60_000, noNaN: true })
    fc.assert(
      fc.property(
        fc.array(fc.tuple(latency, step), { minLength: 1 }),
        fc.integer({ min: 1, max: 3_600_000 }),
        (all, decayMs) => {
          let now = 0
          let highest = 0
          const average = new PeakAverage(now)
          for (const [latencyMs, stepMs] of all) {
            now += stepMs
            highest = Math.max(highest, latencyMs)
            average.observe(latencyMs, now, decayMs)
            expect(average.costMs).toBeGreaterThanOrEqual(latencyMs * (1 - 1e-12))
            expect(average.costMs).toBeLessThanOrEqual(highest * (1 + 1e-12))
            expect(average.fadedMs(now + 1, decayMs)).toBeLessThan(average.costMs)
          }
        },
      ),
    )
  })
})

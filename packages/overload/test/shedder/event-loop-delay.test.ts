import { eventually } from '@postern/test-kit'
import { describe, expect, it } from 'vitest'
import { EventLoopDelay, nextDelay } from '../../src/shedder/event-loop-delay.ts'

function after(latesMs: readonly number[]): number {
  return latesMs.reduce(nextDelay, 0)
}

describe('the delay of the event loop', () => {
  it('is near the truth after a few late turns, and gone soon after them', () => {
    expect(after(Array(5).fill(120))).toBeGreaterThan(90)
    expect(after(Array(20).fill(120))).toBeCloseTo(120, 0)
    expect(after([...Array(20).fill(120), ...Array(5).fill(0)])).toBeLessThan(25)
  })

  it('makes little of one pause', () => {
    expect(after([0, 0, 150, 0])).toBeLessThan(50)
  })

  it('is never negative, and does not believe that a stopped process was busy', () => {
    expect(after([-3, -1])).toBe(0)
    expect(after([3_600_000])).toBeLessThanOrEqual(600)
  })

  it('is measured while the loop is busy turn after turn', async () => {
    const source = new EventLoopDelay()
    try {
      expect(source.delayMs()).toBe(0)
      let seenMs = 0
      for (let turn = 0; turn < 6; turn++) {
        const untilMs = performance.now() + 100
        while (performance.now() < untilMs) {}
        await new Promise((resolve) => setImmediate(resolve))
        await new Promise((resolve) => setImmediate(resolve))
        seenMs = Math.max(seenMs, source.delayMs())
      }
      expect(seenMs).toBeGreaterThan(40)
      await eventually(() => source.delayMs() < 20)
    } finally {
      source.close()
    }
    expect(source.delayMs()).toBe(0)
  })

  it('keeps no process alive', () => {
    const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
    const before = timers()
    const source = new EventLoopDelay()
    expect(timers()).toBe(before)
    source.close()
  })
})

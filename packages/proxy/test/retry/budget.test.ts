import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { RetryBudget } from '../../src/retry/budget.ts'
import { Latencies } from '../../src/retry/latencies.ts'

describe('the budget of retries', () => {
  it('allows three at a time however little goes on, and no fourth', () => {
    const budget = new RetryBudget()
    budget.request(0)
    expect([0, 1, 2, 3].map(() => budget.take(0, 1))).toEqual([true, true, true, false])
    expect([budget.inFlight, budget.refused]).toEqual([3, 1])
  })

  it('allows a fifth of the requests in flight', () => {
    const budget = new RetryBudget()
    for (let i = 0; i < 1_000; i++) budget.request(0)
    let taken = 0
    while (budget.take(0, 100)) taken++
    expect(taken).toBe(20)
    budget.release()
    expect(budget.take(0, 100)).toBe(true)
  })

  it('allows a fifth of the requests of the last ten seconds, where none is ever in flight for long', () => {
    const budget = new RetryBudget()
    let taken = 0
    for (let i = 0; i < 1_000; i++) {
      budget.request(i)
      while (budget.take(i, 1)) {
        budget.release()
        taken++
      }
    }
    expect(taken).toBe(200)
  })

  it('forgets what is ten seconds ago', () => {
    const budget = new RetryBudget({ ratio: 0, min: 1, minPerSecond: 0.1 })
    expect(budget.take(0, 1)).toBe(true)
    budget.release()
    expect(budget.take(8_999, 1)).toBe(false)
    expect(budget.take(10_000, 1)).toBe(true)
  })

  it('with nothing allowed there is nothing', () => {
    const budget = new RetryBudget({ ratio: 0, min: 0, minPerSecond: 0 })
    for (let i = 0; i < 100; i++) budget.request(i)
    expect(budget.take(100, 100)).toBe(false)
  })

  it('never gives more than its share over any time, nor more at a time', () => {
    const step = fc.record({ afterMs: fc.nat(3_000), requests: fc.nat(20), asks: fc.nat(10), ends: fc.nat(5) })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const budget = new RetryBudget()
        const events: { at: number; requests: number; retries: number }[] = []
        let now = 0
        let live = 0
        for (const { afterMs, requests, asks, ends } of steps) {
          now += afterMs
          for (let i = 0; i < requests; i++) budget.request(now)
          let retries = 0
          for (let i = 0; i < asks; i++) if (budget.take(now, 50)) retries++
          live += retries
          events.push({ at: now, requests, retries })
          for (let i = 0; i < ends && live > 0; i++, live--) budget.release()
          expect(budget.inFlight).toBe(live)
          expect(live).toBeLessThanOrEqual(10)
          if (retries === 0) continue
          const step = Math.floor(now / 1_000)
          const recent = events.filter((event) => Math.floor(event.at / 1_000) > step - 10)
          const sum = (key: 'requests' | 'retries') => recent.reduce((total, event) => total + event[key], 0)
          expect(sum('retries')).toBeLessThanOrEqual(Math.max(10, Math.floor(0.2 * sum('requests'))))
        }
      }),
    )
  })
})

describe('the latest latencies', () => {
  it('say nothing before there are enough', () => {
    const latencies = new Latencies()
    for (let i = 0; i < 31; i++) latencies.add(1)
    expect(latencies.p95Ms).toBe(undefined)
    latencies.add(1)
    expect(latencies.p95Ms).toBe(1)
  })

  it('give the p95 of the latest 256', () => {
    const latencies = new Latencies()
    for (let i = 0; i < 1_000; i++) latencies.add(5_000)
    for (let i = 1; i <= 280; i++) latencies.add(i)
    // 1,280 in all: worked out at the last of them, over 25 … 280.
    expect(latencies.p95Ms).toBe(268)
  })
})

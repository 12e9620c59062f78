import { GatewayError } from '@postern/contracts'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { circuitBreaker } from '../src/index.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

/** Calls so often, whatever comes of it. */
async function calls(fn: () => Promise<unknown>, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await fn().catch(() => {})
}

describe('wrap()', () => {
  it('passes this, arguments and result on', async () => {
    const rates = {
      base: 2,
      times(this: { base: number }, a: number, b: number) {
        return this.base * a * b
      },
    }
    const times = circuitBreaker().wrap(rates.times)
    const result: number = await times.call(rates, 3, 7)
    expect(result).toBe(42)
  })

  it('passes errors on, also those of a function that throws at once', async () => {
    const breaker = circuitBreaker()
    const error = new Error('no rates today')
    const throws = breaker.wrap(() => {
      throw error
    })
    await expect(throws()).rejects.toBe(error)
    await expect(breaker.wrap(() => Promise.reject(error))()).rejects.toBe(error)
  })

  it('stops calling what keeps failing: a GatewayError with a time to wait', async () => {
    const fetchRates = vi.fn(() => Promise.reject(new Error('down')))
    const breaker = circuitBreaker({ jitter: 0, openMs: 2_500 })
    const guarded = breaker.wrap(fetchRates, { name: 'rates' })
    await calls(guarded, 10)
    expect(fetchRates).toHaveBeenCalledTimes(7)
    const error = await guarded().catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(GatewayError)
    expect(error).toMatchObject({ code: 'circuit_open', status: 503, headers: { 'retry-after': '3' }, expose: false })
    expect(breaker.circuits[0]).toMatchObject({ id: 'rates', counts: { failures: 7, rejected: 4 } })
  })

  it('tries again with one call', async () => {
    let answer: (rate: number) => void = () => {}
    let down = true
    const fetchRates = vi.fn(() => {
      if (down) throw new Error('down')
      return new Promise<number>((resolve) => {
        answer = resolve
      })
    })
    const guarded = circuitBreaker({ jitter: 0 }).wrap(fetchRates)
    await calls(guarded, 7)
    down = false
    fetchRates.mockClear()
    vi.advanceTimersByTime(1_000)
    const results = Array.from({ length: 200 }, () => guarded().catch((error: GatewayError) => error.code))
    expect(fetchRates).toHaveBeenCalledTimes(1)
    answer(42)
    expect(new Set(await Promise.all(results))).toEqual(new Set([42, 'circuit_open']))
    void guarded()
    expect(fetchRates).toHaveBeenCalledTimes(2)
  })

  it('gives each function a circuit of its own, named after it', async () => {
    const breaker = circuitBreaker({ name: 'shop' })
    const broken = breaker.wrap(async function fetchRates() {
      throw new Error('down')
    })
    const well = breaker.wrap(() => 1)
    await calls(broken, 7)
    await expect(well()).resolves.toBe(1)
    expect(breaker.circuits.map(({ id, state }) => [id, state])).toEqual([
      ['fetchRates', 'open'],
      ['shop function', 'closed'],
    ])
  })

  it('counts errors as its rule says: a missing rate is no outage', async () => {
    const missing = Object.assign(new Error('no such rate'), { status: 404 })
    const breaker = circuitBreaker()
    const guarded = breaker.wrap(() => Promise.reject(missing), {
      isFailure: (error) => (error as { status?: number }).status !== 404,
    })
    await calls(guarded, 50)
    expect(breaker.circuits[0]).toMatchObject({ state: 'closed', counts: { successes: 50, failures: 0 } })
  })

  it('does not count a caller that gave up, nor aborts anything itself', async () => {
    const breaker = circuitBreaker()
    const controller = new AbortController()
    const waits = breaker.wrap(
      (signal: AbortSignal) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason as Error))
        }),
    )
    const pending = Array.from({ length: 50 }, () => waits(controller.signal).catch((error: Error) => error.name))
    vi.advanceTimersByTime(3_600_000)
    expect(controller.signal.aborted).toBe(false)
    controller.abort()
    expect(new Set(await Promise.all(pending))).toEqual(new Set(['AbortError']))
    expect(breaker.circuits[0]).toMatchObject({ state: 'closed', counts: { failures: 0, ignored: 50 } })
  })

  it('with timeoutMs rejects in time and counts a failure; one slow call ends no other', async () => {
    const breaker = circuitBreaker()
    let settle: (value: string) => void = () => {}
    const guarded = breaker.wrap(
      (how: 'slow' | 'soon') =>
        new Promise<string>((resolve) => {
          if (how === 'soon') settle = resolve
        }),
      { name: 'rates', timeoutMs: 500 },
    )
    const slow = guarded('slow').catch((error: unknown) => error)
    vi.advanceTimersByTime(300)
    const soon = guarded('soon')
    vi.advanceTimersByTime(200)
    expect(await slow).toMatchObject({ name: 'TimeoutError', code: 'POSTERN_CALL_TIMEOUT' })
    settle('fine')
    await expect(soon).resolves.toBe('fine')
    expect(breaker.circuits[0]?.counts).toMatchObject({ successes: 1, failures: 1 })
    expect(vi.getTimerCount()).toBe(0)
  })

  it('drops what comes of a call after its time, without an unhandled rejection', async () => {
    const unhandled = vi.fn()
    process.on('unhandledRejection', unhandled)
    const guarded = circuitBreaker().wrap(
      () => new Promise((_, reject) => setTimeout(() => reject(new Error('late')), 1_000)),
      { timeoutMs: 10 },
    )
    const call = guarded().catch((error: Error) => error.name)
    vi.advanceTimersByTime(1_000)
    expect(await call).toBe('TimeoutError')
    vi.useRealTimers()
    await new Promise((resolve) => setImmediate(resolve))
    process.off('unhandledRejection', unhandled)
    expect(unhandled).not.toHaveBeenCalled()
  })

  it('counts a slow call as failed where slowMs says so', async () => {
    const breaker = circuitBreaker({ slowMs: 100 })
    const guarded = breaker.wrap(() => new Promise<void>((resolve) => setTimeout(resolve, 101)))
    const call = guarded()
    vi.advanceTimersByTime(101)
    await call
    expect(breaker.circuits[0]?.counts).toMatchObject({ successes: 0, failures: 1, slow: 1 })
  })
})

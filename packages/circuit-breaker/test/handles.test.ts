import { channel, type Target } from '@postern/contracts'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { attempt, BROKEN, breakerOf, changes, FirstOf, narrowed, OK, refusalOf, targetsOf } from './support.ts'

beforeEach(() => {
  vi.useFakeTimers()
  vi.setSystemTime(1_000_000)
})
afterEach(() => {
  vi.useRealTimers()
})

describe('circuits', () => {
  it('are made on first use, in that order', () => {
    const breaker = breakerOf()
    expect(breaker.circuits).toEqual([])
    attempt(breaker, new FirstOf(targetsOf(2)))
    breaker.wrap(() => 1, { name: 'rates' })
    expect(breaker.circuits.map(({ id, state }) => [id, state])).toEqual([
      ['a', 'closed'],
      ['rates', 'closed'],
    ])
  })

  it('show state, counts and times, live', () => {
    const breaker = breakerOf({ jitter: 0 })
    const pool = new FirstOf(targetsOf(1))
    attempt(breaker, pool, OK)
    const [circuit] = breaker.circuits
    expect(circuit).toMatchObject({ openedAtMs: undefined, retryAtMs: undefined, nextOpenMs: 1_000 })
    for (let i = 0; i < 7; i++) attempt(breaker, pool, BROKEN)
    attempt(breaker, pool)
    expect(circuit).toMatchObject({
      id: 'a',
      target: pool.targets[0],
      state: 'open',
      counts: { successes: 1, failures: 7, slow: 0, rejected: 1, ignored: 0 },
      openedAtMs: 1_000_000,
      retryAtMs: 1_001_000,
      nextOpenMs: 2_000,
    })
    vi.advanceTimersByTime(1_000)
    expect(circuit).toMatchObject({ state: 'half-open', openedAtMs: 1_000_000, retryAtMs: undefined })
  })

  it('cannot be changed by who looks', () => {
    const breaker = breakerOf()
    attempt(breaker, new FirstOf(targetsOf(1)))
    const [circuit] = breaker.circuits
    expect(Object.isFrozen(breaker.circuits)).toBe(true)
    expect(() => Object.assign(circuit!, { state: 'open' })).toThrow(TypeError)
  })

  it('are written as JSON without the target, which may hold a key', () => {
    const breaker = breakerOf()
    attempt(breaker, new FirstOf(targetsOf(1)))
    expect(JSON.parse(JSON.stringify(breaker.circuits))).toEqual([
      {
        id: 'a',
        state: 'closed',
        counts: { successes: 1, failures: 0, slow: 0, rejected: 0, ignored: 0 },
        nextOpenMs: 1_000,
      },
    ])
  })
})

describe('isolate() and reset()', () => {
  it('hold one circuit open by hand, and close it', () => {
    const breaker = breakerOf()
    const pool = new FirstOf(targetsOf(2))
    attempt(breaker, pool)
    breaker.isolate('a')
    vi.advanceTimersByTime(3_600_000)
    expect(attempt(breaker, pool)).toBe('b')
    expect(breaker.circuits[0]?.state).toBe('isolated')
    breaker.reset('a')
    expect(attempt(breaker, pool)).toBe('a')
  })

  it('without an id mean all circuits, those of targets that come later, too', () => {
    const breaker = breakerOf()
    breaker.isolate()
    const pool = new FirstOf(targetsOf(2))
    expect(refusalOf(narrowed(breaker, pool).acquire())).toEqual({ reason: 'circuit_open', retryAfterMs: 60_000 })
    const late = breaker.wrap(() => 1, { name: 'late' })
    expect(breaker.circuits.map(({ state }) => state)).toEqual(['isolated'])
    breaker.reset()
    expect(attempt(breaker, pool)).toBe('a')
    return expect(late()).resolves.toBe(1)
  })

  it('close an open circuit at once, with nothing remembered', () => {
    const breaker = breakerOf({ jitter: 0 })
    const pool = new FirstOf(targetsOf(1))
    for (let i = 0; i < 7; i++) attempt(breaker, pool, BROKEN)
    breaker.reset('a')
    expect(breaker.circuits[0]).toMatchObject({ state: 'closed', counts: { failures: 0 }, nextOpenMs: 1_000 })
    expect(attempt(breaker, pool)).toBe('a')
    expect(vi.getTimerCount()).toBe(0)
  })

  it('refuse an id that no circuit has, and name the nearest', () => {
    const breaker = breakerOf()
    expect(() => breaker.isolate('payments')).toThrow(/no circuit has the id "payments"; there is none yet/)
    breaker.wrap(() => 1, { name: 'payments' })
    expect(() => breaker.reset('paymens')).toThrow(
      expect.objectContaining({
        name: 'RangeError',
        code: 'POSTERN_UNKNOWN_CIRCUIT',
        message: expect.stringContaining('did you mean "payments"?'),
      }),
    )
  })
})

describe('channels', () => {
  it('tell every change with its reason, counts and time, after it has taken effect', () => {
    const seen = changes()
    const breaker = breakerOf({ jitter: 0, name: 'shop' })
    const pool = new FirstOf(targetsOf(1))
    for (let i = 0; i < 7; i++) attempt(breaker, pool, BROKEN)
    vi.advanceTimersByTime(1_000)
    attempt(breaker, pool, BROKEN)
    vi.advanceTimersByTime(2_000)
    attempt(breaker, pool, OK)
    breaker.isolate('a')
    breaker.isolate('a')
    breaker.reset('a')
    breaker.reset('a')
    expect(seen.map(({ event, reason, openMs, counts }) => [event, reason, openMs, counts.failures])).toEqual([
      ['opened', 'consecutive_failures', 1_000, 7],
      ['half-opened', 'time', undefined, 7],
      ['opened', 'probe_failed', 2_000, 8],
      ['half-opened', 'time', undefined, 8],
      ['closed', 'probe_succeeded', undefined, 8],
      ['isolated', 'by_hand', undefined, 0],
      ['closed', 'by_hand', undefined, 0],
    ])
    expect(seen[0]).toMatchObject({ circuitBreaker: 'shop', id: 'a', target: pool.targets[0] })
  })
})

const targetChanged = channel<{ target: Target; change: string }>('postern:target:changed')

describe('a target that a balancer finds well again', () => {
  it.each(['healthy', 'reachable'])('(%s) is tried before its time, by one request', (change) => {
    const breaker = breakerOf({ openMs: 30_000 })
    const pool = new FirstOf(targetsOf(1))
    for (let i = 0; i < 7; i++) attempt(breaker, pool, BROKEN)
    const seen = changes()
    targetChanged.publish({ target: pool.targets[0]!, change })
    targetChanged.publish({ target: pool.targets[0]!, change })
    expect(attempt(breaker, pool)).toBe('circuit_open')
    vi.advanceTimersByTime(1)
    expect(attempt(breaker, pool, BROKEN)).toBe('a')
    expect(seen.map(({ event, reason }) => `${event} ${reason}`)).toEqual([
      'half-opened target_recovered',
      'opened probe_failed',
    ])
    // It was ill after all, and the open time went on doubling.
    expect(breaker.circuits[0]).toMatchObject({ state: 'open', nextOpenMs: 60_000 })
    vi.advanceTimersByTime(60_000)
    expect(seen.at(-1)).toMatchObject({ event: 'half-opened', reason: 'time' })
  })

  it('stays isolated, and changes nothing while its circuit is closed or probing', () => {
    const breaker = breakerOf({ jitter: 0 })
    const pool = new FirstOf(targetsOf(2))
    for (let i = 0; i < 7; i++) attempt(breaker, pool, BROKEN)
    attempt(breaker, pool)
    vi.advanceTimersByTime(1_000)
    const probe = narrowed(breaker, pool).acquire()
    const seen = changes()
    for (const target of pool.targets) targetChanged.publish({ target, change: 'healthy' })
    vi.advanceTimersByTime(1)
    expect(seen).toEqual([])
    if ('target' in probe) probe.settle(BROKEN)
    breaker.isolate('a')
    targetChanged.publish({ target: pool.targets[0]!, change: 'healthy' })
    vi.advanceTimersByTime(10_000)
    expect(breaker.circuits.map(({ state }) => state)).toEqual(['isolated', 'closed'])
  })
})

describe('a target that is gone', () => {
  it('takes its circuit along as soon as a balancer tells', () => {
    const breaker = breakerOf()
    const pool = new FirstOf(targetsOf(2))
    for (let i = 0; i < 8; i++) attempt(breaker, pool, BROKEN)
    const late = narrowed(breaker, pool).acquire()
    expect(vi.getTimerCount()).toBe(1)
    targetChanged.publish({ target: pool.targets[0]!, change: 'draining' })
    expect(breaker.circuits).toHaveLength(2)
    targetChanged.publish({ target: pool.targets[0]!, change: 'removed' })
    expect(breaker.circuits.map(({ id }) => id)).toEqual(['b'])
    expect(vi.getTimerCount()).toBe(0)
    if ('target' in late) late.settle(OK)
    expect(breaker.circuits[0]?.counts).toMatchObject({ successes: 1, failures: 1 })
  })

  it('leaves no circuit behind, though nobody tells', async () => {
    vi.useRealTimers()
    const breaker = breakerOf()
    const kept = new FirstOf(targetsOf(1))
    attempt(breaker, kept)
    for (let i = 0; i < 200; i++) attempt(breaker, new FirstOf(targetsOf(1)))
    for (let i = 0; i < 20 && breaker.circuits.length > 1; i++) {
      await new Promise((resolve) => setImmediate(resolve))
      globalThis.gc?.()
    }
    expect(breaker.circuits.map(({ target }) => target)).toEqual([kept.targets[0]])
  })

  it('with many targets coming and going, what is open is still known', () => {
    const breaker = breakerOf({ consecutiveFailures: 2 })
    const pools = Array.from({ length: 300 }, () => new FirstOf(targetsOf(1)))
    for (const pool of pools) for (let i = 0; i < 2; i++) attempt(breaker, pool, BROKEN)
    expect(breaker.circuits.filter(({ state }) => state === 'open')).toHaveLength(300)
    for (const pool of pools) targetChanged.publish({ target: pool.targets[0]!, change: 'removed' })
    expect(breaker.circuits).toEqual([])
    expect(vi.getTimerCount()).toBe(0)
  })
})

describe('close()', () => {
  it('ends every timer, and lets everything through from then on', async () => {
    const breaker = breakerOf()
    const pool = new FirstOf(targetsOf(1))
    for (let i = 0; i < 7; i++) attempt(breaker, pool, BROKEN)
    const wrapped = breaker.wrap(() => 'well', { name: 'rates' })
    breaker.isolate('rates')
    const underWay = narrowed(breaker, pool)
    breaker.close()
    breaker.close()
    expect(vi.getTimerCount()).toBe(0)
    expect(breaker.circuits).toEqual([])
    expect(underWay.acquire()).toHaveProperty('target.id', 'a')
    for (let i = 0; i < 20; i++) expect(attempt(breaker, pool, BROKEN)).toBe('a')
    await expect(wrapped()).resolves.toBe('well')
    await expect(breaker.wrap(() => 'also')()).resolves.toBe('also')
  })

  it('stops listening to balancers', () => {
    expect(targetChanged.hasSubscribers).toBe(false)
    const breaker = breakerOf()
    attempt(breaker, new FirstOf(targetsOf(1)))
    expect(targetChanged.hasSubscribers).toBe(true)
    breaker.close()
    expect(targetChanged.hasSubscribers).toBe(false)
  })
})

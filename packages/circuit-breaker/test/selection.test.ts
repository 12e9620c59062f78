import type { Attempt, Exchange, Target } from '@postern/contracts'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { circuitBreaker } from '../src/index.ts'
import {
  attempt,
  BROKEN,
  bareExchange,
  CLIENT_LEFT,
  FirstOf,
  leaseOf,
  NOT_FOUND,
  narrowed,
  OK,
  REFUSED_CONNECTION,
  refusalOf,
  SUPERSEDED,
  targetsOf,
} from './support.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

const setUp = (targets: number, options: Parameters<typeof circuitBreaker>[0] = {}) => {
  const pool = new FirstOf(targetsOf(targets))
  const breaker = circuitBreaker({ jitter: 0, ...options })
  const states = () => Object.fromEntries(breaker.circuits.map(({ id, state }) => [id, state]))
  return { pool, breaker, states }
}

describe('circuitBreaker() behind a balancer', () => {
  it('leaves a target alone that keeps failing, and uses the others', () => {
    const { pool, breaker, states } = setUp(2)
    for (let i = 0; i < 7; i++) expect(attempt(breaker, pool, BROKEN)).toBe('a')
    expect(attempt(breaker, pool)).toBe('b')
    expect(states()).toEqual({ a: 'open', b: 'closed' })
  })

  it('tells the balancer of every outcome, once and unchanged', () => {
    const { pool, breaker } = setUp(1)
    const outcomes = [OK, BROKEN, REFUSED_CONNECTION, CLIENT_LEFT, SUPERSEDED]
    for (const outcome of outcomes) attempt(breaker, pool, outcome)
    expect(pool.settled).toEqual(outcomes.map((outcome) => ['a', outcome]))
  })

  it('counts what the target did, and neither what a client did nor a 4xx', () => {
    const { pool, breaker } = setUp(1)
    for (let i = 0; i < 100; i++) {
      attempt(breaker, pool, CLIENT_LEFT)
      attempt(breaker, pool, SUPERSEDED)
      attempt(breaker, pool, NOT_FOUND)
    }
    expect(breaker.circuits[0]).toMatchObject({
      state: 'closed',
      counts: { successes: 100, failures: 0, slow: 0, rejected: 0, ignored: 200 },
    })
  })

  it('counts a lease once, however often it is settled', () => {
    const { pool, breaker } = setUp(1)
    const lease = leaseOf(narrowed(breaker, pool).acquire())
    for (let i = 0; i < 20; i++) lease.settle(BROKEN)
    expect(breaker.circuits[0]).toMatchObject({ state: 'closed', counts: { failures: 1 } })
  })

  it('shows how many targets there are', () => {
    const { pool, breaker } = setUp(3)
    expect(narrowed(breaker, pool).size).toBe(3)
  })

  it('asks nobody about candidates while all circuits are closed, and passes the caller’s own question on', () => {
    const { pool, breaker } = setUp(2)
    const questions: unknown[] = []
    const asked = {
      size: 2,
      acquire: (accept?: (target: Target) => boolean) => {
        questions.push(accept)
        return pool.acquire(accept)
      },
    }
    const notA = (target: Target) => target.id !== 'a'
    const selection = narrowed(breaker, asked)
    leaseOf(selection.acquire()).settle(OK)
    expect(leaseOf(selection.acquire(notA)).target.id).toBe('b')
    expect(questions).toEqual([undefined, notA])
  })

  it('wraps the selection of another circuit breaker, and of the same one again', () => {
    const { pool, breaker } = setUp(2)
    const other = circuitBreaker({ jitter: 0 })
    const exchange = bareExchange()
    const selection = narrowed(breaker, narrowed(other, narrowed(breaker, pool, exchange), exchange), exchange)
    leaseOf(selection.acquire()).settle(OK)
    breaker.isolate('a')
    expect(leaseOf(selection.acquire()).target.id).toBe('b')
    expect(other.circuits).toHaveLength(2)
  })
})

describe('a refusal', () => {
  it('says circuit_open when circuits are all that stands in the way, and when the first half-opens', () => {
    const { pool, breaker } = setUp(2)
    for (let i = 0; i < 7; i++) attempt(breaker, pool, BROKEN)
    vi.advanceTimersByTime(300)
    for (let i = 0; i < 7; i++) attempt(breaker, pool, BROKEN)
    vi.advanceTimersByTime(100)
    expect(refusalOf(narrowed(breaker, pool).acquire())).toEqual({ reason: 'circuit_open', retryAfterMs: 600 })
    expect(breaker.circuits.map(({ counts }) => counts.rejected)).toEqual([1, 0])
  })

  it('says circuit_open on a retry when the one target that is left is open', () => {
    const { pool, breaker } = setUp(2)
    for (let i = 0; i < 7; i++) attempt(breaker, pool, BROKEN)
    const selection = narrowed(breaker, pool)
    const first = leaseOf(selection.acquire())
    expect(first.target.id).toBe('b')
    first.settle(BROKEN)
    expect(refusalOf(selection.acquire((target) => target.id !== 'b')).reason).toBe('circuit_open')
  })

  it('keeps its own reason when every target was tried, though a circuit is open', () => {
    const { pool, breaker } = setUp(2)
    for (let i = 0; i < 7; i++) attempt(breaker, pool, BROKEN)
    expect(refusalOf(narrowed(breaker, pool).acquire(() => false))).toEqual({ reason: 'no_targets' })
  })

  it.each(['all_unhealthy', 'saturated', 'target_gone'] as const)(
    'keeps %s when a target whose circuit is closed was refused for it',
    (reason) => {
      const { pool, breaker } = setUp(2)
      for (let i = 0; i < 7; i++) attempt(breaker, pool, BROKEN)
      pool.refuseAs = reason
      expect(refusalOf(narrowed(breaker, pool).acquire())).toEqual({ reason })
    },
  )

  it('keeps the reason of a balancer that has no targets', () => {
    const { pool, breaker } = setUp(0)
    breaker.isolate()
    expect(refusalOf(narrowed(breaker, pool).acquire())).toEqual({ reason: 'no_targets' })
  })

  it('comes from a selection that does not listen, too, and the attempt that is not made is nobody’s failure', () => {
    const { breaker, pool } = setUp(1)
    const deaf = { size: 1, acquire: () => pool.acquire() }
    breaker.isolate()
    expect(refusalOf(narrowed(breaker, deaf).acquire())).toEqual({ reason: 'circuit_open', retryAfterMs: 60_000 })
    expect(pool.settled).toEqual([['a', expect.objectContaining({ type: 'superseded', side: 'gateway' })]])
  })
})

describe('the probe of a half-open circuit', () => {
  function halfOpen(options?: Parameters<typeof circuitBreaker>[0]) {
    const set = setUp(1, options)
    for (let i = 0; i < 7; i++) attempt(set.breaker, set.pool, BROKEN)
    vi.advanceTimersByTime(1_000)
    expect(set.states()).toEqual({ a: 'half-open' })
    set.pool.leased = 0
    return set
  }

  it('is one of two hundred requests at once', () => {
    const { pool, breaker, states } = halfOpen()
    const results = Array.from({ length: 200 }, () => narrowed(breaker, pool).acquire())
    const leases = results.filter((result) => 'target' in result)
    expect(leases).toHaveLength(1)
    expect(pool.leased).toBe(1)
    leases[0]!.settle(OK)
    expect(states()).toEqual({ a: 'closed' })
  })

  it('is not used up by looking: candidates that are not chosen stay untouched', () => {
    const { pool, breaker } = halfOpen()
    const selection = narrowed(breaker, pool)
    pool.refuseAs = 'saturated'
    for (let i = 0; i < 10; i++) expect(refusalOf(selection.acquire()).reason).toBe('saturated')
    pool.refuseAs = undefined
    expect(leaseOf(selection.acquire()).target.id).toBe('a')
  })

  it('goes to the next request when its client left', () => {
    const { pool, breaker, states } = halfOpen()
    expect(attempt(breaker, pool, CLIENT_LEFT)).toBe('a')
    expect(states()).toEqual({ a: 'half-open' })
    expect(attempt(breaker, pool, OK)).toBe('a')
    expect(states()).toEqual({ a: 'closed' })
  })

  it('is told from the refusal of a request that came meanwhile', () => {
    const { pool, breaker } = halfOpen()
    leaseOf(narrowed(breaker, pool).acquire())
    expect(refusalOf(narrowed(breaker, pool).acquire())).toEqual({ reason: 'circuit_open', retryAfterMs: 0 })
  })

  it('never holds the circuit half-open for ever: an attempt that nobody settles opens it again', () => {
    const { pool, breaker, states } = halfOpen({ probeTimeoutMs: 50 })
    const lost = leaseOf(narrowed(breaker, pool).acquire())
    vi.advanceTimersByTime(50)
    expect(states()).toEqual({ a: 'open' })
    vi.advanceTimersByTime(2_000)
    expect(attempt(breaker, pool, OK)).toBe('a')
    expect(states()).toEqual({ a: 'closed' })
    lost.settle(BROKEN)
    expect(breaker.circuits[0]?.counts.failures).toBe(0)
    expect(pool.settled.at(-1)).toEqual(['a', BROKEN])
  })

  /** The proxy's note of an attempt whose head has come, and whose body or tunnel goes on. */
  function noteAttempt(exchange: Exchange, target: Target, status: number): void {
    const timings = { startedAtMs: performance.now(), queueMs: 0, connectMs: 1, headersMs: 20, totalMs: undefined }
    const note: Attempt = { target, kind: 'first', ...timings, status, reused: false, failure: undefined }
    exchange.attempts.push(note)
  }

  it.each([
    [101, 'a tunnel', 'closed'],
    [200, 'an endless stream', 'closed'],
    [503, 'a long refusal', 'open'],
  ])('is judged by its head after the probe’s time: %i, %s, leaves the circuit %3$s', (status, _, state) => {
    const { pool, breaker, states } = halfOpen()
    const exchange = bareExchange()
    const lease = leaseOf(narrowed(breaker, pool, exchange).acquire())
    noteAttempt(exchange, lease.target, status)
    vi.advanceTimersByTime(5_000)
    expect(states()).toEqual({ a: state })
    lease.settle({ status, headersMs: 20, totalMs: 60_000 })
    expect(states()).toEqual({ a: state })
  })
})

import { type Failure, isRefusal, type Outcome } from '@postern/contracts'
import { afterEach, describe, expect, it } from 'vitest'
import { outliersAmong } from '../../src/health/outliers.ts'
import { type BalancerHandler, type TargetChange, targetChanged } from '../../src/index.ts'
import { balancerOf, CLIENT_LEFT, lease, type ManualClock, manualClock, OK, REFUSED, selectionOf } from '../support.ts'

const FAILED = { status: 500, headersMs: 1, totalMs: 2 } as const
const NOT_FOUND = { status: 404, headersMs: 1, totalMs: 2 } as const
const CUT: Failure = { type: 'http_response_incomplete', phase: 'body', side: 'upstream', totalMs: 1 }
const LATE: Failure = { type: 'deadline_exceeded', phase: 'headers', side: 'gateway', totalMs: 1 }
const LOST: Failure = { type: 'superseded', phase: 'headers', side: 'gateway', totalMs: 1 }

const listeners: ((change: TargetChange) => void)[] = []
afterEach(() => {
  for (const listener of listeners.splice(0)) targetChanged.unsubscribe(listener)
})

function changes(): string[] {
  const seen: string[] = []
  const listener = ({ change, target }: TargetChange) => void seen.push(`${change}:${target.id}`)
  listeners.push(listener)
  targetChanged.subscribe(listener)
  return seen
}

function settle(handler: BalancerHandler, id: string, outcome: Outcome, times = 1): void {
  for (let i = 0; i < times; i++) lease(handler, (target) => target.id === id).settle(outcome)
}

/** Ids of the targets that may be chosen. */
function eligible(handler: BalancerHandler): string {
  return handler.targets
    .filter((target) => target.eligible)
    .map(({ id }) => id)
    .join('')
}

describe('a target to which no connection can be made', () => {
  it('is left out for 100 ms, then twice as long each time, up to a second', () => {
    const clock = manualClock()
    const handler = balancerOf([1, 1], { clock, random: () => 0 })
    for (const restMs of [100, 200, 400, 800, 1_000, 1_000]) {
      settle(handler, 'a', REFUSED)
      clock.advance(restMs - 1)
      expect(eligible(handler)).toBe('b')
      clock.advance(1)
      expect(eligible(handler)).toBe('ab')
    }
  })

  it('is left out for down to half of that by chance', () => {
    const clock = manualClock()
    const handler = balancerOf([1, 1], { clock, random: () => 0.999_999 })
    settle(handler, 'a', REFUSED)
    clock.advance(51)
    expect(eligible(handler)).toBe('ab')
  })

  it('gets one attempt when its time is over, and the others wait for what comes of it', () => {
    const clock = manualClock()
    const handler = balancerOf([1, 1], { clock, random: () => 0 })
    settle(handler, 'a', REFUSED)
    clock.advance(100)
    const trial = lease(handler, ({ id }) => id === 'a')
    expect(eligible(handler)).toBe('b')
    trial.settle(OK)
    expect(eligible(handler)).toBe('ab')
    expect(handler.targets[0]).toMatchObject({ health: 'healthy', unreachable: false })
  })

  it('gets one attempt a second while it swallows them', () => {
    const clock = manualClock()
    const handler = balancerOf([1, 1], { clock, random: () => 0 })
    settle(handler, 'a', REFUSED)
    clock.advance(100)
    let swallowed = 0
    for (let i = 0; i < 50; i++) {
      const result = selectionOf(handler).acquire(({ id }) => id === 'a')
      if (!isRefusal(result)) swallowed++
      clock.advance(100)
    }
    expect(swallowed).toBe(5)
  })

  it('is not left out longer for attempts that failed together', () => {
    const clock = manualClock()
    const handler = balancerOf([1, 1], { clock, random: () => 0 })
    const open = Array.from({ length: 20 }, () => lease(handler, ({ id }) => id === 'a'))
    for (const one of open) one.settle(REFUSED)
    clock.advance(100)
    expect(eligible(handler)).toBe('ab')
  })

  it('is not ejected for it, however often', () => {
    const clock = manualClock()
    const handler = balancerOf([1, 1], { clock, random: () => 0 })
    for (let i = 0; i < 10; i++) {
      settle(handler, 'a', REFUSED)
      clock.advance(1_000)
    }
    settle(handler, 'a', OK)
    expect(handler.targets[0]).toMatchObject({ health: 'healthy', ejectedForMs: 0, failures: 10 })
  })

  it('is reached by whatever it answers', () => {
    const clock = manualClock()
    const handler = balancerOf([1], { clock })
    const slow = lease(handler)
    settle(handler, 'a', REFUSED)
    slow.settle(NOT_FOUND)
    expect(handler.targets[0]).toMatchObject({ unreachable: false, health: 'unknown', eligible: true })
  })

  it('starts slowly when it was away for more than a second', () => {
    const clock = manualClock()
    const handler = balancerOf([1, 1], { clock, random: () => 0, slowStart: 1_000 })
    settle(handler, 'a', REFUSED)
    clock.advance(500)
    settle(handler, 'a', OK)
    expect(handler.targets[0]?.effectiveWeight).toBe(1)
    settle(handler, 'a', REFUSED)
    clock.advance(1_001)
    settle(handler, 'a', OK)
    expect(handler.targets[0]?.effectiveWeight).toBe(0.1)
  })

  it('means 503 at once when it is so with all of them, and back within a second', () => {
    const clock = manualClock()
    const handler = balancerOf([1, 1, 1], { clock, random: () => 0.5 })
    const selection = () => selectionOf(handler).acquire()
    let refused = 0
    for (let ms = 0; ms < 10_000; ms += 5) {
      const result = selection()
      if (isRefusal(result)) {
        refused++
        expect(result.reason).toBe('all_unhealthy')
        expect(result.retryAfterMs).toBeGreaterThan(0)
        expect(result.retryAfterMs).toBeLessThanOrEqual(1_000)
      } else result.settle(REFUSED)
      clock.advance(5)
    }
    expect(refused).toBeGreaterThan(1_900)
    // They are back.
    const backAtMs = clock.now()
    let firstMs: number | undefined
    while (firstMs === undefined) {
      const result = selection()
      if (isRefusal(result)) clock.advance(5)
      else {
        result.settle(OK)
        firstMs = clock.now() - backAtMs
      }
    }
    expect(firstMs).toBeLessThan(1_000)
    clock.advance(1_000)
    expect(eligible(handler)).toBe('abc')
  })

  it('stays in when that is switched off, and then counts as a failure', () => {
    const handler = balancerOf([1, 1], { clock: manualClock(), outliers: { connectFailure: false } })
    settle(handler, 'a', REFUSED, 4)
    expect(eligible(handler)).toBe('ab')
    settle(handler, 'a', REFUSED)
    expect(handler.targets[0]).toMatchObject({ eligible: false, unreachable: false, health: 'unhealthy' })
  })
})

describe('a target that fails several times in a row', () => {
  it.each([
    ['answers of 500 and more', FAILED],
    ['answers that break off', CUT],
  ])('is ejected for 30 s (%s)', (_, outcome) => {
    const clock = manualClock()
    const handler = balancerOf([1, 1], { clock, random: () => 0 })
    settle(handler, 'a', outcome, 4)
    expect(eligible(handler)).toBe('ab')
    settle(handler, 'a', outcome)
    expect(eligible(handler)).toBe('b')
    expect(handler.targets[0]).toMatchObject({ health: 'unhealthy', ejectedForMs: 30_000 })
    clock.advance(29_999)
    expect(eligible(handler)).toBe('b')
    clock.advance(1)
    expect(eligible(handler)).toBe('ab')
    expect(handler.targets[0]).toMatchObject({ ejectedForMs: 0, consecutiveFailures: 0 })
  })

  it('is not ejected when one attempt between them goes well', () => {
    const handler = balancerOf([1, 1])
    for (let i = 0; i < 5; i++) {
      settle(handler, 'a', FAILED, 4)
      settle(handler, 'a', OK)
    }
    expect(eligible(handler)).toBe('ab')
  })

  it('is neither excused nor accused by what a client or the gateway did', () => {
    const handler = balancerOf([1, 1])
    for (const outcome of [CLIENT_LEFT, LATE, LOST, NOT_FOUND]) settle(handler, 'a', outcome, 100)
    expect(handler.targets[0]).toMatchObject({ health: 'unknown', eligible: true, failures: 0 })
    settle(handler, 'a', FAILED, 4)
    for (const outcome of [CLIENT_LEFT, LATE, LOST, NOT_FOUND]) settle(handler, 'a', outcome)
    expect(handler.targets[0]?.consecutiveFailures).toBe(4)
    settle(handler, 'a', FAILED)
    expect(eligible(handler)).toBe('b')
  })

  it('is ejected for longer each time, up to 300 s, and less so after time in good standing', () => {
    const clock = manualClock()
    const handler = balancerOf([1, 1], { clock, random: () => 0 })
    const ejectFor = () => {
      settle(handler, 'a', FAILED, 5)
      const { ejectedForMs } = handler.targets[0]!
      clock.advance(ejectedForMs)
      expect(eligible(handler)).toBe('ab')
      return ejectedForMs / 1_000
    }
    expect(Array.from({ length: 12 }, ejectFor)).toEqual([30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300])
    clock.advance(9_999)
    expect(ejectFor()).toBe(300)
    clock.advance(13 * 10_000)
    expect(ejectFor()).toBe(30)
  })

  it('comes back at another moment in each gateway', () => {
    const back = (chance: number) => {
      const handler = balancerOf([1, 1], { clock: manualClock(), random: () => chance })
      settle(handler, 'a', FAILED, 5)
      return handler.targets[0]!.ejectedForMs
    }
    expect([back(0), back(0.5)]).toEqual([30_000, 28_500])
  })

  it.each([
    [3, undefined, 1],
    [30, undefined, 3],
    [4, 0.5, 2],
    [4, 0.1, 1],
  ])('is ejected only while no more than the largest share is out (%s targets, share %s)', (count, maxShare, most) => {
    const handler = balancerOf(Array(count).fill(1), {
      clock: manualClock(),
      panicThreshold: 0,
      outliers: maxShare === undefined ? {} : { maxShare },
    })
    for (const { id } of handler.targets) settle(handler, id, FAILED, 5)
    expect(handler.targets.filter(({ ejectedForMs }) => ejectedForMs > 0)).toHaveLength(most)
  })

  it('comes back before its time when others have left and too many would be out', () => {
    const clock = manualClock()
    const handler = balancerOf(Array(4).fill(1), { clock, random: () => 0, outliers: { maxShare: 0.5 } })
    settle(handler, 'a', FAILED, 5)
    clock.advance(1)
    settle(handler, 'b', FAILED, 5)
    const seen = changes()
    handler.replace(['a', 'b'].map((id, i) => ({ url: `http://target-${i}:80`, id })))
    expect(eligible(handler)).toBe('a')
    expect(seen).toEqual(['returned:a', 'removed:c', 'removed:d', 'drained:c', 'drained:d'])
  })

  it('is told of on the channel, after the fact', () => {
    const clock = manualClock()
    const handler = balancerOf([1, 1], { clock })
    const seen = changes()
    settle(handler, 'a', FAILED, 5)
    clock.advance(30_000)
    lease(handler).settle(OK)
    settle(handler, 'b', REFUSED)
    settle(handler, 'a', REFUSED)
    clock.advance(1_000)
    settle(handler, 'b', OK)
    expect(seen).toEqual(['ejected:a', 'returned:a', 'unreachable:b', 'unreachable:a', 'reachable:b'])
  })

  it('stays in when outliers are off', () => {
    const handler = balancerOf([1, 1], { outliers: false })
    settle(handler, 'a', FAILED, 100)
    settle(handler, 'a', REFUSED, 100)
    expect(handler.targets[0]).toMatchObject({ eligible: true, failures: 200 })
  })
})

describe('a target that succeeds less often than the others', () => {
  /** One interval: each target answers so many times, and fails so many of them, never two in a row. */
  function interval(handler: BalancerHandler, clock: ManualClock, failures: readonly number[], requests = 100): void {
    // The first failure of the first target opens the interval.
    for (const [i, count] of failures.entries()) {
      const { id } = handler.targets[i]!
      for (let n = 0; n < count; n++) {
        settle(handler, id, FAILED)
        settle(handler, id, OK)
      }
      settle(handler, id, OK, requests - 2 * count)
    }
    clock.advance(10_000)
    settle(handler, 'b', FAILED)
  }

  it('is ejected at the end of the interval', () => {
    const clock = manualClock()
    const handler = balancerOf(Array(6).fill(1), { clock, random: () => 0 })
    interval(handler, clock, [1, 0, 0, 30, 0, 1])
    expect(eligible(handler)).toBe('abcef')
  })

  it('is left alone when all are alike, when there are few of them, and when little was asked', () => {
    for (const [count, failures, requests] of [
      [6, [20, 20, 20, 20, 20, 20], 100],
      [4, [1, 0, 0, 30], 100],
      [6, [1, 0, 0, 30, 0, 0], 90],
    ] as const) {
      const clock = manualClock()
      const handler = balancerOf(Array(count).fill(1), { clock })
      interval(handler, clock, failures, requests)
      expect(eligible(handler)).toHaveLength(count)
    }
  })

  it('is left alone for less than five failures, however well the others do', () => {
    const clock = manualClock()
    const handler = balancerOf(Array(6).fill(1), { clock })
    interval(handler, clock, [1, 0, 0, 4, 0, 0])
    expect(eligible(handler)).toBe('abcdef')
  })

  it('is judged by what is recent: counts of long ago are dropped', () => {
    const clock = manualClock()
    const handler = balancerOf(Array(6).fill(1), { clock })
    settle(handler, 'a', FAILED)
    for (const { id } of handler.targets) {
      for (let n = 0; n < 50; n++) {
        settle(handler, id, id === 'd' && n < 30 ? FAILED : OK)
        settle(handler, id, OK)
      }
    }
    clock.advance(20_000)
    settle(handler, 'a', FAILED)
    expect(eligible(handler)).toBe('abcdef')
  })

  it('stays in when the rule is off', () => {
    const clock = manualClock()
    const handler = balancerOf(Array(6).fill(1), { clock, outliers: { successRate: false } })
    interval(handler, clock, [1, 0, 0, 30, 0, 1])
    expect(eligible(handler)).toBe('abcdef')
  })

  it('is compared with mean and standard deviation of the pool', () => {
    const judged = (rates: readonly number[]) =>
      rates.map((rate) => ({ health: { ejected: false, succeeded: rate, failed: 100 - rate } as never, rate }))
    const options = { stdevFactor: 1.9, minTargets: 5, minRequests: 100, intervalMs: 1 }
    const found = (rates: readonly number[]) => outliersAmong(judged(rates), options).map(({ rate }) => rate)
    // Five targets: one alone lies 2 deviations off, whatever its rate; two alike lie 1.22 off.
    expect(found([90, 90, 90, 90, 50])).toEqual([50])
    expect(found([90, 90, 90, 50, 50])).toEqual([])
    expect(found([...Array(20).fill(90), 10, 40])).toEqual([10, 40])
  })
})

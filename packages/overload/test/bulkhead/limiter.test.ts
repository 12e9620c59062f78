import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FixedLimit } from '../../src/bulkhead/concurrency-limit.ts'
import { Limiter, type Waiter } from '../../src/bulkhead/limiter.ts'
import { WaitQueue } from '../../src/bulkhead/wait-queue.ts'
import { adaptiveLimit } from './support.ts'

type Ending = 'granted' | 'timeout' | 'closed' | 'full' | 'left'

class FakeWaiter implements Waiter {
  previousQueued: Waiter | undefined = undefined
  nextQueued: Waiter | undefined = undefined
  isQueued = false
  expiresAtMs: number
  readonly endings: Ending[] = []
  readonly onEnding: (waiter: FakeWaiter) => void

  constructor(expiresAtMs: number, onEnding: (waiter: FakeWaiter) => void = () => {}) {
    this.expiresAtMs = expiresAtMs
    this.onEnding = onEnding
  }
  onGranted(): void {
    this.endings.push('granted')
    this.onEnding(this)
  }
  onRefused(reason: 'timeout' | 'closed'): void {
    this.endings.push(reason)
    this.onEnding(this)
  }
}

describe('the limiter', () => {
  it('lets in as many as the limit, then queues, then refuses', () => {
    const limiter = new Limiter(new FixedLimit(2), 1)
    expect([limiter.tryEnter(0), limiter.tryEnter(0), limiter.tryEnter(0)]).toEqual([true, true, false])
    expect(limiter.wait(new FakeWaiter(400), 0)).toBeUndefined()
    expect(limiter.wait(new FakeWaiter(400), 0)).toBe('full')
    expect([limiter.inFlight, limiter.queued]).toEqual([2, 1])
    expect(limiter.stats).toEqual({ admitted: 2, rejected: 1, timedOut: 0, left: 0 })
  })

  it('serves those who wait in the order in which they came', () => {
    const limiter = new Limiter(new FixedLimit(1), 10)
    limiter.tryEnter(0)
    const order: string[] = []
    for (const name of ['a', 'b', 'c']) limiter.wait(new FakeWaiter(400, () => order.push(name)), 0)
    for (let i = 1; i <= 3; i++) limiter.release(i)
    expect(order).toEqual(['a', 'b', 'c'])
  })

  it('gives no place to one who has waited too long, even when its timer is late', () => {
    const limiter = new Limiter(new FixedLimit(1), 10)
    limiter.tryEnter(0)
    const late = new FakeWaiter(400)
    const inTime = new FakeWaiter(900)
    limiter.wait(late, 0)
    limiter.wait(inTime, 500)
    limiter.release(600)
    expect([late.endings, inTime.endings]).toEqual([['timeout'], ['granted']])
  })

  it('ends a wait whose own deadline is shorter than that of those in front', () => {
    const limiter = new Limiter(new FixedLimit(1), 10)
    limiter.tryEnter(0)
    const first = new FakeWaiter(400)
    const short = new FakeWaiter(50)
    limiter.wait(first, 0)
    limiter.wait(short, 0)
    limiter.expireOne(short)
    limiter.expireOne(short)
    expect([first.endings, short.endings, limiter.queued]).toEqual([[], ['timeout'], 1])
    expect(limiter.wait(new FakeWaiter(100), 100)).toBe('timeout')
  })

  it('lets in at once as many as a raised limit allows', () => {
    const limiter = new Limiter(new FixedLimit(1), 10)
    limiter.tryEnter(0)
    const waiting = [1, 2, 3].map(() => new FakeWaiter(400))
    for (const waiter of waiting) limiter.wait(waiter, 0)
    limiter.setLimit(3, 1)
    expect(waiting.map(({ endings }) => endings)).toEqual([['granted'], ['granted'], []])
  })

  it('lets in who waits first when the limit is no longer held low', () => {
    const limit = adaptiveLimit({ minLimit: 1, initialLimit: 3 })
    const limiter = new Limiter(limit, 10)
    for (let i = 0; i < 3; i++) expect(limiter.tryEnter(0)).toBe(true)
    limiter.release(1)
    expect([limiter.limit, limiter.inFlight]).toEqual([1, 2])
    const waiter = new FakeWaiter(5_000)
    limiter.wait(waiter, 2_900)
    expect(limiter.tryEnter(3_000)).toBe(false)
    expect([limiter.limit, limiter.inFlight, waiter.endings]).toEqual([3, 3, ['granted']])
  })

  it('has room for as many as the limit when no length is given, and for 16 at least', () => {
    for (const [limit, room] of [
      [1, 16],
      [40, 40],
    ] as const) {
      const limiter = new Limiter(new FixedLimit(limit), undefined)
      while (limiter.tryEnter(0)) {}
      while (limiter.wait(new FakeWaiter(400), 0) === undefined) {}
      expect(limiter.queued).toBe(room)
    }
  })

  const step = fc.oneof(
    { weight: 24, arbitrary: fc.record({ do: fc.constant('arrive' as const), patienceMs: fc.nat(100) }) },
    { weight: 16, arbitrary: fc.record({ do: fc.constant('release' as const) }) },
    { weight: 8, arbitrary: fc.record({ do: fc.constant('leave' as const), at: fc.nat(20) }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('expire one' as const), at: fc.nat(20) }) },
    { weight: 12, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.nat(60) }) },
    {
      weight: 4,
      arbitrary: fc.record({ do: fc.constant('set limit' as const), limit: fc.integer({ min: 1, max: 6 }) }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('close' as const) }) },
  )

  it('ends every wait exactly once and never has more inside than the limit lets in, whatever happens', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 150 }),
        fc.integer({ min: 1, max: 5 }),
        fc.nat(6),
        (steps, limit, maxQueued) => {
          const limiter = new Limiter(new FixedLimit(limit), maxQueued)
          let [nowMs, inside, arrivals] = [0, 0, 0]
          const waiters: FakeWaiter[] = []
          const onEnding = (waiter: FakeWaiter): void => {
            if (waiter.endings[0] !== 'granted') return
            inside++
            // Nobody is let in beyond the limit of this moment.
            expect(limiter.inFlight).toBeLessThanOrEqual(limiter.limit)
            expect(waiter.expiresAtMs).toBeGreaterThan(nowMs)
          }
          const waiting = () => waiters.filter(({ endings }) => endings.length === 0)
          for (const one of steps) {
            if (one.do === 'arrive') {
              arrivals++
              if (limiter.tryEnter(nowMs)) {
                inside++
                expect(limiter.inFlight).toBeLessThanOrEqual(limiter.limit)
              } else {
                const waiter = new FakeWaiter(nowMs + one.patienceMs, onEnding)
                waiters.push(waiter)
                const refused = limiter.wait(waiter, nowMs)
                if (refused !== undefined) waiter.endings.push(refused)
              }
            } else if (one.do === 'release' && inside > 0) {
              inside--
              limiter.release(nowMs)
            } else if (one.do === 'leave') {
              const waiter = waiting()[one.at]
              if (waiter !== undefined) {
                limiter.leave(waiter)
                waiter.endings.push('left')
              }
            } else if (one.do === 'expire one') {
              const waiter = waiting()[one.at]
              if (waiter !== undefined) limiter.expireOne(waiter)
            } else if (one.do === 'pass') {
              nowMs += one.ms
              limiter.expire(nowMs)
            } else if (one.do === 'set limit') limiter.setLimit(one.limit, nowMs)
            else if (one.do === 'close') limiter.close()

            expect(limiter.inFlight).toBe(inside)
            expect(limiter.queued).toBe(waiting().length)
            expect(limiter.queued).toBeLessThanOrEqual(maxQueued)
            expect(waiters.every(({ endings }) => endings.length <= 1)).toBe(true)
            // Nobody waits while a place is free.
            expect(limiter.queued === 0 || limiter.inFlight >= limiter.limit).toBe(true)
            const { admitted, rejected, timedOut, left } = limiter.stats
            expect(admitted + rejected + timedOut + left + limiter.queued).toBe(arrivals)
          }
        },
      ),
      { numRuns: 200 },
    )
  })
})

describe('the queue', () => {
  it('is the same as a list from which anyone may be taken', () => {
    const step = fc.oneof(
      fc.constant({ do: 'push' as const, at: 0 }),
      fc.constant({ do: 'shift' as const, at: 0 }),
      fc.record({ do: fc.constant('remove' as const), at: fc.nat(10) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const queue = new WaitQueue<Waiter>()
        const list: FakeWaiter[] = []
        for (const one of steps) {
          if (one.do === 'push') {
            list.push(new FakeWaiter(0))
            queue.push(list.at(-1)!)
          } else if (one.do === 'shift') expect(queue.shift()).toBe(list.shift())
          else {
            const [waiter] = list.splice(one.at, 1)
            if (waiter !== undefined) expect([queue.remove(waiter), queue.remove(waiter)]).toEqual([true, false])
          }
          expect([queue.length, queue.head]).toEqual([list.length, list[0]])
        }
      }),
    )
  })
})

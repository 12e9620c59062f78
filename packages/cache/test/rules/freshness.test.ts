import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { CacheRules } from '../../src/rules/cache-rules.ts'
import { MAX_DELTA_S } from '../../src/rules/directives.ts'
import { currentAgeMs, freshnessLifetime, initialAgeMs, parseAge, remainingMs } from '../../src/rules/freshness.ts'
import { controllingDirectives } from '../../src/rules/targeted.ts'
import { DAY, dateAt, HOUR, NOW, RULES, SECOND, storedWith } from './rule-samples.ts'

function lifetimeOf(headers: readonly string[], status = 200, rules: CacheRules = RULES, estimates = true) {
  const { directives, targeted } = controllingDirectives(headers, rules)
  return freshnessLifetime(status, headers, directives, targeted !== undefined, NOW, rules, estimates)
}

describe('the lifetime that the origin gives', () => {
  it.each<[string, readonly string[], number]>([
    ['max-age', ['cache-control', 'max-age=60'], 60],
    ['s-maxage before max-age', ['cache-control', 'max-age=60, s-maxage=5'], 5],
    ['s-maxage before max-age, when it is longer', ['cache-control', 's-maxage=60, max-age=5'], 60],
    ['max-age before Expires in the past', ['cache-control', 'max-age=60', 'expires', dateAt(-10)], 60],
    ['max-age before an Expires that is no date', ['cache-control', 'max-age=60', 'expires', '0'], 60],
    ['max-age of 0 before Expires in the future', ['cache-control', 'max-age=0', 'expires', dateAt(99)], 0],
    ['s-maxage before Expires', ['cache-control', 's-maxage=60', 'expires', dateAt(5)], 60],
    ['Expires minus Date', ['expires', dateAt(30)], 30],
    ['Expires when Cache-Control says nothing of time', ['cache-control', 'public', 'expires', dateAt(30)], 30],
    ['Expires at Date', ['expires', dateAt(0)], 0],
    ['Expires before Date', ['expires', dateAt(-30)], 0],
    ['Expires twice with one value', ['expires', dateAt(30), 'expires', dateAt(30)], 30],
    ['Expires twice with different values', ['expires', dateAt(30), 'expires', dateAt(60)], 0],
    ['Expires and 0', ['expires', dateAt(30), 'expires', '0'], 0],
    ['a targeted field before all', ['cdn-cache-control', 'max-age=7', 'cache-control', 's-maxage=60'], 7],
  ])('is %s', (_, headers, seconds) => {
    expect(lifetimeOf(headers)).toEqual({ lifetimeMs: seconds * SECOND, explicit: true, heuristic: false })
  })

  it.each([['0'], ['-1'], [''], ['Thu, 18 Aug 2050 02:01:18 UTC'], ['Thu, 18 Aug 50 02:01:18 GMT'], ['tomorrow']])(
    'is over when Expires is no date: %j',
    (text) => {
      expect(lifetimeOf(['expires', text, 'last-modified', dateAt(-1000)])).toEqual({
        lifetimeMs: 0,
        explicit: true,
        heuristic: false,
      })
    },
  )

  it('is not taken from Expires next to a targeted field', () => {
    expect(lifetimeOf(['cdn-cache-control', 'none', 'expires', dateAt(30)]).explicit).toBe(false)
  })
})

describe('the lifetime that the cache chooses', () => {
  const day = ['last-modified', dateAt(-24 * 3600)]

  it('is a tenth of the time since Last-Modified', () => {
    expect(lifetimeOf(day)).toEqual({ lifetimeMs: 2.4 * HOUR, explicit: false, heuristic: true })
  })

  it('is a day at most', () => {
    expect(lifetimeOf(['last-modified', 'Sun, 06 Nov 1994 08:49:37 GMT']).lifetimeMs).toBe(DAY)
  })

  it.each([200, 203, 204, 206, 300, 301, 308, 404, 410])('is there for status %d', (status) => {
    expect(lifetimeOf(day, status).lifetimeMs).toBeGreaterThan(0)
  })

  it.each([201, 202, 205, 302, 303, 307, 400, 401, 403, 405, 414, 418, 451, 500, 501, 502, 503, 504, 599])(
    'is not there for status %d',
    (status) => {
      expect(lifetimeOf(day, status)).toEqual({ lifetimeMs: 0, explicit: false, heuristic: false })
    },
  )

  it('is there for any status when the response is public', () => {
    expect(lifetimeOf([...day, 'cache-control', 'public'], 201).lifetimeMs).toBe(2.4 * HOUR)
  })

  it.each<[string, readonly string[]]>([
    ['in the future', ['last-modified', dateAt(10)]],
    ['no date', ['last-modified', 'yesterday']],
    ['there twice', ['last-modified', dateAt(-9999), 'last-modified', dateAt(-9999)]],
  ])('is not estimated from a Last-Modified that is %s', (_, headers) => {
    expect(lifetimeOf(headers).lifetimeMs).toBe(0)
  })

  it('is not there when estimates are not allowed', () => {
    expect(lifetimeOf(day, 200, { ...RULES, defaultLifetimeMs: 5 }, false).lifetimeMs).toBe(0)
  })

  it('is not there when the response says Pragma: no-cache', () => {
    expect(lifetimeOf([...day, 'pragma', 'No-Cache']).lifetimeMs).toBe(0)
  })

  it('is not estimated with a share of 0', () => {
    expect(lifetimeOf(day, 200, { ...RULES, heuristicShare: 0 }).lifetimeMs).toBe(0)
  })

  it('is the configured one where there is nothing to estimate from', () => {
    const rules = { ...RULES, defaultLifetimeMs: 5 * SECOND }
    expect(lifetimeOf([], 200, rules)).toEqual({ lifetimeMs: 5 * SECOND, explicit: false, heuristic: true })
    expect(lifetimeOf(['last-modified', dateAt(10)], 200, rules).lifetimeMs).toBe(5 * SECOND)
    expect(lifetimeOf(day, 200, rules).lifetimeMs).toBe(2.4 * HOUR)
    expect(lifetimeOf([], 500, rules).lifetimeMs).toBe(0)
    expect(lifetimeOf(['cache-control', 'max-age=0'], 200, rules).lifetimeMs).toBe(0)
  })

  it('is not there when a max-age makes no sense', () => {
    expect(lifetimeOf([...day, 'cache-control', 'max-age=abc']).lifetimeMs).toBe(0)
  })
})

describe('the Age field', () => {
  it.each<[readonly string[], number]>([
    [[], 0],
    [['age', '15'], 15],
    [['age', ' 15 '], 15],
    [['age', '0015'], 15],
    [['age', '7200, 0'], 7200],
    [['age', '0,7200'], 0],
    [['age', '7200', 'age', '0'], 7200],
    [['age', '', 'age', '7'], 7],
    [['age', ', 7'], 7],
    [['age', 'abc'], 0],
    [['age', 'abc, 7'], 0],
    [['age', '-7200'], 0],
    [['age', '7200.0'], 0],
    [['age', '"7200"'], 0],
    [['age', '99999999999'], MAX_DELTA_S],
    [['age', '9'.repeat(100_000)], MAX_DELTA_S],
    [['age', ','.repeat(100_000)], 0],
  ])('of %j says how many seconds', (headers, seconds) => {
    expect(parseAge(headers)).toBe(seconds)
  })
})

describe('age when received', () => {
  it('is the time since Date when that is more', () => {
    expect(initialAgeMs(5, NOW - 60 * SECOND, NOW - SECOND, NOW)).toBe(60 * SECOND)
  })

  it('is 0 within the second that Date names', () => {
    expect(initialAgeMs(0, NOW, NOW + 998, NOW + 999)).toBe(1)
  })

  it('is Age and the time that the request took when that is more', () => {
    expect(initialAgeMs(5, NOW, NOW - 2 * SECOND, NOW)).toBe(7 * SECOND)
  })

  it('is not below 0 for a Date in the future or a clock that was set back', () => {
    expect(initialAgeMs(0, NOW + HOUR, NOW + SECOND, NOW)).toBe(0)
  })
})

describe('age of a stored response', () => {
  const head = storedWith('max-age=60', { initialAgeMs: 10 * SECOND })

  it('grows with the clock', () => {
    expect(currentAgeMs(head, NOW + 5 * SECOND)).toBe(15 * SECOND)
    expect(remainingMs(head, NOW + 5 * SECOND)).toBe(45 * SECOND)
    expect(remainingMs(head, NOW + 50 * SECOND)).toBe(0)
    expect(remainingMs(head, NOW + 55 * SECOND)).toBe(-5 * SECOND)
  })

  it('stays what it was when the clock is set back', () => {
    expect(currentAgeMs(head, NOW - HOUR)).toBe(10 * SECOND)
  })

  it('makes a response that was made stale by hand stale from then on', () => {
    const soft = { ...head, staleSinceMs: NOW + SECOND }
    expect(remainingMs(soft, NOW + SECOND)).toBe(0)
    expect(remainingMs(soft, NOW + 4 * SECOND)).toBe(-3 * SECOND)
    expect(remainingMs(soft, NOW - HOUR)).toBe(0)
    expect(remainingMs(soft, NOW + 100 * SECOND)).toBe(-99 * SECOND)
  })

  it('is never below 0 and never NaN, whatever the clock says', () => {
    const time = fc.oneof(fc.integer(), fc.constantFrom(Number.NaN, Number.NEGATIVE_INFINITY, 0, NOW))
    fc.assert(
      fc.property(time, time, time, time, (initial, receivedAtMs, nowMs, dateMs) => {
        expect(initialAgeMs(initial, dateMs, receivedAtMs, nowMs)).toBeGreaterThanOrEqual(0)
        expect(currentAgeMs({ ...head, initialAgeMs: initial, receivedAtMs }, nowMs)).toBeGreaterThanOrEqual(0)
      }),
    )
  })

  it('only grows, and what remains only shrinks', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(), fc.option(fc.nat(), { nil: undefined }), (earlier, later, staleAfter) => {
        const stored = { ...head, staleSinceMs: staleAfter === undefined ? undefined : NOW + staleAfter }
        const [first, second] = [NOW + Math.min(earlier, later), NOW + Math.max(earlier, later)]
        expect(currentAgeMs(stored, second)).toBeGreaterThanOrEqual(currentAgeMs(stored, first))
        expect(remainingMs(stored, second)).toBeLessThanOrEqual(remainingMs(stored, first))
      }),
    )
  })

  it('is greater for a greater Age and an earlier Date', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(), fc.nat(), fc.nat(), (age, moreAge, before, longerBefore) => {
        const young = initialAgeMs(age, NOW - before, NOW, NOW)
        expect(initialAgeMs(age + moreAge, NOW - before - longerBefore, NOW, NOW)).toBeGreaterThanOrEqual(young)
      }),
    )
  })
})

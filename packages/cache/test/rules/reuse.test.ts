import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { mayServeOnError, reuseOf } from '../../src/rules/reuse.ts'
import type { StoredHead } from '../../src/stored-response.ts'
import { headOf, NOW, requestOf, SECOND, storedWith } from './rule-samples.ts'

/** How a response with this Cache-Control is reused some seconds after it was received. */
function reused(stored: string | StoredHead, afterS: number, cacheControl?: string) {
  const head = typeof stored === 'string' ? storedWith(stored) : stored
  return reuseOf(head, requestOf(cacheControl === undefined ? {} : { cacheControl }), NOW + afterS * SECOND)
}

describe('reuse without wishes of the client', () => {
  it.each<[string, number, string]>([
    ['max-age=60', 0, 'fresh'],
    ['max-age=60', 59, 'fresh'],
    ['max-age=60', 60, 'validate'],
    ['max-age=60', 61, 'validate'],
    ['max-age=60, must-revalidate', 59, 'fresh'],
    ['max-age=60, must-revalidate', 61, 'validate'],
    ['max-age=60, no-cache', 1, 'validate'],
    ['max-age=60, no-cache="a"', 1, 'fresh'],
    ['max-age=60, stale-while-revalidate=30', 59, 'fresh'],
    ['max-age=60, stale-while-revalidate=30', 60, 'stale-while-revalidate'],
    ['max-age=60, stale-while-revalidate=30', 90, 'stale-while-revalidate'],
    ['max-age=60, stale-while-revalidate=30', 91, 'validate'],
    ['max-age=60, stale-while-revalidate=30, must-revalidate', 61, 'validate'],
    ['max-age=60, stale-while-revalidate=30, proxy-revalidate', 61, 'validate'],
    ['s-maxage=60, stale-while-revalidate=30', 61, 'validate'],
    ['max-age=60, stale-while-revalidate=30, no-cache', 61, 'validate'],
    ['max-age=60, stale-if-error=30', 61, 'validate'],
  ])('of a response with %s after %d s: %s', (stored, afterS, reuse) => {
    expect(reused(stored, afterS)).toBe(reuse)
  })

  it('counts the age that the response came with', () => {
    expect(reused(storedWith('max-age=60', { initialAgeMs: 50 * SECOND }), 9)).toBe('fresh')
    expect(reused(storedWith('max-age=60', { initialAgeMs: 50 * SECOND }), 10)).toBe('validate')
  })

  it('validates what was made stale by hand, or serves it meanwhile where that is allowed', () => {
    const staleSinceMs = NOW + 5 * SECOND
    expect(reused(storedWith('max-age=60', { staleSinceMs }), 5)).toBe('validate')
    const lenient = storedWith('max-age=60, stale-while-revalidate=10', { staleSinceMs })
    expect(reused(lenient, 15)).toBe('stale-while-revalidate')
    expect(reused(lenient, 16)).toBe('validate')
  })
})

describe('reuse as the client wishes', () => {
  it.each<[string, number, string, string]>([
    ['max-age=60', 10, 'no-cache', 'validate-for-client'],
    ['max-age=60', 0, 'max-age=0', 'validate-for-client'],
    ['max-age=60', 10, 'max-age=0', 'validate-for-client'],
    ['max-age=60', 10, 'max-age=9', 'validate-for-client'],
    ['max-age=60', 10, 'max-age=10', 'fresh'],
    ['max-age=60', 10, 'max-age=abc', 'validate-for-client'],
    ['max-age=60', 10, 'min-fresh=50', 'fresh'],
    ['max-age=60', 10, 'min-fresh=51', 'validate-for-client'],
    ['max-age=60', 10, 'max-stale', 'fresh'],
    ['max-age=60', 10, 'no-store', 'fresh'],
    ['max-age=60', 10, 'only-if-cached', 'fresh'],
    ['max-age=60', 70, 'max-stale', 'stale-allowed'],
    ['max-age=60', 70, 'max-stale=10', 'stale-allowed'],
    ['max-age=60', 70, 'max-stale=9', 'validate'],
    ['max-age=60', 70, 'max-stale=abc', 'validate'],
    ['max-age=60', 70, 'max-stale, max-age=70', 'stale-allowed'],
    ['max-age=60', 70, 'max-stale, max-age=69', 'validate'],
    ['max-age=60', 70, 'max-stale, min-fresh=1', 'validate'],
    ['max-age=60', 70, 'max-stale, no-cache', 'validate'],
    ['max-age=60, must-revalidate', 70, 'max-stale', 'validate'],
    ['max-age=60, proxy-revalidate', 70, 'max-stale', 'validate'],
    ['s-maxage=60', 70, 'max-stale', 'validate'],
    ['max-age=60, no-cache', 10, 'max-stale', 'validate'],
    ['max-age=60, stale-while-revalidate=30', 70, 'max-stale=20', 'stale-while-revalidate'],
    ['max-age=60, stale-while-revalidate=30', 70, 'max-stale=5', 'validate'],
    ['max-age=60, stale-while-revalidate=30', 70, 'max-age=100', 'validate'],
    ['max-age=60, stale-while-revalidate=30', 70, 'min-fresh=1', 'validate'],
    ['max-age=60, stale-while-revalidate=30', 70, 'no-cache', 'validate'],
    ['max-age=60, stale-while-revalidate=30', 70, 'only-if-cached', 'stale-while-revalidate'],
  ])('of a response with %s after %d s for %s: %s', (stored, afterS, asked, reuse) => {
    expect(reused(stored, afterS, asked)).toBe(reuse)
  })
})

describe('immutable responses', () => {
  it('are not validated for a reload while they are fresh', () => {
    expect(reused('max-age=60, immutable', 10, 'max-age=0')).toBe('fresh')
    expect(reused('max-age=60, immutable', 10, 'max-age=5')).toBe('fresh')
  })

  it('are validated for a forced reload, which says that it wants that', () => {
    expect(reused('max-age=60, immutable', 10, 'no-cache')).toBe('validate-for-client')
  })

  it('are validated for a client that wants them fresh for longer', () => {
    expect(reused('max-age=60, immutable', 10, 'min-fresh=55')).toBe('validate-for-client')
  })

  it('are validated once stale', () => {
    expect(reused('max-age=60, immutable', 60)).toBe('validate')
    expect(reused('max-age=60, immutable', 60, 'max-age=0')).toBe('validate')
  })

  it('are validated when immutable is but text of something else', () => {
    expect(reused('max-age=60, x="immutable"', 10, 'max-age=0')).toBe('validate-for-client')
  })

  it('are validated when the promise is for another lifetime than the one in use', () => {
    const head = headOf(['cdn-cache-control', 'max-age=600', 'cache-control', 'max-age=60, immutable'])
    expect(reused(head, 10, 'max-age=0')).toBe('validate-for-client')
  })
})

describe('serving when the origin fails', () => {
  it.each<[string, number, string | undefined, boolean]>([
    ['max-age=60', 61, undefined, false],
    ['max-age=60, stale-if-error=30', 60, undefined, true],
    ['max-age=60, stale-if-error=30', 90, undefined, true],
    ['max-age=60, stale-if-error=30', 91, undefined, false],
    ['max-age=60, stale-if-error=0', 60, undefined, false],
    ['max-age=60, stale-while-revalidate=30', 80, undefined, true],
    ['max-age=60, stale-if-error=30, must-revalidate', 61, undefined, false],
    ['max-age=60, stale-if-error=30, proxy-revalidate', 61, undefined, false],
    ['s-maxage=60, stale-if-error=30', 61, undefined, false],
    ['max-age=60, stale-if-error=30, no-cache', 10, undefined, false],
    ['max-age=60, stale-if-error=30', 70, 'no-cache', false],
    ['max-age=60, stale-if-error=30', 70, 'max-age=100', false],
    ['max-age=60, stale-if-error=30', 70, 'min-fresh=1', false],
    ['max-age=60, stale-if-error=30', 70, 'max-stale=5', false],
    ['max-age=60, stale-if-error=30', 70, 'max-stale=20', true],
    ['max-age=60', 70, 'max-stale=20', true],
    ['max-age=60', 70, 'stale-if-error=20', true],
    ['max-age=60', 70, 'stale-if-error=5', false],
    ['max-age=60', 60, 'stale-if-error=0', false],
    ['max-age=60, must-revalidate', 70, 'stale-if-error=20', false],
    ['max-age=60', 10, 'no-cache', false],
    ['max-age=60', 10, 'no-cache, stale-if-error=60', true],
    ['max-age=60', 10, 'max-age=0', false],
    ['max-age=60', 10, undefined, true],
    ['max-age=60, must-revalidate', 10, undefined, true],
  ])('a response with %s after %d s for %s: %s', (stored, afterS, cacheControl, served) => {
    const request = requestOf(cacheControl === undefined ? {} : { cacheControl })
    expect(mayServeOnError(storedWith(stored), request, NOW + afterS * SECOND)).toBe(served)
  })
})

describe('reuse of any response', () => {
  const head = fc
    .record({
      lifetimeMs: fc.nat(100_000),
      noCache: fc.boolean(),
      mustRevalidate: fc.boolean(),
      staleWhileRevalidateMs: fc.nat(50_000),
      staleIfErrorMs: fc.nat(50_000),
      initialAgeMs: fc.nat(100_000),
      staleSinceMs: fc.option(fc.nat(100_000), { nil: undefined }),
    })
    .map(({ staleSinceMs, ...facts }) => ({
      ...storedWith('max-age=60'),
      ...facts,
      staleSinceMs: staleSinceMs === undefined ? undefined : NOW + staleSinceMs,
    }))
  const wish = fc.constantFrom(
    undefined,
    'no-cache',
    'max-age=0',
    'max-age=30',
    'min-fresh=9',
    'max-stale',
    'max-stale=9',
  )
  const order = ['fresh', 'stale-while-revalidate', 'validate']

  it('gets no freer with time', () => {
    fc.assert(
      fc.property(head, fc.nat(200), fc.nat(200), (stored, one, other) => {
        const [earlier, later] = [Math.min(one, other), Math.max(one, other)]
        expect(order.indexOf(reused(stored, later))).toBeGreaterThanOrEqual(order.indexOf(reused(stored, earlier)))
      }),
    )
  })

  it('is never without validation against no-cache, and never stale against must-revalidate', () => {
    fc.assert(
      fc.property(head, fc.nat(300), wish, (stored, afterS, asked) => {
        const reuse = reused(stored, afterS, asked)
        if (stored.noCache) expect(reuse).toBe('validate')
        if (stored.mustRevalidate) expect(['fresh', 'validate', 'validate-for-client']).toContain(reuse)
        const request = requestOf(asked === undefined ? {} : { cacheControl: asked })
        const onError = mayServeOnError(stored, request, NOW + afterS * SECOND)
        if (stored.noCache || (stored.mustRevalidate && reuse === 'validate')) expect(onError).toBe(false)
      }),
    )
  })

  it('is no freer for a client that sends no-cache along', () => {
    fc.assert(
      fc.property(head, fc.nat(300), wish, (stored, afterS, asked) => {
        const reuse = reused(stored, afterS, asked === undefined ? 'no-cache' : `${asked}, no-cache`)
        expect(['validate', 'validate-for-client']).toContain(reuse)
      }),
    )
  })
})

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { freshForMs } from '../../src/jwt/freshness.ts'

const BOUNDS = { freshMs: 600_000, minFreshMs: 30_000, maxFreshMs: 86_400_000 }
const WALL_MS = Date.UTC(2026, 0, 1, 12)

function at(offsetMs: number): string {
  return new Date(WALL_MS + offsetMs).toUTCString()
}

describe('how long an answer is fresh', () => {
  test.each([
    ['nothing said', {}, 600_000],
    ['max-age', { 'cache-control': 'max-age=120' }, 120_000],
    ['max-age in quotes', { 'cache-control': 'max-age="120"' }, 120_000],
    ['max-age in capitals among others', { 'cache-control': 'public, MAX-AGE=120, must-revalidate' }, 120_000],
    ['two lines', { 'cache-control': ['public', 'max-age=120'] }, 120_000],
    [
      'max-age inside the quotes of another directive',
      { 'cache-control': 'private="max-age=5", max-age=120' },
      120_000,
    ],
    ['s-maxage alone, which is for shared caches', { 'cache-control': 's-maxage=120' }, 600_000],
    ['two that differ', { 'cache-control': 'max-age=240, max-age=120' }, 120_000],
    ['max-age less than the least', { 'cache-control': 'max-age=1' }, 30_000],
    ['max-age of more than the most', { 'cache-control': 'max-age=31536000' }, 86_400_000],
    ['max-age that no number holds', { 'cache-control': `max-age=${'9'.repeat(400)}` }, 86_400_000],
    ['max-age that cannot be read', { 'cache-control': 'max-age=soon' }, 30_000],
    ['max-age with a sign', { 'cache-control': 'max-age=-5' }, 30_000],
    ['no-store', { 'cache-control': 'no-store, max-age=120' }, 30_000],
    ['no-cache', { 'cache-control': 'no-cache' }, 30_000],
    ['an absurdly long field', { 'cache-control': `max-age=120, ${'x,'.repeat(2_000)}` }, 600_000],
    ['Age used up', { 'cache-control': 'max-age=120', age: '50' }, 70_000],
    ['Age that cannot be read', { 'cache-control': 'max-age=120', age: 'old' }, 120_000],
    ['Age beyond max-age', { 'cache-control': 'max-age=120', age: '500' }, 30_000],
    ['Expires', { expires: at(300_000) }, 300_000],
    ['Expires against a Date of another clock', { expires: at(300_000), date: at(200_000) }, 100_000],
    ['Expires and max-age, which counts alone', { expires: at(300_000), 'cache-control': 'max-age=120' }, 120_000],
    ['Expires: 0', { expires: '0' }, 30_000],
    ['Expires that cannot be read', { expires: 'never' }, 30_000],
    ['Expires: a bare year', { expires: '9999' }, 30_000],
    ['Expires in the past', { expires: at(-1_000) }, 30_000],
  ])('%s', (_, headers, expected) => {
    expect(freshForMs(headers, WALL_MS, BOUNDS)).toBe(expected)
  })

  test('stays within the bounds whatever the server says', () => {
    const field = fc.oneof(
      fc.string({ maxLength: 200 }),
      fc.constantFrom('max-age=1', 'max-age=', 'max-age="', '0', 'no-cache'),
    )
    fc.assert(
      fc.property(field, field, field, field, (cacheControl, expires, date, age) => {
        const fresh = freshForMs({ 'cache-control': cacheControl, expires, date, age }, WALL_MS, BOUNDS)
        expect(fresh).toBeGreaterThanOrEqual(BOUNDS.minFreshMs)
        expect(fresh).toBeLessThanOrEqual(BOUNDS.maxFreshMs)
      }),
    )
  })

  test('of a hostile field is found in a moment', () => {
    const startedAt = performance.now()
    for (const part of ['a="', '"', 'a=', '\\"', ',', 'max-age="']) {
      freshForMs({ 'cache-control': part.repeat(1_024).slice(0, 1_024) }, WALL_MS, BOUNDS)
    }
    expect(performance.now() - startedAt).toBeLessThan(200)
  })
})

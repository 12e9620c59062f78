import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { apacheTime, isoTime } from '../../src/formats/time.ts'

describe('isoTime', () => {
  it('writes what Date does, for any order of times', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 4_102_444_800_000 })), (times) => {
        const write = isoTime()
        for (const time of times.flatMap((t) => [t, t + 1, t + 999])) {
          expect(write(time)).toBe(new Date(time).toISOString())
        }
      }),
    )
  })
})

describe('apacheTime', () => {
  it('writes UTC with an offset of zero', () => {
    const write = apacheTime()
    expect(write(Date.UTC(2000, 9, 10, 13, 55, 36, 250))).toBe('10/Oct/2000:13:55:36 +0000')
    expect(write(Date.UTC(2026, 0, 1))).toBe('01/Jan/2026:00:00:00 +0000')
  })
})

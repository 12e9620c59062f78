import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { instantMs } from '../../src/api-key/instant.ts'

describe('instantMs()', () => {
  test('reads a Date, ISO 8601 with its zone, a date alone and epoch milliseconds', () => {
    const ms = Date.UTC(2027, 0, 31, 12)
    expect(instantMs(new Date(ms))).toBe(ms)
    expect(instantMs(ms)).toBe(ms)
    expect(instantMs('2027-01-31T12:00:00Z')).toBe(ms)
    expect(instantMs('2027-01-31T13:00:00.000+01:00')).toBe(ms)
    expect(instantMs('2027-01-31T12:00Z')).toBe(ms)
    expect(instantMs('2027-01-31')).toBe(Date.UTC(2027, 0, 31))
    expect(instantMs('2028-02-29')).toBe(Date.UTC(2028, 1, 29))
  })

  test('does not guess', () => {
    const unreadable = [
      '2027-01-31T12:00:00', // in whose time zone?
      '2027-02-29',
      '2027-02-30T00:00:00Z',
      '2027-13-01',
      '2027-00-10',
      '2027-01-00',
      '2027-01-31T25:00:00Z',
      '31.01.2027',
      '01/31/2027',
      'tomorrow',
      '',
      ' 2027-01-31',
      '1769860800000',
      1_769_860_800, // seconds
      0,
      -1,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      9e15,
      new Date(Number.NaN),
      true,
      null,
      undefined,
      {},
      [],
    ]
    for (const value of unreadable) expect([value, instantMs(value)]).toEqual([value, undefined])
  })

  test('reads back what toISOString() writes', () => {
    const min = new Date('0001-01-01T00:00:00Z')
    const max = new Date('9999-12-31T23:59:59.999Z')
    fc.assert(
      fc.property(fc.date({ min, max, noInvalidDate: true }), (date) => {
        expect(instantMs(date.toISOString())).toBe(date.getTime())
        expect(instantMs(date.toISOString().slice(0, 10))).toBe(Math.floor(date.getTime() / 86_400_000) * 86_400_000)
      }),
    )
  })
})

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatHttpDate, parseHttpDate } from '../../src/rules/http-date.ts'

const NOVEMBER_1994 = Date.UTC(1994, 10, 6, 8, 49, 37)
const IN_2022 = Date.UTC(2022, 5, 15)

describe('reading HTTP dates', () => {
  it.each([
    ['Sun, 06 Nov 1994 08:49:37 GMT'],
    ['Sunday, 06-Nov-94 08:49:37 GMT'],
    ['Sun Nov  6 08:49:37 1994'],
    ['Sun Nov 06 08:49:37 1994'],
  ])('takes the form %s', (text) => {
    expect(parseHttpDate(text, IN_2022)).toBe(NOVEMBER_1994)
  })

  it.each([
    ['SUN, 06 Nov 1994 08:49:37 GMT'],
    ['Sun, 06 NOV 1994 08:49:37 GMT'],
    ['Sun, 06 Nov 1994 08:49:37 gMT'],
    ['SUNDAY, 06-nov-94 08:49:37 gmt'],
    ['sun nov  6 08:49:37 1994'],
  ])('takes letters of any case, as caches should: %s', (text) => {
    expect(parseHttpDate(text, IN_2022)).toBe(NOVEMBER_1994)
  })

  it('takes the name of another day, which adds nothing to the date', () => {
    expect(parseHttpDate('Mon, 06 Nov 1994 08:49:37 GMT')).toBe(NOVEMBER_1994)
  })

  it('takes a leap second for the one before it', () => {
    expect(parseHttpDate('Sat, 31 Dec 2016 23:59:60 GMT')).toBe(Date.UTC(2016, 11, 31, 23, 59, 59))
  })

  it.each([
    ['Thu, 29 Feb 2024 00:00:00 GMT', Date.UTC(2024, 1, 29)],
    ['Mon, 01 Jan 0001 00:00:00 GMT', -62_135_596_800_000],
    ['Fri, 31 Dec 9999 23:59:59 GMT', Date.UTC(9999, 11, 31, 23, 59, 59)],
    ['Sat, 01 Jan 0050 00:00:00 GMT', new Date('0050-01-01T00:00:00Z').getTime()],
  ])('counts right at the edges: %s', (text, ms) => {
    expect(parseHttpDate(text)).toBe(ms)
  })

  it.each([
    ['nothing', ''],
    ['zero', '0'],
    ['minus one', '-1'],
    ['a number of seconds', '784111777'],
    ['a number of milliseconds', '784111777000'],
    ['another zone', 'Sun, 06 Nov 1994 08:49:37 UTC'],
    ['another zone in the long form', 'Sunday, 06-Nov-94 08:49:37 EST'],
    ['a numeric zone', 'Sun, 06 Nov 1994 08:49:37 +0000'],
    ['no zone', 'Sun, 06 Nov 1994 08:49:37'],
    ['two digits for the year', 'Sun, 06 Nov 94 08:49:37 GMT'],
    ['four digits for the year in the long form', 'Sunday, 06-Nov-1994 08:49:37 GMT'],
    ['no comma', 'Sun 06 Nov 1994 08:49:37 GMT'],
    ['no day name', '06 Nov 1994 08:49:37 GMT'],
    ['no day name but a comma', ', 06 Nov 1994 08:49:37 GMT'],
    ['a day name that is none', 'Xyz, 06 Nov 1994 08:49:37 GMT'],
    ['the long form with a short day name', 'Sun, 06-Nov-94 08:49:37 GMT'],
    ['several spaces', 'Sun, 06  Nov  1994 08:49:37 GMT'],
    ['dashes', 'Sun, 06-Nov-1994 08:49:37 GMT'],
    ['dots in the time', 'Sun, 06 Nov 1994 08.49.37 GMT'],
    ['one digit for the hour', 'Sun, 06 Nov 1994 8:49:37 GMT'],
    ['one digit for the day', 'Sun, 6 Nov 1994 08:49:37 GMT'],
    ['no seconds', 'Sun, 06 Nov 1994 08:49 GMT'],
    ['a month that is none', 'Sun, 06 Foo 1994 08:49:37 GMT'],
    ['letters across two months', 'Sun, 06 anf 1994 08:49:37 GMT'],
    ['day 0', 'Sun, 00 Nov 1994 08:49:37 GMT'],
    ['a day that the month does not have', 'Sun, 31 Nov 1994 08:49:37 GMT'],
    ['29 February of another year', 'Wed, 29 Feb 2023 08:49:37 GMT'],
    ['hour 24', 'Sun, 06 Nov 1994 24:00:00 GMT'],
    ['minute 60', 'Sun, 06 Nov 1994 08:60:37 GMT'],
    ['second 61', 'Sun, 06 Nov 1994 08:49:61 GMT'],
    ['a sign', 'Sun, 06 Nov -994 08:49:37 GMT'],
    ['text before it', 'x Sun, 06 Nov 1994 08:49:37 GMT'],
    ['text behind it', 'Sun, 06 Nov 1994 08:49:37 GMT;'],
    ['a space before it', ' Sun, 06 Nov 1994 08:49:37 GMT'],
    ['two of them', 'Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT'],
    ['ISO 8601', '1994-11-06T08:49:37.000Z'],
    ['digits of another script', 'Sun, \u0660\u0666 Nov 1994 08:49:37 GMT'],
    ['asctime with one space before one digit', 'Sun Nov 6 08:49:37 1994'],
    ['asctime with a zone', 'Sun Nov  6 08:49:37 GMT 1994'],
  ])('refuses %s', (_, text) => {
    expect(parseHttpDate(text, IN_2022)).toBeUndefined()
  })

  it('refuses 100 kB of anything', () => {
    expect(parseHttpDate('Sun, 06 Nov 1994 08:49:37 GMT'.repeat(3500))).toBeUndefined()
  })

  it.each([
    ['22', 2022, 'of this year'],
    ['00', 2000, 'of this century'],
    ['72', 2072, 'fifty years ahead'],
    ['73', 1973, 'more than fifty years ahead'],
    ['99', 1999, 'of the last century'],
  ])('takes the two-digit year %s for %d, when it is %s', (digits, year) => {
    const text = `Sunday, 01-Mar-${digits} 00:00:00 GMT`
    expect(parseHttpDate(text, IN_2022)).toBe(Date.UTC(year, 2, 1))
  })

  it('counts the fifty years to the second', () => {
    const text = 'Wednesday, 15-Jun-72 00:00:01 GMT'
    expect(parseHttpDate(text, IN_2022)).toBe(Date.UTC(1972, 5, 15, 0, 0, 1))
    expect(parseHttpDate(text, IN_2022 + 1000)).toBe(Date.UTC(2072, 5, 15, 0, 0, 1))
  })

  it('looks ahead over the turn of a century', () => {
    expect(parseHttpDate('Sunday, 01-Mar-05 00:00:00 GMT', Date.UTC(2090, 0, 1))).toBe(Date.UTC(2105, 2, 1))
  })

  it('never throws, and gives a whole second or nothing', () => {
    const forms = ['Sun, 06 Nov 1994 08:49:37 GMT', 'Sunday, 06-Nov-94 08:49:37 GMT', 'Sun Nov  6 08:49:37 1994']
    const spoilt = fc
      .tuple(fc.constantFrom(...forms), fc.nat(30), fc.nat(3), fc.string({ maxLength: 3 }))
      .map(([form, at, length, text]) => form.slice(0, at) + text + form.slice(at + length))
    fc.assert(
      fc.property(spoilt, fc.integer(), (text, nowMs) => {
        const ms = parseHttpDate(text, nowMs)
        expect(ms === undefined || ms % 1000 === 0).toBe(true)
      }),
    )
  })
})

describe('writing HTTP dates', () => {
  it('writes the preferred form', () => {
    expect(formatHttpDate(NOVEMBER_1994 + 999)).toBe('Sun, 06 Nov 1994 08:49:37 GMT')
  })

  it('is read back as the second that it was', () => {
    const ms = fc.integer({ min: Date.UTC(-1, 11, 31) + 2 * 86_400_000, max: Date.UTC(9999, 11, 31) })
    fc.assert(
      fc.property(ms, (time) => {
        expect(parseHttpDate(formatHttpDate(time))).toBe(Math.floor(time / 1000) * 1000)
      }),
    )
  })

  it.each([
    [Number.NaN, 'Thu, 01 Jan 1970 00:00:00 GMT'],
    [Number.POSITIVE_INFINITY, 'Fri, 31 Dec 9999 23:59:59 GMT'],
    [Number.NEGATIVE_INFINITY, 'Sat, 01 Jan 0000 00:00:00 GMT'],
  ])('writes a date for %d too', (ms, text) => {
    expect(formatHttpDate(ms)).toBe(text)
  })
})

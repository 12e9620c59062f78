const DAYS = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday']
const MONTHS = 'janfebmaraprmayjunjulaugsepoctnovdec'

/** 400 years of the Gregorian calendar. `Date.UTC()` takes years below 100 for those of the twentieth century. */
const FOUR_CENTURIES_MS = 146_097 * 86_400_000

const EARLIEST_MS = Date.UTC(400, 0, 1) - FOUR_CENTURIES_MS
const LATEST_MS = Date.UTC(10_000, 0, 1) - 1000

/**
 * Reads an HTTP date in one of its three forms, in milliseconds; undefined for anything else: other zones than GMT,
 * missing or superfluous parts, days that a month does not have, numeric timestamps.
 *
 * Letters may have any case, as a cache should take them (RFC 9111 §4.2). The name of the day must be one, but need not
 * fit the date: it adds nothing, and recipients are encouraged to be robust. A leap second counts as the one before it,
 * so that nothing lives longer by it.
 *
 * @param nowMs decides which century the two-digit year of the RFC 850 form means: the latest that is no more than 50
 * years ahead
 * @see RFC 9110 §5.6.7
 */
export function parseHttpDate(text: string, nowMs: number = Date.now()): number | undefined {
  // Sunday, 06-Nov-94 08:49:37 GMT is 30 characters long, Wednesday takes three more.
  if (text.length < 24 || text.length > 33) return undefined
  // Most responses of one second have the same Date.
  if (text === lastText) return lastMs
  const lower = text.toLowerCase()
  const comma = lower.indexOf(',')
  if (comma < 0) return parseAsctime(lower)
  if (comma !== 3) return parseRfc850(lower, comma, nowMs)
  lastMs = parseFixdate(lower)
  lastText = text
  return lastMs
}

let lastText = ''
let lastMs: number | undefined

/**
 * Writes an HTTP date: `Sun, 06 Nov 1994 08:49:37 GMT`. Fractions of a second are cut off; times outside of the years 0
 * to 9999 become the first or the last of them.
 *
 * @see RFC 9110 §5.6.7
 */
export function formatHttpDate(ms: number): string {
  const bounded = Math.min(Math.max(ms, EARLIEST_MS), LATEST_MS)
  return new Date(Number.isNaN(bounded) ? 0 : bounded).toUTCString()
}

/** `sun, 06 nov 1994 08:49:37 gmt` */
function parseFixdate(text: string): number | undefined {
  if (text.length !== 29 || !isDayName(text, 3) || !text.startsWith(' gmt', 25)) return undefined
  if (text[4] !== ' ' || text[7] !== ' ' || text[11] !== ' ' || text[16] !== ' ') return undefined
  return instant(digits(text, 12, 4), monthAt(text, 8), digits(text, 5, 2), text, 17)
}

/** `sunday, 06-nov-94 08:49:37 gmt` */
function parseRfc850(text: string, comma: number, nowMs: number): number | undefined {
  if (text.length !== comma + 24 || !isDayName(text, comma) || !text.startsWith(' gmt', comma + 20)) return undefined
  const day = comma + 2
  if (text[comma + 1] !== ' ' || text[day + 2] !== '-' || text[day + 6] !== '-' || text[day + 9] !== ' ') {
    return undefined
  }
  const yearOfCentury = digits(text, day + 7, 2)
  if (yearOfCentury < 0) return undefined
  const limit = new Date(nowMs)
  limit.setUTCFullYear(limit.getUTCFullYear() + 50)
  let year = limit.getUTCFullYear() - (limit.getUTCFullYear() % 100) + yearOfCentury
  let ms = instant(year, monthAt(text, day + 3), digits(text, day, 2), text, day + 10)
  if (year > limit.getUTCFullYear() || (ms !== undefined && ms > limit.getTime())) {
    year -= 100
    ms = instant(year, monthAt(text, day + 3), digits(text, day, 2), text, day + 10)
  }
  return ms
}

/** `sun nov  6 08:49:37 1994` */
function parseAsctime(text: string): number | undefined {
  if (text.length !== 24 || !isDayName(text, 3)) return undefined
  if (text[3] !== ' ' || text[7] !== ' ' || text[10] !== ' ' || text[19] !== ' ') return undefined
  const day = text[8] === ' ' ? digits(text, 9, 1) : digits(text, 8, 2)
  return instant(digits(text, 20, 4), monthAt(text, 4), day, text, 11)
}

/** Parts that could not be read are negative. `timeAt` is where `08:49:37` begins. */
function instant(year: number, month: number, day: number, text: string, timeAt: number): number | undefined {
  const hour = digits(text, timeAt, 2)
  const minute = digits(text, timeAt + 3, 2)
  const second = digits(text, timeAt + 6, 2)
  if (text[timeAt + 2] !== ':' || text[timeAt + 5] !== ':') return undefined
  if (year < 0 || month < 0 || day < 1 || hour < 0 || minute < 0 || second < 0) return undefined
  if (hour > 23 || minute > 59 || second > 60) return undefined
  const midnight = Date.UTC(year + 400, month, day)
  if (new Date(midnight).getUTCDate() !== day) return undefined
  return midnight - FOUR_CENTURIES_MS + ((hour * 60 + minute) * 60 + Math.min(second, 59)) * 1000
}

/** The number that `count` digits make; -1 when they are not all digits. */
function digits(text: string, start: number, count: number): number {
  let value = 0
  for (let index = start; index < start + count; index += 1) {
    const digit = text.charCodeAt(index) - 48
    if (!(digit >= 0 && digit <= 9)) return -1
    value = value * 10 + digit
  }
  return value
}

/** 0 for January; -1 when it is no month. */
function monthAt(text: string, start: number): number {
  const at = MONTHS.indexOf(text.slice(start, start + 3))
  return at >= 0 && at % 3 === 0 ? at / 3 : -1
}

/** True when the text begins with the name of a day of this length: three letters, or the whole name. */
function isDayName(text: string, length: number): boolean {
  for (const day of DAYS) {
    if ((length === 3 || length === day.length) && text.startsWith(length === 3 ? day.slice(0, 3) : day)) return true
  }
  return false
}

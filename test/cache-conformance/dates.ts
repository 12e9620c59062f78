/** The wall-clock time at which every case begins: Thu, 15 Jan 2026 12:00:00 GMT. */
export const START_MS = Date.UTC(2026, 0, 15, 12)

/** The HTTP date so many seconds after the begin of the case; negative for before. */
export function at(seconds: number): string {
  return new Date(START_MS + seconds * 1_000).toUTCString()
}

const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']

/** The same in the obsolete form of RFC 850: `Thursday, 15-Jan-26 12:00:00 GMT`. */
export function rfc850(seconds: number): string {
  const date = new Date(START_MS + seconds * 1_000)
  const [, day, month, year, time] = date.toUTCString().split(/[ ,]+/) as [string, string, string, string, string]
  return `${DAYS[date.getUTCDay()]}, ${day}-${month}-${year.slice(2)} ${time} GMT`
}

/** The same in the obsolete form of C's asctime: `Thu Jan 15 12:00:00 2026`. */
export function asctime(seconds: number): string {
  const parts = new Date(START_MS + seconds * 1_000).toUTCString().split(/[ ,]+/)
  const [weekday, day, month, year, time] = parts as [string, string, string, string, string]
  return `${weekday} ${month} ${String(Number(day)).padStart(2)} ${time} ${year}`
}

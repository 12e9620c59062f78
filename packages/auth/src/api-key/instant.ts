/** A moment: a Date, an ISO 8601 text with its time zone or a date alone (midnight UTC), or milliseconds since the Unix epoch. */
export type Instant = Date | string | number

const ISO = /^(\d{4})-(\d{2})-(\d{2})(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:\d{2}))?$/

/** Less than that, and somebody wrote seconds: 1973-03-03. */
const LEAST_MS = 1e11
/** The last moment of ECMAScript (§21.4.1.1). */
const MOST_MS = 8.64e15

/** A moment in milliseconds since the Unix epoch; undefined when it is none that can be read without guessing. */
export function instantMs(value: unknown): number | undefined {
  if (typeof value === 'number') return value >= LEAST_MS && value <= MOST_MS ? value : undefined
  if (value instanceof Date) return inRange(value.getTime())
  if (typeof value !== 'string') return undefined
  const parts = ISO.exec(value)
  if (parts === null) return undefined
  // ECMAScript leaves open what February 30 is (§21.4.3.2); engines make March of it. It is a slip, and refused.
  const [, year, month, day] = parts
  const date = new Date(`${year}-${month}-01T00:00:00Z`)
  date.setUTCDate(Number(day))
  if (date.getUTCDate() !== Number(day) || date.getUTCMonth() !== Number(month) - 1) return undefined
  return inRange(Date.parse(value))
}

function inRange(ms: number): number | undefined {
  return Number.isFinite(ms) && Math.abs(ms) <= MOST_MS ? ms : undefined
}

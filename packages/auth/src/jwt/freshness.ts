type Headers = Readonly<Record<string, string | readonly string[] | undefined>>

/** Bounds of how long an answer is fresh, all in milliseconds. */
export interface FreshnessBounds {
  /** When the server says nothing of it. */
  readonly freshMs: number
  readonly minFreshMs: number
  readonly maxFreshMs: number
}

/** Longer lists of directives are no lists of directives. */
const MAX_FIELD_LENGTH = 1_024
/** A directive and its argument, plain or quoted (RFC 9111 §5.2). */
const DIRECTIVE = /([\w!#$%&'*+.^`|~-]+)(?:=(?:"([^"]*)"|([^\s,"]*)))?/g
/** What browsers and caches in between take for "for ever" (RFC 9111 §1.2.2). */
const MAX_DELTA_SECONDS = 2 ** 31

/**
 * For how long after it was asked for an answer is fresh, in milliseconds, as its server says (RFC 9111 §4.2), within the
 * bounds. `s-maxage` and `private` are not looked at: what is fetched is for this process alone.
 *
 * @param headers names in lower case
 * @param wallMs when it was asked for, in milliseconds since the Unix epoch
 */
export function freshForMs(headers: Headers, wallMs: number, bounds: FreshnessBounds): number {
  const said = saidMs(headers, wallMs) ?? bounds.freshMs
  return Math.min(Math.max(said, bounds.minFreshMs), bounds.maxFreshMs)
}

/** What the server says itself; undefined when it says nothing. What it says in a way that nobody can read is "no longer" (§4.2.1). */
function saidMs(headers: Headers, wallMs: number): number | undefined {
  const lifetimeMs = byDirectives(fieldOf(headers, 'cache-control')) ?? byExpires(headers, wallMs)
  if (lifetimeMs === undefined) return undefined
  // An answer that a cache in between has kept for a while has used up that much of its time (§4.2.3).
  return lifetimeMs - (secondsOf(fieldOf(headers, 'age')) ?? 0) * 1_000
}

function byDirectives(field: string | undefined): number | undefined {
  if (field === undefined || field.length > MAX_FIELD_LENGTH) return undefined
  let seconds: number | undefined
  for (const [, name, quoted, plain] of field.matchAll(DIRECTIVE)) {
    const directive = name!.toLowerCase()
    if (directive === 'no-store' || directive === 'no-cache') return 0
    if (directive !== 'max-age') continue
    // Of two that differ, the one that ends first.
    seconds = Math.min(seconds ?? MAX_DELTA_SECONDS, secondsOf(quoted ?? plain) ?? 0)
  }
  return seconds === undefined ? undefined : seconds * 1_000
}

/** `Expires` counts from `Date`, so that the server's clock need not go as ours does (§4.2.1). */
function byExpires(headers: Headers, wallMs: number): number | undefined {
  const expires = fieldOf(headers, 'expires')
  if (expires === undefined) return undefined
  const untilMs = Date.parse(expires)
  // "0" and other nonsense is a time in the past (§5.3). Date.parse() takes a plain number for a year.
  if (Number.isNaN(untilMs) || !/[a-z]/i.test(expires)) return 0
  const dateMs = Date.parse(fieldOf(headers, 'date') ?? '')
  return untilMs - (Number.isNaN(dateMs) ? wallMs : dateMs)
}

function fieldOf(headers: Headers, name: string): string | undefined {
  const value = headers[name]
  return value === undefined || typeof value === 'string' ? value : value.join(', ')
}

/** Delta-seconds (§1.2.2): digits alone. */
function secondsOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+$/.test(text) ? Math.min(Number(text), MAX_DELTA_SECONDS) : undefined
}

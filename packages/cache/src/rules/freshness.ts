import type { StoredHead } from '../stored-response.ts'
import type { CacheRules } from './cache-rules.ts'
import { isHeuristicallyCacheable } from './cacheable-status.ts'
import { deltaSeconds } from './delta-seconds.ts'
import type { ResponseDirectives } from './directives.ts'
import { fieldLines, trimSpace } from './field-list.ts'
import { parseHttpDate } from './http-date.ts'

/** How long a response is fresh, and who says so. */
export interface FreshnessLifetime {
  /** 0 or more; 0: it is never fresh. */
  readonly lifetimeMs: number
  /** True when the origin gave an expiration time, be it one in the past or one that makes no sense. */
  readonly explicit: boolean
  /** True when this cache chose the lifetime: by estimate or by configuration. */
  readonly heuristic: boolean
}

const NEVER_FRESH: FreshnessLifetime = { lifetimeMs: 0, explicit: false, heuristic: false }
const EXPIRED: FreshnessLifetime = { lifetimeMs: 0, explicit: true, heuristic: false }

/**
 * The freshness lifetime of a response: from s-maxage, else from max-age, else from Expires minus Date, else a share of
 * the time since Last-Modified, else what is configured.
 *
 * Expires counts as past when it is no date (§5.3) or stands there with different values. A lifetime that the origin
 * did not give is given only to statuses that are heuristically cacheable and to `public` responses (§4.2.2), and not
 * when the response says `Pragma: no-cache`, which was never defined for responses but can only mean one thing.
 *
 * @param targeted true when the directives are from a targeted field: then Expires is not looked at (RFC 9213 §2.2)
 * @param dateMs `Date`, or when the response was received
 * @param allowsHeuristic false: no lifetime but the origin's own
 * @see RFC 9111 §4.2.1
 */
export function freshnessLifetime(
  status: number,
  headers: readonly string[],
  directives: ResponseDirectives | undefined,
  targeted: boolean,
  dateMs: number,
  rules: CacheRules,
  allowsHeuristic: boolean,
): FreshnessLifetime {
  const seconds = directives?.sMaxAgeS ?? directives?.maxAgeS
  if (seconds !== undefined) return { lifetimeMs: seconds * 1000, explicit: true, heuristic: false }
  if (!targeted) {
    const expires = fieldLines(headers, 'expires')
    if (expires.length > 0) return untilExpires(expires, dateMs)
  }
  if (!allowsHeuristic || !(isHeuristicallyCacheable(status) || directives?.public === true)) return NEVER_FRESH
  if (saysPragmaNoCache(headers)) return NEVER_FRESH
  const lifetimeMs = estimatedLifetimeMs(headers, dateMs, rules) ?? rules.defaultLifetimeMs
  return lifetimeMs === undefined || !(lifetimeMs > 0) ? NEVER_FRESH : { lifetimeMs, explicit: false, heuristic: true }
}

function untilExpires(lines: readonly string[], dateMs: number): FreshnessLifetime {
  const first = lines[0]!
  for (const line of lines) if (line !== first) return EXPIRED
  const expiresMs = parseHttpDate(first)
  if (expiresMs === undefined || !(expiresMs > dateMs)) return EXPIRED
  return { lifetimeMs: expiresMs - dateMs, explicit: true, heuristic: false }
}

/** Undefined when there is nothing to estimate from (§4.2.2). */
function estimatedLifetimeMs(headers: readonly string[], dateMs: number, rules: CacheRules): number | undefined {
  if (!(rules.heuristicShare > 0)) return undefined
  const modifiedMs = lastModified(headers)
  if (modifiedMs === undefined || modifiedMs > dateMs) return undefined
  return Math.min(Math.floor((dateMs - modifiedMs) * rules.heuristicShare), rules.heuristicMaxMs)
}

function saysPragmaNoCache(headers: readonly string[]): boolean {
  for (const line of fieldLines(headers, 'pragma')) {
    if (line.toLowerCase().includes('no-cache')) return true
  }
  return false
}

/** `Last-Modified` in milliseconds; undefined when it is absent, no date, or there twice. */
export function lastModified(headers: readonly string[]): number | undefined {
  const lines = fieldLines(headers, 'last-modified')
  return lines.length === 1 ? parseHttpDate(lines[0]!) : undefined
}

/**
 * The value of the Age field in seconds, at most 2^31. The first member counts when there are several; a value that is
 * no whole number is ignored.
 *
 * @returns 0 when there is none
 * @see RFC 9111 §5.1
 */
export function parseAge(headers: readonly string[]): number {
  for (const line of fieldLines(headers, 'age')) {
    let start = 0
    while (start < line.length) {
      const comma = line.indexOf(',', start)
      const end = comma < 0 ? line.length : comma
      const member = trimSpace(line.slice(start, end))
      if (member !== '') return deltaSeconds(member) ?? 0
      start = end + 1
    }
  }
  return 0
}

/**
 * How old a response was when it was received: corrected_initial_age. The more careful of the two ways to work it out,
 * so that neither a slow network nor a cache on the way that says no Age makes it look younger.
 *
 * @see RFC 9111 §4.2.3
 */
export function initialAgeMs(ageS: number, dateMs: number, requestedAtMs: number, receivedAtMs: number): number {
  // Date has whole seconds. Told apart more finely, a response would be up to a second old when it is made.
  const apparentAgeMs = atLeastZero(Math.floor(receivedAtMs / 1000) * 1000 - dateMs)
  const responseDelayMs = atLeastZero(receivedAtMs - requestedAtMs)
  return Math.max(apparentAgeMs, atLeastZero(ageS * 1000) + responseDelayMs)
}

/**
 * How old a stored response is: current_age. A clock that was set back makes it no younger than it was when received.
 *
 * @see RFC 9111 §4.2.3
 */
export function currentAgeMs(head: StoredHead, nowMs: number): number {
  return atLeastZero(head.initialAgeMs) + atLeastZero(nowMs - head.receivedAtMs)
}

/**
 * How long a stored response stays fresh: 0 or less when it is stale, and then how long it has been. One that was made
 * stale by hand is stale from then on, whatever is left of its lifetime.
 *
 * @see RFC 9111 §4.2
 */
export function remainingMs(head: StoredHead, nowMs: number): number {
  const leftMs = head.lifetimeMs - currentAgeMs(head, nowMs)
  if (head.staleSinceMs === undefined) return leftMs
  return Math.min(leftMs, 0 - atLeastZero(nowMs - head.staleSinceMs))
}

/** What is left of the lifetime in whole seconds, rounded down: what is stale by less than one is not shown as fresh. */
export function ttlOf(head: StoredHead, nowMs: number): number {
  return Math.floor(remainingMs(head, nowMs) / 1000)
}

/** The value of the Age field for a stored response (RFC 9111 §5.1). */
export function ageOf(head: StoredHead, nowMs: number): string {
  return String(Math.floor(currentAgeMs(head, nowMs) / 1000))
}

function atLeastZero(value: number): number {
  return Number.isNaN(value) ? 0 : Math.max(value, 0)
}

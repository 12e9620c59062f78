import type { CacheRequest } from '../cache-request.ts'
import type { StoredHead } from '../stored-response.ts'
import { parseResponseDirectives, type RequestDirectives } from './directives.ts'
import { fieldValue } from './field-list.ts'
import { currentAgeMs, remainingMs } from './freshness.ts'

/**
 * How a stored response may be used for a request:
 *
 * - `fresh`: as it is.
 * - `stale-allowed`: as it is, though stale, since the client takes it so (`max-stale`).
 * - `stale-while-revalidate`: as it is, though stale, while it is being validated (RFC 5861 §3).
 * - `validate`: only after the origin has said that it still holds.
 * - `validate-for-client`: the same, but only because this client wants it so; for others it is fresh.
 */
export type Reuse = 'fresh' | 'stale-allowed' | 'stale-while-revalidate' | 'validate' | 'validate-for-client'

/**
 * Decides how a stored response may be used for a request that selects it.
 *
 * A client that lets itself have stale responses only up to some point, or none, is not given older ones by
 * stale-while-revalidate. `immutable` keeps a reload (`max-age=0`) from asking the origin again, but not `no-cache`, by
 * which a client says that it wants the origin asked (RFC 8246 §2.1).
 *
 * @see RFC 9111 §4, §4.2.4, §5.2.1
 */
export function reuseOf(head: StoredHead, request: CacheRequest, nowMs: number): Reuse {
  if (head.noCache) return 'validate'
  const leftMs = remainingMs(head, nowMs)
  const directives = request.directives
  if (leftMs > 0) {
    if (directives === undefined || takesFresh(head, directives, nowMs, leftMs)) return 'fresh'
    return 'validate-for-client'
  }
  if (head.mustRevalidate) return 'validate'
  const staleMs = 0 - leftMs
  if (directives !== undefined && !takesStale(head, directives, nowMs, staleMs)) return 'validate'
  if (isWithin(staleMs, head.staleWhileRevalidateMs)) return 'stale-while-revalidate'
  return directives?.maxStaleS === undefined ? 'validate' : 'stale-allowed'
}

/**
 * Decides whether a stored response may be served when the origin could not be reached or answered with 500, 502, 503
 * or 504: by the response's stale-if-error or stale-while-revalidate, or by the client's stale-if-error or max-stale.
 * Never against must-revalidate, s-maxage and no-cache, and not when the client wants a fresh or a validated response
 * and did not send stale-if-error along.
 *
 * A cache could serve stale responses without anyone's permission when it is cut off from the origin. This one does
 * not.
 *
 * @see RFC 5861 §4, RFC 9111 §4.2.4
 */
export function mayServeOnError(head: StoredHead, request: CacheRequest, nowMs: number): boolean {
  if (head.noCache) return false
  const leftMs = remainingMs(head, nowMs)
  const staleMs = leftMs > 0 ? 0 : 0 - leftMs
  if (leftMs <= 0 && head.mustRevalidate) return false
  const directives = request.directives
  if (isWithin(staleMs, (directives?.staleIfErrorS ?? 0) * 1000)) return true
  if (leftMs > 0) return directives === undefined || takesFresh(head, directives, nowMs, leftMs)
  if (directives !== undefined) {
    if (!takesStale(head, directives, nowMs, staleMs)) return false
    if (directives.maxStaleS !== undefined) return true
  }
  return isWithin(staleMs, Math.max(head.staleIfErrorMs, head.staleWhileRevalidateMs))
}

/** An allowance of 0 is none, at the very end of the lifetime too. */
function isWithin(staleMs: number, allowedMs: number): boolean {
  return allowedMs > 0 && staleMs <= allowedMs
}

/** Whether a client takes a response that is fresh for the cache. */
function takesFresh(head: StoredHead, directives: RequestDirectives, nowMs: number, leftMs: number): boolean {
  if (directives.noCache) return false
  if (directives.minFreshS !== undefined && leftMs < directives.minFreshS * 1000) return false
  return isYoungEnough(head, directives, nowMs) || isImmutable(head)
}

/** Whether a client rules out a response that has been stale for this long. */
function takesStale(head: StoredHead, directives: RequestDirectives, nowMs: number, staleMs: number): boolean {
  if (directives.noCache || directives.minFreshS !== undefined) return false
  // With max-age alone the client does not want a stale response (RFC 9111 §5.2.1.1).
  if (directives.maxStaleS === undefined) return directives.maxAgeS === undefined
  return staleMs <= directives.maxStaleS * 1000 && isYoungEnough(head, directives, nowMs)
}

function isYoungEnough(head: StoredHead, directives: RequestDirectives, nowMs: number): boolean {
  const { maxAgeS } = directives
  if (maxAgeS === undefined) return true
  // Clients send 0 to have the origin asked. A response of the same millisecond would pass otherwise.
  return maxAgeS > 0 && currentAgeMs(head, nowMs) <= maxAgeS * 1000
}

/**
 * Whether the origin promised that the response does not change while it is fresh. The promise is for the lifetime that
 * stands beside it, so it counts only where that is the lifetime in use: not when a targeted field gave another one.
 */
function isImmutable(head: StoredHead): boolean {
  const value = fieldValue(head.headers, 'cache-control')
  if (value === undefined || !value.includes('immutable')) return false
  const directives = parseResponseDirectives(value)
  return directives.immutable && (directives.sMaxAgeS ?? directives.maxAgeS ?? -1) * 1000 === head.lifetimeMs
}

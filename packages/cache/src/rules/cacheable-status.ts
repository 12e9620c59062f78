/**
 * Whether a response of this status may be given a lifetime where the origin gives none.
 *
 * Of the statuses that RFC 9110 §15.1 calls heuristically cacheable, 405, 414 and 501 are left out: one odd request
 * would keep a resource from everybody until the estimate runs out.
 */
export function isHeuristicallyCacheable(status: number): boolean {
  switch (status) {
    case 200:
    case 203:
    case 204:
    case 206:
    case 300:
    case 301:
    case 308:
    case 404:
    case 410:
      return true
    default:
      return false
  }
}

/**
 * Whether a response of this status may be stored at all. Never stored are:
 *
 * - interim ones, 304 and 412, which answer the conditions of one request, 416 and 417, which answer its Range and its
 *   Expect: what is behind the same URI for others is something else (RFC 9111 §3);
 * - 407, which is for one client of one proxy (RFC 9110 §15.5.8);
 * - 428, 429, 431 and 511, which must not be (RFC 6585 §3 to §6).
 */
export function isStorable(status: number): boolean {
  if (!(status >= 200 && status <= 599)) return false
  switch (status) {
    case 304:
    case 407:
    case 412:
    case 416:
    case 417:
    case 428:
    case 429:
    case 431:
    case 511:
      return false
    default:
      return true
  }
}

/**
 * Whether only a lifetime of the origin's own makes a response of this status storable, whatever else it says: errors
 * that a single request can cause, or that pass. Else whoever can cause one could keep a resource from everybody.
 */
export function needsExplicitLifetime(status: number): boolean {
  switch (status) {
    case 400:
    case 401:
    case 405:
    case 408:
    case 413:
    case 414:
    case 415:
    case 421:
    case 425:
    case 426:
      return true
    default:
      return status >= 500
  }
}

/**
 * Whether this cache knows what a status asks of a cache: those of RFC 9110 §15 that it stores. Others may be stored
 * too, but not with must-understand.
 *
 * @see RFC 9111 §5.2.2.3
 */
export function isUnderstood(status: number): boolean {
  if (!isStorable(status)) return false
  if (status < 300) return status <= 206
  if (status < 400) return status <= 303 || status === 307 || status === 308
  if (status < 500) return status <= 417 || status === 421 || status === 422 || status === 426
  return status <= 505
}

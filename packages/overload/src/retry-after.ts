/** Longest Retry-After, in seconds. */
export const MAX_RETRY_AFTER_S = 3

/**
 * Whole seconds for Retry-After (RFC 9110 §10.2.3), spread over 1 to 3: clients that were refused together would
 * otherwise come back together.
 */
export function retryAfterSeconds(random: () => number): number {
  return 1 + Math.floor(random() * MAX_RETRY_AFTER_S)
}

import type { CacheRequest } from '../cache-request.ts'
import type { StoredHead } from '../stored-response.ts'
import { parseHttpDate } from './http-date.ts'
import { isStrongDate, isStrongTag, listMatchesWeakly, stronglyEqual } from './validators.ts'

/**
 * Decides what a client with a condition gets from a stored response: the response, or word that its own copy is good
 * still (304). A condition that cannot be read is not met, so the response is sent.
 *
 * `If-Match` and `If-Unmodified-Since` are for the origin alone and play no part here.
 *
 * @see RFC 9111 §4.3.2, RFC 9110 §13.2
 */
export function evaluate(request: CacheRequest, head: StoredHead): 'send' | 'not-modified' {
  const { ifNoneMatch, ifModifiedSince } = request
  if (ifNoneMatch === undefined && ifModifiedSince === undefined) return 'send'
  // Conditions on what would not be a success without them are ignored (RFC 9110 §13.2.1).
  if (head.status < 200 || head.status > 299) return 'send'
  if (request.method !== 'GET' && request.method !== 'HEAD') return 'send'
  if (ifNoneMatch !== undefined) {
    // With If-None-Match there, If-Modified-Since is not looked at, whatever comes of it (RFC 9110 §13.1.3).
    return ifNoneMatch === '*' || listMatchesWeakly(ifNoneMatch, head.etag) ? 'not-modified' : 'send'
  }
  const sinceMs = parseHttpDate(ifModifiedSince!)
  if (sinceMs === undefined) return 'send'
  return (head.lastModifiedMs ?? head.dateMs) <= sinceMs ? 'not-modified' : 'send'
}

/**
 * True when a client may add a range of the stored response to what it has, as its `If-Range` asks; if not, it gets the whole.
 *
 * @param ifRange an entity tag or a date, as received
 * @see RFC 9110 §13.1.5
 */
export function rangeStillValid(ifRange: string, head: StoredHead): boolean {
  // A tag has a quote within its first three characters, a date never has one.
  if (ifRange.startsWith('"') || ifRange.startsWith('W/')) return stronglyEqual(ifRange, head.etag)
  return isStrongDate(head.lastModifiedMs, head.dateMs) && parseHttpDate(ifRange) === head.lastModifiedMs
}

/** Fields that describe a representation, which a 304 does not carry. */
const REPRESENTATION_FIELDS: ReadonlySet<string> = new Set([
  'content-digest',
  'content-encoding',
  'content-language',
  'content-length',
  'content-md5',
  'content-range',
  'content-type',
  'digest',
  'repr-digest',
])

/**
 * Picks the fields that a 304 carries from those of the stored response: all but what describes content, which it has
 * none of. Last-Modified goes along only where there is no strong ETag to update other caches by.
 *
 * @see RFC 9110 §15.4.5
 */
export function notModifiedFields(headers: readonly string[]): string[] {
  let strong = false
  for (let i = 0; i < headers.length; i += 2) if (headers[i] === 'etag' && isStrongTag(headers[i + 1])) strong = true
  const fields: string[] = []
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!
    if (REPRESENTATION_FIELDS.has(name) || (strong && name === 'last-modified')) continue
    fields.push(name, headers[i + 1]!)
  }
  return fields
}

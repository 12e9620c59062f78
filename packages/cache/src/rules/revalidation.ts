import type { CacheRequest } from '../cache-request.ts'
import type { StoredHead } from '../stored-response.ts'
import type { CacheRules } from './cache-rules.ts'
import { contentRange } from './content-range.ts'
import { fieldValue } from './field-list.ts'
import { updatedFields } from './header-update.ts'
import { formatHttpDate, parseHttpDate } from './http-date.ts'
import { assess, type NotStored } from './storing.ts'
import { tagsOf } from './tags.ts'
import { isEntityTag, isStrongDate, isStrongTag, stronglyEqual, weaklyEqual } from './validators.ts'
import { variantOf } from './variant.ts'
import { couldBeChosen, matchesVary } from './vary.ts'

/** What a cache asks the origin with, to learn whether what it has is good still. */
export interface ConditionalFields {
  readonly ifNoneMatch: string | undefined
  readonly ifModifiedSince: string | undefined
}

const UNCONDITIONAL: ConditionalFields = { ifNoneMatch: undefined, ifModifiedSince: undefined }

/** So many tags of other variants are offered; a resource may have hundreds. */
const MOST_TAGS = 8
/** Longer tags are not offered beside others. */
const LONGEST_TAG = 128

/**
 * Works out the conditions for a request that validates what is stored: the tag and the date of the selected response.
 *
 * Where none was selected, the strong tags of the other variants are offered, for one of them may be what the origin
 * would send (RFC 9111 §4.1). Weak ones are not: the same weak tag may stand on variants that this client cannot read, such as
 * one content coding and another (RFC 9110 §8.8.1).
 *
 * A partial response is asked about only by its strong tag.
 *
 * @param stored responses behind the key, of the request's partition, the most recently stored first
 * @param selected the one that answers the request if it is good still
 * @see RFC 9111 §4.3.1
 */
export function conditionalFieldsFor(
  stored: readonly StoredHead[],
  selected: StoredHead | undefined,
): ConditionalFields {
  if (selected === undefined) return { ifNoneMatch: strongTagsOf(stored), ifModifiedSince: undefined }
  if (selected.parts !== undefined) {
    return isStrongTag(selected.etag) ? { ifNoneMatch: selected.etag, ifModifiedSince: undefined } : UNCONDITIONAL
  }
  const { etag, lastModifiedMs } = selected
  return {
    ifNoneMatch: isEntityTag(etag) ? etag : undefined,
    // Beside the tag, for caches and servers on the way that do not know tags.
    ifModifiedSince: lastModifiedMs === undefined ? undefined : formatHttpDate(lastModifiedMs),
  }
}

function strongTagsOf(stored: readonly StoredHead[]): string | undefined {
  const tags = new Set<string>()
  for (const head of stored) {
    if (tags.size === MOST_TAGS) break
    if (isWhole(head) && isStrongTag(head.etag) && head.etag.length <= LONGEST_TAG) tags.add(head.etag)
  }
  return tags.size === 0 ? undefined : [...tags].join(', ')
}

/** True when its content is there and all of it. */
function isWhole(head: StoredHead): boolean {
  return head.method !== 'HEAD' && head.parts === undefined
}

/** Validators of a 304; what is malformed counts as absent. */
interface Validators {
  readonly etag: string | undefined
  readonly lastModifiedMs: number | undefined
}

function validatorsOf(headers: readonly string[]): Validators {
  const etag = fieldValue(headers, 'etag')
  const lastModified = fieldValue(headers, 'last-modified')
  return {
    etag: isEntityTag(etag) ? etag : undefined,
    lastModifiedMs: lastModified === undefined ? undefined : parseHttpDate(lastModified),
  }
}

/**
 * Finds the stored responses that a 304 brings up to date, the most recent first: the first is the one to serve.
 *
 * Of those that could be chosen for the request: with a strong validator in the 304 all that have the same; with a
 * weak one the most recent that matches; with none the only one, if it has none either. A stored response with another tag than
 * the 304's is never updated, even when the dates agree.
 *
 * @returns empty when the 304 updates none. The request is then sent again without conditions, unless
 * {@link reusedAfter304} finds what to serve
 * @see RFC 9111 §4.3.4
 */
export function selectedFor304(
  stored: readonly StoredHead[],
  request: CacheRequest,
  headers304: readonly string[],
): readonly StoredHead[] {
  const candidates = stored.filter((head) => couldBeChosen(head, request))
  // Stable, so that of two equally recent ones the first stays so.
  candidates.sort((a, b) => b.dateMs - a.dateMs)
  const { etag, lastModifiedMs } = validatorsOf(headers304)
  const sameDate = (head: StoredHead) => lastModifiedMs !== undefined && head.lastModifiedMs === lastModifiedMs
  const sameTagOrNone = (head: StoredHead) =>
    etag === undefined || !isEntityTag(head.etag) || weaklyEqual(head.etag, etag)
  // Whether a date is strong is told by the Date of the stored response (RFC 9110 §8.8.2.2).
  const strongMatches = candidates.filter(
    (head) =>
      stronglyEqual(head.etag, etag) ||
      (sameDate(head) && sameTagOrNone(head) && isStrongDate(lastModifiedMs, head.dateMs)),
  )
  if (strongMatches.length > 0 || isStrongTag(etag)) return strongMatches
  if (etag !== undefined || lastModifiedMs !== undefined) {
    const match = candidates.find((head) => weaklyEqual(head.etag, etag) || (sameDate(head) && sameTagOrNone(head)))
    return match === undefined ? [] : [match]
  }
  return candidates.length === 1 && !hasValidator(candidates[0]!) ? candidates : []
}

function hasValidator(head: StoredHead): boolean {
  return isEntityTag(head.etag) || head.lastModifiedMs !== undefined
}

/**
 * Finds the stored response that a 304 allows to serve although it updates none ({@link selectedFor304} came back empty):
 *
 * - Another variant whose strong tag was offered and is the 304's. It may be stored once more as the variant of this
 *   request; the one that was there stays as it is.
 * - The selected one, when the 304 has no validators: it can mean nothing else. It has been validated for this
 *   request and stays as stale as it was.
 *
 * @param stored responses behind the key
 * @param selected the response whose validators the request carried; undefined when those of other variants were offered
 * @see RFC 9111 §4.1, §4.3.3
 */
export function reusedAfter304(
  stored: readonly StoredHead[],
  selected: StoredHead | undefined,
  request: CacheRequest,
  headers304: readonly string[],
): StoredHead | undefined {
  const { etag, lastModifiedMs } = validatorsOf(headers304)
  if (selected !== undefined) return etag === undefined && lastModifiedMs === undefined ? selected : undefined
  let match: StoredHead | undefined
  for (const head of stored) {
    if (head.partition !== request.partition || !isWhole(head) || !stronglyEqual(head.etag, etag)) continue
    if (match === undefined || head.dateMs > match.dateMs) match = head
  }
  return match
}

/** A response that brings a stored one up to date. */
export interface NewerResponse {
  readonly headers: readonly string[]
  readonly requestedAtMs: number
  readonly receivedAtMs: number
}

/** They speak of the one who asked now, not of what is stored: it stays, and is not updated. */
const REASONS_OF_REQUEST: ReadonlySet<NotStored> = new Set(['request-no-store', 'authorization', 'cookie'])

/**
 * Makes the head of a stored response after a 304, or a 200 to HEAD, has brought it up to date: fields merged, everything
 * that follows from them worked out anew, content as it was. It is no longer stale by hand.
 *
 * @param request the one that the newer response answers
 * @param id another than the stored response's makes a stored response of its own of it
 * @returns the stored head itself when nothing of a response to this request may be stored (`no-store`, or what may
 * be personal), or when the request selects another variant: it stays as it was. Undefined when the response, as it is now,
 * may not be stored: it has to be removed
 * @see RFC 9111 §3.2, §4.3.4, §4.3.5
 */
export function updatedHead(
  stored: StoredHead,
  request: CacheRequest,
  newer: NewerResponse,
  rules: CacheRules,
  id: string = stored.id,
): StoredHead | undefined {
  // Of another variant, its fields say nothing of this one.
  if (id === stored.id && !matchesVary(stored, request)) return stored
  const { requestedAtMs, receivedAtMs } = newer
  const { status, statusText, method, bodyBytes, parts, completeBytes } = stored
  const headers = updatedFields(stored.headers, newer.headers)
  // Not among the stored fields, but a 206 is none without it.
  if (parts !== undefined) headers.push('content-range', contentRange(parts[0]!, completeBytes))
  const received = { status, statusText, headers, requestedAtMs, receivedAtMs }
  const assessment = assess(requestBy(method, request), received, rules, id)
  if (!assessment.storable) return REASONS_OF_REQUEST.has(assessment.reason) ? stored : undefined
  const { partition, vary, varyValues } = assessment.head
  return {
    ...assessment.head,
    variant: variantOf({ partition, vary, varyValues, method, partial: parts !== undefined }),
    tags: updatedTags(stored, assessment.head.tags, rules),
    bodyBytes,
    parts,
    completeBytes,
  }
}

/** Tags of its fields as they are now, and those that it had from elsewhere. */
function updatedTags(stored: StoredHead, tags: readonly string[], rules: CacheRules): readonly string[] {
  const before = new Set(tagsOf(stored.headers, rules.tagFields))
  const fromElsewhere = stored.tags.filter((tag) => !before.has(tag))
  return fromElsewhere.length === 0 ? tags : [...new Set([...tags, ...fromElsewhere])]
}

/** The request as if it had the method that the stored response answered, whose rules go on to hold for it. */
function requestBy(method: StoredHead['method'], request: CacheRequest): CacheRequest {
  if (request.method === method) return request
  const { uri, partition, authorized, hasCookie, directives } = request
  const { ifNoneMatch, ifModifiedSince, range, ifRange } = request
  const field = (name: string) => request.field(name)
  return {
    method,
    uri,
    partition,
    authorized,
    hasCookie,
    directives,
    ifNoneMatch,
    ifModifiedSince,
    range,
    ifRange,
    field,
  }
}

/**
 * Decides what a response to HEAD says of a stored response to GET that could be chosen for that request: it is that
 * still (bring its fields up to date), it has changed (make it stale), or nothing.
 *
 * @param status of the response to HEAD; only 200 says anything
 * @see RFC 9111 §4.3.5
 */
export function headUpdate(
  stored: StoredHead,
  status: number,
  headersOfHead: readonly string[],
): 'update' | 'invalidate' | 'ignore' {
  if (status !== 200 || stored.method === 'HEAD') return 'ignore'
  const etag = fieldValue(headersOfHead, 'etag')
  if (etag !== undefined && etag !== stored.etag) return 'invalidate'
  const lastModified = fieldValue(headersOfHead, 'last-modified')
  if (lastModified !== undefined && !isSameDate(lastModified, stored)) return 'invalidate'
  const length = fieldValue(headersOfHead, 'content-length')
  if (length !== undefined && length !== String(completeBytesOf(stored))) return 'invalidate'
  return 'update'
}

function isSameDate(lastModified: string, stored: StoredHead): boolean {
  const ms = parseHttpDate(lastModified)
  if (ms !== undefined) return ms === stored.lastModifiedMs
  return lastModified === fieldValue(stored.headers, 'last-modified')
}

function completeBytesOf(stored: StoredHead): number | undefined {
  return stored.completeBytes ?? (stored.parts === undefined ? stored.bodyBytes : undefined)
}

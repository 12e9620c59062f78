import type { CacheRequest } from '../cache-request.ts'
import type { StoredHead } from '../stored-response.ts'
import { rangeStillValid } from './conditional.ts'
import { tokenList } from './field-list.ts'
import { normaliseField } from './field-normal-form.ts'
import { planFromStored } from './ranges.ts'

export { normaliseField } from './field-normal-form.ts'

const NONE: readonly string[] = []

/** A response that depends on more fields than this is of no use to a second request, and costs every one that asks for it. */
const MOST_NAMES = 100
const LONGEST_LINE = 8192

/**
 * Reads which request fields a response depends on.
 *
 * @returns lower-case names, sorted, each once; `*` when the response must never be reused: `*` is a member anywhere, a
 * member is no field name, so that nobody knows what the response depends on, or there are more than 100
 * @see RFC 9110 §12.5.5, RFC 9111 §4.1
 */
export function varyNames(headers: readonly string[]): readonly string[] | '*' {
  let names: Set<string> | undefined
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] !== 'vary') continue
    const line = headers[i + 1]!
    if (line.length > LONGEST_LINE) return '*'
    const members = tokenList(line)
    if (members === undefined || members.includes('*')) return '*'
    names ??= new Set()
    for (const member of members) names.add(member)
    if (names.size > MOST_NAMES) return '*'
  }
  return names === undefined ? NONE : [...names].sort()
}

/** The values that a request has for the fields that a response varies on, normalised; undefined where it has none. */
export function varyValuesOf(names: readonly string[], request: CacheRequest): (string | undefined)[] {
  return names.map((name) => {
    const value = request.field(name)
    return value === undefined ? undefined : normaliseField(name, value)
  })
}

/**
 * True when a request has the same values as the original one for all fields that the stored response varies on. A field
 * that is absent matches only one that is absent.
 *
 * @see RFC 9111 §4.1
 */
export function matchesVary(head: StoredHead, request: CacheRequest): boolean {
  const { vary, varyValues } = head
  for (let i = 0; i < vary.length; i++) {
    const name = vary[i]!
    if (name === '*') return false
    const stored = varyValues[i]
    const value = request.field(name)
    // Clients often send what is normal already; then there is nothing to work out.
    if (value === stored) continue
    if (value === undefined || stored === undefined || normaliseField(name, value) !== stored) return false
  }
  return true
}

/**
 * True when a stored response could be chosen for a request, fresh or not: of the same partition, from a method that can
 * answer this one, selected by its Vary, and a partial one only for ranges that it has.
 *
 * @see RFC 9111 §3.3, §4, §4.1
 */
export function couldBeChosen(head: StoredHead, request: CacheRequest): boolean {
  return fits(head, request) && matchesVary(head, request) && hasWhatIsAsked(head, request)
}

/**
 * Chooses the stored response to reuse or to validate for a request, among those behind its key: of all that could be
 * chosen one with `Vary` before one without, then the most recent by `Date`, and of equally recent ones a complete one.
 *
 * @param stored in any order; among equals the first wins
 * @see RFC 9111 §4
 */
export function selectStored<Response extends StoredHead>(
  stored: readonly Response[],
  request: CacheRequest,
): Response | undefined {
  let best: Response | undefined
  for (let i = 0; i < stored.length; i++) {
    const head = stored[i]!
    if (couldBeChosen(head, request) && (best === undefined || isBetter(head, best))) best = head
  }
  return best
}

/** Why no stored response was selected, in the words of RFC 9211 §2.2. */
export function missReason(stored: readonly StoredHead[], request: CacheRequest): 'uri-miss' | 'vary-miss' {
  let reason: 'uri-miss' | 'vary-miss' = 'uri-miss'
  for (const head of stored) {
    // A stored response of somebody else's partition stays unmentioned.
    if (!fits(head, request)) continue
    // Had Vary let one through, then something else was missing: a range.
    if (matchesVary(head, request)) return 'uri-miss'
    reason = 'vary-miss'
  }
  return reason
}

/** True when a response of this partition and method can answer the request, as far as Vary allows. */
function fits(head: StoredHead, request: CacheRequest): boolean {
  if (head.partition !== request.partition) return false
  // A response to HEAD has no content to answer GET with. One to GET or POST answers HEAD too (RFC 9110 §9.3.2, §9.3.3).
  return head.method === 'HEAD' ? request.method === 'HEAD' : request.method === 'GET' || request.method === 'HEAD'
}

/** A partial response is for requests for ranges that it has, and for nothing else (RFC 9111 §3.3). */
function hasWhatIsAsked(head: StoredHead, request: CacheRequest): boolean {
  if (head.parts === undefined) return true
  // Range means nothing in a request other than GET (RFC 9110 §14.2), nor when If-Range does not hold.
  if (request.range === undefined || request.method !== 'GET') return false
  if (request.ifRange !== undefined && !rangeStillValid(request.ifRange, head)) return false
  return planFromStored(request.range, head) !== 'not-stored'
}

function isBetter(head: StoredHead, than: StoredHead): boolean {
  // An origin that leaves Vary out of its default response does not mean it for those that another one is made for (§4.1).
  if ((head.vary.length === 0) !== (than.vary.length === 0)) return head.vary.length > 0
  if (head.dateMs !== than.dateMs) return head.dateMs > than.dateMs
  return head.parts === undefined && than.parts !== undefined
}

import type { CacheRequest } from '../cache-request.ts'
import type { BytePart, StoredHead } from '../stored-response.ts'
import type { CacheRules } from './cache-rules.ts'
import { isHeuristicallyCacheable, isStorable, isUnderstood, needsExplicitLifetime } from './cacheable-status.ts'
import { type ContentRange, parseContentRange } from './content-range.ts'
import { deltaSeconds } from './delta-seconds.ts'
import type { ResponseDirectives } from './directives.ts'
import { fieldLines } from './field-list.ts'
import { type FreshnessLifetime, freshnessLifetime, initialAgeMs, lastModified, parseAge } from './freshness.ts'
import { responseDate, storedFields } from './stored-fields.ts'
import { tagsOf } from './tags.ts'
import { controllingDirectives } from './targeted.ts'
import { variantOf } from './variant.ts'
import { varyNames, varyValuesOf } from './vary.ts'

/** A response as it came from the origin, without its content. Times are wall-clock milliseconds. */
export interface ReceivedResponse {
  readonly status: number
  readonly statusText: string
  /** Lower-case name, value, …: lines in the order received. */
  readonly headers: readonly string[]
  /** When the request was sent on. */
  readonly requestedAtMs: number
  /** When the response's fields were there. */
  readonly receivedAtMs: number
}

/** Why a response is not stored; tokens, as they appear in Cache-Status. */
export type NotStored =
  | 'method'
  | 'status'
  | 'request-no-store'
  | 'no-store'
  | 'must-understand'
  | 'private'
  | 'authorization'
  | 'vary'
  | 'set-cookie'
  | 'partial'
  | 'cookie'
  | 'no-freshness'

/** Whether a response is stored, and then all that the cache keeps of it but its content. */
export type Assessment =
  | { readonly storable: false; readonly reason: NotStored }
  | { readonly storable: true; readonly head: Omit<StoredHead, 'bodyBytes'> }

/**
 * Decides whether a shared cache stores a response, and reads from its fields, once, what later decisions need.
 *
 * Stricter than RFC 9111 asks in these points: a response that sets a cookie is stored only when it is `public` or
 * takes the cookie out itself (`no-cache="set-cookie"`), and then without it; to a request with a cookie or an
 * identity, a response that is not `public` is stored only with a lifetime of the origin's own; errors that one odd
 * request can cause, only with a lifetime above 0; and what could never be reused is not stored (`no-freshness`).
 *
 * @param id for the stored response; unlike that of any other
 * @see RFC 9111 §3
 */
export function assess(request: CacheRequest, received: ReceivedResponse, rules: CacheRules, id: string): Assessment {
  const { status, headers, receivedAtMs } = received
  const method = request.method
  if (method !== 'GET' && method !== 'HEAD' && method !== 'POST') return notStored('method')
  if (!isStorable(status) || rules.statuses?.has(status) === false) return notStored('status')
  if (request.directives?.noStore === true) return notStored('request-no-store')

  const { directives, targeted } = controllingDirectives(headers, rules)
  const forbidden = forbiddenBy(directives, status, request.authorized)
  if (forbidden !== undefined) return notStored(forbidden)
  if (setsCookie(headers) && rules.setCookie === 'refuse' && !permitsCookie(directives)) return notStored('set-cookie')
  const vary = varyNames(headers)
  if (vary === '*') return notStored('vary')
  const range = status === 206 ? storableRange(method, headers) : undefined
  if (status === 206 && range === undefined) return notStored('partial')

  const date = responseDate(headers, receivedAtMs)
  // The origin may have put into it what it knows of the one who asked. Its word that others may have it is needed.
  const mayBePersonal = (request.hasCookie || request.authorized) && directives?.public !== true
  const { dateMs } = date
  const lifetime = freshnessLifetime(
    status,
    headers,
    directives,
    targeted !== undefined,
    dateMs,
    rules,
    method !== 'POST' && !mayBePersonal,
  )
  if (method === 'POST' && !answersGet(request.uri, received, lifetime)) return notStored('method')

  const fields = storedFields(headers, status, directives, date)
  const etag = singleLine(fields, 'etag')
  const lastModifiedMs = lastModified(fields)
  const noCache = directives?.noCache === true && directives.noCacheFields.length === 0
  const mustRevalidate = noCache || forbidsStale(directives)
  const staleWhileRevalidateMs = staleMs(directives?.staleWhileRevalidateS, rules.staleWhileRevalidateMs, lifetime)
  const staleIfErrorMs = staleMs(directives?.staleIfErrorS, rules.staleIfErrorMs, lifetime)

  const hasValidator = etag !== undefined || lastModifiedMs !== undefined
  const isUsedStale = !mustRevalidate && (staleWhileRevalidateMs > 0 || staleIfErrorMs > 0)
  const isUsedUnvalidated = !noCache && (lifetime.lifetimeMs > 0 || isUsedStale)
  if (!isMarkedCacheable(status, directives, lifetime)) return notStored('no-freshness')
  if (needsExplicitLifetime(status) && !(lifetime.explicit && lifetime.lifetimeMs > 0)) return notStored('no-freshness')
  if (!isUsedUnvalidated && !hasValidator) return notStored('no-freshness')
  if (mayBePersonal && !(lifetime.explicit && isUsedUnvalidated)) {
    return notStored(request.authorized ? 'authorization' : 'cookie')
  }

  const { partition } = request
  const varyValues = varyValuesOf(vary, request)
  const parts: readonly BytePart[] | undefined = range && [{ first: range.first, last: range.last }]
  return {
    storable: true,
    head: {
      id,
      variant: variantOf({ partition, vary, varyValues, method, partial: parts !== undefined }),
      method,
      status,
      statusText: received.statusText,
      headers: fields,
      partition,
      vary,
      varyValues,
      dateMs,
      receivedAtMs,
      initialAgeMs: initialAgeMs(parseAge(headers), dateMs, received.requestedAtMs, receivedAtMs),
      lifetimeMs: lifetime.lifetimeMs,
      heuristic: lifetime.heuristic,
      noCache,
      mustRevalidate,
      staleWhileRevalidateMs,
      staleIfErrorMs,
      etag,
      lastModifiedMs,
      tags: tagsOf(headers, rules.tagFields),
      staleSinceMs: undefined,
      parts,
      completeBytes: method === 'HEAD' ? announcedBytes(headers) : range?.complete,
    },
  }
}

function notStored(reason: NotStored): Assessment {
  return { storable: false, reason }
}

/** What the directives forbid to a shared cache (§3, §3.5, §5.2.2.3). */
function forbiddenBy(
  directives: ResponseDirectives | undefined,
  status: number,
  authorized: boolean,
): NotStored | undefined {
  if (directives === undefined) return authorized ? 'authorization' : undefined
  if (directives.mustUnderstand) {
    if (!isUnderstood(status)) return 'must-understand'
  } else if (directives.noStore) return 'no-store'
  if (directives.private && directives.privateFields.length === 0) return 'private'
  const permitted = directives.public || directives.mustRevalidate || directives.sMaxAgeS !== undefined
  return authorized && !permitted ? 'authorization' : undefined
}

function setsCookie(headers: readonly string[]): boolean {
  return fieldLines(headers, 'set-cookie').length > 0 || fieldLines(headers, 'set-cookie2').length > 0
}

/** Whether the origin says that the response without its cookie is for all. */
function permitsCookie(directives: ResponseDirectives | undefined): boolean {
  if (directives === undefined) return false
  const { noCacheFields, privateFields } = directives
  return directives.public || noCacheFields.includes('set-cookie') || privateFields.includes('set-cookie')
}

/** The part that a 206 carries; undefined when it has several, or does not say which. */
function storableRange(method: string, headers: readonly string[]): ContentRange | undefined {
  if (method !== 'GET') return undefined
  const type = fieldLines(headers, 'content-type')[0]
  if (type?.toLowerCase().startsWith('multipart/byteranges') === true) return undefined
  const line = singleLine(headers, 'content-range')
  return line === undefined ? undefined : parseContentRange(line)
}

/**
 * Whether the response to a POST can answer GET later: it is a representation of the same resource, and the origin says
 * how long it holds.
 *
 * @see RFC 9110 §9.3.3
 */
function answersGet(uri: string, received: ReceivedResponse, lifetime: FreshnessLifetime): boolean {
  const location = singleLine(received.headers, 'content-location')
  if (location === undefined || received.status > 299 || !lifetime.explicit) return false
  if (!URL.canParse(location, uri)) return false
  const named = new URL(location, uri)
  const own = new URL(uri)
  named.hash = ''
  own.hash = ''
  return named.href === own.href
}

/** Of several lines none is taken: nobody knows which of them is meant. */
function singleLine(headers: readonly string[], name: string): string | undefined {
  const lines = fieldLines(headers, name)
  return lines.length === 1 && lines[0] !== '' ? lines[0] : undefined
}

/** must-revalidate and, for a shared cache, proxy-revalidate and s-maxage (§4.2.4, §5.2.2.10). */
function forbidsStale(directives: ResponseDirectives | undefined): boolean {
  if (directives === undefined) return false
  return directives.mustRevalidate || directives.proxyRevalidate || directives.sMaxAgeS !== undefined
}

/** What is configured counts where the response says nothing, and only for one that is fresh at some time. */
function staleMs(saidS: number | undefined, configuredMs: number, lifetime: FreshnessLifetime): number {
  if (saidS !== undefined) return saidS * 1000
  return lifetime.lifetimeMs > 0 ? configuredMs : 0
}

/** The last condition of §3: by a directive, by Expires, or by its status. */
function isMarkedCacheable(
  status: number,
  directives: ResponseDirectives | undefined,
  lifetime: FreshnessLifetime,
): boolean {
  return lifetime.explicit || directives?.public === true || isHeuristicallyCacheable(status)
}

/** The length that the response to a HEAD announces for GET. */
function announcedBytes(headers: readonly string[]): number | undefined {
  const line = singleLine(headers, 'content-length')
  // Fifteen digits are safe to count with.
  if (line === undefined || line.length > 15) return undefined
  return deltaSeconds(line) === undefined ? undefined : Number(line)
}

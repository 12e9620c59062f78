import type { CacheRequest } from '../../src/cache-request.ts'
import type { CacheRules } from '../../src/rules/cache-rules.ts'
import { parseRequestDirectives } from '../../src/rules/directives.ts'
import { formatHttpDate } from '../../src/rules/http-date.ts'
import { type Assessment, assess, type ReceivedResponse } from '../../src/rules/storing.ts'
import type { StoredHead } from '../../src/stored-response.ts'

/** When everything happens, unless a test says otherwise: Sun, 06 Nov 2022 08:49:37 GMT. */
export const NOW = Date.UTC(2022, 10, 6, 8, 49, 37)

export const SECOND = 1000
export const HOUR = 3_600_000
export const DAY = 24 * HOUR

/** The rules of a cache with its defaults. */
export const RULES: CacheRules = {
  targeted: ['postern-cache-control', 'cdn-cache-control'],
  statuses: undefined,
  defaultLifetimeMs: undefined,
  heuristicShare: 0.1,
  heuristicMaxMs: DAY,
  setCookie: 'refuse',
  staleWhileRevalidateMs: 0,
  staleIfErrorMs: 0,
  tagFields: ['cache-tag', 'surrogate-key'],
}

/** An HTTP date some seconds from NOW. */
export function dateAt(seconds: number): string {
  return formatHttpDate(NOW + seconds * SECOND)
}

/** A GET request without anything; `cacheControl` is what the client sends. */
export function requestOf(
  facts: Partial<CacheRequest> & { cacheControl?: string; fields?: Record<string, string> } = {},
): CacheRequest {
  const { cacheControl, fields = {}, ...rest } = facts
  return {
    method: 'GET',
    uri: 'https://shop.example/products',
    partition: '',
    authorized: false,
    hasCookie: false,
    directives: parseRequestDirectives(cacheControl, undefined),
    ifNoneMatch: undefined,
    ifModifiedSince: undefined,
    range: undefined,
    ifRange: undefined,
    field: (name) => fields[name],
    ...rest,
  }
}

/** A response with these fields, sent and received at NOW. */
export function responseOf(headers: readonly string[], facts: Partial<ReceivedResponse> = {}): ReceivedResponse {
  return { status: 200, statusText: 'OK', headers, requestedAtMs: NOW, receivedAtMs: NOW, ...facts }
}

/** What becomes of a GET response with these fields. */
export function assessed(
  headers: readonly string[],
  status = 200,
  request: CacheRequest = requestOf(),
  rules: CacheRules = RULES,
): Assessment {
  return assess(request, responseOf(headers, { status }), rules, 'id')
}

/** The reason for not storing; `stored` when it is stored. */
export function fateOf(...facts: Parameters<typeof assessed>): string {
  const assessment = assessed(...facts)
  return assessment.storable ? 'stored' : assessment.reason
}

/** The head that is stored; throws when nothing is. */
export function headOf(...facts: Parameters<typeof assessed>): StoredHead {
  const assessment = assessed(...facts)
  if (!assessment.storable) throw new Error(`not stored: ${assessment.reason}`)
  return { ...assessment.head, bodyBytes: 0 }
}

/** A stored response with this Cache-Control, received at NOW. */
export function storedWith(cacheControl: string, facts: Partial<StoredHead> = {}): StoredHead {
  return { ...headOf(['cache-control', cacheControl, 'date', dateAt(0), 'etag', '"v1"']), ...facts }
}

import { randomBytes } from 'node:crypto'
import type { CacheVerdict, Exchange } from '@postern/contracts'
import type { CacheRequest } from '../cache-request.ts'
import type { ResolvedCacheOptions } from '../options.ts'
import { evaluate, notModifiedFields, rangeStillValid } from '../rules/conditional.ts'
import { fieldValue, withoutFields } from '../rules/field-list.ts'
import { ageOf } from '../rules/freshness.ts'
import { multipartBody, multipartType } from '../rules/multipart.ts'
import { contentRange, planFromStored, sliceBody, unsatisfiedRange } from '../rules/ranges.ts'
import type { BytePart, StoredHead } from '../stored-response.ts'
import type { ClientSide } from './client-side.ts'
import { tell } from './verdict.ts'

/** What of a stored response answers a request; `'origin'`: not enough of it is stored. */
export type AnswerPlan = 'not-modified' | 'whole' | 'unsatisfiable' | 'origin' | readonly BytePart[]

/** Decides what of a stored response answers a request (RFC 9110 §13.2.2, §14.2; RFC 9111 §4.3.2, §3.3). */
export function planAnswer(request: CacheRequest, stored: StoredHead): AnswerPlan {
  const { range, ifNoneMatch, ifModifiedSince } = request
  if ((ifNoneMatch !== undefined || ifModifiedSince !== undefined) && evaluate(request, stored) === 'not-modified') {
    return 'not-modified'
  }
  const whole: AnswerPlan = stored.parts === undefined ? 'whole' : 'origin'
  if (range === undefined || request.method !== 'GET' || (stored.status !== 200 && stored.status !== 206)) {
    return whole
  }
  if (request.ifRange !== undefined && !rangeStillValid(request.ifRange, stored)) return whole
  const plan = planFromStored(range, stored)
  if (plan === 'whole') return 'whole'
  if (plan === 'not-stored') return 'origin'
  return plan.kind === 'unsatisfiable' ? 'unsatisfiable' : plan.parts
}

/** True when the answer has content of the stored response. */
export function needsBody(request: CacheRequest, stored: StoredHead, plan: AnswerPlan): boolean {
  return request.method !== 'HEAD' && stored.bodyBytes > 0 && (plan === 'whole' || typeof plan === 'object')
}

/**
 * Answers with a stored response, as planned.
 *
 * @param body its content; not read where the plan needs none
 * @throws when the stored head cannot be sent; then nothing was
 */
export function sendStored(
  client: ClientSide,
  exchange: Exchange,
  request: CacheRequest,
  stored: StoredHead,
  body: readonly Uint8Array[],
  plan: AnswerPlan,
  verdict: CacheVerdict,
  nowMs: number,
  options: ResolvedCacheOptions,
): void {
  const age = ageOf(stored, nowMs)
  if (plan === 'not-modified') {
    const headers = notModifiedFields(clientFields(stored.headers, options))
    headers.push('age', age)
    tell(exchange, verdict, headers, options)
    client.head(304, undefined, headers)
    client.end()
    return
  }
  const headers = clientFields(stored.headers, options)
  applyEdits(headers, exchange)
  headers.push('age', age)
  if (plan === 'unsatisfiable') {
    setField(headers, 'content-range', unsatisfiedRange(stored.completeBytes ?? stored.bodyBytes))
    headers.push('content-length', '0')
    tell(exchange, verdict, headers, options)
    client.head(416, undefined, headers)
    client.end()
    return
  }
  if (typeof plan === 'object') {
    // The client has the rest of them with the part that it asks to be completed (RFC 9110 §15.3.7).
    const fields = request.ifRange === undefined ? headers : withoutFields(headers, KNOWN_WITH_IF_RANGE)
    sendParts(client, exchange, stored, body, plan, fields, verdict, options)
    return
  }
  const bytes = lengthOf(stored)
  if (bytes !== undefined) headers.push('content-length', String(bytes))
  tell(exchange, verdict, headers, options)
  client.head(stored.status, stored.statusText, headers)
  if (request.method === 'HEAD' || body.length === 0) client.end()
  else sendPieces(client, exchange, body, stored.bodyBytes)
}

const KNOWN_WITH_IF_RANGE: ReadonlySet<string> = new Set([
  'content-encoding',
  'content-language',
  'content-type',
  'last-modified',
])

/** The fields of a stored or received head that are for the client, as a list that may be added to. */
export function clientFields(headers: readonly string[], { exposeTags, tagFields }: ResolvedCacheOptions): string[] {
  if (exposeTags) return headers.slice()
  const list: string[] = []
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!
    if (!tagFields.includes(name)) list.push(name, headers[i + 1]!)
  }
  return list
}

/** What Content-Length says; undefined where there must be none, or it is not known. */
function lengthOf(stored: StoredHead): number | undefined {
  if (stored.status === 204) return undefined
  return stored.method === 'HEAD' ? stored.completeBytes : stored.bodyBytes
}

function sendParts(
  client: ClientSide,
  exchange: Exchange,
  stored: StoredHead,
  body: readonly Uint8Array[],
  parts: readonly BytePart[],
  headers: string[],
  verdict: CacheVerdict,
  options: ResolvedCacheOptions,
): void {
  const completeBytes = stored.completeBytes ?? (stored.parts === undefined ? stored.bodyBytes : undefined)
  const slices = parts.map((part) => ({ part, pieces: sliceBody(body, stored.parts, part) }))
  const only = slices.length === 1 ? slices[0] : undefined
  let content: { readonly pieces: readonly Uint8Array[]; readonly bytes: number }
  if (only === undefined) {
    const boundary = `postern-${randomBytes(12).toString('hex')}`
    content = multipartBody(slices, fieldValue(stored.headers, 'content-type'), completeBytes, boundary)
    setField(headers, 'content-type', multipartType(boundary))
  } else {
    content = { pieces: only.pieces, bytes: only.part.last - only.part.first + 1 }
    setField(headers, 'content-range', contentRange(only.part, completeBytes))
  }
  headers.push('content-length', String(content.bytes))
  tell(exchange, verdict, headers, options)
  client.head(206, undefined, headers)
  sendPieces(client, exchange, content.pieces, content.bytes)
}

/**
 * Applies what earlier stages have set for this very answer (the id of its request): the response from the store has what
 * they had set for another. What they append or remove is the same for all.
 */
export function applyEdits(headers: string[], { outgoing }: Exchange): void {
  const edits = outgoing.responseHeaders
  if (edits === undefined) return
  for (const { op, name, value } of edits) {
    if (op === 'set' && value !== undefined) setField(headers, name.toLowerCase(), value)
  }
}

function setField(headers: string[], name: string, value: string): void {
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] !== name) continue
    headers[i + 1] = value
    return
  }
  headers.push(name, value)
}

function sendPieces(client: ClientSide, exchange: Exchange, pieces: readonly Uint8Array[], bytes: number): void {
  exchange.responseBodyBytes = bytes
  if (pieces.length === 1) client.end(pieces[0])
  else writeFrom(client, pieces, 0)
}

function writeFrom(client: ClientSide, pieces: readonly Uint8Array[], from: number): void {
  for (let i = from; i < pieces.length; i++) {
    if (client.write(pieces[i]!) || i === pieces.length - 1) continue
    client.res.once('drain', () => writeFrom(client, pieces, i + 1))
    return
  }
  client.end()
}

import type { BytePart, StoredHead, StoredResponse } from '../stored-response.ts'
import { fieldValue } from './field-list.ts'
import { updatedFields } from './header-update.ts'
import { sliceBody } from './ranges.ts'
import { isStrongTag, shareStrongValidator } from './validators.ts'
import { variantOf } from './variant.ts'

/** More parts than this are not put together: each makes every later look a little longer. */
const MOST_PARTS = 64

/**
 * Puts a newly received response and a stored one together, when at least one of them is partial and both have the same
 * strong validator: their bytes united, under the fields of the stored one brought up to date with the new one's.
 * Complete (200) as soon as nothing is missing.
 *
 * Nothing is copied: the content is made of views on that of the two, and where both have a byte it is the new one's.
 *
 * @param old with its content
 * @param incoming with its content; the result has its `id`
 * @returns undefined when they cannot be put together
 * @see RFC 9111 §3.4, RFC 9110 §15.3.7.3
 */
export function combine(old: StoredResponse, incoming: StoredResponse): StoredResponse | undefined {
  if (old.body === undefined || incoming.body === undefined || !fitTogether(old, incoming)) return undefined
  // A complete response has every byte already, and takes nothing from what came before it.
  if (incoming.parts === undefined) return incoming
  const completeBytes = completeBytesOf(old) ?? incoming.completeBytes
  const oldParts = partsOf(old)
  const oldRest = without(oldParts, incoming.parts)
  const segments = [
    ...incoming.parts.map((part) => ({ part, from: incoming.body!, stored: incoming.parts! })),
    ...oldRest.map((part) => ({ part, from: old.body!, stored: oldParts })),
  ].sort((a, b) => a.part.first - b.part.first)
  const parts = joinTouching(segments.map(({ part }) => part))
  if (parts.length > MOST_PARTS) return undefined
  const body: Uint8Array[] = []
  for (const { part, from, stored } of segments) {
    for (const piece of sliceBody(from, stored, part)) body.push(piece)
  }
  const complete = parts.length === 1 && parts[0]!.first === 0 && parts[0]!.last + 1 === completeBytes
  const { partition, vary, varyValues } = incoming
  return {
    ...incoming,
    ...stricter(old, incoming),
    variant: variantOf({ partition, vary, varyValues, method: 'GET', partial: !complete }),
    status: complete ? 200 : 206,
    statusText: complete ? 'OK' : 'Partial Content',
    headers: updatedFields(old.headers, incoming.headers),
    etag: incoming.etag ?? old.etag,
    lastModifiedMs: incoming.lastModifiedMs ?? old.lastModifiedMs,
    tags: [...new Set([...old.tags, ...incoming.tags])],
    bodyBytes: parts.reduce((bytes, part) => bytes + lengthOf(part), 0),
    parts: complete ? undefined : parts,
    completeBytes,
    body,
  }
}

/** True for two responses to GET for the same clients, with the same bytes as far as validators and lengths can tell. */
function fitTogether(old: StoredResponse, incoming: StoredResponse): boolean {
  for (const { method, status } of [old, incoming]) {
    if (method !== 'GET' || (status !== 200 && status !== 206)) return false
  }
  if (old.partition !== incoming.partition) return false
  if (!isSameList(old.vary, incoming.vary) || !isSameList(old.varyValues, incoming.varyValues)) return false
  if (!shareStrongValidator(old, incoming) || contentCoding(old) !== contentCoding(incoming)) return false
  const oldBytes = completeBytesOf(old)
  const newBytes = completeBytesOf(incoming)
  if (oldBytes !== undefined && newBytes !== undefined) return oldBytes === newBytes
  // One of them does not say how long the whole is; then it must at least not reach beyond it.
  const completeBytes = oldBytes ?? newBytes ?? Number.MAX_SAFE_INTEGER
  return [...partsOf(old), ...partsOf(incoming)].every((part) => part.last < completeBytes)
}

function isSameList(one: readonly unknown[], other: readonly unknown[]): boolean {
  return one.length === other.length && one.every((item, index) => item === other[index])
}

function contentCoding(head: StoredHead): string {
  return (fieldValue(head.headers, 'content-encoding') ?? '').toLowerCase()
}

function completeBytesOf(head: StoredHead): number | undefined {
  return head.parts === undefined ? head.bodyBytes : head.completeBytes
}

function partsOf(head: StoredHead): readonly BytePart[] {
  if (head.parts !== undefined) return head.parts
  return head.bodyBytes === 0 ? [] : [{ first: 0, last: head.bodyBytes - 1 }]
}

function lengthOf(part: BytePart): number {
  return part.last - part.first + 1
}

/** What is left of ascending parts outside of other ascending parts. */
function without(parts: readonly BytePart[], others: readonly BytePart[]): BytePart[] {
  const rest: BytePart[] = []
  for (const part of parts) {
    let first = part.first
    for (const other of others) {
      if (other.last < first) continue
      if (other.first > part.last) break
      if (other.first > first) rest.push({ first, last: other.first - 1 })
      first = other.last + 1
    }
    if (first <= part.last) rest.push({ first, last: part.last })
  }
  return rest
}

/** Ascending parts that do not overlap, those that touch made one. */
function joinTouching(ascending: readonly BytePart[]): BytePart[] {
  const joined: { first: number; last: number }[] = []
  for (const { first, last } of ascending) {
    const before = joined.at(-1)
    if (before !== undefined && before.last + 1 === first) before.last = last
    else joined.push({ first, last })
  }
  return joined
}

/**
 * A 206 may leave fields out that the client is known to have (RFC 9110 §15.3.7). Where one of those that govern reuse stays as
 * it was stored, the stricter of the two readings holds.
 */
function stricter(old: StoredHead, incoming: StoredHead): Partial<StoredHead> {
  const names = new Set<string>()
  for (let i = 0; i < incoming.headers.length; i += 2) names.add(incoming.headers[i]!)
  const inherits = old.headers.some((name, index) => index % 2 === 0 && governsReuse(name) && !names.has(name))
  if (!inherits) return {}
  return {
    lifetimeMs: Math.min(old.lifetimeMs, incoming.lifetimeMs),
    heuristic: old.heuristic || incoming.heuristic,
    noCache: old.noCache || incoming.noCache,
    mustRevalidate: old.mustRevalidate || incoming.mustRevalidate,
    staleWhileRevalidateMs: Math.min(old.staleWhileRevalidateMs, incoming.staleWhileRevalidateMs),
    staleIfErrorMs: Math.min(old.staleIfErrorMs, incoming.staleIfErrorMs),
  }
}

/** Cache-Control, Surrogate-Control, targeted fields (RFC 9213 §2.1 has them end so), Expires. */
function governsReuse(name: string): boolean {
  return name.endsWith('-control') || name === 'expires'
}

/** What to ask the origin for, to complete a partial response. */
export interface CompletionFields {
  readonly range: string
  readonly ifRange: string
}

/**
 * Works out the request for what is missing of a partial response, as one range. Should the representation have changed,
 * `If-Range` brings the whole of the new one.
 *
 * @returns undefined when nothing would be saved, when the length of the whole is unknown, or when there is no strong tag
 * to put the two together by
 * @see RFC 9111 §3.3, §3.4
 */
export function completionFields(head: StoredHead): CompletionFields | undefined {
  const { parts, completeBytes, etag } = head
  const start = parts?.[0]
  const end = parts?.at(-1)
  if (start === undefined || end === undefined || completeBytes === undefined || !isStrongTag(etag)) return undefined
  const first = start.first > 0 ? 0 : start.last + 1
  const last = end.last + 1 < completeBytes ? completeBytes - 1 : end.first - 1
  if (first > last || (first === 0 && last === completeBytes - 1)) return undefined
  return { range: last === completeBytes - 1 ? `bytes=${first}-` : `bytes=${first}-${last}`, ifRange: etag }
}

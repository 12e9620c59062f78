import type { StoredHead } from '../stored-response.ts'
import { isSpaceCode } from './field-list.ts'

/** `W/"…"` or `"…"`: no space, quote or control within (RFC 9110 §8.8.3). */
const ENTITY_TAG = /^(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"$/

/**
 * A Last-Modified this much older than Date is strong: the origin's clocks may be apart, and a representation may change
 * twice within the second that the date can tell (RFC 9110 §8.8.2.2).
 */
const STRONG_AFTER_MS = 60_000

/** True for a well-formed entity tag, weak or strong (RFC 9110 §8.8.3). */
export function isEntityTag(etag: string | undefined): etag is string {
  return etag !== undefined && ENTITY_TAG.test(etag)
}

/** True for a well-formed entity tag that changes with every change of the content (RFC 9110 §8.8.1). */
export function isStrongTag(etag: string | undefined): etag is string {
  return etag !== undefined && etag.charCodeAt(0) === 0x22 && ENTITY_TAG.test(etag)
}

/** Strong comparison: the same tag, and neither is weak (RFC 9110 §8.8.3.2). */
export function stronglyEqual(one: string | undefined, other: string | undefined): boolean {
  return one === other && isStrongTag(one)
}

/** Weak comparison: the same opaque tag, weak or not (RFC 9110 §8.8.3.2). */
export function weaklyEqual(one: string | undefined, other: string | undefined): boolean {
  if (one === undefined || other === undefined || opaqueTag(one) !== opaqueTag(other)) return false
  return ENTITY_TAG.test(one) && ENTITY_TAG.test(other)
}

function opaqueTag(etag: string): string {
  return etag.startsWith('W/') ? etag.slice(2) : etag
}

/** True when a Last-Modified can be relied on like a strong entity tag (RFC 9110 §8.8.2.2). */
export function isStrongDate(lastModifiedMs: number | undefined, dateMs: number): lastModifiedMs is number {
  return lastModifiedMs !== undefined && dateMs - lastModifiedMs >= STRONG_AFTER_MS
}

/** True when two stored responses are known to hold the same bytes: same strong tag, or without tags the same strong date. */
export function shareStrongValidator(one: StoredHead, other: StoredHead): boolean {
  if (one.etag !== undefined || other.etag !== undefined) return stronglyEqual(one.etag, other.etag)
  return (
    one.lastModifiedMs === other.lastModifiedMs &&
    isStrongDate(one.lastModifiedMs, one.dateMs) &&
    isStrongDate(other.lastModifiedMs, other.dateMs)
  )
}

/**
 * Weak comparison of an entity tag with a list of them, as in `If-None-Match`. Commas may stand within tags. One malformed
 * member, and the list matches nothing.
 *
 * @see RFC 9110 §8.8.3.2, §13.1.2
 */
export function listMatchesWeakly(list: string, etag: string | undefined): boolean {
  if (etag === undefined || !ENTITY_TAG.test(etag)) return false
  const opaque = opaqueTag(etag)
  let found = false
  let at = 0
  for (;;) {
    at = afterSeparators(list, at)
    if (at === list.length) return found
    if (list.startsWith('W/', at)) at += 2
    if (list.charCodeAt(at) !== 0x22) return false
    const end = endOfTag(list, at + 1)
    if (end === -1) return false
    // With its quotes, the beginning of a tag is the tag.
    if (list.startsWith(opaque, at)) found = true
    at = end
    // Two tags need a comma between them.
    const next = afterSpaces(list, at)
    if (next < list.length && list.charCodeAt(next) !== 0x2c) return false
  }
}

/** Past the closing quote; -1 when a character stands before it that no tag may have. */
function endOfTag(list: string, at: number): number {
  for (let i = at; i < list.length; i++) {
    const code = list.charCodeAt(i)
    if (code === 0x22) return i + 1
    if (code <= 0x20 || code === 0x7f || code > 0xff) return -1
  }
  return -1
}

function afterSpaces(text: string, from: number): number {
  let at = from
  while (at < text.length && isSpaceCode(text.charCodeAt(at))) at++
  return at
}

/** Empty members of a list mean nothing (RFC 9110 §5.6.1.2). */
function afterSeparators(text: string, from: number): number {
  let at = afterSpaces(text, from)
  while (at < text.length && text.charCodeAt(at) === 0x2c) at = afterSpaces(text, at + 1)
  return at
}

import { isTokenCode } from './field-list.ts'

/** What a cache did with a request. */
export interface CacheStatusFacts {
  /** Answered from the store, without asking the origin. */
  readonly hit: boolean
  /** Why the request went on to the origin; undefined for a hit. */
  readonly fwd: 'bypass' | 'method' | 'uri-miss' | 'vary-miss' | 'miss' | 'request' | 'stale' | 'partial' | undefined
  /** Status that the origin answered with; undefined: it is the one of the response, or nothing was answered. */
  readonly fwdStatus: number | undefined
  /** What is left of the freshness lifetime, in seconds; below 0 when stale; undefined: unknown. */
  readonly ttlS: number | undefined
  /** The response of the origin was stored. Only for forwarded requests. */
  readonly stored: boolean
  /** Answered with the response to another request that was under way. Only for forwarded requests. */
  readonly collapsed: boolean
  /** More, in words of this cache's own. */
  readonly detail: string | undefined
}

/** Largest integer of a structured field (RFC 9651 §3.3.1). */
const MAX_INTEGER = 999_999_999_999_999

// A process has a cache or two.
let lastName = ''
let lastWritten = '""'

/**
 * One cache's member of the Cache-Status field: `Postern; hit; ttl=42`, `Postern; fwd=stale; fwd-status=304; ttl=60;
 * stored`.
 *
 * @param name of this cache; in quotes when it is no token
 * @see RFC 9211 §2
 */
export function cacheStatusItem(name: string, verdict: CacheStatusFacts): string {
  if (name !== lastName) {
    lastName = name
    lastWritten = tokenOrString(name)
  }
  let item = lastWritten
  // hit and fwd exclude each other; what comes with fwd means nothing without it (§2.2, §2.5, §2.6).
  const forwarded = !verdict.hit && verdict.fwd !== undefined
  if (verdict.hit) item += '; hit'
  if (forwarded) {
    item += `; fwd=${verdict.fwd}`
    if (verdict.fwdStatus !== undefined) item += `; fwd-status=${verdict.fwdStatus}`
  }
  if (verdict.ttlS !== undefined && !Number.isNaN(verdict.ttlS)) item += `; ttl=${integer(verdict.ttlS)}`
  if (forwarded && verdict.stored) item += '; stored'
  if (forwarded && verdict.collapsed) item += '; collapsed'
  if (verdict.detail !== undefined) item += `; detail=${tokenOrString(verdict.detail)}`
  return item
}

/** Rounded down, so that what has been stale for less than a second is not shown as fresh. */
function integer(value: number): number {
  return Math.min(Math.max(Math.floor(value), -MAX_INTEGER), MAX_INTEGER)
}

/** A token where the text is one; else a string, without the characters that a string cannot have (RFC 9651 §3.3.3). */
function tokenOrString(text: string): string {
  if (isStructuredToken(text)) return text
  let quoted = '"'
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index)
    if (code < 32 || code > 126) continue
    if (code === 34 || code === 92) quoted += '\\'
    quoted += text.charAt(index)
  }
  return `${quoted}"`
}

/** Begins with a letter or `*`, goes on like a token but may have `:` and `/` (RFC 9651 §3.3.4). */
function isStructuredToken(text: string): boolean {
  const first = text.charCodeAt(0)
  if (!(first === 42 || (first > 64 && first < 91) || (first > 96 && first < 123))) return false
  for (let index = 1; index < text.length; index += 1) {
    const code = text.charCodeAt(index)
    if (code !== 58 && code !== 47 && !isTokenCode(code)) return false
  }
  return true
}

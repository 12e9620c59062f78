import { isUtf8 } from 'node:buffer'

/** Why a text is not the JSON object that is wanted. */
export type JsonFault = 'not-utf8' | 'not-json' | 'not-an-object' | 'too-deep' | 'duplicate-member'

/** Levels of objects and lists. What issuers write has three or four. */
const MAX_DEPTH = 32

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COLON = 0x3a

/**
 * A JSON object that every reader understands alike (I-JSON, RFC 7493 §2): UTF-8 without a byte order mark, no member twice
 * at any level (RFC 7515 §4, RFC 7519 §4), no lone surrogates. A member named `__proto__` is refused as well: no issuer
 * means it, and copying it sets a prototype.
 *
 * What comes back is frozen at every level, since one token's claims serve many requests. Linear in the length of the text.
 */
export function parseJsonObject(bytes: Buffer): Readonly<Record<string, unknown>> | JsonFault {
  if (!isUtf8(bytes)) return 'not-utf8'
  const members = membersWritten(bytes)
  if (members === undefined) return 'too-deep'
  let value: unknown
  try {
    value = JSON.parse(bytes.toString('utf8'))
  } catch {
    return 'not-json'
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'not-an-object'
  const kept = membersKept(value)
  if (kept < 0) return 'not-json'
  // JSON.parse keeps the last of several members of one name, however they are escaped: then some are missing.
  return kept === members ? (value as Readonly<Record<string, unknown>>) : 'duplicate-member'
}

/**
 * How many members the text has at all levels: the colons outside strings. Undefined when it nests too deep. Whether it is
 * JSON at all is for JSON.parse to say.
 */
function membersWritten(bytes: Buffer): number | undefined {
  let members = 0
  let depth = 0
  let inString = false
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!
    if (inString) {
      if (byte === BACKSLASH) i++
      else if (byte === QUOTE) inString = false
      continue
    }
    if (byte === QUOTE) inString = true
    else if (byte === COLON) members++
    // `{` and `[`, `}` and `]`: pairs that differ in one bit only.
    else if ((byte & 0xdf) === 0x5b && ++depth > MAX_DEPTH) return undefined
    else if ((byte & 0xdf) === 0x5d) depth--
  }
  return members
}

/** Counts and freezes; below zero when a text or a name is none that may be there. The depth is bounded already. */
function membersKept(value: object): number {
  let members = 0
  const isList = Array.isArray(value)
  for (const name of Object.keys(value)) {
    if (!isList) {
      if (name === '__proto__' || !name.isWellFormed()) return Number.NEGATIVE_INFINITY
      members++
    }
    const each = (value as Record<string, unknown>)[name]
    if (typeof each === 'string' && !each.isWellFormed()) return Number.NEGATIVE_INFINITY
    if (typeof each === 'object' && each !== null) members += membersKept(each)
  }
  Object.freeze(value)
  return members
}

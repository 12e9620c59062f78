import { isUtf8 } from 'node:buffer'

/** Longest pair of name and password, in bytes. */
export const MAX_PAIR_BYTES = 1_024
/** The same in base64. */
export const MAX_ENCODED_BYTES: number = Math.ceil(MAX_PAIR_BYTES / 3) * 4

/** What a client shows. */
export interface BasicCredentials {
  readonly username: string
  readonly password: string
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: RFC 7617 §2 forbids exactly these
const CONTROLS = /[\x00-\x1f\x7f]/

/**
 * Reads the token of `Authorization: Basic` (RFC 7617 §2): base64 as RFC 4648 §4 writes it, padding and all, of UTF-8 with
 * a colon behind the name and no controls. Undefined for everything else: what several readers would read in several ways
 * names nobody.
 */
export function parseBasic(token: string): BasicCredentials | undefined {
  if (token.length > MAX_ENCODED_BYTES) return undefined
  const bytes = Buffer.from(token, 'base64')
  if (bytes.length > MAX_PAIR_BYTES || !isUtf8(bytes) || bytes.toString('base64') !== token) return undefined
  const text = bytes.toString('utf8')
  const colon = text.indexOf(':')
  if (colon === -1 || CONTROLS.test(text)) return undefined
  return { username: text.slice(0, colon), password: text.slice(colon + 1) }
}

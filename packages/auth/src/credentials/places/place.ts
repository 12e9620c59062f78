import type { IncomingMessage } from 'node:http'
import type { Exchange } from '@postern/contracts'
import { type Refused, refused } from '../../scheme.ts'

/** One place of a request where a token may be. */
export interface Place {
  /** The token; undefined when the place is empty. */
  find(req: IncomingMessage, exchange: Exchange): string | Refused | undefined
  /** Empties the place in what is sent upstream. */
  strip(req: IncomingMessage, exchange: Exchange): void
}

/** More than one token, and nobody can say which one another reader would take. */
export const AMBIGUOUS: Refused = refused('ambiguous', { error: 'invalid_request' })
export const MALFORMED: Refused = refused('malformed')
export const TOO_LONG: Refused = refused('too-long')
export const FOREIGN_ORIGIN: Refused = refused('foreign-origin', { error: 'foreign_origin' })
export const SOURCE_THREW: Refused = refused('source-threw')

const VISIBLE = /^[\x21-\x7e]+$/

/** A token out of visible ASCII and within bounds, else why it is none. */
export function checked(token: string, maxBytes: number): string | Refused {
  // Length first: nothing is read of what is too long. What passes has a byte a character.
  if (token.length > maxBytes) return TOO_LONG
  return VISIBLE.test(token) ? token : MALFORMED
}

/** As {@link checked}, of a value that may be percent-encoded. */
export function checkedDecoded(raw: string, maxBytes: number): string | Refused {
  if (!raw.includes('%')) return checked(raw, maxBytes)
  if (raw.length > maxBytes * 3) return TOO_LONG
  try {
    return checked(decodeURIComponent(raw), maxBytes)
  } catch {
    return MALFORMED
  }
}

import type { IncomingMessage } from 'node:http'
import type { Exchange, HeaderEdit } from '@postern/contracts'
import type { Refused } from '../../scheme.ts'
import { soleLine, TWICE } from '../header-lines.ts'
import type { ShownBefore } from '../shown-before.ts'
import type { HeaderSource } from '../token-source.ts'
import { AMBIGUOUS, checked, MALFORMED, type Place, TOO_LONG } from './place.ts'

/** RFC 9110 §11.2. */
const TOKEN68 = /^[A-Za-z0-9._~+/-]+=*$/

/** A field of its own, or the credentials of one scheme in `Authorization`. */
export class HeaderPlace implements Place {
  readonly #name: string
  readonly #scheme: string | undefined
  readonly #lowerScheme: string
  readonly #maxBytes: number
  readonly #shown: ShownBefore<unknown> | undefined
  readonly #removal: HeaderEdit

  constructor(source: HeaderSource, maxBytes: number, shown?: ShownBefore<unknown>) {
    this.#name = source.header.toLowerCase()
    this.#scheme = source.scheme
    this.#lowerScheme = source.scheme?.toLowerCase() ?? ''
    this.#maxBytes = maxBytes
    this.#shown = shown
    this.#removal = Object.freeze({ op: 'remove', name: this.#name })
  }

  find(req: IncomingMessage): string | Refused | undefined {
    const value = soleLine(req, this.#name)
    if (value === undefined) return undefined
    if (value === TWICE) return AMBIGUOUS
    const before = this.#shown?.find(req, value)
    if (before !== undefined) return before
    const token = this.#scheme === undefined ? checked(value, this.#maxBytes) : this.#behind(this.#scheme, value)
    if (typeof token === 'string') this.#shown?.note(req, value, token)
    return token
  }

  /** Takes the whole field out, whatever scheme it holds: it is the gateway's to read. */
  strip(_req: IncomingMessage, exchange: Exchange): void {
    exchange.outgoing.editRequestHeader(this.#removal)
  }

  /** RFC 9110 §11.4: the scheme in any case, one space, and here nothing else than a token behind it. */
  #behind(scheme: string, value: string): string | Refused | undefined {
    const { length } = scheme
    if (!value.startsWith(scheme) && value.slice(0, length).toLowerCase() !== this.#lowerScheme) return undefined
    if (value.length > length && isTokenCharacter(value.charCodeAt(length))) return undefined
    if (value.length - length - 1 > this.#maxBytes) return TOO_LONG
    if (value.charCodeAt(length) !== 0x20) return MALFORMED
    const token = value.slice(length + 1)
    return TOKEN68.test(token) ? token : MALFORMED
  }
}

/** RFC 9110 §5.6.2: the name of a scheme goes on, and is that of another one. */
function isTokenCharacter(c: number): boolean {
  if ((c >= 0x30 && c <= 0x39) || (c >= 0x41 && c <= 0x5a) || (c >= 0x5e && c <= 0x7a)) return true
  return (
    c === 0x7c ||
    c === 0x7e ||
    (c > 0x20 && c < 0x30 && c !== 0x22 && c !== 0x28 && c !== 0x29 && c !== 0x2c && c !== 0x2f)
  )
}

import type { IncomingMessage } from 'node:http'
import type { Exchange } from '@postern/contracts'
import type { Refused } from '../../scheme.ts'
import { isForeign, mayChange, type Origins, originsOf } from '../origin.ts'
import type { CookieSource } from '../token-source.ts'
import { replaceUpstream, upstreamLines } from '../upstream-lines.ts'
import { AMBIGUOUS, checkedDecoded, FOREIGN_ORIGIN, type Place } from './place.ts'

/** One cookie, guarded against pages of other origins: browsers send it for whoever asks them to. */
export class CookiePlace implements Place {
  readonly #name: string
  readonly #maxBytes: number
  readonly #origins: Origins

  constructor(source: CookieSource, maxBytes: number) {
    this.#name = source.cookie
    this.#maxBytes = maxBytes
    this.#origins = originsOf(source.origins)
  }

  find(req: IncomingMessage, exchange: Exchange): string | Refused | undefined {
    const raw = req.rawHeaders
    let found: string | undefined
    for (let i = 0; i < raw.length; i += 2) {
      const field = raw[i]!
      if (field.length !== 6 || field.toLowerCase() !== 'cookie') continue
      const line = raw[i + 1]!
      for (let start = 0; start <= line.length; ) {
        const end = endOfPair(line, start)
        const value = pairValue(line, start, end, this.#name)
        if (value !== undefined) {
          // A neighbouring host may have set the second one; which of the two is meant cannot be told (RFC 6265 §8.6).
          if (found !== undefined) return AMBIGUOUS
          found = value
        }
        start = end + 1
      }
    }
    // Servers end a session by an empty value; it says that nobody is there.
    if (found === undefined || found === '') return undefined
    if (mayChange(req, exchange) && isForeign(req, this.#origins)) return FOREIGN_ORIGIN
    return checkedDecoded(found, this.#maxBytes)
  }

  /** Only this cookie goes; the others stay byte for byte. */
  strip(req: IncomingMessage, exchange: Exchange): void {
    const lines = upstreamLines(req, exchange, 'cookie')
    const kept = lines.map((line) => withoutCookie(line, this.#name))
    if (kept.every((line, i) => line === lines[i])) return
    replaceUpstream(
      exchange,
      'cookie',
      kept.filter((line) => line !== ''),
    )
  }
}

/** A line of `Cookie` without one cookie. */
export function withoutCookie(line: string, name: string): string {
  let kept = ''
  let keptAny = false
  for (let start = 0; start <= line.length; ) {
    const end = endOfPair(line, start)
    if (pairValue(line, start, end, name) === undefined) {
      // The separator that led to the pair stays with it, but for the first.
      if (keptAny) kept += line.slice(start - 1, end)
      else kept = start === 0 ? line.slice(0, end) : line.slice(start, end).trimStart()
      keptAny = true
    }
    start = end + 1
  }
  return kept
}

function endOfPair(line: string, start: number): number {
  const next = line.indexOf(';', start)
  return next === -1 ? line.length : next
}

/** The value of a pair (RFC 6265 §4.1.1), without the quotes that it may stand in; undefined when it has another name. */
function pairValue(line: string, start: number, end: number, name: string): string | undefined {
  let from = start
  while (from < end && isSpace(line.charCodeAt(from))) from++
  if (!line.startsWith(name, from)) return undefined
  let equals = from + name.length
  while (equals < end && isSpace(line.charCodeAt(equals))) equals++
  if (equals >= end || line.charCodeAt(equals) !== 0x3d) return undefined
  const value = line.slice(equals + 1, end).trim()
  return value.length > 1 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value
}

function isSpace(c: number): boolean {
  return c === 0x20 || c === 0x09
}

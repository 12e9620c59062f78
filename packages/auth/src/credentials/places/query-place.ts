import type { IncomingMessage } from 'node:http'
import type { Exchange, QueryEdit } from '@postern/contracts'
import type { Refused } from '../../scheme.ts'
import type { QuerySource } from '../token-source.ts'
import { AMBIGUOUS, checkedDecoded, type Place } from './place.ts'

/** A query parameter. Names are read as the proxy reads them when it takes a parameter out: decoded, `+` as a space. */
export class QueryPlace implements Place {
  readonly #name: string
  readonly #maxBytes: number
  readonly #removal: QueryEdit

  constructor(source: QuerySource, maxBytes: number) {
    this.#name = source.query
    this.#maxBytes = maxBytes
    this.#removal = Object.freeze({ op: 'remove', name: source.query })
  }

  find(req: IncomingMessage): string | Refused | undefined {
    const url = req.url ?? ''
    const mark = url.indexOf('?')
    if (mark === -1) return undefined
    let found: string | undefined
    for (let start = mark + 1; start <= url.length; ) {
      const next = url.indexOf('&', start)
      const end = next === -1 ? url.length : next
      const equals = url.indexOf('=', start)
      const nameEnd = equals === -1 || equals > end ? end : equals
      if (this.#isNamed(url, start, nameEnd)) {
        if (found !== undefined) return AMBIGUOUS
        found = url.slice(Math.min(nameEnd + 1, end), end)
      }
      start = end + 1
    }
    // A `+` is a space to some readers and itself to others; whoever means it writes %2B.
    return found === undefined ? undefined : checkedDecoded(found.replaceAll('+', ' '), this.#maxBytes)
  }

  strip(req: IncomingMessage, exchange: Exchange): void {
    if (req.url?.includes('?') === true) exchange.outgoing.editQuery(this.#removal)
  }

  #isNamed(url: string, start: number, end: number): boolean {
    const name = this.#name
    if (end - start === name.length && url.startsWith(name, start)) return true
    // An encoded name is longer than what it stands for, or has a `+` for each space.
    if (end - start < name.length) return false
    const raw = url.slice(start, end)
    if (!raw.includes('%') && !raw.includes('+')) return false
    try {
      return decodeURIComponent(raw.replaceAll('+', ' ')) === name
    } catch {
      return false
    }
  }
}

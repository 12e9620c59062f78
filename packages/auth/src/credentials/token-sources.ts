import type { IncomingMessage } from 'node:http'
import type { Exchange } from '@postern/contracts'
import type { Refused, Scheme } from '../scheme.ts'
import { CookiePlace } from './places/cookie-place.ts'
import { FunctionPlace } from './places/function-place.ts'
import { HeaderPlace } from './places/header-place.ts'
import { AMBIGUOUS, type Place } from './places/place.ts'
import { QueryPlace } from './places/query-place.ts'
import { SubprotocolPlace } from './places/subprotocol-place.ts'
import type { ShownBefore } from './shown-before.ts'
import type { TokenSource } from './token-source.ts'

export { tokenSourcesOption } from './source-option.ts'
export type {
  CookieSource,
  HeaderSource,
  QuerySource,
  SubprotocolSource,
  TokenFunction,
  TokenSource,
  TokenSourceKind,
} from './token-source.ts'

/** The places where one scheme looks for its token. All are looked at: a request that fills two is refused. */
export class TokenSources {
  readonly #places: readonly Place[]
  /** See {@link Scheme.secretNames}. Cookies and sub-protocols are left out of logs as a whole. */
  readonly secretNames: NonNullable<Scheme['secretNames']>

  /**
   * @param list as {@link tokenSourcesOption} has checked it
   * @param maxBytes longest token that is looked at
   * @param shown remembers what connections show in a header
   */
  constructor(list: readonly TokenSource[], maxBytes: number, shown?: ShownBefore<unknown>) {
    this.#places = list.map((source) => placeOf(source, maxBytes, shown))
    this.secretNames = Object.freeze({
      headers: list.flatMap((source) => (typeof source === 'object' && 'header' in source ? [source.header] : [])),
      query: list.flatMap((source) => (typeof source === 'object' && 'query' in source ? [source.query] : [])),
    })
  }

  /** The token of a request; undefined when it shows none. Never throws. */
  find(req: IncomingMessage, exchange: Exchange): string | Refused | undefined {
    const places = this.#places
    if (places.length === 1) return places[0]!.find(req, exchange)
    let first: string | Refused | undefined
    for (let i = 0; i < places.length; i++) {
      const found = places[i]!.find(req, exchange)
      if (found === undefined) continue
      // Another reader may take the other one (RFC 6750 §2: one method a request).
      if (first !== undefined) return AMBIGUOUS
      first = found
    }
    return first
  }

  /** Takes the token out of what is sent upstream, wherever it is; everything beside it stays as it is. */
  strip(req: IncomingMessage, exchange: Exchange): void {
    for (const place of this.#places) place.strip(req, exchange)
  }
}

function placeOf(source: TokenSource, maxBytes: number, shown: ShownBefore<unknown> | undefined): Place {
  if (source === 'header') return new HeaderPlace({ header: 'authorization', scheme: 'Bearer' }, maxBytes, shown)
  if (typeof source === 'function') return new FunctionPlace(source, maxBytes)
  if ('header' in source) return new HeaderPlace(source, maxBytes, shown)
  if ('query' in source) return new QueryPlace(source, maxBytes)
  if ('cookie' in source) return new CookiePlace(source, maxBytes)
  return new SubprotocolPlace(source, maxBytes)
}

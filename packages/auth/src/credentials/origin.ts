import type { IncomingMessage } from 'node:http'
import { clientOf, type Exchange } from '@postern/contracts'
import { soleLine } from './header-lines.ts'

/** Origins beside the gateway's own; `false`: any. */
export type Origins = ReadonlySet<string> | false

/** What an option says of origins, ready to be asked. */
export function originsOf(given: readonly string[] | false | undefined): Origins {
  if (given === false) return false
  return new Set((given ?? []).map((text) => readOrigin(text) ?? text))
}

/** An origin in its one form (RFC 6454 §6.2): lower case, without a default port; undefined when it is none. */
export function readOrigin(text: string): string | undefined {
  // Nothing behind the host: whoever writes a path expects that it counts.
  if (!/^https?:\/\/[^/?#@\\\s]+$/i.test(text)) return undefined
  try {
    return new URL(text).origin
  } catch {
    return undefined
  }
}

/**
 * True for requests by which a page of another origin could do something in the name of the user: methods that are not
 * safe (RFC 9110 §9.2.1), and upgrades, which no same-origin policy covers (RFC 6455 §10.2).
 */
export function mayChange(req: IncomingMessage, exchange: Exchange): boolean {
  if (exchange.upgrade !== undefined) return true
  const { method } = req
  return method !== 'GET' && method !== 'HEAD' && method !== 'OPTIONS'
}

/**
 * True when a browser says that a page of another origin had it send the request. Clients that are no browsers say
 * nothing of it, and hold their cookies themselves.
 */
export function isForeign(req: IncomingMessage, origins: Origins): boolean {
  if (origins === false) return false
  const origin = soleLine(req, 'origin')
  if (origin === undefined) {
    // Fetch Metadata: a browser that leaves Origin out still tells this much.
    const site = soleLine(req, 'sec-fetch-site')
    return site !== undefined && site !== 'same-origin' && site !== 'none'
  }
  // Two lines, and `null` of a sandbox or a redirect, are nobody's.
  const read = typeof origin === 'string' ? readOrigin(origin) : undefined
  if (read === undefined) return true
  if (origins.has(read)) return false
  const { protocol, host } = clientOf(req)
  return read !== readOrigin(`${protocol}://${host}`)
}

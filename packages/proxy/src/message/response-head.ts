import type { ServerResponse } from 'node:http'
import type { ResponseHeaders } from '../transport/transport.ts'
import { connectionNames, isForbiddenTrailer, isHopByHopResponse } from './header-names.ts'

/** Why an upstream's response head cannot be passed on; for the operator's log. */
export type ResponseFault = string

/**
 * Finds what makes a response's head ambiguous or unusable (RFC 9112 §6.3): a proxy must answer 502 rather than guess.
 * Equal Content-Length lines are collapsed, in place.
 */
export function responseFault(status: number, headers: ResponseHeaders): ResponseFault | undefined {
  if (!(status >= 200 && status <= 599)) return `status ${status}`
  const length = headers['content-length']
  const coding = headers['transfer-encoding']
  if (length !== undefined) {
    if (coding !== undefined) return 'both Content-Length and Transfer-Encoding'
    if (Array.isArray(length)) {
      if (length.some((line) => line !== length[0])) return 'several different Content-Length lines'
      headers['content-length'] = length[0]!
    }
    if (!/^[0-9]{1,15}$/.test(headers['content-length'] as string)) return 'malformed Content-Length'
  }
  if (coding !== undefined && (Array.isArray(coding) || coding.toLowerCase() !== 'chunked')) {
    return 'a transfer coding other than chunked'
  }
  return undefined
}

/** A response head as it may go on. */
export interface CleanHead {
  readonly headers: ResponseHeaders
  /** Names announced in `Trailer`, lower case, that may come as trailers; undefined when there are none. */
  readonly trailers: string[] | undefined
}

/**
 * Leaves out what belongs to the upstream's connection alone (RFC 9110 §7.6.1), and framing that the status rules out
 * (§8.6: no Content-Length on a 204 or 1xx).
 */
export function cleanResponseHead(status: number, received: ResponseHeaders): CleanHead {
  const { connection, trailer } = received
  const named =
    connection === undefined
      ? undefined
      : connectionNames(Array.isArray(connection) ? connection.join(',') : connection)
  // A copy, not deletions: an object that fields were deleted from is a slow one wherever it goes.
  const headers: ResponseHeaders = {}
  for (const name in received) {
    if (isHopByHopResponse(name) || (named?.has(name) === true && name !== 'set-cookie')) continue
    if (name === 'content-length' && (status === 204 || status === 101)) continue
    if (name === '__proto__') define(headers, name, received[name]!)
    else headers[name] = received[name]!
  }
  return { headers, trailers: trailer === undefined ? undefined : trailerNames(trailer) }
}

/** Assigning to this one name would change what the object inherits instead. */
function define(headers: ResponseHeaders, name: string, value: string | string[]): void {
  Object.defineProperty(headers, name, { value, writable: true, enumerable: true, configurable: true })
}

/** The trailer fields that may go on to the client; undefined when there are none. */
export function allowedTrailers(trailers: ResponseHeaders): ResponseHeaders | undefined {
  let allowed: ResponseHeaders | undefined
  for (const name in trailers) {
    if (isForbiddenTrailer(name)) continue
    allowed ??= {}
    define(allowed, name, trailers[name]!)
  }
  return allowed
}

/**
 * Brings the upstream's headers and those that earlier handlers have set on the response together: the upstream's
 * replace them, but for `Vary` and `Set-Cookie`, where both count.
 */
export function mergeWithEarlier(res: ServerResponse, headers: ResponseHeaders): void {
  const vary = res.getHeader('vary')
  if (vary !== undefined && headers.vary !== undefined) headers.vary = `${listed(vary)}, ${listed(headers.vary)}`
  const cookies = res.getHeader('set-cookie')
  if (cookies !== undefined && headers['set-cookie'] !== undefined) {
    headers['set-cookie'] = [cookies as string | string[], headers['set-cookie']].flat()
  }
}

function listed(value: string | number | readonly string[]): string {
  return typeof value === 'object' ? value.join(', ') : String(value)
}

function trailerNames(value: string | string[]): string[] | undefined {
  const names = (Array.isArray(value) ? value.join(',') : value)
    .split(',')
    .map((name) => name.trim().toLowerCase())
    .filter((name) => /^[a-z0-9!#$%&'*+.^_`|~-]+$/.test(name) && !isForbiddenTrailer(name))
  return names.length === 0 ? undefined : names
}

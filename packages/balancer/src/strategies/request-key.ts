import { clientOf, type Exchange } from '@postern/contracts'
import * as v from 'valibot'
import { readCookie } from '../cookies.ts'

/**
 * What of a request decides where it goes: the client's address, the path (as the client sent it, without the query), a
 * header, a cookie, a parameter of the matched route, or what a function returns.
 */
export type RequestKey =
  | 'client'
  | 'path'
  | { readonly header: string }
  | { readonly cookie: string }
  | { readonly param: string }
  | ((exchange: Exchange) => string | undefined)

/** Reads the key of a request; undefined or empty when it has none. */
export type KeyReader = (exchange: Exchange) => string | undefined

const WANTED = 'not "client", "path", { header }, { cookie }, { param } or a function (exchange) => string | undefined'
const TOKEN = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/

/** What the option takes. */
export const requestKey: v.GenericSchema<RequestKey> = v.union(
  [
    v.picklist(['client', 'path']),
    v.strictObject({ header: v.pipe(v.string('not a header name'), v.regex(TOKEN, 'not a header name')) }),
    v.strictObject({ cookie: v.pipe(v.string('not a cookie name'), v.regex(TOKEN, 'not a cookie name')) }),
    v.strictObject({ param: v.pipe(v.string('not a parameter name'), v.nonEmpty('not a parameter name')) }),
    v.custom<(exchange: Exchange) => string | undefined>((value) => typeof value === 'function'),
  ],
  WANTED,
)

/** Makes the reader of a key; once, so that a request costs a call and no more. */
export function keyReader(key: RequestKey): KeyReader {
  if (key === 'client') return clientKey
  if (key === 'path') return pathKey
  if (typeof key === 'function') return ownKey(key)
  if ('header' in key) {
    const name = key.header.toLowerCase()
    return ({ request }) => textOf(request.headers[name])
  }
  if ('cookie' in key) {
    const name = key.cookie
    return ({ request }) => readCookie(request.headers.cookie, name)
  }
  const name = key.param
  return ({ route }) =>
    route !== undefined && Object.hasOwn(route.params, name) ? textOf(route.params[name]) : undefined
}

function clientKey({ request }: Exchange): string {
  return clientOf(request).address
}

function pathKey({ request }: Exchange): string {
  // Express keeps the whole target in `originalUrl` and takes the mount path off `url`.
  const target = (request as { originalUrl?: string }).originalUrl ?? request.url ?? ''
  const query = target.indexOf('?')
  const path = query === -1 ? target : target.slice(0, query)
  // The absolute form names the same resource (RFC 9112 §3.2.2).
  return path.startsWith('/') ? path : path.replace(/^https?:\/\/[^/]*/i, '') || '/'
}

/** What a function returns against its type (a number, nothing) is no key. */
function ownKey(read: (exchange: Exchange) => unknown): KeyReader {
  return (exchange) => {
    const key = read(exchange)
    return typeof key === 'string' ? key : undefined
  }
}

/** Of a parameter that matched several segments, all of them. */
function textOf(value: unknown): string | undefined {
  if (Array.isArray(value)) return value.join('/')
  return typeof value === 'string' ? value : undefined
}

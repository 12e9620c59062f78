import type { IncomingMessage } from 'node:http'

/** A header field that carries the token. */
export interface HeaderSource {
  /** Name of the field, in any case. */
  readonly header: string
  /**
   * The authentication scheme in front of the token, in any case: `Bearer`, `ApiKey` (RFC 9110 §11.4). With one, another
   * scheme in the field is somebody else's; without, the whole value is the token. @default none
   */
  readonly scheme?: string
}

/**
 * A query parameter that carries the token. What is in a URL ends up in histories, `Referer` fields and the logs of
 * everyone on the way (RFC 9700 §4.3.2): for clients that can do nothing else. The log of `gateway()` leaves it out; a
 * `logger()` of your own knows `api_key`, `access_token` and their like, and is told of other names by `redact.query`.
 */
export interface QuerySource {
  readonly query: string
}

/** A cookie that carries the token. */
export interface CookieSource {
  /**
   * Name of the cookie, in exactly this case. A name that begins with `__Host-` keeps neighbouring hosts from setting it
   * (RFC 6265bis §4.1.3.2).
   */
  readonly cookie: string
  /**
   * Other origins whose pages may send the cookie with methods that change something, and with upgrades:
   * `https://app.example.com`. The gateway's own, as the client sees it under Express's `trust proxy`, is always among
   * them. `false`: pages of any origin; the risk is CSRF, and for WebSockets that any page reads along, unless the cookie
   * is `SameSite=Strict` in every browser that matters. @default [] none but the gateway's own
   */
  readonly origins?: readonly string[] | false
}

/**
 * Two entries of `Sec-WebSocket-Protocol`: this marker and, behind it, the token. The one field that a page can set for a
 * WebSocket. Read on upgrades only.
 */
export interface SubprotocolSource {
  /** The marker, in exactly this case: `bearer` for `new WebSocket(url, ['bearer', token, 'chat.v1'])`. */
  readonly subprotocol: string
}

/**
 * A function that finds the token by a way of its own; undefined when there is none. Synchronous. What it reads is not
 * known here, and so cannot be taken out of what is sent upstream.
 */
export type TokenFunction = (req: IncomingMessage) => string | undefined

/** Where a request shows its token. `'header'` is short for `{ header: 'authorization', scheme: 'Bearer' }`. */
export type TokenSource = 'header' | HeaderSource | QuerySource | CookieSource | SubprotocolSource | TokenFunction

/** The kinds of {@link TokenSource}, by their own member; `function` for an own one. */
export type TokenSourceKind = 'header' | 'query' | 'cookie' | 'subprotocol' | 'function'

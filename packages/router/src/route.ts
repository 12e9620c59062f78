import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Exchange } from '@postern/contracts'

/** Express's and Connect's continuation; `next('route')` tries the next best route. */
export type Next = (error?: unknown) => void

/**
 * An Express or Connect handler. Its parameters compare bivariantly, so that handlers written for Express's own request
 * type fit as well as those written for `node:http`.
 */
export type RouteHandler = {
  bivarianceHack(req: IncomingMessage, res: ServerResponse, next: Next): unknown
}['bivarianceHack']

/** A value that must be equal, a pattern that must match (without `g` and `y`), or `true`: present with any value. */
export type FieldMatch = string | RegExp | true

/** Header edits; names are case-insensitive, values static. Applied in the order remove, set, append. */
export interface HeaderEdits {
  /** Replaces every line of the name. */
  readonly set?: Readonly<Record<string, string>>
  /** Adds a line. */
  readonly append?: Readonly<Record<string, string>>
  readonly remove?: readonly string[]
}

/** Query edits: each touches only its own parameter; the rest of the query stays byte for byte. */
export interface QueryEdits {
  readonly set?: Readonly<Record<string, string>>
  readonly append?: Readonly<Record<string, string>>
  readonly remove?: readonly string[]
}

/**
 * How the path and the query change on their way upstream. At most one of `stripPrefix`, `prefix` and `path`. Templates
 * have Express's pattern syntax and use the parameters of the route's own pattern; each parameter goes in still encoded,
 * so that it can never add a segment, a query or a line.
 */
export interface Rewrite {
  /** Takes the matched prefix off: `/api/x` becomes `/x`. Needs `prefix` on the route. */
  readonly stripPrefix?: true
  /** Replaces the matched prefix (or stands in front, where the route has no path): `/v2/:tenant`. */
  readonly prefix?: string
  /** Replaces the whole path: `/x/:id/*rest`. */
  readonly path?: string
  readonly query?: QueryEdits
}

/** An answer that sends the client elsewhere. At least one of `scheme`, `host`, `port`, `path` and `prefix`. */
export interface Redirect {
  /** @default the scheme that the client used */
  readonly scheme?: 'http' | 'https'
  /** A host name or address, without port. @default the client's, when `scheme` or `port` is given; else none is named */
  readonly host?: string
  /** 1 to 65,535. @default the client's when neither `scheme` nor `host` is given, else the default of the scheme */
  readonly port?: number
  /** Replaces the whole path as the client sees it, mount included; a template as in {@link Rewrite}. */
  readonly path?: string
  /** Replaces the matched prefix; what stands before it (a mount) and behind it stays. */
  readonly prefix?: string
  /** @default 302 */
  readonly status?: 301 | 302 | 303 | 307 | 308
  /** Keep the client's query. @default true */
  readonly keepQuery?: boolean
}

/** A fixed answer. */
export interface Respond {
  /** 200 to 599. */
  readonly status: number
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
  /** Text, bytes, or anything else as JSON. Not sent for HEAD; none is allowed with 204, 205 and 304. */
  readonly body?: unknown
  /** @default `text/plain; charset=utf-8`, `application/octet-stream` or `application/json`, by the kind of body */
  readonly contentType?: string
}

/** What is done with a request: exactly one of the three. */
export interface RouteAction {
  /** Run one after the other, as Express runs them; when the last calls `next()`, the app goes on behind the router. */
  readonly handlers?: RouteHandler | readonly RouteHandler[]
  readonly redirect?: Redirect
  readonly respond?: Respond
}

/** What changes in a request and its answer on their way through. */
export interface RouteEdits {
  readonly rewrite?: Rewrite
  /** Edits of the upstream request, applied by `proxy()`. */
  readonly requestHeaders?: HeaderEdits
  /** Edits of the client's answer, applied by `proxy()` and to the router's own redirects and fixed answers. */
  readonly responseHeaders?: HeaderEdits
}

/** One way out of a split. Its edits come behind the route's. */
export interface Branch extends RouteAction, RouteEdits {
  /** Unique in its split; letters, digits and `. _ ~ -`. The exchange's route is then called `<route>/<branch>`. */
  readonly id: string
  /** Share of the traffic against the other branches, 0 to 1,000,000; 0 takes none. */
  readonly weight: number
}

/**
 * What sticks to a branch: the client's address, a header, a cookie, a path parameter, or what a function returns. The
 * same key gets the same branch; a change of weights moves only the keys it has to.
 */
export type SplitKey =
  | 'client'
  | { readonly header: string }
  | { readonly cookie: string }
  | { readonly param: string }
  | ((req: IncomingMessage) => string | undefined)

/** A weighted split. */
export interface Split {
  /** @default each request draws anew; so does one without the key */
  readonly by?: SplitKey
  readonly branches: readonly Branch[]
}

/**
 * A row of the table: conditions, all of which must hold; edits; and exactly one of `handlers`, `redirect`, `respond`
 * and `split`.
 */
export interface Route extends RouteAction, RouteEdits {
  /** Unique in the table; in logs and metrics. @default made from the conditions: `GET api.example.com/users/:id` */
  readonly id?: string
  /**
   * The whole path, in Express 5's syntax: `/users/:id`, `/files/*rest`, `/a{/:b}`, `/:name.json`. A wildcard takes one
   * segment or more and stands alone in its place. Not together with `prefix`; with neither, any path fits.
   */
  readonly path?: string
  /** The first segments of the path: `/api` fits `/api` and `/api/x`, not `/apiary`. Parameters allowed, wildcards not. */
  readonly prefix?: string
  /**
   * Host names: exact, or `*.x`, which covers any number of labels in front of `x` but not `x` itself. The port is
   * ignored. Internationalised names as they are on the wire (`xn--…`).
   */
  readonly host?: string | readonly string[]
  /** GET also answers HEAD, unless another route of the same path names HEAD. */
  readonly method?: string | readonly string[]
  /** Several lines of a name compare as one, joined by `, `. */
  readonly headers?: Readonly<Record<string, FieldMatch>>
  /** Decoded; the first of several values of a name counts. */
  readonly query?: Readonly<Record<string, FieldMatch>>
  /** Decoded; the first of several values of a name counts. */
  readonly cookies?: Readonly<Record<string, FieldMatch>>
  /** Networks that the client's address must be in, under Express's `trust proxy`: `10.0.0.0/8`, `2001:db8::/32`. */
  readonly client?: string | readonly string[]
  /** Own condition, asked last: true lets the route match. Synchronous; may be asked more than once a request. */
  readonly when?: (req: IncomingMessage, exchange: Exchange) => boolean
  /**
   * Run before whatever the route does, redirects, fixed answers and every branch of a split included: authentication, limits.
   * The edits are made and the branch is chosen by then. When the last calls `next()`, the route goes on; `next('route')`
   * tries the next best route. @default none
   */
  readonly before?: RouteHandler | readonly RouteHandler[]
  /** A weighted split; a bare list draws anew for each request. */
  readonly split?: Split | readonly Branch[]
}

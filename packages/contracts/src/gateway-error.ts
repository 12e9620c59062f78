import type { IncomingMessage, ServerResponse } from 'node:http'
import { exchangeOf } from './exchange.ts'
import type { Failure } from './failure.ts'

/** One row of a package's table of problems. */
export interface ProblemDefinition {
  /** HTTP status, 400 to 599. */
  readonly status: number
  /** Short and the same for every occurrence. */
  readonly title: string
  /** For the client: what happened and what it can do. Names no host, address, path or stack. */
  readonly detail: string
}

export interface GatewayErrorOptions {
  /** Replaces the definition's detail; shown to the client. */
  readonly detail?: string | undefined
  /** For the operator's log; never shown to a client. @default the detail */
  readonly message?: string | undefined
  /** Headers of the answer, lower-case names. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly failure?: Failure | undefined
  readonly cause?: unknown
  /** Close the client's connection behind the answer: for requests whose framing is in doubt. @default false */
  readonly closeConnection?: boolean | undefined
}

const BRAND = Symbol.for('postern.GatewayError')

/**
 * An answer that the gateway makes itself, as an error: `errors: 'respond'` answers it, `errors: 'next'` hands it to
 * Express's error handling, which reads `status`, `headers` and `expose` as http-errors has them. `instanceof` holds
 * across two installed copies of this package.
 */
export class GatewayError extends Error {
  static override [Symbol.hasInstance](value: unknown): boolean {
    // A subclass inherits this method; it has only its own instances.
    // biome-ignore lint/complexity/noThisInStatic: `this` is the class that `instanceof` was asked for
    if (this !== GatewayError) return Function.prototype[Symbol.hasInstance].call(this, value)
    return typeof value === 'object' && value !== null && BRAND in value
  }
  readonly [BRAND] = true
  /** Closed and documented in docs/problems.md. */
  readonly code: string
  readonly status: number
  /** Same as `status`; some error handlers read this name. */
  readonly statusCode: number
  readonly title: string
  /** For the client. */
  readonly detail: string
  /**
   * Whether `message` may be shown to the client, as http-errors has it: true when it is the detail, false when it was
   * given for the operator's log, since then it may name targets. `detail` may always be shown.
   */
  readonly expose: boolean
  readonly headers: Readonly<Record<string, string>>
  readonly failure: Failure | undefined
  readonly closeConnection: boolean

  constructor(code: string, definition: ProblemDefinition, options: GatewayErrorOptions = {}) {
    const detail = options.detail ?? definition.detail
    super(options.message ?? detail, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'GatewayError'
    this.code = code
    this.status = definition.status
    this.statusCode = definition.status
    this.expose = options.message === undefined || options.message === detail
    this.title = definition.title
    this.detail = detail
    this.headers = options.headers ?? {}
    this.failure = options.failure
    this.closeConnection = options.closeConnection ?? false
  }
}

/** Where the page of a problem code is; the code follows as the fragment. */
export const PROBLEM_PAGE = 'https://postern.dev/problems#'

/** How a middleware tells of its errors. @default 'respond' */
export type ErrorMode = 'respond' | 'next'

type Next = (error?: unknown) => void

/**
 * Ends the exchange with an error, in the way the middleware was told to.
 *
 * With nothing sent yet: the fallback that a stage has offered, a problem answer (`respond`), or `next(error)`. With the head already out nothing true can be
 * said any more, and the connection is cut, so that the client sees it.
 *
 * @param next Express's; absent in a bare server, where `respond` always applies
 */
export function failExchange(
  req: IncomingMessage,
  res: ServerResponse,
  error: GatewayError,
  mode: ErrorMode,
  next?: Next | undefined,
): void {
  const exchange = exchangeOf(req, res)
  exchange.failure ??= error.failure
  exchange.error ??= error
  if (res.headersSent) {
    res.destroy()
    return
  }
  const { fallback } = exchange
  if (fallback !== undefined) {
    exchange.fallback = undefined
    if (fallback.takeOver(error)) return
  }
  // Also where the app's own error handler writes the answer.
  if (error.closeConnection) res.shouldKeepAlive = false
  if (mode === 'next' && next !== undefined) {
    next(error)
    return
  }
  sendProblem(req, res, error)
}

/**
 * Answers with `application/problem+json` (RFC 9457) and, for failures of the proxying itself, `Proxy-Status`
 * (RFC 9209). What earlier stages had said about a body that now never comes is taken back.
 */
export function sendProblem(req: IncomingMessage, res: ServerResponse, error: GatewayError): void {
  if (res.headersSent || res.destroyed) return
  const exchange = exchangeOf(req, res)
  for (const name of res.getHeaderNames()) if (isAboutBody(name)) res.removeHeader(name)
  const body = JSON.stringify({
    type: PROBLEM_PAGE + error.code,
    title: error.title,
    status: error.status,
    detail: error.detail,
    instance: instanceOf(exchange.id),
    code: error.code,
  })
  res.statusCode = error.status
  res.statusMessage = ''
  res.setHeader('content-type', 'application/problem+json')
  res.setHeader('content-length', Buffer.byteLength(body))
  res.setHeader('cache-control', 'no-store')
  if (error.failure !== undefined) res.setHeader('proxy-status', `postern; error=${error.failure.type}`)
  for (const name in error.headers) res.setHeader(name, error.headers[name]!)
  if (error.closeConnection) res.setHeader('connection', 'close')
  res.end(req.method === 'HEAD' ? undefined : body)
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

function instanceOf(id: string): string {
  // An id that the client chose need not be a UUID; then it goes into a URN of our own name space.
  return UUID.test(id) ? `urn:uuid:${id.toLowerCase()}` : `urn:postern:request:${encodeURIComponent(id)}`
}

function isAboutBody(name: string): boolean {
  switch (name) {
    case 'accept-ranges':
    case 'content-digest':
    case 'content-disposition':
    case 'content-encoding':
    case 'content-language':
    case 'content-length':
    case 'content-location':
    case 'content-range':
    case 'content-type':
    case 'etag':
    case 'expires':
    case 'last-modified':
    case 'repr-digest':
    case 'trailer':
    case 'transfer-encoding':
      return true
    default:
      return false
  }
}

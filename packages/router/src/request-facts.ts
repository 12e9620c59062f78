import type { IncomingMessage } from 'node:http'
import {
  clientOf,
  type Exchange,
  isAuthority,
  isRefusedTarget,
  type PathPolicy,
  parseRequestTarget,
  type RequestTarget,
} from '@postern/contracts'
import { type PathRules, PathView } from './pattern/path-view.ts'
import { readCookies } from './predicates/fields.ts'
import { hostName } from './predicates/hosts.ts'
import type { Refused } from './problems.ts'

/** What Express adds to a request and the router looks at. */
export interface RoutedRequest extends IncomingMessage {
  readonly originalUrl?: string
  readonly baseUrl?: string
  params?: Record<string, string | string[]>
}

/** What of the options decides how a request is read. */
export interface ReadingRules extends PathRules {
  readonly paths: PathPolicy
}

/** A request as the table looks at it. What only some conditions ask for is read when the first of them asks. */
export class RequestFacts {
  readonly req: RoutedRequest
  readonly exchange: Exchange
  readonly method: string
  /** The whole target, mount included. */
  readonly target: RequestTarget
  /** The part behind the mount; what is matched. */
  readonly view: PathView
  /** Host and port that the client asked for, lower case; empty when there is none or no condition needs it. */
  readonly authority: string
  /** Its host. */
  readonly host: string
  #query: URLSearchParams | undefined
  #cookies: ReadonlyMap<string, string> | undefined
  #address: string | undefined

  constructor(req: RoutedRequest, exchange: Exchange, target: RequestTarget, view: PathView, authority: string) {
    this.req = req
    this.exchange = exchange
    this.method = req.method ?? 'GET'
    this.target = target
    this.view = view
    this.authority = authority
    this.host = hostName(authority)
  }

  header(name: string): string | undefined {
    // A plain property of the object's prototype (`constructor`) is not a header.
    const value: unknown = this.req.headers[name]
    if (typeof value === 'string') return value
    return Array.isArray(value) ? value.join(', ') : undefined
  }

  query(name: string): string | undefined {
    this.#query ??= new URLSearchParams(this.target.query)
    return this.#query.get(name) ?? undefined
  }

  cookie(name: string): string | undefined {
    this.#cookies ??= readCookies(this.req.headers.cookie)
    return this.#cookies.get(name)
  }

  get address(): string {
    this.#address ??= clientOf(this.req).address
    return this.#address
  }
}

/**
 * Checks the target of a request, before anything is matched, and reads it.
 *
 * @param needsHost the table has host conditions, or redirects that name the client's host
 */
export function readFacts(
  req: RoutedRequest,
  exchange: Exchange,
  rules: ReadingRules,
  needsHost: boolean,
): RequestFacts | Refused {
  const url = req.url ?? '/'
  const whole = req.originalUrl ?? url
  const target = parseRequestTarget(whole, rules.paths)
  if (isRefusedTarget(target)) return { problem: 'bad_request_target', reason: target.refused }
  // Another handler may have changed req.url, so the part is looked at as closely as the whole.
  const part = url === whole ? target : parseRequestTarget(url, rules.paths)
  if (isRefusedTarget(part)) return { problem: 'bad_request_target', reason: part.refused }
  const view = PathView.of(part.path, rules)
  if (view === undefined || (part !== target && PathView.of(target.path, rules) === undefined)) {
    return { problem: 'bad_request_target', reason: 'not UTF-8' }
  }
  const authority = needsHost ? authorityOf(req, target) : ''
  if (authority === undefined) return { problem: 'bad_host', reason: 'several, malformed or contradicting host names' }
  return new RequestFacts(req, exchange, target, view, authority)
}

/** Tells a refused request from one that was read. */
export function isRefused(facts: RequestFacts | Refused): facts is Refused {
  return (facts as Refused).problem !== undefined
}

/** The one authority of a request (RFC 9112 §3.2); undefined when there is doubt. */
function authorityOf(req: IncomingMessage, target: RequestTarget): string | undefined {
  const raw = req.rawHeaders
  let lines = 0
  for (let i = 0; i < raw.length; i += 2) {
    if (raw[i]!.length === 4 && raw[i]!.toLowerCase() === 'host') lines++
  }
  const header = req.headers.host?.toLowerCase() ?? ''
  if (lines > 1 || (header !== '' && !isAuthority(header))) return undefined
  if (target.authority !== undefined) {
    return header === '' || header === target.authority ? target.authority : undefined
  }
  const { host } = clientOf(req)
  // A trusted proxy may have told another one in X-Forwarded-Host.
  return host === '' || isAuthority(host) ? host.toLowerCase() : undefined
}

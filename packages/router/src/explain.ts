import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { Exchange, type RequestTarget } from '@postern/contracts'
import { keyOf, stickyBranch } from './actions/split.ts'
import type { ResolvedRouterOptions } from './options.ts'
import { captureParams, type Params } from './pattern/captures.ts'
import type { RouterProblem } from './problems.ts'
import { isRefused, type RequestFacts, type RoutedRequest, readFacts } from './request-facts.ts'
import type { CompiledRoute } from './table/compiled-route.ts'
import type { Match } from './table/leaf.ts'
import type { Loss } from './table/loss.ts'
import type { Table } from './table/table.ts'
import { judge, type Verdict } from './table/verdicts.ts'

/** A request as it would be, for `explain()`. */
export interface ExplainRequest {
  /** @default 'GET' */
  readonly method?: string
  /** The request target behind the mount: path and query, encoded; or a whole URL. */
  readonly url: string
  readonly headers?: Readonly<Record<string, string | readonly string[] | undefined>>
  /** Address of the client. @default none: routes with `client` do not match */
  readonly address?: string
}

/** What became of one route. */
export interface RouteVerdict {
  readonly index: number
  readonly id: string
  readonly pattern: string
  /** True for the winner alone. */
  readonly matched: boolean
  /** Why it lost; undefined for the winner. */
  readonly reason: Loss | undefined
}

/** Which route a request gets, and why. Plain data. */
export interface Explanation {
  readonly method: string
  /** The target as it was understood; undefined when it is refused. */
  readonly target: RequestTarget | undefined
  /** Set when the request is answered before anything is matched. */
  readonly refused: { readonly problem: RouterProblem; readonly reason: string } | undefined
  /** The part of the path that is matched: behind the mount. */
  readonly path: string
  /** Host that was matched; empty when the table has no host conditions. */
  readonly host: string
  /** Routes of that host and path by precedence, then the others in the table's order. */
  readonly considered: readonly RouteVerdict[]
  readonly winner: Winner | undefined
}

/** The route that a request gets. */
export interface Winner {
  readonly index: number
  readonly id: string
  readonly pattern: string
  readonly params: Params
  /** The branch of a split that sticks to a key of this request; undefined when it would be drawn. */
  readonly branch: string | undefined
}

/** Explains a request without letting it happen. */
export function explainRequest(
  table: Table,
  options: ResolvedRouterOptions,
  request: IncomingMessage | ExplainRequest,
): Explanation {
  const req = (request instanceof IncomingMessage ? request : requestOf(request)) as RoutedRequest
  // An exchange of its own when the request has none yet: explaining leaves no trace on the request.
  const exchange = req.gateway ?? new Exchange(req, new ServerResponse(req))
  const method = req.method ?? 'GET'
  const facts = readFacts(req, exchange, options, table.needsHost)
  if (isRefused(facts)) {
    const refused = { problem: facts.problem, reason: facts.reason }
    return { method, target: undefined, refused, path: '', host: '', considered: [], winner: undefined }
  }
  const match = table.find(facts)
  return {
    method,
    target: facts.target,
    refused: undefined,
    path: facts.view.path,
    host: facts.host,
    considered: judge(table.routes, facts).map((verdict) => verdictOf(verdict, match?.route)),
    winner: match === undefined ? undefined : winnerOf(match, facts),
  }
}

function verdictOf({ route, loss }: Verdict, winner: CompiledRoute | undefined): RouteVerdict {
  const matched = route === winner
  const reason = matched ? undefined : (loss ?? { kind: 'less_specific' as const, than: winner?.id ?? '' })
  return { index: route.index, id: route.id, pattern: route.patternText, matched, reason }
}

function winnerOf(match: Match, facts: RequestFacts): Winner {
  const { route, variant } = match
  const params = captureParams(variant, facts.view, 'value')
  let branch: string | undefined
  if (route.action.kind === 'split' && route.action.split.by !== undefined) {
    const key = keyOf(route.action.split.by, facts, params)
    if (key !== '') branch = stickyBranch(route.action.split, key).id
  }
  return { index: route.index, id: route.id, pattern: route.patternText, params, branch }
}

/** A request of Node's own class, so that conditions see what they would see. */
function requestOf(given: ExplainRequest): IncomingMessage {
  const socket = new Socket()
  Object.defineProperty(socket, 'remoteAddress', { value: given.address })
  const req = new IncomingMessage(socket)
  req.method = given.method ?? 'GET'
  req.url = given.url
  req.httpVersion = '1.1'
  req.httpVersionMajor = 1
  req.httpVersionMinor = 1
  for (const [written, value] of Object.entries(given.headers ?? {})) {
    if (value === undefined) continue
    const name = written.toLowerCase()
    const lines = typeof value === 'string' ? [value] : value
    for (const line of lines) req.rawHeaders.push(written, line)
    // As Node joins repeated lines; Host is never repeated in a request that is let through.
    req.headers[name] = lines.join(name === 'cookie' ? '; ' : ', ')
  }
  return req
}

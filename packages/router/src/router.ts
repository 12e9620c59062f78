import type { IncomingMessage, ServerResponse } from 'node:http'
import { exchangeOf } from '@postern/contracts'
import { type ExplainRequest, type Explanation, explainRequest } from './explain.ts'
import { type RouterOptions, resolveOptions } from './options.ts'
import { passError, type Refused, refuse } from './problems.ts'
import { isRefused, type RequestFacts, type RoutedRequest, readFacts } from './request-facts.ts'
import type { Next, Route } from './route.ts'
import { type RouteInfo, routeInfo } from './route-info.ts'
import { leaveRouter, RouteRun } from './route-run.ts'
import type { Match } from './table/leaf.ts'
import type { Table } from './table/table.ts'

/** A router: an Express handler, and a `node:http` request listener, with handles. */
export interface RouterHandler {
  /** @param next absent in a bare server: then what no route takes is answered 404, and errors 500 */
  (req: IncomingMessage, res: ServerResponse, next?: Next): void
  /** The table in use, in its own order. Frozen. */
  readonly routes: readonly RouteInfo[]
  /**
   * Puts another table in the place of this one, at once and as a whole. Requests under way keep theirs.
   *
   * @throws ConfigError when the new table has a fault; then nothing changes
   */
  replace(routes: readonly Route[]): void
  /**
   * Tells which route a request gets and why the others do not. Own conditions (`when`) are asked; nothing else happens,
   * and the request is not changed. The answer shows the table: keep it from strangers.
   */
  explain(request: IncomingMessage | ExplainRequest): Explanation
}

/**
 * Makes a handler that sends each request to the most specific of its routes, and to the rest of the app when there is
 * none.
 *
 * @throws ConfigError with every fault of the table and the options
 */
export function router(routes: readonly Route[], options?: RouterOptions): RouterHandler
export function router(options: RouterOptions & { readonly routes: readonly Route[] }): RouterHandler
export function router(
  first: readonly Route[] | (RouterOptions & { readonly routes: readonly Route[] }),
  second?: RouterOptions,
): RouterHandler {
  const { routes, ...given } = isList(first) ? { ...second, routes: first } : { ...first }
  const { options, table: firstTable } = resolveOptions(routes, given)
  let table = firstTable
  let infos = describe(table)

  function routerHandler(req: IncomingMessage, res: ServerResponse, next?: Next): void {
    const using = table
    let facts: RequestFacts | Refused
    let match: Match | undefined
    try {
      facts = readFacts(req as RoutedRequest, exchangeOf(req, res), options, using.needsHost)
      match = isRefused(facts) ? undefined : using.find(facts)
    } catch (error) {
      // A condition of the user's own may throw.
      passError(req, res, error, next)
      return
    }
    if (isRefused(facts)) refuse(req, res, facts, options.errors, next)
    else if (match === undefined) leaveRouter(facts.req, res, options, next)
    else new RouteRun(using, options, facts, res, next).enter(match)
  }

  return Object.defineProperties(routerHandler, {
    routes: { get: () => infos, enumerable: true },
    replace: {
      value: (replacement: readonly Route[]) => {
        const next = resolveOptions(replacement, given).table
        infos = describe(next)
        table = next
      },
    },
    explain: {
      value: (request: IncomingMessage | ExplainRequest) => explainRequest(table, options, request),
    },
  }) as RouterHandler
}

function isList(value: unknown): value is readonly Route[] {
  return Array.isArray(value)
}

function describe(table: Table): readonly RouteInfo[] {
  return Object.freeze(table.routes.map(routeInfo))
}

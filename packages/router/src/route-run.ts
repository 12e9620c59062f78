import type { ServerResponse } from 'node:http'
import type { MatchedRoute, OutgoingEdits } from '@postern/contracts'
import type { BranchAction } from './actions/action.ts'
import { applyEdits, type CompiledEdits } from './actions/edits.ts'
import { locationOf, sendRedirect } from './actions/redirect.ts'
import { sendFixed } from './actions/respond.ts'
import { chooseBranch } from './actions/split.ts'
import type { ResolvedRouterOptions } from './options.ts'
import { captureParams, type Params } from './pattern/captures.ts'
import { passError, ROUTER_PROBLEMS, refuse } from './problems.ts'
import type { RequestFacts } from './request-facts.ts'
import type { Next, RouteHandler } from './route.ts'
import type { CompiledRoute } from './table/compiled-route.ts'
import type { Match } from './table/leaf.ts'
import type { Table } from './table/table.ts'

const NO_HANDLERS: readonly RouteHandler[] = []

/** What a route does once the handlers before it let the request go on. */
interface Guarded {
  readonly action: BranchAction
  readonly match: Match
}

/** What a route has changed, to be taken back when it passes with `next('route')`. */
interface Before {
  readonly route: MatchedRoute | undefined
  readonly params: Params | undefined
  readonly path: string | undefined
  readonly query: number
  readonly requestHeaders: number
  readonly responseHeaders: number
}

/** One request on its way through the routes that match it; one object a matched request. */
export class RouteRun {
  readonly #table: Table
  readonly #options: ResolvedRouterOptions
  readonly #facts: RequestFacts
  readonly #res: ServerResponse
  readonly #out: Next | undefined
  #handlers: readonly RouteHandler[] = NO_HANDLERS
  #at = 0
  #guarded: Guarded | undefined = undefined
  #over = false
  #route: CompiledRoute | undefined = undefined
  #tried: CompiledRoute[] | undefined = undefined
  #before: Before | undefined = undefined

  constructor(
    table: Table,
    options: ResolvedRouterOptions,
    facts: RequestFacts,
    res: ServerResponse,
    out: Next | undefined,
  ) {
    this.#table = table
    this.#options = options
    this.#facts = facts
    this.#res = res
    this.#out = out
  }

  /** Goes into a route that matches: notes it on the exchange, applies its edits, does what it says. */
  enter(match: Match): void {
    try {
      this.#enter(match)
    } catch (error) {
      // A split key of the user's own, or a header edit of an earlier stage that Node refuses.
      this.#fail(error)
    }
  }

  #enter(match: Match): void {
    const { route } = match
    const { exchange, req, view } = this.#facts
    const { outgoing } = exchange
    this.#route = route
    this.#before = before(exchange.route, req.params, outgoing)
    const params = captureParams(match.variant, view, 'value')
    let id = route.id
    let edits: CompiledEdits | undefined
    let action: BranchAction
    if (route.action.kind === 'split') {
      const branch = chooseBranch(route.action.split, this.#facts, params, this.#options.random)
      id = branch.routeId
      edits = branch.edits
      action = branch.action
    } else action = route.action
    exchange.route = { id, pattern: route.patternText, params }
    // A copy: a handler that changes req.params does not change what the exchange tells of its route.
    if (match.variant.captures) req.params = Object.assign(Object.create(null), req.params, params)
    const refused = this.#apply(route.edits, match) ?? this.#apply(edits, match)
    if (refused !== undefined) {
      refuse(req, this.#res, { problem: 'bad_request_target', reason: refused }, this.#options.errors, this.#out)
      return
    }
    if (route.before === undefined) this.#act(action, match)
    else {
      this.#guarded = { action, match }
      this.#run(route.before)
    }
  }

  /** The route and its branch one after the other; the reason when their parameters make no path. */
  #apply(edits: CompiledEdits | undefined, match: Match): string | undefined {
    if (edits === undefined) return undefined
    return applyEdits(edits, this.#facts.exchange.outgoing, match, this.#facts, this.#options.paths)?.refused
  }

  #act(action: BranchAction, match: Match): void {
    const { req, exchange } = this.#facts
    const { responseHeaders } = exchange.outgoing
    if (action.kind === 'handlers') {
      this.#run(action.handlers)
      return
    }
    // A handler before that goes on twice must not have a second answer made.
    this.#over = true
    if (action.kind === 'respond') sendFixed(req, this.#res, action.answer, responseHeaders)
    else {
      const answer = locationOf(action.redirect, match, this.#facts, this.#options.paths)
      if ('location' in answer) sendRedirect(this.#res, action.redirect.status, answer.location, responseHeaders)
      else {
        const problem = answer.refused === 'no Host' ? 'bad_host' : 'bad_request_target'
        refuse(req, this.#res, { problem, reason: answer.refused }, this.#options.errors, this.#out)
      }
    }
  }

  #run(handlers: readonly RouteHandler[]): void {
    this.#handlers = handlers
    this.#at = 0
    this.#step()
  }

  /** Runs the next handler; behind the last, does what the route does, or leaves the router. */
  #step(): void {
    const handler = this.#handlers[this.#at++]
    if (handler === undefined) {
      this.#goOn()
      return
    }
    // Not kept in a field: V8 then promotes each run with all it refers to, and the heap grows tenfold between full GCs.
    const next: Next = (error) => this.#continue(error)
    try {
      const result = handler(this.#facts.req, this.#res, next)
      if (isThenable(result)) result.then(undefined, (error) => this.#fail(error ?? new Error('Rejected promise')))
    } catch (error) {
      this.#fail(error)
    }
  }

  #goOn(): void {
    const guarded = this.#guarded
    if (guarded === undefined) {
      this.#leave()
      return
    }
    this.#guarded = undefined
    // An answer ends it, also one that came by another way while a handler waited.
    if (this.#res.headersSent) return
    try {
      this.#act(guarded.action, guarded.match)
    } catch (error) {
      // As in enter(): a header edit that Node refuses.
      this.#fail(error)
    }
  }

  #continue(error: unknown): void {
    if (error === undefined || error === null || error === false || error === '') {
      if (!this.#over) this.#step()
    } else if (error === 'route') {
      if (!this.#over) this.#tryNext()
    } else if (error === 'router') {
      if (!this.#over) this.#leave()
    } else this.#fail(error)
  }

  /** `next('route')`: what this route has changed is taken back, and the next best one has its turn. */
  #tryNext(): void {
    const { exchange, req } = this.#facts
    this.#guarded = undefined
    restore(this.#before!, exchange.outgoing)
    exchange.route = this.#before!.route
    if (this.#before!.params === undefined) delete req.params
    else req.params = this.#before!.params
    if (this.#tried === undefined) this.#tried = [this.#route!]
    else this.#tried.push(this.#route!)
    try {
      const match = this.#table.find(this.#facts, this.#tried)
      if (match === undefined) this.#leave()
      else this.enter(match)
    } catch (error) {
      this.#fail(error)
    }
  }

  #leave(): void {
    this.#over = true
    leaveRouter(this.#facts.req, this.#res, this.#options, this.#out)
  }

  #fail(error: unknown): void {
    this.#over = true
    passError(this.#facts.req, this.#res, error, this.#out)
  }
}

/** On to the rest of the app; in a bare server without a continuation there is nothing else, which is a 404. */
export function leaveRouter(
  req: RequestFacts['req'],
  res: ServerResponse,
  options: ResolvedRouterOptions,
  out: Next | undefined,
): void {
  if (out !== undefined) out()
  else
    refuse(req, res, { problem: 'route_not_found', reason: ROUTER_PROBLEMS.route_not_found.title }, options.errors, out)
}

function before(route: MatchedRoute | undefined, params: Params | undefined, outgoing: OutgoingEdits): Before {
  return {
    route,
    params,
    path: outgoing.path,
    query: outgoing.query?.length ?? 0,
    requestHeaders: outgoing.requestHeaders?.length ?? 0,
    responseHeaders: outgoing.responseHeaders?.length ?? 0,
  }
}

function restore(state: Before, outgoing: OutgoingEdits): void {
  outgoing.path = state.path
  if (outgoing.query !== undefined) outgoing.query.length = state.query
  if (outgoing.requestHeaders !== undefined) outgoing.requestHeaders.length = state.requestHeaders
  if (outgoing.responseHeaders !== undefined) outgoing.responseHeaders.length = state.responseHeaders
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as PromiseLike<unknown>).then === 'function'
}

import type { Scheme } from '@postern/auth'
import { type Exchange, exchangeOf } from '@postern/contracts'
import type { RouteHandler } from '@postern/router'

/** What a client may send that must not reach an upstream on a route, whoever is asked there. */
export interface ShieldParts {
  /** Names of all headers that tell an upstream who is calling, lower case. */
  readonly names: readonly string[]
  /** Schemes of the gateway that the route does not ask; those that it asks see to it themselves. */
  readonly others: readonly Scheme[]
  /** Whether credentials of the other schemes stay here as well. */
  readonly drops: boolean
}

/**
 * Keeps from upstreams what only the gateway may say there, and credentials that are none of their business, also on routes
 * where nobody is asked who he is. Undefined where there is nothing to keep.
 */
export function shield({ names, others, drops }: ShieldParts): RouteHandler | undefined {
  const guarding = others.filter((scheme) => scheme.guard !== undefined)
  const dropped = drops ? others : []
  if (names.length + guarding.length + dropped.length === 0) return undefined
  return function shieldHandler(req, res, next): void {
    const exchange = exchangeOf(req, res)
    for (const name of names) exchange.outgoing.setReserved(name, undefined)
    for (const scheme of guarding) scheme.guard!(req, exchange)
    if (dropped.length > 0) strip(dropped, exchange)
    next()
  }
}

/** In front of the edits that the route has made: what it sets in the same header is its own. */
function strip(schemes: readonly Scheme[], exchange: Exchange): void {
  const { outgoing, request } = exchange
  const before = outgoing.requestHeaders
  outgoing.requestHeaders = undefined
  for (const scheme of schemes) scheme.strip(request, exchange)
  if (before !== undefined) outgoing.requestHeaders = [...(outgoing.requestHeaders ?? []), ...before]
}

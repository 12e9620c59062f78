import type { Route } from './route.ts'
import type { CompiledRoute } from './table/compiled-route.ts'

/** A row of the table in use. Frozen. */
export interface RouteInfo {
  /** Its place in the table. */
  readonly index: number
  readonly id: string
  /** The path or prefix as configured; `*` for any path. */
  readonly pattern: string
  readonly kind: 'path' | 'prefix' | 'any'
  /** Host names, wildcards as `*.x`; empty: any. */
  readonly hosts: readonly string[]
  /** Empty: any. */
  readonly methods: readonly string[]
  readonly action: 'handlers' | 'redirect' | 'respond' | 'split'
  /** The branches of a split; else empty. */
  readonly branches: readonly { readonly id: string; readonly weight: number }[]
  /** The route as it was given (a shallow copy), so that a new table can be made of the old one. */
  readonly definition: Route
}

export function routeInfo(route: CompiledRoute): RouteInfo {
  const { index, id, patternText, hosts, methods, action, definition } = route
  const branches = action.kind === 'split' ? action.split.branches : []
  return Object.freeze({
    index,
    id,
    pattern: patternText,
    kind: definition.path !== undefined ? 'path' : definition.prefix !== undefined ? 'prefix' : 'any',
    hosts: Object.freeze(hosts.map((host) => `${host.isWildcard ? '*.' : ''}${host.name}`)),
    methods: Object.freeze([...(methods ?? [])]),
    action: action.kind,
    branches: Object.freeze(branches.map((branch) => Object.freeze({ id: branch.id, weight: branch.weight }))),
    definition,
  })
}

import type { BlockList } from 'node:net'
import type { CompiledAction } from '../actions/action.ts'
import type { CompiledEdits } from '../actions/edits.ts'
import type { Pattern } from '../pattern/pattern.ts'
import type { FieldTest } from '../predicates/fields.ts'
import { holds } from '../predicates/fields.ts'
import type { HostPattern } from '../predicates/hosts.ts'
import { contains } from '../predicates/networks.ts'
import type { RequestFacts } from '../request-facts.ts'
import type { Route, RouteHandler } from '../route.ts'
import { LOST_BY_CLIENT, LOST_BY_WHEN, type Loss } from './loss.ts'

/** A row of the table, ready to be asked. */
export interface CompiledRoute {
  /** Its place in the table. */
  readonly index: number
  readonly id: string
  /** The path or prefix as configured; `*` for any path. */
  readonly patternText: string
  readonly pattern: Pattern
  /** Empty: any host. */
  readonly hosts: readonly HostPattern[]
  readonly methods: ReadonlySet<string> | undefined
  readonly headers: readonly FieldTest[]
  readonly query: readonly FieldTest[]
  readonly cookies: readonly FieldTest[]
  readonly client: BlockList | undefined
  readonly when: Route['when']
  /** Conditions that precedence counts last: cookies, client and own. */
  readonly otherConditions: number
  readonly edits: CompiledEdits | undefined
  /** Run before the action; undefined when there are none. */
  readonly before: readonly RouteHandler[] | undefined
  readonly action: CompiledAction
  readonly definition: Route
}

/** How a route answers a method: 2 by name, 1 HEAD by GET, 0 any; -1 not at all. */
export function methodRank(route: CompiledRoute, method: string): number {
  if (route.methods === undefined) return 0
  if (route.methods.has(method)) return 2
  return method === 'HEAD' && route.methods.has('GET') ? 1 : -1
}

/** The first condition beyond host, path and method that does not hold; undefined when all do. */
export function lossOf(route: CompiledRoute, facts: RequestFacts): Loss | undefined {
  for (const test of route.headers) if (!holds(test, facts.header(test.name))) return test.loss
  for (const test of route.query) if (!holds(test, facts.query(test.name))) return test.loss
  for (const test of route.cookies) if (!holds(test, facts.cookie(test.name))) return test.loss
  if (route.client !== undefined && !contains(route.client, facts.address)) return LOST_BY_CLIENT
  // Strictly true: a forgotten promise must not open a route.
  if (route.when !== undefined && route.when(facts.req, facts.exchange) !== true) return LOST_BY_WHEN
  return undefined
}

/** Which of two routes of the same host and path comes first for a method; negative: the first. */
export function comparePredicates(a: CompiledRoute, b: CompiledRoute, method: string): number {
  return (
    methodRank(b, method) - methodRank(a, method) ||
    b.headers.length - a.headers.length ||
    b.query.length - a.query.length ||
    b.otherConditions - a.otherConditions ||
    a.index - b.index
  )
}

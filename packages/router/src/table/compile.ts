import type { ConfigFault } from '@postern/contracts'
import { compileAction, compileEdits, compileSplit } from '../actions/compile.ts'
import type { ResolvedRouterOptions } from '../options.ts'
import { ANY_PATH, type Pattern, PatternError, readPattern } from '../pattern/pattern.ts'
import { type FieldTest, fieldTests } from '../predicates/fields.ts'
import { type HostPattern, isHostFault, readHost } from '../predicates/hosts.ts'
import { type Networks, readNetworks } from '../predicates/networks.ts'
import type { Route, RouteHandler } from '../route.ts'
import { type Conditions, findTwins } from './ambiguity.ts'
import type { CompiledRoute } from './compiled-route.ts'

/** Collects what is wrong with one route. */
export interface FaultList {
  /** @param at behind `routes[3]`: `.prefix`, or empty for the route itself */
  add(at: string, message: string, received?: unknown, cure?: string): void
}

/** Routes that have the right form, compiled, and what is wrong with the others. */
export interface CompiledRoutes {
  readonly routes: readonly CompiledRoute[]
  readonly faults: readonly ConfigFault[]
}

/**
 * Compiles the routes of a table, and finds what only the whole table shows: ids used twice, and routes that can never be
 * reached because another one has the same conditions.
 *
 * @param isUsable false for routes whose form is wrong, which are left out
 */
export function compileRoutes(
  routes: readonly Route[],
  options: ResolvedRouterOptions,
  isUsable: (index: number) => boolean,
): CompiledRoutes {
  const faults: ConfigFault[] = []
  const rows: Conditions[] = []
  const ids = new Map<string, number>()
  routes.forEach((route, index) => {
    if (!isUsable(index) || route.id === undefined) return
    const first = ids.get(route.id)
    if (first === undefined) ids.set(route.id, index)
    else
      faults.push({ path: `routes[${index}].id`, message: `the same as that of routes[${first}]`, received: route.id })
  })
  routes.forEach((route, index) => {
    if (!isUsable(index)) return
    const before = faults.length
    const list: FaultList = {
      add: (at, message, received, cure) =>
        faults.push({
          path: `routes[${index}]${at}`,
          message,
          ...(received === undefined ? {} : { received }),
          ...(cure === undefined ? {} : { cure }),
        }),
    }
    const row = compileRoute(route, index, options, ids, list)
    if (row !== undefined && faults.length === before) rows.push(row)
  })
  faults.push(...branchIdFaults(rows, ids), ...findTwins(rows))
  return { routes: rows.map((row) => row.route), faults }
}

function compileRoute(
  given: Route,
  index: number,
  options: ResolvedRouterOptions,
  ids: Map<string, number>,
  faults: FaultList,
): Conditions | undefined {
  // Shallow, so that the caller may go on with its own object.
  const route = Object.freeze({ ...given })
  const pattern = patternOf(route, options, faults)
  const hosts = hostsOf(route, faults)
  const networks = networksOf(route, faults)
  const methods = route.method === undefined ? undefined : new Set(listOf(route.method).map((m) => m.toUpperCase()))
  const headers = fieldTests(route.headers, 'header', true)
  const query = fieldTests(route.query, 'query')
  const cookies = fieldTests(route.cookies, 'cookie')
  if (pattern === undefined) return undefined
  const id = route.id ?? defaultId(route, methods, [...headers, ...query, ...cookies], index, ids)
  const scope = { pattern, hasPath: route.path !== undefined, hasPrefix: route.prefix !== undefined, options, faults }
  const edits = compileEdits(route, '', scope)
  const action = route.split === undefined ? compileAction(route, '', scope) : compileSplit(route, id, scope)
  if (action === undefined) return undefined
  return {
    clientKey: networks?.key ?? '',
    route: {
      index,
      id,
      patternText: route.path ?? route.prefix ?? '*',
      pattern,
      hosts,
      methods,
      headers,
      query,
      cookies,
      client: networks?.list,
      when: route.when,
      otherConditions: cookies.length + (networks === undefined ? 0 : 1) + (route.when === undefined ? 0 : 1),
      edits,
      before: handlersBefore(route.before),
      action,
      definition: route,
    },
  }
}

/** A copy of the list; none and an empty one are the same. */
function handlersBefore(given: Route['before']): readonly RouteHandler[] | undefined {
  const handlers = [...listOf(given)]
  return handlers.length === 0 ? undefined : handlers
}

function patternOf(route: Route, options: ResolvedRouterOptions, faults: FaultList): Pattern | undefined {
  if (route.path !== undefined && route.prefix !== undefined) {
    faults.add('', 'path and prefix', { path: route.path, prefix: route.prefix }, 'choose one')
    return undefined
  }
  const kind = route.path === undefined ? 'prefix' : 'path'
  const text = route.path ?? route.prefix
  if (text === undefined) return ANY_PATH
  try {
    return readPattern(text, kind, options)
  } catch (error) {
    if (!(error instanceof PatternError)) throw error
    faults.add(`.${kind}`, error.message, text, error.cure)
    return undefined
  }
}

function hostsOf(route: Route, faults: FaultList): readonly HostPattern[] {
  const hosts: HostPattern[] = []
  listOf(route.host).forEach((text, i) => {
    const host = readHost(text)
    if (isHostFault(host))
      faults.add(Array.isArray(route.host) ? `.host[${i}]` : '.host', host.message, text, host.cure)
    else hosts.push(host)
  })
  return hosts
}

function networksOf(route: Route, faults: FaultList): Networks | undefined {
  if (route.client === undefined) return undefined
  const texts = listOf(route.client)
  const networks = readNetworks(texts)
  if ('list' in networks) return networks
  for (const i of networks) {
    const at = Array.isArray(route.client) ? `.client[${i}]` : '.client'
    faults.add(at, 'not a network', texts[i], 'write 10.0.0.0/8, 2001:db8::/32 or an address')
  }
  return undefined
}

function listOf<T>(value: T | readonly T[] | undefined): readonly T[] {
  if (value === undefined) return []
  return Array.isArray(value) ? value : [value as T]
}

/** `GET api.example.com/users/:id ?page`, numbered where that is not unique. */
function defaultId(
  route: Route,
  methods: ReadonlySet<string> | undefined,
  tests: readonly FieldTest[],
  index: number,
  ids: Map<string, number>,
): string {
  const path = route.path ?? `${(route.prefix ?? '').replace(/\/$/, '')}/*`
  const words = [`${listOf(route.host).join(',').toLowerCase()}${path}`]
  if (methods !== undefined) words.unshift([...methods].sort().join(','))
  for (const { loss, match } of tests) {
    const name = 'name' in loss ? loss.name : ''
    words.push(`${loss.kind}:${name}${match === true ? '' : `=${typeof match === 'string' ? match : String(match)}`}`)
  }
  if (route.client !== undefined) words.push(`client:${listOf(route.client).join(',')}`)
  if (route.when !== undefined) words.push('when')
  const id = words.join(' ').replace(/\p{Cc}/gu, ' ')
  let unique = id
  for (let n = index; ids.has(unique); n++) unique = `${id} #${n}`
  ids.set(unique, index)
  return unique
}

/** A branch is named `<route>/<branch>`, which must not be the name of another route. */
function branchIdFaults(rows: readonly Conditions[], ids: ReadonlyMap<string, number>): ConfigFault[] {
  const faults: ConfigFault[] = []
  for (const { route } of rows) {
    if (route.action.kind !== 'split') continue
    for (const { routeId, id } of route.action.split.branches) {
      const other = ids.get(routeId)
      if (other === undefined) continue
      faults.push({
        path: `routes[${route.index}].split`,
        message: `the branch "${id}" would be called as routes[${other}] is`,
        received: routeId,
        cure: 'give the route an id of its own',
      })
    }
  }
  return faults
}

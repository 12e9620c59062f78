import type { ConfigFault } from '@postern/contracts'
import type { FieldTest } from '../predicates/fields.ts'
import type { CompiledRoute } from './compiled-route.ts'

/** What of a route decides whether another one is its twin, networks as text. */
export interface Conditions {
  readonly route: CompiledRoute
  readonly clientKey: string
}

/**
 * Finds routes with identical conditions, of which the second could never be reached: a common host, the same pattern but
 * for the names in it, a common method (or both without), and the same predicates. Own functions and regular expressions
 * are the same when they are the same object.
 */
export function findTwins(rows: readonly Conditions[]): ConfigFault[] {
  const identity = new Identity()
  const groups = new Map<string, CompiledRoute[]>()
  const told = new Set<string>()
  const faults: ConfigFault[] = []
  for (const { route, clientKey } of rows) {
    const conditions = conditionsKey(route, clientKey, identity)
    const hosts =
      route.hosts.length === 0 ? [''] : route.hosts.map((host) => `${host.isWildcard ? '*.' : ''}${host.name}`)
    for (const host of new Set(hosts)) {
      const key = `${host} ${conditions}`
      const group = groups.get(key)
      if (group === undefined) {
        groups.set(key, [route])
        continue
      }
      const twin = group.find((other) => shareMethod(other, route))
      group.push(route)
      if (twin === undefined || told.has(`${twin.index} ${route.index}`)) continue
      told.add(`${twin.index} ${route.index}`)
      faults.push({
        path: `routes[${route.index}]`,
        message: `the same conditions as routes[${twin.index}] (${twin.id})`,
        received: route.patternText,
        cure: 'take one out, or give it a condition of its own',
      })
    }
  }
  return faults
}

function shareMethod(a: CompiledRoute, b: CompiledRoute): boolean {
  if (a.methods === undefined || b.methods === undefined) return a.methods === b.methods
  for (const method of a.methods) if (b.methods.has(method)) return true
  return false
}

function conditionsKey(route: CompiledRoute, clientKey: string, identity: Identity): string {
  return JSON.stringify([
    route.pattern.shape,
    fieldKeys(route.headers, identity),
    fieldKeys(route.query, identity),
    fieldKeys(route.cookies, identity),
    clientKey,
    route.when === undefined ? 0 : identity.of(route.when),
  ])
}

function fieldKeys(tests: readonly FieldTest[], identity: Identity): unknown[] {
  return tests.map(({ name, match }) => [name, match instanceof RegExp ? identity.of(match) : match])
}

/** Numbers objects, so that identity can stand in a key. */
class Identity {
  readonly #numbers = new Map<object, number>()

  of(value: object): number {
    let number = this.#numbers.get(value)
    if (number === undefined) {
      number = this.#numbers.size + 1
      this.#numbers.set(value, number)
    }
    return number
  }
}

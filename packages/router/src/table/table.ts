import type { RequestFacts } from '../request-facts.ts'
import type { CompiledRoute } from './compiled-route.ts'
import type { Match } from './leaf.ts'
import { Trie } from './trie.ts'

/**
 * The compiled table. Each host has a trie of its own, found by name; where nothing in it matches, the next less specific
 * host is asked: exact, then wildcards from the longest, then the routes of any host. So a lookup costs a few look-ups in
 * maps and one walk down a tree for each host that fits, however many routes there are.
 */
export class Table {
  readonly routes: readonly CompiledRoute[]
  /** Some route has a host condition, or answers with the client's host. */
  readonly needsHost: boolean
  readonly #exact = new Map<string, Trie>()
  readonly #wildcards = new Map<string, Trie>()
  readonly #anyHost = new Trie()

  constructor(routes: readonly CompiledRoute[]) {
    this.routes = routes
    this.needsHost = routes.some((route) => route.hosts.length > 0 || route.action.needsHost)
    for (const route of routes) {
      for (const trie of this.#triesOf(route)) {
        for (const variant of route.pattern.variants) trie.add(route, variant)
      }
    }
    this.#anyHost.seal()
    for (const trie of this.#exact.values()) trie.seal()
    for (const trie of this.#wildcards.values()) trie.seal()
  }

  /**
   * The most specific route whose conditions hold.
   *
   * @param tried routes that had their turn and passed with `next('route')`
   */
  find(facts: RequestFacts, tried?: readonly CompiledRoute[]): Match | undefined {
    const { host } = facts
    if (host !== '') {
      const match = this.#exact.get(host)?.find(facts, tried) ?? this.#findWildcard(host, facts, tried)
      if (match !== undefined) return match
    }
    return this.#anyHost.find(facts, tried)
  }

  #findWildcard(host: string, facts: RequestFacts, tried?: readonly CompiledRoute[]): Match | undefined {
    if (this.#wildcards.size === 0) return undefined
    // From the left: the longest wildcard comes first.
    for (let dot = host.indexOf('.', 1); dot !== -1; dot = host.indexOf('.', dot + 1)) {
      const match = this.#wildcards.get(host.slice(dot + 1))?.find(facts, tried)
      if (match !== undefined) return match
    }
    return undefined
  }

  #triesOf(route: CompiledRoute): readonly Trie[] {
    if (route.hosts.length === 0) return [this.#anyHost]
    return route.hosts.map(({ name, isWildcard }) => {
      const tries = isWildcard ? this.#wildcards : this.#exact
      let trie = tries.get(name)
      if (trie === undefined) {
        trie = new Trie()
        tries.set(name, trie)
      }
      return trie
    })
  }
}

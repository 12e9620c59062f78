import type { Variant } from '../pattern/pattern.ts'
import type { RequestFacts } from '../request-facts.ts'
import { type CompiledRoute, comparePredicates, lossOf, methodRank } from './compiled-route.ts'

/** A route that fits as far as host and path go, and the reading of its pattern by which it does. */
export interface Match {
  readonly route: CompiledRoute
  readonly variant: Variant
}

const NO_MATCHES: readonly Match[] = []

/** The routes that share host and path, sorted for each method they name. */
export class Leaf {
  readonly #all: Match[] = []
  readonly #byMethod = new Map<string, readonly Match[]>()
  #others: readonly Match[] = NO_MATCHES

  add(match: Match): void {
    // A host that is listed twice brings one route to the same place twice.
    if (this.#all.at(-1)?.route !== match.route) this.#all.push(match)
  }

  /** Sorts the lists; called once, behind the last `add()`. */
  seal(): void {
    const methods = new Set<string>()
    for (const { route } of this.#all) for (const method of route.methods ?? []) methods.add(method)
    if (methods.has('GET')) methods.add('HEAD')
    for (const method of methods) this.#byMethod.set(method, this.#listFor(method))
    this.#others = this.#listFor('')
  }

  /** The best route whose conditions hold. */
  choose(facts: RequestFacts, tried: readonly CompiledRoute[] | undefined): Match | undefined {
    for (const match of this.#byMethod.get(facts.method) ?? this.#others) {
      if (tried?.includes(match.route)) continue
      if (lossOf(match.route, facts) === undefined) return match
    }
    return undefined
  }

  #listFor(method: string): readonly Match[] {
    return this.#all
      .filter(({ route }) => methodRank(route, method) >= 0)
      .sort((a, b) => comparePredicates(a.route, b.route, method))
  }
}

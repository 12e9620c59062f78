import type { RequestFacts } from '../request-facts.ts'
import { varyValuesOf } from '../rules/vary.ts'

const NOTHING: readonly (string | undefined)[] = []

/**
 * Which requests will probably select the response that is on its way, by the fields that `Vary` named before. Those that
 * will not need not wait for it.
 */
export class ExpectedVariant {
  readonly #names: readonly string[]
  readonly #values: readonly (string | undefined)[]

  constructor(names: readonly string[], facts: RequestFacts) {
    this.#names = names
    this.#values = names.length === 0 ? NOTHING : varyValuesOf(names, facts)
  }

  matches(facts: RequestFacts): boolean {
    if (this.#names.length === 0) return true
    return varyValuesOf(this.#names, facts).every((value, i) => value === this.#values[i])
  }
}

import type { StoredHead } from '../stored-response.ts'
import type { PurgeScope } from './cache-state.ts'

/** The purges that came since a request was sent: what its answer brings may be what was true before. */
export class PurgeNotes {
  readonly #uri: string
  #isPurged = false
  /** Those of which only the response tells whether they are about it. */
  #scopes: PurgeScope[] | undefined = undefined

  constructor(uri: string) {
    this.#uri = uri
  }

  /**
   * @param head of the response, when it is known
   * @returns true when the purge is, or may be, about the response
   */
  add(scope: PurgeScope, head: StoredHead | undefined): boolean {
    if (scope.uri !== undefined || head !== undefined) {
      const isMeant = scope.uri === undefined ? scope.matches(this.#uri, head!) : scope.uri === this.#uri
      if (isMeant) this.#isPurged = true
      return isMeant
    }
    this.#scopes ??= []
    this.#scopes.push(scope)
    return true
  }

  /** True when the response was purged while it was on its way. */
  cover(head: StoredHead): boolean {
    return this.#isPurged || (this.#scopes?.some((scope) => scope.matches(this.#uri, head)) ?? false)
  }
}

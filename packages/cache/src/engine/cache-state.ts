import type { Exchange } from '@postern/contracts'
import { LRUCache } from 'lru-cache'
import type { RequestFacts } from '../request-facts.ts'
import type { StoredHead } from '../stored-response.ts'
import type { Fill } from './fill.ts'
import type { GuardedStore } from './guarded-store.ts'

/** What is known of a key from its last response: nobody may share it, or the fields that `Vary` named. */
export type KeyHint = 'unshared' | readonly string[]

/** For how long a key is taken to be one whose responses cannot be shared, in milliseconds. */
const HINT_MS = 120_000
const MAX_HINTS = 10_000
/** Longer keys are not remembered: what clients may choose must not fill the memory. */
const MAX_HINTED_KEY = 2_048

/** What a purge takes away. */
export interface PurgeScope {
  /** The only URI that it is about; undefined when only the responses tell. */
  readonly uri?: string
  matches(uri: string, head: StoredHead): boolean
}

/** What all handlers of one cache share: the store, the requests that are on their way, and what was learnt of keys. */
export class CacheState {
  readonly store: GuardedStore
  readonly #fills = new Map<string, Fill[]>()
  readonly #hints = new LRUCache<string, KeyHint>({ max: MAX_HINTS, ttl: HINT_MS })
  readonly #underWay = new Set<Fill>()
  /** The exchanges that go past this cache: mounted twice, it has no second look at them. */
  readonly #passed = new WeakSet<Exchange>()
  /** Bytes that responses on their way into the store hold. */
  pendingBytes = 0
  closed = false
  /** URIs that are being invalidated, with how often: what the store still has of them is not the truth any more. */
  readonly invalidating = new Map<string, number>()
  /** The stored responses, by `id`, that are being revalidated in the background. */
  readonly refreshing = new Set<string>()
  readonly counts = { hits: 0, misses: 0, stored: 0, collapsed: 0 }

  constructor(store: GuardedStore) {
    this.store = store
  }

  // Requests on their way

  /** Notes that an exchange goes past the cache. @returns false when it has been noted before */
  pass(exchange: Exchange): boolean {
    if (this.#passed.has(exchange)) return false
    this.#passed.add(exchange)
    return true
  }

  /** Counts a fill in; {@link leave} counts it out. */
  enter(fill: Fill): void {
    this.#underWay.add(fill)
  }

  leave(fill: Fill): void {
    this.#underWay.delete(fill)
    this.unlist(fill)
  }

  /** Lets others find a fill, to wait for it. */
  list(fill: Fill): void {
    const listed = this.#fills.get(fill.facts.key)
    if (listed === undefined) this.#fills.set(fill.facts.key, [fill])
    else listed.push(fill)
  }

  unlist(fill: Fill): void {
    const { key } = fill.facts
    const listed = this.#fills.get(key)
    if (listed === undefined) return
    const at = listed.indexOf(fill)
    if (at !== -1) listed.splice(at, 1)
    if (listed.length === 0) this.#fills.delete(key)
  }

  /** A fill under way whose answer a request may come to share. */
  findFill(facts: RequestFacts): Fill | undefined {
    return this.#fills.get(facts.key)?.find((fill) => fill.mayServe(facts))
  }

  /** True while a stored response is being revalidated. */
  isRevalidating(key: string, id: string): boolean {
    if (this.refreshing.has(id)) return true
    return this.#fills.get(key)?.some((fill) => fill.validates === id) ?? false
  }

  get fillsUnderWay(): readonly Fill[] {
    return [...this.#underWay]
  }

  /** Nothing of a URI is answered from the store until the returned function is called. */
  beginInvalidation(uri: string): () => void {
    const { invalidating } = this
    invalidating.set(uri, (invalidating.get(uri) ?? 0) + 1)
    return () => {
      const left = (invalidating.get(uri) ?? 1) - 1
      if (left === 0) invalidating.delete(uri)
      else invalidating.set(uri, left)
    }
  }

  // What was learnt

  hintOf(facts: RequestFacts): KeyHint | undefined {
    if (this.#hints.size === 0) return undefined
    return this.#hints.get(hintKey(facts))
  }

  /** @param hint undefined: nothing that was learnt before holds any more */
  learn(facts: RequestFacts, hint: KeyHint | undefined): void {
    if (hint === undefined && this.#hints.size === 0) return
    const key = hintKey(facts)
    if (hint === undefined) this.#hints.delete(key)
    else if (key.length <= MAX_HINTED_KEY) this.#hints.set(key, hint)
  }

  // Purges

  /**
   * Keeps what is purged from coming back with a request that was sent before: it may bring what was true then. Nobody
   * comes to wait for such a request any more.
   *
   * @param except the fill whose own request is the cause
   */
  outdate(scope: PurgeScope, except?: Fill): void {
    for (const fill of this.#underWay) {
      if (fill !== except && fill.outdate(scope)) this.unlist(fill)
    }
  }
}

/** What is learnt from callers that the origin may know is not used for others: they must not decide how these are served. */
function hintKey({ key, authorized, hasCookie }: RequestFacts): string {
  return authorized || hasCookie ? `${key}\npersonal` : key
}

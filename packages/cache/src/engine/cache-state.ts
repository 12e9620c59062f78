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

/**
 * Where a fill stands among those under way. The tables of a Set and of a Map outlive their entries until the next full
 * collection; through a place, they would keep the whole exchange alive so long.
 */
export interface Place {
  fill: Fill | undefined
}

/** The fills of one key that others may find, for the same reason behind an object of its own. */
interface Listed {
  first: Fill | undefined
  others: Fill[] | undefined
}

/** What a purge takes away. */
export interface PurgeScope {
  /** The only URI that it is about; undefined when only the responses tell. */
  readonly uri?: string
  matches(uri: string, head: StoredHead): boolean
}

/** What all handlers of one cache share: the store, the requests that are on their way, and what was learnt of keys. */
export class CacheState {
  readonly store: GuardedStore
  readonly #fills = new Map<string, Listed>()
  readonly #hints = new LRUCache<string, KeyHint>({ max: MAX_HINTS, ttl: HINT_MS })
  readonly #underWay = new Set<Place>()
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
  enter(fill: Fill): Place {
    const place: Place = { fill }
    this.#underWay.add(place)
    return place
  }

  leave(place: Place): void {
    const { fill } = place
    if (fill === undefined) return
    place.fill = undefined
    this.#underWay.delete(place)
    this.unlist(fill)
  }

  /** Lets others find a fill, to wait for it. */
  list(fill: Fill): void {
    const { key } = fill.facts
    const listed = this.#fills.get(key)
    if (listed === undefined) this.#fills.set(key, { first: fill, others: undefined })
    else {
      listed.others ??= []
      listed.others.push(fill)
    }
  }

  unlist(fill: Fill): void {
    const { key } = fill.facts
    const listed = this.#fills.get(key)
    if (listed === undefined) return
    if (listed.first === fill) listed.first = listed.others?.shift()
    else if (listed.others !== undefined) listed.others = listed.others.filter((each) => each !== fill)
    if (listed.first === undefined) this.#fills.delete(key)
  }

  /** A fill under way whose answer a request may come to share. */
  findFill(facts: RequestFacts): Fill | undefined {
    const listed = this.#fills.get(facts.key)
    if (listed?.first === undefined) return undefined
    return listed.first.mayServe(facts) ? listed.first : listed.others?.find((fill) => fill.mayServe(facts))
  }

  /** True while a stored response is being revalidated. */
  isRevalidating(key: string, id: string): boolean {
    if (this.refreshing.has(id)) return true
    const listed = this.#fills.get(key)
    return listed?.first?.validates === id || (listed?.others?.some((fill) => fill.validates === id) ?? false)
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
    for (const { fill } of this.#underWay) {
      if (fill !== undefined && fill !== except && fill.outdate(scope)) this.unlist(fill)
    }
  }
}

/** What is learnt from callers that the origin may know is not used for others: they must not decide how these are served. */
function hintKey({ key, authorized, hasCookie }: RequestFacts): string {
  return authorized || hasCookie ? `${key}\npersonal` : key
}

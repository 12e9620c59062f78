import type { BytePart, StoredHead, StoredResponse } from '../stored-response.ts'
import type { KeyEntry } from './key-entry.ts'

/** What the store notes of a response beside it. */
export interface Holding {
  /** The key that it stands behind. */
  readonly entry: KeyEntry
  /** Memory that it takes: head and content, without what is counted elsewhere. */
  readonly bytes: number
  /** Which of its strings are pooled, as in `KeptHead`. */
  readonly sharedNames: number
  readonly sharedValues: number
}

/**
 * A stored response in memory: plain data for whoever gets it, with what the store notes of it in private fields, which
 * no copy and no comparison sees. Never changed: another takes its place.
 */
export class HeldResponse implements StoredResponse {
  readonly id: string
  readonly variant: string
  readonly method: 'GET' | 'HEAD' | 'POST'
  readonly status: number
  readonly statusText: string
  readonly headers: readonly string[]
  readonly partition: string
  readonly vary: readonly string[]
  readonly varyValues: readonly (string | undefined)[]
  readonly dateMs: number
  readonly receivedAtMs: number
  readonly initialAgeMs: number
  readonly lifetimeMs: number
  readonly heuristic: boolean
  readonly noCache: boolean
  readonly mustRevalidate: boolean
  readonly staleWhileRevalidateMs: number
  readonly staleIfErrorMs: number
  readonly etag: string | undefined
  readonly lastModifiedMs: number | undefined
  readonly tags: readonly string[]
  readonly staleSinceMs: number | undefined
  readonly bodyBytes: number
  readonly parts: readonly BytePart[] | undefined
  readonly completeBytes: number | undefined
  readonly body: readonly Uint8Array[]
  readonly #entry: KeyEntry
  readonly #bytes: number
  readonly #sharedNames: number
  readonly #sharedValues: number

  constructor(head: StoredHead, body: readonly Uint8Array[], staleSinceMs: number | undefined, holding: Holding) {
    this.id = head.id
    this.variant = head.variant
    this.method = head.method
    this.status = head.status
    this.statusText = head.statusText
    this.headers = head.headers
    this.partition = head.partition
    this.vary = head.vary
    this.varyValues = head.varyValues
    this.dateMs = head.dateMs
    this.receivedAtMs = head.receivedAtMs
    this.initialAgeMs = head.initialAgeMs
    this.lifetimeMs = head.lifetimeMs
    this.heuristic = head.heuristic
    this.noCache = head.noCache
    this.mustRevalidate = head.mustRevalidate
    this.staleWhileRevalidateMs = head.staleWhileRevalidateMs
    this.staleIfErrorMs = head.staleIfErrorMs
    this.etag = head.etag
    this.lastModifiedMs = head.lastModifiedMs
    this.tags = head.tags
    this.staleSinceMs = staleSinceMs
    this.bodyBytes = head.bodyBytes
    this.parts = head.parts
    this.completeBytes = head.completeBytes
    this.body = body
    this.#entry = holding.entry
    this.#bytes = holding.bytes
    this.#sharedNames = holding.sharedNames
    this.#sharedValues = holding.sharedValues
  }

  /** What the store noted of a response. */
  static holding(response: HeldResponse): Holding {
    return {
      entry: response.#entry,
      bytes: response.#bytes,
      sharedNames: response.#sharedNames,
      sharedValues: response.#sharedValues,
    }
  }
}

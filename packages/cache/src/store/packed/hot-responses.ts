import { LRUCache } from 'lru-cache'
import type { StoredResponse } from '../../stored-response.ts'

const MOST_KEYS = 4_096
const LEAST_BYTES_A_KEY = 256

/** What stands behind a key, decoded. */
export interface HotEntry {
  readonly responses: readonly StoredResponse[]
  /** Location of the newest. */
  readonly newest: number
}

/**
 * The keys that were read last, with their responses as objects, so that what is asked for all the time is not decoded all
 * the time. Whoever changes the responses of a key takes it out first.
 */
export class HotResponses {
  readonly maxBytes: number
  readonly #entries: LRUCache<string, HotEntry>
  // Hashes of keys that were asked for lately, each at the place that it leads to. Two that meet here do no harm.
  readonly #sightings: Uint32Array

  /** @param onCooled told of each that goes, before anything else happens to its records */
  constructor(maxBytes: number, onCooled: (entry: HotEntry) => void) {
    this.maxBytes = maxBytes
    const keys = Math.max(1, Math.min(MOST_KEYS, Math.floor(maxBytes / LEAST_BYTES_A_KEY)))
    this.#sightings = new Uint32Array(keys)
    this.#entries = new LRUCache({
      max: keys,
      maxSize: Math.max(1, maxBytes),
      dispose: (entry) => onCooled(entry),
    })
  }

  get bytes(): number {
    return this.#entries.calculatedSize
  }

  get(key: string): readonly StoredResponse[] | undefined {
    return this.#entries.get(key)?.responses
  }

  /** The same without counting it as a use. */
  peek(key: string): readonly StoredResponse[] | undefined {
    return this.#entries.peek(key)?.responses
  }

  /** Whether a key is to be kept that is being read: one that was read before, lately, so that a scan keeps out. */
  admits(hash: number): boolean {
    const place = hash % this.#sightings.length
    if (this.#sightings[place] === hash) return true
    this.#sightings[place] = hash
    return false
  }

  set(key: string, responses: readonly StoredResponse[], newest: number, bytes: number): void {
    this.#entries.set(key, { responses, newest }, { size: bytes })
  }

  delete(key: string): void {
    this.#entries.delete(key)
  }
}

import type { StoredHead } from '../stored-response.ts'
import type { PurgeMode } from './cache-store.ts'
import { contentMemoryBytes } from './content.ts'
import { stringBytes } from './flat-string.ts'
import { HeldResponse } from './held-response.ts'
import { keepHead, releaseHead } from './kept-head.ts'
import type { KeyEntry } from './key-entry.ts'
import { KeyTable } from './key-table.ts'
import { Ledger } from './ledger.ts'
import { arrayBytes, KEY_BYTES, TAG_BYTES, TAG_MEMBER_BYTES } from './memory-costs.ts'
import { StringPool } from './string-pool.ts'

/**
 * What a store in memory holds. Every change to keys, responses, tags and pooled strings goes through here, so that the
 * ledger agrees with them, and is no more than `maxBytes` after each.
 */
export class Holdings {
  readonly ledger = new Ledger()
  readonly keys: KeyTable
  readonly #pool = new StringPool(this.ledger)
  readonly #maxBytes: number
  readonly #maxVariants: number

  constructor(maxBytes: number, maxVariants: number) {
    this.keys = new KeyTable(maxBytes, this.ledger)
    this.#maxBytes = maxBytes
    this.#maxVariants = maxVariants
  }

  /** @returns false when there is no room for it, even with nothing else stored */
  put(key: string, head: StoredHead, body: readonly Uint8Array[]): boolean {
    this.keys.advance()
    const entry = this.keys.get(key) ?? this.#open(key)
    const held = this.#hold(entry, head, body)
    if (bytesAlone(held) > this.#maxBytes) {
      this.#letGo(held)
      if (entry.responses.length === 0) this.#close(entry)
      return false
    }
    const responses = [held]
    for (const other of entry.responses) {
      const replaced = other.variant === held.variant
      if (!replaced && responses.length < this.#maxVariants) {
        responses.push(other)
      } else {
        this.#letGo(other)
        if (!replaced) this.ledger.evictions++
      }
    }
    this.#setResponses(entry, responses)
    this.#makeRoom(entry)
    return entry.responses[0] === held
  }

  /** @returns false when the response is not there, or not any more for want of room */
  update(key: string, head: StoredHead): boolean {
    const old = this.keys.peek(key)?.responses.find((response) => response.id === head.id)
    if (old === undefined) return false
    this.keys.advance()
    const entry = this.keys.get(key)!
    const held = this.#hold(entry, { ...head, bodyBytes: old.bodyBytes }, old.body)
    const responses: HeldResponse[] = []
    for (const other of entry.responses) {
      if (other === old) responses.push(held)
      // Of one variant there is one: what was just validated takes the place of another that it has become the same as.
      if (other === old || other.variant === held.variant) this.#letGo(other)
      else responses.push(other)
    }
    this.#setResponses(entry, responses)
    this.#makeRoom(entry)
    return entry.responses.includes(held)
  }

  /**
   * Takes away, or makes stale, what is picked out of the responses behind a key. `picks` must not change the store.
   *
   * @returns how many
   */
  purge(entry: KeyEntry, picks: (response: HeldResponse) => boolean, mode: PurgeMode, nowMs: number): number {
    const left: HeldResponse[] = []
    let purged = 0
    for (const response of entry.responses) {
      if (!picks(response)) {
        left.push(response)
        continue
      }
      purged++
      if (mode === 'stale') left.push(this.#madeStale(response, nowMs))
      else this.#letGo(response)
    }
    if (purged > 0) this.#setResponses(entry, left)
    return purged
  }

  #open(key: string): KeyEntry {
    this.ledger.bytes += KEY_BYTES + stringBytes(key)
    return this.keys.create(key)
  }

  #close(entry: KeyEntry): void {
    this.ledger.bytes -= KEY_BYTES + stringBytes(entry.key)
    this.keys.delete(entry)
  }

  #setResponses(entry: KeyEntry, responses: readonly HeldResponse[]): void {
    this.ledger.bytes += arrayBytes(responses.length) - arrayBytes(entry.responses.length)
    // A list that was pushed to has room to spare; a copy has not.
    entry.responses = responses.slice()
    if (responses.length === 0) this.#close(entry)
  }

  #hold(entry: KeyEntry, given: StoredHead, body: readonly Uint8Array[]): HeldResponse {
    const { tags } = entry.shard
    const { head, bytes: headBytes, ...shared } = keepHead(given, tags.ownTexts(given.tags), this.#pool)
    const bytes = headBytes + contentMemoryBytes(body)
    const held = new HeldResponse(head, body, head.staleSinceMs, { entry, bytes, ...shared })
    this.ledger.bytes += bytes
    this.ledger.responses++
    tags.add(held)
    return held
  }

  #letGo(response: HeldResponse): void {
    const { entry, bytes, sharedNames, sharedValues } = HeldResponse.holding(response)
    entry.shard.tags.remove(response)
    releaseHead(response, sharedNames, sharedValues, this.#pool)
    this.ledger.bytes -= bytes
    this.ledger.responses--
  }

  /** The same response, stale from now on if it was not before; it takes the account of the other over. */
  #madeStale(response: HeldResponse, nowMs: number): HeldResponse {
    const holding = HeldResponse.holding(response)
    const { tags } = holding.entry.shard
    const stale = new HeldResponse(response, response.body, response.staleSinceMs ?? nowMs, holding)
    tags.add(stale)
    tags.remove(response)
    return stale
  }

  /** Evicts the least recently used keys. The one that was just written to comes last, and loses its oldest response first. */
  #makeRoom(written: KeyEntry): void {
    while (this.ledger.bytes > this.#maxBytes) {
      const entry = this.keys.oldest()
      if (entry === undefined) return
      const left = entry === written ? entry.responses.slice(0, -1) : []
      for (const response of entry.responses.slice(left.length)) {
        this.#letGo(response)
        this.ledger.evictions++
      }
      this.#setResponses(entry, left)
    }
  }
}

/** What a response would take in a store that has nothing else. */
function bytesAlone(response: HeldResponse): number {
  const { entry, bytes } = HeldResponse.holding(response)
  let alone = bytes + KEY_BYTES + stringBytes(entry.key) + arrayBytes(1)
  for (const tag of response.tags) alone += TAG_BYTES + TAG_MEMBER_BYTES + stringBytes(tag)
  return alone
}

import { flatCopy, stringBytes } from './flat-string.ts'
import { HeldResponse } from './held-response.ts'
import type { KeyEntry } from './key-entry.ts'
import type { Ledger } from './ledger.ts'
import { TAG_BYTES, TAG_MEMBER_BYTES } from './memory-costs.ts'

interface TagRecord {
  readonly tag: string
  readonly responses: Set<HeldResponse>
}

const NO_TAGS: readonly string[] = Object.freeze([])

/** Which responses of a shard carry a tag. Books what it takes, the text of the tags included. */
export class TagIndex {
  readonly #ledger: Ledger
  readonly #records = new Map<string, TagRecord>()

  constructor(ledger: Ledger) {
    this.#ledger = ledger
  }

  /** The tags as strings of the index's own, where it has them: one copy, however many responses carry a tag. */
  ownTexts(tags: readonly string[]): readonly string[] {
    if (tags.length === 0) return NO_TAGS
    const copies = new Map<string, string>()
    return tags.map((tag) => {
      const own = this.#records.get(tag)?.tag ?? copies.get(tag) ?? flatCopy(tag)
      copies.set(tag, own)
      return own
    })
  }

  /** Adds a response, whose tags come from {@link ownTexts}, under each of its tags. */
  add(response: HeldResponse): void {
    for (const tag of response.tags) {
      let record = this.#records.get(tag)
      if (record === undefined) {
        record = { tag, responses: new Set() }
        this.#records.set(tag, record)
        this.#ledger.bytes += TAG_BYTES + stringBytes(tag)
      }
      if (record.responses.has(response)) continue
      record.responses.add(response)
      this.#ledger.bytes += TAG_MEMBER_BYTES
    }
  }

  /** Takes a response away from each of its tags; a tag that nobody carries any more goes with it. */
  remove(response: HeldResponse): void {
    for (const tag of response.tags) {
      const record = this.#records.get(tag)
      if (record === undefined || !record.responses.delete(response)) continue
      this.#ledger.bytes -= TAG_MEMBER_BYTES
      if (record.responses.size > 0) continue
      this.#records.delete(tag)
      this.#ledger.bytes -= TAG_BYTES + stringBytes(tag)
    }
  }

  /** The keys that a tag leads to, each once, as a list of its own: they may go while it is walked. */
  entries(tag: string): readonly KeyEntry[] {
    const record = this.#records.get(tag)
    if (record === undefined) return []
    const entries = new Set<KeyEntry>()
    for (const response of record.responses) entries.add(HeldResponse.holding(response).entry)
    return [...entries]
  }

  /** How many responses carry a tag. */
  count(tag: string): number {
    return this.#records.get(tag)?.responses.size ?? 0
  }

  /** Number of tags that somebody carries. */
  get size(): number {
    return this.#records.size
  }
}

import { contentMemoryBytes } from '../content.ts'
import { LARGE_CONTENT_BYTES } from '../memory-costs.ts'
import type { Ledger } from './ledger.ts'

/** Memory that a large content takes, as `keepContent()` returned it. */
export function largeContentBytes(kept: readonly Uint8Array[]): number {
  return LARGE_CONTENT_BYTES + contentMemoryBytes(kept)
}

/** Contents that are not copied into the arena but stay what they are, by numbers that the records have. */
export class LargeContents {
  readonly #ledger: Ledger
  readonly #contents = new Map<number, readonly Uint8Array[]>()
  #last = 0

  constructor(ledger: Ledger) {
    this.#ledger = ledger
  }

  /** @returns its number, never 0 */
  add(kept: readonly Uint8Array[]): number {
    do this.#last = (this.#last + 1) >>> 0
    while (this.#last === 0 || this.#contents.has(this.#last))
    this.#contents.set(this.#last, kept)
    this.#ledger.bytes += largeContentBytes(kept)
    return this.#last
  }

  get(number: number): readonly Uint8Array[] {
    return this.#contents.get(number)!
  }

  delete(number: number): void {
    this.#ledger.bytes -= largeContentBytes(this.get(number))
    this.#contents.delete(number)
  }
}

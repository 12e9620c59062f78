/** Where a body of unknown length begins, in bytes. */
const FIRST_BYTES = 1_024

/**
 * A body that is put together as it passes by. The bytes are copied: a list of the chunks would keep alive whatever they
 * are slices of, and cost more than the bytes where a client sends them one by one.
 */
export class BodyCopy {
  #bytes: Buffer
  #length = 0
  readonly #maxBytes: number

  /** @param expectedBytes the announced length; undefined: unknown. At most `maxBytes`. */
  constructor(expectedBytes: number | undefined, maxBytes: number) {
    this.#maxBytes = maxBytes
    this.#bytes = Buffer.allocUnsafe(expectedBytes ?? Math.min(FIRST_BYTES, maxBytes))
  }

  /** @returns false when the body has grown over its limit; nothing was taken then */
  add(chunk: Buffer): boolean {
    const length = this.#length + chunk.length
    if (length > this.#maxBytes) return false
    if (length > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(Math.min(this.#maxBytes, Math.max(length, this.#bytes.length * 2)))
      this.#bytes.copy(grown, 0, 0, this.#length)
      this.#bytes = grown
    }
    chunk.copy(this.#bytes, this.#length)
    this.#length = length
    return true
  }

  /** What there is of it. */
  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length)
  }
}

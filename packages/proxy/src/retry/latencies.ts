/** How many answers are remembered, how many are needed, and after how many the quantile is worked out anew. */
const SIZE = 256
const ENOUGH = 32
const EVERY = 32

/** The p95 of the latest times to a response's head; worked out now and then, not for each answer. */
export class Latencies {
  readonly #ring = new Float64Array(SIZE)
  #count = 0
  #p95: number | undefined = undefined

  add(headersMs: number): void {
    this.#ring[this.#count % SIZE] = headersMs
    this.#count++
    if (this.#count < ENOUGH || this.#count % EVERY !== 0) return
    const sorted = this.#ring.slice(0, Math.min(this.#count, SIZE)).sort()
    this.#p95 = sorted[Math.ceil(sorted.length * 0.95) - 1]
  }

  /** In milliseconds; undefined while there are too few answers. */
  get p95Ms(): number | undefined {
    return this.#p95
  }
}

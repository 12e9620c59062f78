/** Deadlines start again from 0 beyond this, so that their fractions never wear off. */
const REBASE_AT = 1e9

/**
 * Weighted turns for weights that make no short round: earliest deadline first. Each has a deadline every `1 / weight`,
 * the earliest takes its turn and gets its next deadline. A turn costs the logarithm of the number of weights.
 *
 * For any two, turns divided by weight never differ by more than one turn of each.
 */
export class DeadlineQueue {
  /** A binary heap of indices, earliest deadline on top; among equal deadlines the lower index. */
  readonly #heap: Uint32Array
  readonly #deadlines: Float64Array
  /** Distance of deadlines; 1 for the heaviest. */
  readonly #periods: Float64Array
  #now = 0

  /**
   * @param weights each more than 0
   * @param waits for each, how much of its period it has still to wait, 0 to 1; absent: all of it
   */
  constructor(weights: readonly number[], waits?: readonly number[]) {
    const heaviest = weights.reduce((a, b) => Math.max(a, b), 0)
    this.#periods = Float64Array.from(weights, (weight) => heaviest / weight)
    this.#deadlines = this.#periods.map((period, i) => period * (waits?.[i] ?? 1))
    this.#heap = Uint32Array.from(weights, (_, i) => i)
    for (let at = (this.#heap.length >> 1) - 1; at >= 0; at--) this.#sink(at)
  }

  /** Whose turn it is. */
  next(): number {
    const index = this.#heap[0]!
    this.#now = this.#deadlines[index]!
    this.#deadlines[index]! += this.#periods[index]!
    this.#sink(0)
    if (this.#now > REBASE_AT) {
      for (let i = 0; i < this.#deadlines.length; i++) this.#deadlines[i]! -= this.#now
      this.#now = 0
    }
    return index
  }

  /** How much of its period the one at `index` has still to wait, 0 to 1. */
  waitOf(index: number): number {
    return (this.#deadlines[index]! - this.#now) / this.#periods[index]!
  }

  #sink(start: number): void {
    const heap = this.#heap
    let at = start
    for (;;) {
      let least = at
      const left = 2 * at + 1
      if (left < heap.length && this.#isBefore(heap[left]!, heap[least]!)) least = left
      if (left + 1 < heap.length && this.#isBefore(heap[left + 1]!, heap[least]!)) least = left + 1
      if (least === at) return
      const moved = heap[at]!
      heap[at] = heap[least]!
      heap[least] = moved
      at = least
    }
  }

  #isBefore(a: number, b: number): boolean {
    const distance = this.#deadlines[a]! - this.#deadlines[b]!
    return distance < 0 || (distance === 0 && a < b)
  }
}

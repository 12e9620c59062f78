import type { Turn } from './turn.ts'

/** The requests that wait for the head of an answer to one like them, first come first. One timer serves them all. */
export class Waiters {
  readonly #waiting = new Set<Turn>()
  readonly #maxWaitMs: number
  readonly #onTooLong: () => void
  #timer: NodeJS.Timeout | undefined = undefined

  constructor(maxWaitMs: number, onTooLong: () => void) {
    this.#maxWaitMs = maxWaitMs
    this.#onTooLong = onTooLong
  }

  get size(): number {
    return this.#waiting.size
  }

  add(turn: Turn): void {
    this.#waiting.add(turn)
    this.#timer ??= setTimeout(this.#onTooLong, this.#maxWaitMs)
  }

  remove(turn: Turn): void {
    this.#waiting.delete(turn)
  }

  /** All of them; nobody waits any more. */
  take(): readonly Turn[] {
    const turns = [...this.#waiting]
    this.#waiting.clear()
    this.close()
    return turns
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }
}

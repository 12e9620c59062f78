import type { Turn } from './turn.ts'

/** The requests that wait for the head of an answer to one like them, first come first. One timer serves them all. */
export class Waiters {
  /** Made when the first comes: most requests are alone. */
  #waiting: Set<Turn> | undefined = undefined
  readonly #maxWaitMs: number
  readonly #onTooLong: () => void
  #timer: NodeJS.Timeout | undefined = undefined

  constructor(maxWaitMs: number, onTooLong: () => void) {
    this.#maxWaitMs = maxWaitMs
    this.#onTooLong = onTooLong
  }

  get size(): number {
    return this.#waiting?.size ?? 0
  }

  add(turn: Turn): void {
    this.#waiting ??= new Set()
    this.#waiting.add(turn)
    this.#timer ??= setTimeout(this.#onTooLong, this.#maxWaitMs)
  }

  remove(turn: Turn): void {
    this.#waiting?.delete(turn)
  }

  /** All of them; nobody waits any more. */
  take(): readonly Turn[] {
    if (this.#waiting === undefined) return NOBODY
    const turns = [...this.#waiting]
    this.#waiting = undefined
    this.close()
    return turns
  }

  close(): void {
    if (this.#timer === undefined) return
    clearTimeout(this.#timer)
    this.#timer = undefined
  }
}

const NOBODY: readonly Turn[] = []

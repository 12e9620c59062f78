interface Waiting {
  readonly start: () => void
}

/**
 * Lets so many tasks run at once and so many wait, in the order in which they came; more are turned away. A password's check
 * is made to be slow: without a bound, a handful of requests a second would keep all cores and libuv's threads from
 * everyone else.
 */
export class Gate {
  readonly #maxRunning: number
  readonly #maxWaiting: number
  readonly #waiting: Waiting[] = []
  #running = 0

  constructor(maxRunning: number, maxWaiting: number) {
    this.#maxRunning = maxRunning
    this.#maxWaiting = maxWaiting
  }

  /** Runs a task now or later; undefined when it is turned away. */
  run<Value>(task: () => Promise<Value>): Promise<Value> | undefined {
    if (this.#running < this.#maxRunning) return this.#start(task)
    if (this.#waiting.length >= this.#maxWaiting) return undefined
    return new Promise((resolve) => {
      this.#waiting.push({ start: () => resolve(this.#start(task)) })
    })
  }

  async #start<Value>(task: () => Promise<Value>): Promise<Value> {
    this.#running += 1
    try {
      return await task()
    } finally {
      this.#running -= 1
      this.#waiting.shift()?.start()
    }
  }
}

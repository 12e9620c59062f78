interface Waiter {
  readonly resolve: (drained: boolean) => void
  readonly timer: NodeJS.Timeout | undefined
}

/** Those who wait until a target has nothing in flight. */
export class DrainWaits {
  readonly #waiters = new Set<Waiter>()

  /**
   * @param timeoutMs gives up after so long; absent: never
   * @returns what `end` was called with; false when the time ran out first
   */
  wait(timeoutMs: number | undefined): Promise<boolean> {
    return new Promise((resolve) => {
      const waiter: Waiter = {
        resolve,
        timer: timeoutMs === undefined ? undefined : setTimeout(() => this.#end(waiter, false), timeoutMs).unref(),
      }
      this.#waiters.add(waiter)
    })
  }

  /** Answers everyone who waits. */
  end(drained: boolean): void {
    for (const waiter of this.#waiters) this.#end(waiter, drained)
  }

  #end(waiter: Waiter, drained: boolean): void {
    clearTimeout(waiter.timer)
    this.#waiters.delete(waiter)
    waiter.resolve(drained)
  }
}

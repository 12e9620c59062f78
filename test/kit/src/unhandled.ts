/** What a process would have died of. */
export interface Unhandled {
  /** Uncaught exceptions and unhandled rejections since the start, in order. Live. */
  readonly errors: readonly unknown[]
  /** Waits two turns of the event loop, so that late rejections are in, stops recording and returns the errors. */
  stop(): Promise<readonly unknown[]>
}

/** Records uncaught exceptions and unhandled rejections of this process until it is stopped. */
export function unhandled(): Unhandled {
  const errors: unknown[] = []
  const record = (error: unknown) => {
    errors.push(error)
  }
  process.on('uncaughtException', record)
  process.on('unhandledRejection', record)
  return {
    errors,
    async stop() {
      await new Promise((resolve) => setImmediate(resolve))
      await new Promise((resolve) => setImmediate(resolve))
      process.off('uncaughtException', record)
      process.off('unhandledRejection', record)
      return errors
    },
  }
}

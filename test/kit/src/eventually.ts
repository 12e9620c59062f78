export interface EventuallyOptions {
  /** Gives up after so many milliseconds. @default 5_000 */
  readonly timeoutMs?: number
  /** Asks every so many milliseconds. @default 5 */
  readonly intervalMs?: number
}

/**
 * Asks until the answer holds and returns it: for what happens soon, such as sockets closing. `false`, `null`, `0`, `''`
 * and a throw count as "not yet"; `undefined` holds, so that assertions can be asked.
 *
 * @throws the last error, or one that says that the condition never held
 */
export async function eventually<Value>(
  ask: () => Value | Promise<Value>,
  options: EventuallyOptions = {},
): Promise<Value> {
  const timeoutMs = options.timeoutMs ?? 5_000
  const until = performance.now() + timeoutMs
  let last: unknown
  for (;;) {
    try {
      const value = await ask()
      // An assertion that does not throw returns undefined: it holds.
      if (value !== false && value !== null && value !== 0 && value !== '') return value
      last = new Error(`eventually(): still ${JSON.stringify(value)} after ${timeoutMs} ms: ${ask.toString()}`)
    } catch (error) {
      last = error
    }
    if (performance.now() >= until) throw last
    await new Promise((resolve) => setTimeout(resolve, options.intervalMs ?? 5))
  }
}

import type { Soon } from '../scheme.ts'
import { type Answer, isNow, type NoAnswer, type TimedCallOptions, timedCall } from './timed-call.ts'

/** Look-ups that may go on at once; a flood of made-up credentials gets no further than that. */
export const MAX_IN_FLIGHT = 256

export interface LookUpOptions<Value> extends Omit<TimedCallOptions<Value>, 'call' | 'read'> {
  readonly ask: (key: string, signal: AbortSignal) => unknown
  readonly read: (returned: unknown, key: string) => Value
  /** Told of each answer once, before anybody else; not when the key was forgotten meanwhile. */
  readonly onAnswer?: (key: string, answer: Answer<Value>) => void
}

/** A look-up function of the application, asked once for all who want to know the same at the same time. */
export class LookUp<Value> {
  readonly #options: LookUpOptions<Value>
  readonly #waiting = new Map<string, Promise<Answer<Value>>>()
  /** Also those that nobody may join any longer, since their key was forgotten. */
  #inFlight = 0

  constructor(options: LookUpOptions<Value>) {
    this.#options = options
  }

  find(key: string): Soon<Answer<Value>> {
    const shared = this.#waiting.get(key)
    if (shared !== undefined) return shared
    if (this.#inFlight >= MAX_IN_FLIGHT) return BUSY
    const { ask, read, onAnswer, provider, timeoutMs } = this.#options
    const asked = timedCall({
      provider,
      timeoutMs,
      call: (signal) => ask(key, signal),
      read: (returned) => read(returned, key),
    })
    if (isNow(asked)) {
      onAnswer?.(key, asked)
      return asked
    }
    this.#inFlight += 1
    const waiting = asked.then((answer) => {
      this.#inFlight -= 1
      if (this.#waiting.get(key) === waiting) {
        this.#waiting.delete(key)
        onAnswer?.(key, answer)
      }
      return answer
    })
    this.#waiting.set(key, waiting)
    return waiting
  }

  /** What is being asked about a key now is not remembered, and nobody joins it any longer. */
  forget(key: string): void {
    this.#waiting.delete(key)
  }
}

const BUSY: NoAnswer = Object.freeze({
  failed: true,
  reason: 'busy',
  error: new Error(`more than ${MAX_IN_FLIGHT} look-ups are waiting for an answer`),
})

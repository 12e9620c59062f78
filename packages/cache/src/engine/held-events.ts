import type { EventEmitter } from 'node:events'

type Listener = (...values: unknown[]) => void

/**
 * Keeps some events of an object from those who began to listen after a moment; those who listened before are told as
 * ever.
 */
export class HeldEvents {
  readonly #emitter: EventEmitter
  readonly #events: readonly string[]
  /** Who listened at that moment; undefined: nobody. */
  readonly #early: Readonly<Record<string, readonly unknown[]>> | undefined
  #heldBack: [Listener, unknown[]][] | undefined = undefined
  #holds = false

  constructor(emitter: EventEmitter, events: readonly string[]) {
    this.#emitter = emitter
    this.#events = events
    let early: Record<string, readonly unknown[]> | undefined
    for (const event of events) {
      if (emitter.listenerCount(event) === 0) continue
      early ??= {}
      early[event] = emitter.rawListeners(event)
    }
    this.#early = early
  }

  /** From now on, until {@link release}. */
  hold(): void {
    if (this.#holds) return
    this.#holds = true
    const heldBack: [Listener, unknown[]][] = []
    this.#heldBack = heldBack
    const emitter = this.#emitter
    const emit = emitter.emit
    emitter.emit = (event: string | symbol, ...values: unknown[]): boolean => {
      if (!this.#holds || !this.#events.includes(event as string)) return emit.call(emitter, event, ...values)
      const early = this.#early?.[event as string]
      for (const listener of emitter.rawListeners(event) as Listener[]) {
        if (early?.includes(listener) === true) listener.call(emitter, ...values)
        else heldBack.push([listener, values])
      }
      return true
    }
  }

  /** Tells what was held back, and holds nothing any more. */
  release(): void {
    if (!this.#holds) return
    this.#holds = false
    for (const [listener, values] of this.#heldBack!.splice(0)) listener.call(this.#emitter, ...values)
  }
}

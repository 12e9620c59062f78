import type { ServerResponse } from 'node:http'

type Listener = ((...values: unknown[]) => void) & { readonly listener?: unknown }

/**
 * Who waits for `drain` on a response whose `on()` a stage before the cache has replaced (compression does): an event
 * that is emitted on the response would not reach them.
 */
export class DrainListeners {
  readonly #res: ServerResponse
  readonly #listeners = new Set<Listener>()

  constructor(res: ServerResponse) {
    this.#res = res
    const on = res.on
    res.on = ((event: string, listener: Listener) => {
      if (event === 'drain') this.#listeners.add(listener)
      return on.call(res, event, listener)
    }) as ServerResponse['on']
  }

  wake(): void {
    for (const listener of [...this.#listeners]) {
      // What once() has put in place tells so by the listener within; it fires one time only.
      if (listener.listener !== undefined) this.#listeners.delete(listener)
      listener.call(this.#res)
    }
  }
}

import { AsyncResource } from 'node:async_hooks'
import type { Exchange, ExchangeObserver } from '@postern/contracts'

/** Holds requests until the first list of targets is there, or does not come. */
export class FirstList {
  readonly #held = new Set<HeldRequest>()
  readonly #timer: NodeJS.Timeout
  #isOpen = false

  /** @param timeoutMs lets everyone go on after so long, and holds nobody from then on */
  constructor(timeoutMs: number) {
    this.#timer = setTimeout(() => this.open(), timeoutMs).unref()
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  /** Calls `next` when the list is there; never when the client leaves before. */
  hold(exchange: Exchange, next: () => void): void {
    const request = new HeldRequest(this.#held, exchange, next)
    this.#held.add(request)
    exchange.observe(request)
    if (exchange.deadline?.signal.aborted === true) request.release()
  }

  /** Lets everyone go on. May be called twice. */
  open(): void {
    this.#isOpen = true
    clearTimeout(this.#timer)
    for (const request of this.#held) request.release()
  }
}

class HeldRequest implements ExchangeObserver {
  readonly #held: Set<HeldRequest>
  readonly #exchange: Exchange
  readonly #resume: () => void
  readonly #onDeadline = (): void => this.release()

  constructor(held: Set<HeldRequest>, exchange: Exchange, next: () => void) {
    this.#held = held
    this.#exchange = exchange
    // It goes on from the source's stack: what follows belongs to the request all the same.
    this.#resume = AsyncResource.bind(() => next())
    exchange.deadline?.signal.addEventListener('abort', this.#onDeadline, { once: true })
  }

  onExchangeClosed(): void {
    this.#end()
  }

  /** A request whose time is over goes on, too: the proxy answers it. */
  release(): void {
    // One at a time, so that what one throws does not keep the others.
    if (this.#end()) queueMicrotask(this.#resume)
  }

  #end(): boolean {
    this.#exchange.deadline?.signal.removeEventListener('abort', this.#onDeadline)
    return this.#held.delete(this)
  }
}

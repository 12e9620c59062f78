import type { Exchange, ExchangeObserver } from '@postern/contracts'

/** One request that is held back. It goes on when its time is over; a client that leaves ends it. */
export class DelayedRequest implements ExchangeObserver {
  readonly #waiting: Set<DelayedRequest>
  readonly #goOn: () => void
  readonly #timer: NodeJS.Timeout

  /** @param waiting where it stands while it is held back */
  constructor(waiting: Set<DelayedRequest>, exchange: Exchange, delayMs: number, goOn: () => void) {
    this.#waiting = waiting
    this.#goOn = goOn
    this.#timer = setTimeout(onTimer, delayMs, this).unref()
    waiting.add(this)
    exchange.observe(this)
  }

  /** Lets the request go on now. */
  release(): void {
    if (this.#leave()) this.#goOn()
  }

  onExchangeClosed(): void {
    this.#leave()
  }

  /** @returns false when it had left before */
  #leave(): boolean {
    clearTimeout(this.#timer)
    return this.#waiting.delete(this)
  }
}

function onTimer(request: DelayedRequest): void {
  request.release()
}

import type { Exchange, ExchangeObserver } from '@postern/contracts'

/**
 * The exchanges of a gateway that are not over. Once it drains, their answers say `Connection: close`: the client comes
 * back over a new connection, which another instance takes.
 */
export class UnderWay implements ExchangeObserver {
  readonly #exchanges = new Set<Exchange>()
  #draining = false

  add(exchange: Exchange): void {
    if (this.#draining) exchange.response.shouldKeepAlive = false
    else if (!this.#exchanges.has(exchange)) {
      this.#exchanges.add(exchange)
      exchange.observe(this)
    }
  }

  onExchangeClosed(exchange: Exchange): void {
    this.#exchanges.delete(exchange)
  }

  drain(): void {
    this.#draining = true
    for (const { response } of this.#exchanges) response.shouldKeepAlive = false
  }
}

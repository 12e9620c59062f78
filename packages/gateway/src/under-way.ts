import type { Exchange, ExchangeObserver } from '@postern/contracts'

/**
 * The exchanges of a gateway that are not over. Once it drains, their answers say `Connection: close`: the client comes
 * back over a new connection, which another instance takes.
 */
export class UnderWay {
  readonly #places = new Set<Place>()
  #draining = false

  add(exchange: Exchange): void {
    if (this.#draining) exchange.response.shouldKeepAlive = false
    else {
      const place = new Place(this.#places, exchange)
      this.#places.add(place)
      exchange.observe(place)
    }
  }

  drain(): void {
    this.#draining = true
    for (const { exchange } of this.#places) if (exchange !== undefined) exchange.response.shouldKeepAlive = false
  }
}

/**
 * One exchange in the set. It is emptied when the exchange is over: V8 keeps what was once in a large set for longer than
 * the set does, and with the exchange it would keep the request, the answer and their buffers.
 */
class Place implements ExchangeObserver {
  readonly #places: Set<Place>
  exchange: Exchange | undefined

  constructor(places: Set<Place>, exchange: Exchange) {
    this.#places = places
    this.exchange = exchange
  }

  onExchangeClosed(): void {
    this.#places.delete(this)
    this.exchange = undefined
  }
}

import type { IncomingMessage, ServerResponse } from 'node:http'
import { inspect } from 'node:util'
import type { Exchange } from './exchange.ts'
import { type ErrorMode, failExchange, type GatewayError } from './gateway-error.ts'
import { warnOnce } from './log.ts'

/** Any Express handler, or one that is at home in a bare server. `next()` leaves the error as it was. */
export type FallbackHandler = (
  req: IncomingMessage,
  res: ServerResponse,
  next: (error?: unknown) => void,
) => void | Promise<void>

/** Whoever may answer in place of an error of the gateway's own. Asked once, before anything is sent. */
export interface Fallback {
  /** @returns true when it answers by itself; false leaves the error as it is */
  takeOver(error: GatewayError): boolean
}

/** A handler that stands in for answers that the gateway would have to refuse or fail. */
export interface FallbackOffer {
  readonly handler: FallbackHandler
  /** Which errors it answers; never called for those of the client (below 500). */
  accepts(error: GatewayError): boolean
  /** How the error is told when the handler calls `next()` after all. */
  readonly errors: ErrorMode
}

/**
 * Puts a fallback on the exchange. {@link failExchange} asks the one that was offered last first; one that does not take
 * the error leaves it to the one before it. A handler that throws is told of once, and the error is answered as it was.
 *
 * @param next Express's, for an error that is handed on after all
 */
export function offerFallback(exchange: Exchange, offer: FallbackOffer, next?: (error?: unknown) => void): void {
  exchange.fallback = new OfferedFallback(exchange, offer, next, exchange.fallback)
}

class OfferedFallback implements Fallback {
  readonly #exchange: Exchange
  readonly #offer: FallbackOffer
  readonly #next: ((error?: unknown) => void) | undefined
  readonly #outer: Fallback | undefined

  constructor(
    exchange: Exchange,
    offer: FallbackOffer,
    next: ((error?: unknown) => void) | undefined,
    outer: Fallback | undefined,
  ) {
    this.#exchange = exchange
    this.#offer = offer
    this.#next = next
    this.#outer = outer
  }

  takeOver(error: GatewayError): boolean {
    if (error.status < 500 || !this.#offer.accepts(error)) return this.#outer?.takeOver(error) ?? false
    const { request, response } = this.#exchange
    let left = false
    /** The handler does not answer after all: the outer fallback may, or the error is told. */
    const giveUp = (reason?: unknown): void => {
      if (left) return
      left = true
      if (reason !== undefined) {
        warnOnce('POSTERN_FALLBACK_FAILED', `a fallback failed, and the error was answered: ${inspect(reason)}`)
      }
      if (response.writableEnded) return
      this.#exchange.fallback = this.#outer
      failExchange(request, response, error, this.#offer.errors, this.#next)
    }
    try {
      const result = this.#offer.handler(request, response, giveUp)
      if (result instanceof Promise) result.catch(giveUp)
    } catch (thrown) {
      giveUp(thrown)
    }
    return true
  }
}

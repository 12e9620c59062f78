import type { IncomingMessage, ServerResponse } from 'node:http'
import { exchangeOf, type FallbackOffer, failExchange, offerFallback } from '@postern/contracts'
import { REFUSED } from './circuit.ts'
import type { CircuitState } from './circuit-state.ts'
import { Circuits } from './circuits.ts'
import { GuardedFallback, GuardedRequest } from './guarded-request.ts'
import { type CircuitBreakerOptions, resolveOptions, resolveWrapOptions, type WrapOptions } from './options.ts'
import { openProblem } from './problems.ts'
import { CircuitSelection } from './selection.ts'
import { type WrappedFunction, wrapFunction } from './wrapped-function.ts'

/** The handler that {@link circuitBreaker} returns, and the handles to its circuits. */
export interface CircuitBreakerHandler {
  (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void): void
  /**
   * Its circuits in the order in which they were first used, live: what they show is as of the moment of reading. A new
   * list each time.
   */
  readonly circuits: readonly CircuitState[]
  /**
   * Puts a circuit of its own in front of a function, for code that is no handler. Wrap once and call the result often.
   *
   * @returns a function of the same parameters. It rejects with a `GatewayError` of code `circuit_open` while the
   * circuit is not closed
   * @throws ConfigError when the options cannot be used, with all faults
   */
  wrap<This, Args extends unknown[], Result>(
    fn: (this: This, ...args: Args) => Result,
    options?: WrapOptions,
  ): WrappedFunction<This, Args, Result>
  /**
   * Holds a circuit open by hand until `reset()`.
   *
   * @param id of the circuit; absent: all there are and all that will be made
   * @throws RangeError (`POSTERN_UNKNOWN_CIRCUIT`) when there is no such circuit
   */
  isolate(id?: string): void
  /**
   * Closes a circuit by hand, isolated or not, with nothing remembered.
   *
   * @param id of the circuit; absent: all
   * @throws RangeError (`POSTERN_UNKNOWN_CIRCUIT`) when there is no such circuit
   */
  reset(id?: string): void
  /** Ends all circuits and their timers, for good; requests and calls then pass unguarded. May be called twice. */
  close(): void
}

/**
 * Stops sending to what keeps failing, and tries again after a while with one request. Behind `balancer()` there is a
 * circuit per target, and requests go to the targets whose circuit is closed; without one, a circuit guards whatever
 * handler comes after it.
 *
 * ```ts
 * app.use('/payments', balancer({ targets }), circuitBreaker(), proxy())
 * app.use('/rates', circuitBreaker(), ratesHandler)
 * ```
 *
 * @throws ConfigError when the options cannot be used, with all faults
 */
export function circuitBreaker(options: CircuitBreakerOptions = {}): CircuitBreakerHandler {
  const resolved = resolveOptions(options)
  const { fallback, fallbackOn, errors } = resolved
  const circuits = new Circuits(resolved)
  const isAccepted = fallbackOn === 'open' ? isCircuitOpen : isAnyError
  const offer: FallbackOffer | undefined = fallback && { handler: fallback, accepts: isAccepted, errors }

  function circuitBreakerHandler(req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void): void {
    if (circuits.closed) {
      next()
      return
    }
    const exchange = exchangeOf(req, res)
    if (exchange.selection !== undefined) {
      exchange.selection = new CircuitSelection(circuits, exchange.selection, exchange)
      if (offer !== undefined) offerFallback(exchange, offer, next)
      next()
      return
    }
    const circuit = circuits.route
    const request = new GuardedRequest(circuit, exchange)
    if (request.ticket === REFUSED) {
      circuit.rejected()
      if (offer !== undefined) offerFallback(exchange, offer, next)
      failExchange(req, res, openProblem(circuit.id, circuit.retryAfterMs()), errors, next)
      return
    }
    if (fallback !== undefined && fallbackOn === 'failure') {
      offerFallback(exchange, new GuardedFallback(request, fallback, errors), next)
    }
    exchange.observe(request)
    next()
  }

  const handles: Omit<CircuitBreakerHandler, 'circuits'> = {
    wrap: (fn, wrapOptions = {}) => {
      const resolvedWrap = resolveWrapOptions(fn, wrapOptions, `${resolved.name} function`)
      return wrapFunction(circuits.make(resolvedWrap.name, undefined), fn, resolvedWrap)
    },
    isolate: (id) => circuits.isolate(id),
    reset: (id) => circuits.reset(id),
    close: () => circuits.close(),
  }
  Object.defineProperty(circuitBreakerHandler, 'circuits', { get: () => circuits.views, enumerable: true })
  return Object.assign(circuitBreakerHandler, handles) as CircuitBreakerHandler
}

function isCircuitOpen(error: { readonly code: string }): boolean {
  return error.code === 'circuit_open'
}

function isAnyError(): boolean {
  return true
}

import type {
  ErrorMode,
  Exchange,
  ExchangeObserver,
  Failure,
  FallbackHandler,
  FallbackOffer,
  Outcome,
} from '@postern/contracts'
import type { Circuit, Probe } from './circuit.ts'
import { isRoutesFailure, type Verdict, verdictOf } from './policy.ts'

/** One request that went through the circuit of a route: learns from the answer what the handlers behind it came to. */
export class GuardedRequest implements ExchangeObserver, Probe {
  readonly #circuit: Circuit
  readonly #exchange: Exchange
  readonly #startedAtMs: number
  readonly #ticket: number
  /** Set when a fallback answers in place of what the handlers came to. */
  failed = false

  constructor(circuit: Circuit, exchange: Exchange) {
    this.#circuit = circuit
    this.#exchange = exchange
    this.#startedAtMs = circuit.options.clock.now()
    this.#ticket = circuit.admit(this)
  }

  get ticket(): number {
    return this.#ticket
  }

  onExchangeClosed(): void {
    this.#circuit.settle(this.#ticket, this.failed ? 'failure' : this.#judge(this.#outcome()))
  }

  /** As soon as the head of the answer is out, its status tells. */
  verdictSoFar(): Verdict {
    const { response } = this.#exchange
    if (this.failed || !response.headersSent) return 'failure'
    return this.#judge(this.#answered(response.statusCode))
  }

  #outcome(): Outcome {
    const { failure, response, attempts } = this.#exchange
    if (failure !== undefined) return failure
    // The connection of a tunnel was taken away from the response, which then never finishes.
    if (attempts.at(-1)?.status === 101) return this.#answered(101)
    return response.writableFinished ? this.#answered(response.statusCode) : CLIENT_LEFT
  }

  #answered(status: number): Outcome {
    const totalMs = this.#circuit.options.clock.now() - this.#startedAtMs
    // Only a proxy notes when the head came; of any other handler the whole time is known.
    return { status, headersMs: this.#exchange.attempts.at(-1)?.headersMs ?? totalMs, totalMs }
  }

  #judge(outcome: Outcome): Verdict {
    return verdictOf(outcome, this.#circuit.options, isRoutesFailure)
  }
}

/** A fallback for what the handlers behind a guarded route fail with; that it answered well does not make them well. */
export class GuardedFallback implements FallbackOffer {
  readonly handler: FallbackHandler
  readonly errors: ErrorMode
  readonly #request: GuardedRequest

  constructor(request: GuardedRequest, handler: FallbackHandler, errors: ErrorMode) {
    this.#request = request
    this.handler = handler
    this.errors = errors
  }

  accepts(): boolean {
    this.#request.failed = true
    return true
  }
}

const CLIENT_LEFT: Failure = Object.freeze({ type: 'client_aborted', phase: 'body', side: 'client', totalMs: 0 })

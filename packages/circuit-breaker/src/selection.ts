import {
  type Exchange,
  type Failure,
  isRefusal,
  type Lease,
  type Outcome,
  type Refusal,
  type Selection,
  type Target,
} from '@postern/contracts'
import { type Circuit, type Probe, REFUSED } from './circuit.ts'
import type { Circuits } from './circuits.ts'
import { isTargetsFailure, type Verdict, verdictOf } from './policy.ts'

/** Narrows the selection of one request to targets whose circuit lets an attempt through. */
export class CircuitSelection implements Selection {
  readonly #circuits: Circuits
  readonly #inner: Selection
  readonly #exchange: Exchange

  constructor(circuits: Circuits, inner: Selection, exchange: Exchange) {
    this.#circuits = circuits
    this.#inner = inner
    this.#exchange = exchange
  }

  get size(): number {
    return this.#inner.size
  }

  acquire(accept?: (target: Target) => boolean): Lease | Refusal {
    if (this.#circuits.closed) return this.#inner.acquire(accept)
    // While all circuits are closed there is nothing to narrow, and nobody is asked about each candidate.
    const result = this.#circuits.narrows ? this.#acquireNarrowed(accept) : this.#inner.acquire(accept)
    if (isRefusal(result)) return result
    const circuit = this.#circuits.of(result.target)
    const lease = new CircuitLease(result, circuit, this.#exchange)
    if (lease.admitted) return lease
    // A selection that leases what it was told not to. The attempt will not be made, which is nobody's failure.
    result.settle(NOT_MADE)
    circuit.rejected()
    return { reason: 'circuit_open', retryAfterMs: circuit.retryAfterMs() }
  }

  #acquireNarrowed(accept: ((target: Target) => boolean) | undefined): Lease | Refusal {
    const circuits = this.#circuits
    let accepted = 0
    let earliest: Circuit | undefined
    let retryAfterMs = Number.POSITIVE_INFINITY
    // Asked about candidates that are then not chosen, too, and more than once: it only looks.
    const result = this.#inner.acquire((target) => {
      if (accept !== undefined && !accept(target)) return false
      const circuit = circuits.known(target)
      if (circuit === undefined ? circuits.admitsUnknown : circuit.mayTry()) {
        accepted++
        return true
      }
      const waitMs = circuit?.retryAfterMs() ?? circuits.options.maxOpenMs
      if (waitMs < retryAfterMs) {
        retryAfterMs = waitMs
        earliest = circuit
      }
      return false
    })
    // It is our refusal only if circuits were all that stood in the way: not where every target was tried before, and not
    // where one that may be tried was refused for a reason of its own.
    if (!isRefusal(result) || accepted > 0 || retryAfterMs === Number.POSITIVE_INFINITY) return result
    earliest?.rejected()
    return { reason: 'circuit_open', retryAfterMs }
  }
}

class CircuitLease implements Lease, Probe {
  readonly target: Target
  readonly #inner: Lease
  readonly #circuit: Circuit
  readonly #exchange: Exchange
  #ticket: number

  constructor(inner: Lease, circuit: Circuit, exchange: Exchange) {
    this.target = inner.target
    this.#inner = inner
    this.#circuit = circuit
    this.#exchange = exchange
    this.#ticket = circuit.admit(this)
  }

  get admitted(): boolean {
    return this.#ticket !== REFUSED
  }

  settle(outcome: Outcome): void {
    const ticket = this.#ticket
    this.#ticket = REFUSED
    // Whoever made the lease tells of a second settling.
    this.#inner.settle(outcome)
    if (ticket !== REFUSED) this.#circuit.settle(ticket, this.#judge(outcome))
  }

  /** A tunnel or a long download as the probe is over when its head has come: the proxy notes that as it goes on. */
  verdictSoFar(): Verdict {
    const attempt = this.#exchange.attempts.findLast(({ target }) => target === this.target)
    if (attempt?.status === undefined || attempt.failure !== undefined) return 'failure'
    const totalMs = performance.now() - attempt.startedAtMs
    return this.#judge({ status: attempt.status, headersMs: attempt.headersMs ?? totalMs, totalMs })
  }

  #judge(outcome: Outcome): Verdict {
    return verdictOf(outcome, this.#circuit.options, isTargetsFailure)
  }
}

const NOT_MADE: Failure = Object.freeze({ type: 'superseded', phase: 'queue', side: 'gateway', totalMs: 0 })

import type { Target } from '@postern/contracts'
import type { CircuitCounts } from './channels.ts'
import type { Circuit } from './circuit.ts'

/** A circuit, as `handler.circuits` shows it: read-only, and always as it is at the moment of reading. */
export interface CircuitState {
  /** Id of its target; for a route the `name` of the circuit breaker; for a wrapped function its name. */
  readonly id: string
  /** Undefined for the circuit of a route or of a function. */
  readonly target: Target | undefined
  /** `isolated`: held open by hand. */
  readonly state: 'closed' | 'open' | 'half-open' | 'isolated'
  /** Within the last `windowMs`, and since the circuit was last closed. */
  readonly counts: CircuitCounts
  /** When it last opened, in milliseconds since the epoch; undefined while it is closed or isolated. */
  readonly openedAtMs: number | undefined
  /** When it half-opens, in milliseconds since the epoch; undefined unless it is open. */
  readonly retryAtMs: number | undefined
  /** How long it would stay open next time, at most: jitter shortens it. In milliseconds. */
  readonly nextOpenMs: number
}

/** What a user holds: it shows the circuit and cannot move it. */
export class CircuitView implements CircuitState {
  readonly #circuit: Circuit

  constructor(circuit: Circuit) {
    this.#circuit = circuit
  }
  get id(): string {
    return this.#circuit.id
  }
  get target(): Target | undefined {
    return this.#circuit.target
  }
  get state(): CircuitState['state'] {
    return this.#circuit.state
  }
  get counts(): CircuitCounts {
    return this.#circuit.counts
  }
  get openedAtMs(): number | undefined {
    return this.#circuit.openedAtMs
  }
  get retryAtMs(): number | undefined {
    return this.#circuit.retryAtMs
  }
  get nextOpenMs(): number {
    return this.#circuit.nextOpenMs
  }
  /** Without the target itself, which may hold a private key. */
  toJSON(): Omit<CircuitState, 'target'> {
    const { id, state, counts, openedAtMs, retryAtMs, nextOpenMs } = this
    return { id, state, counts, openedAtMs, retryAtMs, nextOpenMs }
  }
}

import { channel, nearest, type Target } from '@postern/contracts'
import { Circuit, type CircuitOwner } from './circuit.ts'
import type { CircuitState } from './circuit-state.ts'
import type { ResolvedCircuitBreakerOptions } from './options.ts'

/** What a balancer says of its targets; of its message we read this much. */
const targetChanged = channel<{ readonly target?: Target; readonly change?: string }>('postern:target:changed')

/** List this long and longer is looked through for circuits that are gone whenever it has doubled. */
const FIRST_SWEEP = 64

/**
 * All circuits of one circuit breaker, each made on first use.
 *
 * A target holds its circuit, not we: targets come and go, and a circuit goes with its target. At once when a balancer
 * tells that it took the target out, else when nobody has the target any more.
 */
export class Circuits implements CircuitOwner {
  readonly options: ResolvedCircuitBreakerOptions
  readonly #byTarget = new WeakMap<Target, Circuit>()
  #route: Circuit | undefined = undefined
  readonly #all = new Set<WeakRef<Circuit>>()
  #sweepAt = FIRST_SWEEP
  #shut = 0
  #allIsolated = false
  #closed = false
  #unsubscribe: (() => void) | undefined = undefined

  constructor(options: ResolvedCircuitBreakerOptions) {
    this.options = options
  }

  /** True once `close()` was called: everything is let through. */
  get closed(): boolean {
    return this.#closed
  }

  /** False while every target may be tried, so that nobody need ask for one. */
  get narrows(): boolean {
    return this.#shut > 0 || this.#allIsolated
  }

  get views(): readonly CircuitState[] {
    return Object.freeze(this.#live().map((circuit) => circuit.view))
  }

  /** The circuit of a target. */
  of(target: Target): Circuit {
    const known = this.#byTarget.get(target)
    if (known !== undefined) return known
    this.#unsubscribe ??= followTargets(this)
    const circuit = this.make(target.id, target)
    this.#byTarget.set(target, circuit)
    return circuit
  }

  /** The circuit of a target, if it was used before. */
  known(target: Target): Circuit | undefined {
    return this.#byTarget.get(target)
  }

  /** True when a target that was not used before may be tried. */
  get admitsUnknown(): boolean {
    return !this.#allIsolated
  }

  /** The circuit of the handlers behind us, for requests without a selection. */
  get route(): Circuit {
    this.#route ??= this.make(this.options.name, undefined)
    return this.#route
  }

  /** A new circuit. Whoever asks for it holds it. */
  make(id: string, target: Target | undefined): Circuit {
    const circuit = new Circuit(this, id, target)
    if (this.#closed) circuit.end()
    else {
      if (this.#all.size >= this.#sweepAt) this.#sweepAt = Math.max(FIRST_SWEEP, 2 * this.#live().length)
      this.#all.add(new WeakRef(circuit))
      if (this.#allIsolated) circuit.isolate()
    }
    return circuit
  }

  /** A balancer has found the target well: time to try it, if its circuit is open. */
  hasten(target: Target): void {
    this.#byTarget.get(target)?.hasten()
  }

  /** The target is gone, and so is its circuit. */
  forget(target: Target): void {
    const circuit = this.#byTarget.get(target)
    if (circuit === undefined) return
    this.#byTarget.delete(target)
    circuit.end()
    for (const ref of this.#all) if (ref.deref() === circuit) this.#all.delete(ref)
    this.circuitChanged()
  }

  circuitChanged(): void {
    this.#shut = this.#live().filter((circuit) => circuit.target !== undefined && circuit.state !== 'closed').length
  }

  isolate(id: string | undefined): void {
    if (id === undefined) this.#allIsolated = true
    for (const circuit of this.#named(id)) circuit.isolate()
  }

  reset(id: string | undefined): void {
    if (id === undefined) this.#allIsolated = false
    for (const circuit of this.#named(id)) circuit.reset()
  }

  close(): void {
    this.#closed = true
    this.#allIsolated = false
    this.#unsubscribe?.()
    for (const circuit of this.#live()) circuit.end()
    this.#all.clear()
    this.#shut = 0
  }

  /** Every circuit that is still held by someone, in the order in which they were made. */
  #live(): Circuit[] {
    const live: Circuit[] = []
    for (const ref of this.#all) {
      const circuit = ref.deref()
      if (circuit === undefined) this.#all.delete(ref)
      else live.push(circuit)
    }
    return live
  }

  /** @throws RangeError (`POSTERN_UNKNOWN_CIRCUIT`) when no circuit has that id */
  #named(id: string | undefined): Circuit[] {
    const all = this.#live()
    if (id === undefined) return all
    const found = all.filter((circuit) => circuit.id === id)
    if (found.length > 0) return found
    const ids = all.map((circuit) => circuit.id)
    const near = nearest(id, ids)
    const known =
      ids.length === 0
        ? 'there is none yet: a circuit is made when it is first used'
        : `the circuits are: ${ids.slice(0, 10).join(', ')}`
    const cure = near === undefined ? `${known}${ids.length > 10 ? ', …' : ''}` : `did you mean "${near}"?`
    throw Object.assign(new RangeError(`${this.options.name}: no circuit has the id ${JSON.stringify(id)}; ${cure}`), {
      code: 'POSTERN_UNKNOWN_CIRCUIT',
    })
  }
}

/** Follows what balancers tell of their targets. Holds the circuits weakly: a breaker may be dropped without `close()`. */
function followTargets(circuits: Circuits): () => void {
  const ref = new WeakRef(circuits)
  const listener = ({ target, change }: { readonly target?: Target; readonly change?: string }): void => {
    const circuits = ref.deref()
    if (circuits === undefined) targetChanged.unsubscribe(listener)
    else if (target === undefined) return
    else if (change === 'removed') circuits.forget(target)
    else if (change === 'healthy' || change === 'reachable') circuits.hasten(target)
  }
  targetChanged.subscribe(listener)
  return () => targetChanged.unsubscribe(listener)
}

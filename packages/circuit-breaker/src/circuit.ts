import type { Target, TypedChannel } from '@postern/contracts'
import {
  type CircuitChange,
  type CircuitChangeReason,
  type CircuitCounts,
  circuitClosed,
  circuitHalfOpened,
  circuitIsolated,
  circuitOpened,
} from './channels.ts'
import { type CircuitState, CircuitView } from './circuit-state.ts'
import type { ResolvedCircuitBreakerOptions } from './options.ts'
import { nominalOpenMs, openingReason, openTimeMs, type Verdict } from './policy.ts'
import { StateMachine } from './state-machine.ts'

/** What `admit()` gives to a call that may not be made. */
export const REFUSED = 0
/** What `admit()` gives once the circuit was ended: the call may be made, and nobody counts it. */
const UNCOUNTED = -1

/** A call that goes through a circuit, for when it turns out to be a probe that takes long. */
export interface Probe {
  /** What can be said of it before it is over: an answer whose head has come is an answer. */
  verdictSoFar(): Verdict
}

/** The circuits of a circuit breaker, as one of them sees them. */
export interface CircuitOwner {
  readonly options: ResolvedCircuitBreakerOptions
  /** A circuit is no longer closed, or closed again. */
  circuitChanged(): void
}

/**
 * One circuit. A call is admitted with a ticket and settled with it; tickets are void once the circuit has changed its
 * state, so that what was sent before an opening cannot judge the probe after it, nor the calls after that.
 */
export class Circuit {
  readonly id: string
  /** Undefined for the circuit of a route or of a function. */
  readonly target: Target | undefined
  readonly options: ResolvedCircuitBreakerOptions
  readonly view: CircuitState
  readonly #owner: CircuitOwner
  readonly #machine: StateMachine
  #ticket = 1
  #failuresInARow = 0
  /** Openings since it was last closed. */
  #openings = 0
  #openedAtWallMs: number | undefined = undefined
  #retryAtMs = 0
  #probe: Probe | undefined = undefined
  #probeTimer: NodeJS.Timeout | undefined = undefined
  #hastened = false
  #isolated = false
  #ended = false

  constructor(owner: CircuitOwner, id: string, target: Target | undefined) {
    this.id = id
    this.target = target
    this.#owner = owner
    this.options = owner.options
    this.#machine = new StateMachine(id, owner.options.windowMs, owner.options.clock, () => this.#halfOpened())
    this.view = new CircuitView(this)
  }

  get state(): 'closed' | 'open' | 'half-open' | 'isolated' {
    if (this.#isolated) return 'isolated'
    if (this.#machine.closed || this.#ended) return 'closed'
    return this.#machine.halfOpen ? 'half-open' : 'open'
  }

  get counts(): CircuitCounts {
    return this.#machine.counts
  }

  /** When it last opened, in milliseconds since the epoch; undefined while it is closed or isolated. */
  get openedAtMs(): number | undefined {
    return this.state === 'open' || this.state === 'half-open' ? this.#openedAtWallMs : undefined
  }

  /** When it half-opens, in milliseconds since the epoch; undefined unless it is open. */
  get retryAtMs(): number | undefined {
    return this.state === 'open' ? this.options.clock.wallNow() + this.retryAfterMs() : undefined
  }

  get nextOpenMs(): number {
    return nominalOpenMs(this.options, this.#openings)
  }

  /** True when an attempt would be admitted now. Changes nothing. */
  mayTry(): boolean {
    if (this.#ended) return true
    if (this.#isolated) return false
    return this.#machine.closed || (this.#machine.halfOpen && this.#probe === undefined)
  }

  /** How long until it may be worth trying again; 0 while a probe is under way. */
  retryAfterMs(): number {
    // Nobody knows when an operator will let go: not soon.
    if (this.#isolated) return this.options.maxOpenMs
    if (this.state !== 'open') return 0
    return Math.max(0, this.#retryAtMs - this.options.clock.now())
  }

  /**
   * Lets a call through, as the one probe when the circuit is half-open.
   *
   * @returns the ticket to settle it with, or {@link REFUSED}
   */
  admit(call: Probe): number {
    if (this.#ended) return UNCOUNTED
    if (!this.mayTry()) return REFUSED
    if (!this.#machine.closed) {
      this.#probe = call
      this.#probeTimer = setTimeout(endOverdueProbe, this.options.probeTimeoutMs, this).unref()
    }
    return this.#ticket
  }

  /** Notes that a call was refused. */
  rejected(): void {
    if (!this.#ended) this.#machine.countRejected()
  }

  /** Takes in what an admitted call came to. Once a ticket. */
  settle(ticket: number, verdict: Verdict): void {
    this.#settle(ticket, verdict, 'probe_failed')
  }

  /** The probe has had its time. Were it waited for, a target that swallows requests would hold the circuit for ever. */
  probeOverdue(): void {
    const probe = this.#probe
    if (probe !== undefined) this.#settle(this.#ticket, probe.verdictSoFar(), 'probe_overdue')
  }

  /** Lets an open circuit probe before its time: somebody has seen its target well. */
  hasten(): void {
    if (this.state !== 'open' || this.#hastened) return
    this.#hastened = true
    this.#retryAtMs = this.options.clock.now() + 1
    this.#machine.hasten()
  }

  /** Holds the circuit open until `reset()`, whatever happens. */
  isolate(): void {
    if (this.#isolated || this.#ended) return
    this.#isolated = true
    this.#voidTickets()
    this.#owner.circuitChanged()
    this.#publish(circuitIsolated, 'by_hand', this.counts)
  }

  /** Closes the circuit by hand, with nothing remembered. */
  reset(): void {
    if (this.#ended) return
    const { state } = this
    this.#isolated = false
    this.#close(state === 'closed' ? undefined : 'by_hand')
  }

  /** Ends its timers. Whoever still uses it is let through, uncounted. */
  end(): void {
    if (this.#ended) return
    this.#ended = true
    this.#isolated = false
    this.#voidTickets()
    this.#machine.shutdown()
  }

  #settle(ticket: number, verdict: Verdict, failedProbe: 'probe_failed' | 'probe_overdue'): void {
    if (this.#ended) return
    if (ticket !== this.#ticket) {
      this.#machine.countIgnored()
      return
    }
    const probing = !this.#machine.closed
    if (verdict === 'ignored') {
      this.#machine.countIgnored()
      // A probe that tells nothing makes room for the next one.
      if (probing) this.#endProbe()
    } else if (verdict === 'success') {
      this.#failuresInARow = 0
      this.#machine.countSuccess()
      if (probing) this.#close('probe_succeeded')
    } else {
      this.#failuresInARow++
      this.#machine.countFailure(verdict === 'slow')
      if (probing) this.#open(failedProbe, this.counts)
      else this.#openIfDue()
    }
  }

  #openIfDue(): void {
    const { counts } = this
    const requests = counts.successes + counts.failures
    const reason = openingReason(this.options, requests, counts.failures, this.#failuresInARow)
    if (reason !== undefined) this.#open(reason, counts)
  }

  #open(reason: CircuitChangeReason, counts: CircuitCounts): void {
    const { clock, random } = this.options
    const forMs = openTimeMs(this.options, this.#openings, random())
    this.#openings++
    this.#openedAtWallMs = clock.wallNow()
    this.#retryAtMs = clock.now() + forMs
    this.#voidTickets()
    this.#machine.open(forMs)
    this.#owner.circuitChanged()
    this.#publish(circuitOpened, reason, counts, forMs)
  }

  #halfOpened(): void {
    const reason = this.#hastened ? 'target_recovered' : 'time'
    this.#voidTickets()
    if (!this.#isolated) this.#publish(circuitHalfOpened, reason, this.counts)
  }

  /** @param reason undefined: it was closed already, and nobody is told */
  #close(reason: CircuitChangeReason | undefined): void {
    const { counts } = this
    this.#openings = 0
    this.#voidTickets()
    this.#machine.close()
    this.#owner.circuitChanged()
    if (reason !== undefined) this.#publish(circuitClosed, reason, counts)
  }

  #voidTickets(): void {
    this.#ticket++
    this.#failuresInARow = 0
    this.#hastened = false
    this.#endProbe()
  }

  #endProbe(): void {
    clearTimeout(this.#probeTimer)
    this.#probeTimer = undefined
    this.#probe = undefined
  }

  #publish(
    channel: TypedChannel<CircuitChange>,
    reason: CircuitChangeReason,
    counts: CircuitCounts,
    openMs?: number,
  ): void {
    if (!channel.hasSubscribers) return
    const { id, target } = this
    channel.publish({ circuitBreaker: this.options.name, id, target, reason, counts, openMs })
  }
}

function endOverdueProbe(circuit: Circuit): void {
  circuit.probeOverdue()
}

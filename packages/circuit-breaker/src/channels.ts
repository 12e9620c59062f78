import { channel, type Target, type TypedChannel } from '@postern/contracts'

/**
 * Why a circuit changed its state.
 *
 * - `failure_ratio`, `consecutive_failures`: it opened after what the calls came to
 * - `probe_failed`, `probe_overdue`: it opened again, since its probe failed or took too long
 * - `time`: it was open for its time, and lets one probe through; `target_recovered`: so it does before its time, since a
 *   balancer has found its target reachable or healthy again
 * - `probe_succeeded`: it closed
 * - `by_hand`: `isolate()` or `reset()`
 */
export type CircuitChangeReason =
  | 'failure_ratio'
  | 'consecutive_failures'
  | 'probe_failed'
  | 'probe_overdue'
  | 'time'
  | 'target_recovered'
  | 'probe_succeeded'
  | 'by_hand'

/** What calls through a circuit came to, within its window. */
export interface CircuitCounts {
  readonly successes: number
  /** Those that were too slow among them. */
  readonly failures: number
  readonly slow: number
  /** Requests and calls that were refused since the circuit was not closed. */
  readonly rejected: number
  /** What says nothing about the target: a client that left, an attempt that was given up, a result that came too late. */
  readonly ignored: number
}

/** The message of the circuit channels. */
export interface CircuitChange {
  /** The `name` option of the circuit breaker. */
  readonly circuitBreaker: string
  /** Id of the circuit: its target's, its route's or its function's name. */
  readonly id: string
  /** Undefined for the circuit of a route or of a function. */
  readonly target: Target | undefined
  readonly reason: CircuitChangeReason
  /** As they were when it changed. */
  readonly counts: CircuitCounts
  /** How long it stays open, in milliseconds; undefined unless it opened. */
  readonly openMs: number | undefined
}

/** Published when a circuit opens, or opens again after a probe; after the change has taken effect, as all of these. */
export const circuitOpened: TypedChannel<CircuitChange> = channel<CircuitChange>('postern:circuit:opened')
/** Published when a circuit that was open lets one probe through. */
export const circuitHalfOpened: TypedChannel<CircuitChange> = channel<CircuitChange>('postern:circuit:half-opened')
/** Published when a circuit closes, after a good probe or by hand. */
export const circuitClosed: TypedChannel<CircuitChange> = channel<CircuitChange>('postern:circuit:closed')
/** Published when a circuit is isolated by hand. */
export const circuitIsolated: TypedChannel<CircuitChange> = channel<CircuitChange>('postern:circuit:isolated')

import { type Attempt, channel, type Exchange, type Outcome, type Target, type TypedChannel } from '@postern/contracts'
import type { MirrorDrop } from './mirror/mirror-copy.ts'

/** One attempt that is over. */
export interface SettledAttempt {
  readonly exchange: Exchange
  readonly attempt: Attempt
  readonly outcome: Outcome
}

/** Published once an attempt is over, answered or failed. */
export const attemptSettled: TypedChannel<SettledAttempt> = channel<SettledAttempt>('postern:attempt:settled')

/** One copy of a request that is over. */
export interface SettledMirror {
  /** The exchange that was copied; it may be over already. */
  readonly exchange: Exchange
  /** The mirror. */
  readonly target: Target
  readonly outcome: Outcome
}

/** Published once a copy of a request is over, answered or failed. */
export const mirrorSettled: TypedChannel<SettledMirror> = channel<SettledMirror>('postern:mirror:settled')

/** One request that was to be copied and was not. */
export interface DroppedMirror {
  readonly exchange: Exchange
  readonly target: Target
  readonly reason: MirrorDrop
}

/** Published when a request that was to be copied is not. */
export const mirrorDropped: TypedChannel<DroppedMirror> = channel<DroppedMirror>('postern:mirror:dropped')

/** One fault that was put into an exchange on purpose. */
export interface InjectedFault {
  readonly exchange: Exchange
  /** The `name` option of the `faultInjection()`. */
  readonly name: string
  readonly kind: 'delay' | 'abort' | 'reset'
  /** How long the request is held back, in milliseconds; 0 unless it is a delay. */
  readonly delayMs: number
  /** Status of the answer; undefined unless it is an abort. */
  readonly status: number | undefined
}

/** Published when `faultInjection()` begins a delay, answers in place of the upstream, or cuts a connection. */
export const faultInjected: TypedChannel<InjectedFault> = channel<InjectedFault>('postern:fault:injected')

/** One attempt that failed, or was answered with a status that counts so, and is followed by another. */
export interface RetriedAttempt {
  readonly exchange: Exchange
  readonly attempt: Attempt
  /** How long the next one is held back, in milliseconds. */
  readonly delayMs: number
}

/** Published when another attempt is to follow; the attempt's own end is told on {@link attemptSettled}. */
export const attemptRetried: TypedChannel<RetriedAttempt> = channel<RetriedAttempt>('postern:attempt:retried')

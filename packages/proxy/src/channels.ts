import { type Attempt, channel, type Exchange, type Outcome, type TypedChannel } from '@postern/contracts'

/** One attempt that is over. */
export interface SettledAttempt {
  readonly exchange: Exchange
  readonly attempt: Attempt
  readonly outcome: Outcome
}

/** Published once an attempt is over, answered or failed. */
export const attemptSettled: TypedChannel<SettledAttempt> = channel<SettledAttempt>('postern:attempt:settled')

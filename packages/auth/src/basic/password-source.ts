import type { IncomingMessage } from 'node:http'
import { refused, type Soon, type Verdict, type Verified } from '../scheme.ts'
import type { BasicCredentials } from './credentials.ts'

/** From where it is known whether a password is good. */
export interface PasswordSource {
  /** What is known of a pair without asking. */
  recall(credentials: BasicCredentials): Verified | undefined
  verify(credentials: BasicCredentials, req: IncomingMessage): Soon<Verdict>
  /** Drops what is remembered of a user. */
  forget(username: string): void
  close(): void
}

// A client is told the same in each of these cases; which it was is for the operator.
export const UNKNOWN_USER = refused('unknown-user', { isGuess: true })
export const WRONG_PASSWORD = refused('password', { isGuess: true })
/** The password was good when the check began. */
export const CHANGED_MEANWHILE = refused('password-changed')

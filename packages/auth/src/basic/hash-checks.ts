import { providerFailed } from '../channels.ts'
import { type Soon, type Unavailable, unavailable } from '../scheme.ts'
import type { Gate } from './gate.ts'
import type { PasswordHash } from './password-hash.ts'
import { verifyPassword } from './verify-password.ts'

/** When it is worth coming again to a gate that is full. */
export const BUSY_RETRY_MS = 1_000

/** Checks passwords against hashes, a bounded number at once, and equal pairs once for all who show them at the same time. */
export class HashChecks {
  readonly #gate: Gate
  readonly #running = new Map<string, Promise<boolean | Unavailable>>()

  constructor(gate: Gate) {
    this.#gate = gate
  }

  /** @param mark names the password and the hash together */
  check(hash: PasswordHash, password: string, mark: string): Soon<boolean | Unavailable> {
    const shared = this.#running.get(mark)
    if (shared !== undefined) return shared
    const checked = this.#gate.run(() => verifyPassword(hash, password))
    if (checked === undefined) return unavailable('busy', BUSY_RETRY_MS)
    const running = checked.catch(failed).finally(() => this.#running.delete(mark))
    this.#running.set(mark, running)
    return running
  }
}

/** The library does not load, or there is no memory for it; a wrong password is no failure. */
function failed(error: unknown): Unavailable {
  if (providerFailed.hasSubscribers) providerFailed.publish({ provider: 'basic-hash', url: undefined, error })
  return unavailable('hash-failed', BUSY_RETRY_MS, error)
}

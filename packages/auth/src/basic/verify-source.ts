import type { IncomingMessage } from 'node:http'
import type { Identity } from '@postern/contracts'
import { isNow, timedCall } from '../credentials/timed-call.ts'
import { withUser } from '../credentials/user-of.ts'
import { type Soon, unavailable, type Verdict, type Verified } from '../scheme.ts'
import type { BasicCredentials } from './credentials.ts'
import { Gate } from './gate.ts'
import { BUSY_RETRY_MS } from './hash-checks.ts'
import type { PasswordCheck, ResolvedBasicOptions } from './options.ts'
import { type PasswordSource, WRONG_PASSWORD } from './password-source.ts'
import { ProvenPairs } from './proven-pairs.ts'
import { readVerified } from './users.ts'

/** Passwords that the application checks itself. What it said is remembered only when it is told for how long. */
export class VerifySource implements PasswordSource {
  readonly #options: ResolvedBasicOptions
  readonly #check: PasswordCheck
  readonly #proven: ProvenPairs<Verified>
  readonly #gate: Gate

  constructor(options: ResolvedBasicOptions, check: PasswordCheck) {
    this.#options = options
    this.#check = check
    this.#proven = new ProvenPairs(options.cacheMs, options.maxEntries, options.clock)
    this.#gate = new Gate(options.maxConcurrent, options.maxQueued)
  }

  recall(credentials: BasicCredentials): Verified | undefined {
    if (this.#options.cacheMs === 0) return undefined
    return this.#proven.find(this.#proven.markOf(credentials, ''))
  }

  verify(credentials: BasicCredentials, req: IncomingMessage): Soon<Verdict> {
    return this.#gate.run(async () => this.#ask(credentials, req)) ?? unavailable('busy', BUSY_RETRY_MS)
  }

  forget(username: string): void {
    this.#proven.forget(username)
  }

  close(): void {
    this.#proven.clear()
  }

  async #ask(credentials: BasicCredentials, req: IncomingMessage): Promise<Verdict> {
    const { username, password } = credentials
    const { name, timeoutMs, user } = this.#options
    const { epoch } = this.#proven
    const asked = timedCall<Identity | undefined>({
      provider: 'basic-verify',
      timeoutMs,
      call: (signal) => this.#check(username, password, req, signal),
      read: (returned) => readVerified(name, returned, username),
    })
    const answer = isNow(asked) ? asked : await asked
    if (answer.failed) return unavailable(`verify-${answer.reason}`, BUSY_RETRY_MS, answer.error)
    if (answer.value === undefined) return WRONG_PASSWORD
    const verdict = await withUser(answer.value, user, req, timeoutMs)
    if (verdict.outcome === 'verified') {
      this.#proven.add(this.#proven.markOf(credentials, ''), username, verdict, epoch)
    }
    return verdict
  }
}

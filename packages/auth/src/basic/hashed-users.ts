import type { IncomingMessage } from 'node:http'
import { isNow } from '../credentials/timed-call.ts'
import { withUser } from '../credentials/user-of.ts'
import type { Soon, Unavailable, Verdict } from '../scheme.ts'
import type { BasicCredentials } from './credentials.ts'
import { Gate } from './gate.ts'
import { HashChecks } from './hash-checks.ts'
import type { ResolvedBasicOptions } from './options.ts'
import type { PasswordHash } from './password-hash.ts'
import { CHANGED_MEANWHILE, UNKNOWN_USER, WRONG_PASSWORD } from './password-source.ts'
import { ProvenPairs } from './proven-pairs.ts'
import type { UserEntry } from './users.ts'

/** The checks of passwords whose hashes are known, wherever those come from. */
export class HashedUsers {
  readonly #options: ResolvedBasicOptions
  readonly #proven: ProvenPairs<true>
  readonly #checks: HashChecks

  constructor(options: ResolvedBasicOptions) {
    this.#options = options
    this.#proven = new ProvenPairs(options.cacheMs, options.maxEntries, options.clock)
    this.#checks = new HashChecks(new Gate(options.maxConcurrent, options.maxQueued))
  }

  isProven(credentials: BasicCredentials, hash: PasswordHash): boolean {
    return this.#proven.find(this.#proven.markOf(credentials, hash.text)) === true
  }

  /**
   * Checks a pair. A name that nobody has takes the same way, with the hash of somebody else, and ends otherwise.
   *
   * @param entry the user; undefined when nobody has the name
   * @param decoy the hash to take then
   * @param current the user once the check is over; undefined when the name is nobody's any longer
   */
  verify(
    credentials: BasicCredentials,
    entry: UserEntry | undefined,
    decoy: PasswordHash | undefined,
    req: IncomingMessage,
    current: () => UserEntry | undefined,
  ): Soon<Verdict> {
    const hash = entry?.hash ?? decoy
    if (hash === undefined) return UNKNOWN_USER
    const mark = this.#proven.markOf(credentials, hash.text)
    const isProven = this.#proven.find(mark) === true
    if (isProven && entry !== undefined) return this.#admit(entry, req)
    const { epoch } = this.#proven
    const conclude = (fits: boolean | Unavailable): Soon<Verdict> => {
      if (typeof fits !== 'boolean') return fits
      if (entry === undefined) return UNKNOWN_USER
      if (!fits) return WRONG_PASSWORD
      const user = current()
      if (user?.hash.text !== hash.text) return CHANGED_MEANWHILE
      this.#proven.add(mark, credentials.username, true, epoch)
      return this.#admit(user, req)
    }
    const checked = this.#checks.check(hash, credentials.password, mark)
    return isNow(checked) ? conclude(checked) : checked.then(conclude)
  }

  forget(username: string): void {
    this.#proven.forget(username)
  }

  close(): void {
    this.#proven.clear()
  }

  #admit(entry: UserEntry, req: IncomingMessage): Soon<Verdict> {
    if (entry.verified !== undefined) return entry.verified
    const { user, timeoutMs } = this.#options
    const verdict = withUser(entry.identity, user, req, timeoutMs)
    return isNow(verdict) ? note(entry, verdict) : verdict.then((later) => note(entry, later))
  }
}

function note(entry: UserEntry, verdict: Verdict): Verdict {
  if (verdict.outcome === 'verified') entry.verified = verdict
  return verdict
}

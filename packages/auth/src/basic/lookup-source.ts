import type { IncomingMessage } from 'node:http'
import { LookUp } from '../credentials/look-up.ts'
import { type Answer, isNow } from '../credentials/timed-call.ts'
import { type Soon, unavailable, type Verdict } from '../scheme.ts'
import type { BasicCredentials } from './credentials.ts'
import { HashedUsers } from './hashed-users.ts'
import type { ResolvedBasicOptions, UserLookup } from './options.ts'
import { isHashFault, type PasswordHash, readPasswordHash } from './password-hash.ts'
import type { PasswordSource } from './password-source.ts'
import { readLookedUp, type UserEntry } from './users.ts'

const RETRY_AFTER_MS = 1_000

/** Users that are looked up for each request: a change of password, or of roles, holds at once. Only the slow hash is spared. */
export class LookupSource implements PasswordSource {
  readonly #users: HashedUsers
  readonly #lookUp: LookUp<UserEntry | undefined>
  /** What passwords of unknown users are checked against: the hash that was looked up last. */
  #decoy: PasswordHash = FIRST_DECOY

  constructor(options: ResolvedBasicOptions, lookup: UserLookup) {
    this.#users = new HashedUsers(options)
    this.#lookUp = new LookUp({
      provider: 'basic-lookup',
      timeoutMs: options.timeoutMs,
      ask: lookup,
      read: (returned, username) => readLookedUp(options.name, returned, username),
    })
  }

  recall(): undefined {
    return undefined
  }

  verify(credentials: BasicCredentials, req: IncomingMessage): Soon<Verdict> {
    const answer = this.#lookUp.find(credentials.username)
    return isNow(answer)
      ? this.#verdictOf(answer, credentials, req)
      : answer.then((later) => this.#verdictOf(later, credentials, req))
  }

  forget(username: string): void {
    this.#lookUp.forget(username)
    this.#users.forget(username)
  }

  close(): void {
    this.#users.close()
  }

  #verdictOf(
    answer: Answer<UserEntry | undefined>,
    credentials: BasicCredentials,
    req: IncomingMessage,
  ): Soon<Verdict> {
    if (answer.failed) return unavailable(`lookup-${answer.reason}`, RETRY_AFTER_MS, answer.error)
    const entry = answer.value
    if (entry !== undefined) this.#decoy = entry.hash
    return this.#users.verify(credentials, entry, this.#decoy, req, () => entry)
  }
}

/** What `hashPassword()` makes, of nothing: until a user was found, nobody knows what hashes there are. */
const FIRST_DECOY = soundHash(
  '$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
)

function soundHash(text: string): PasswordHash {
  const hash = readPasswordHash(text)
  if (isHashFault(hash)) throw new Error(hash.fault)
  return hash
}

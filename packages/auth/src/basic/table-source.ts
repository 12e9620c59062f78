import type { IncomingMessage } from 'node:http'
import type { Soon, Verdict, Verified } from '../scheme.ts'
import type { BasicCredentials } from './credentials.ts'
import { HashedUsers } from './hashed-users.ts'
import type { ResolvedBasicOptions } from './options.ts'
import type { PasswordSource } from './password-source.ts'
import { UserTable } from './user-table.ts'
import type { UserEntry } from './users.ts'

/** Users that are all known ahead: a good pair that was shown not long ago is answered without a look at its hash's work. */
export class TableSource implements PasswordSource {
  readonly #users: HashedUsers
  readonly #table: UserTable

  constructor(options: ResolvedBasicOptions, entries: readonly UserEntry[]) {
    this.#users = new HashedUsers(options)
    this.#table = new UserTable(entries)
  }

  recall(credentials: BasicCredentials): Verified | undefined {
    const entry = this.#table.find(credentials.username)
    // Looked for where it cannot be found, too: otherwise the time would tell whose user has come in before.
    const hash = entry?.hash ?? this.#table.someHash
    if (hash === undefined) return undefined
    const isProven = this.#users.isProven(credentials, hash)
    return isProven ? entry?.verified : undefined
  }

  verify(credentials: BasicCredentials, req: IncomingMessage): Soon<Verdict> {
    const { username } = credentials
    const entry = this.#table.find(username)
    const decoy = this.#table.decoyFor(username)
    return this.#users.verify(credentials, entry, decoy, req, () => this.#table.find(username))
  }

  replace(entries: readonly UserEntry[]): void {
    this.#table.replace(entries)
  }

  forget(username: string): void {
    this.#users.forget(username)
  }

  close(): void {
    this.#users.close()
  }
}

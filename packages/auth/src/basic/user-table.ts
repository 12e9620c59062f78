import { createHmac, createSecretKey, type KeyObject, randomBytes } from 'node:crypto'
import type { PasswordHash } from './password-hash.ts'
import type { UserEntry } from './users.ts'

/** Users that are all known ahead. */
export class UserTable {
  readonly #key: KeyObject = createSecretKey(randomBytes(32))
  #users: ReadonlyMap<string, UserEntry> = new Map()
  #hashes: readonly PasswordHash[] = []

  constructor(users: readonly UserEntry[]) {
    this.replace(users)
  }

  find(username: string): UserEntry | undefined {
    return this.#users.get(username)
  }

  /** A hash of the table, whichever; undefined for an empty one. */
  get someHash(): PasswordHash | undefined {
    return this.#hashes[0]
  }

  replace(users: readonly UserEntry[]): void {
    this.#users = new Map(users.map((user) => [user.username, user]))
    this.#hashes = users.map((user) => user.hash)
  }

  /**
   * The hash against which the password of an unknown user is checked, for no other reason than that it takes as long: that
   * of some user, by a keyed hash the same for the same name. So made-up names take the times that real ones take, also
   * in a table of many kinds and costs. Undefined for an empty table, which has nothing to hide.
   */
  decoyFor(username: string): PasswordHash | undefined {
    const count = this.#hashes.length
    if (count === 0) return undefined
    const digest = createHmac('sha256', this.#key).update(username).digest()
    return this.#hashes[digest.readUInt32BE(0) % count]
  }
}

import type { IncomingMessage } from 'node:http'
import { ConfigError, type Exchange } from '@postern/contracts'
import { TokenSources } from '../credentials/token-sources.ts'
import { type Refused, refused, type Scheme, type Soon, type Verdict, type Verified } from '../scheme.ts'
import { MAX_ENCODED_BYTES, parseBasic } from './credentials.ts'
import { LookupSource } from './lookup-source.ts'
import { type ResolvedBasicOptions, resolveUsers } from './options.ts'
import type { PasswordSource } from './password-source.ts'
import { TableSource } from './table-source.ts'
import type { UserTableInput } from './users.ts'
import { VerifySource } from './verify-source.ts'

const MALFORMED = refused('malformed')

/**
 * Tells callers by a name and a password (RFC 7617). Passwords are known here by their slow hashes alone; so that these are
 * not the price of each request, good pairs are remembered for a while, in a form from which nobody gets them back.
 */
export class BasicScheme implements Scheme {
  readonly name: string
  readonly #sources = new TokenSources([{ header: 'authorization', scheme: 'Basic' }], MAX_ENCODED_BYTES)
  readonly #source: PasswordSource
  readonly #challenge: string

  constructor(options: ResolvedBasicOptions) {
    this.name = options.name
    this.#source = sourceOf(options)
    this.#challenge = `Basic realm="${options.realm}", charset="UTF-8"`
  }

  find(req: IncomingMessage, exchange: Exchange): string | Refused | undefined {
    return this.#sources.find(req, exchange)
  }

  recall(token: string): Verified | undefined {
    const credentials = parseBasic(token)
    return credentials === undefined ? undefined : this.#source.recall(credentials)
  }

  verify(token: string, req: IncomingMessage): Soon<Verdict> {
    const credentials = parseBasic(token)
    return credentials === undefined ? MALFORMED : this.#source.verify(credentials, req)
  }

  /** RFC 7617 §2 knows no parameters that tell an error or a scope. */
  challenge(): string {
    return this.#challenge
  }

  claimant(token: string): string | undefined {
    return parseBasic(token)?.username
  }

  strip(req: IncomingMessage, exchange: Exchange): void {
    this.#sources.strip(req, exchange)
  }

  /**
   * Puts other users in the place of all in the table, at once. Who has another hash than before is not let in by the old
   * password any longer, not even when it was checked just now. When there is any fault the old ones stay.
   *
   * @throws ConfigError with all faults
   */
  replaceUsers(users: UserTableInput): void {
    if (!(this.#source instanceof TableSource)) {
      const message = 'there is no table of users to replace'
      const cure = 'call forget(username) for users that have changed'
      throw new ConfigError(`${this.name}: replaceUsers()`, [{ path: '', message, cure }])
    }
    this.#source.replace(resolveUsers(this.name, users))
  }

  /** Forgets that a user's password was checked: the next request checks it anew. */
  forget(username: string): void {
    this.#source.forget(username)
  }

  close(): void {
    this.#source.close()
  }
}

function sourceOf(options: ResolvedBasicOptions): PasswordSource {
  const { source } = options
  if (source.kind === 'lookup') return new LookupSource(options, source.lookup)
  if (source.kind === 'verify') return new VerifySource(options, source.verify)
  return new TableSource(options, source.entries)
}

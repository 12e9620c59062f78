import type { IncomingMessage } from 'node:http'
import {
  type Clock,
  ConfigError,
  type ConfigFault,
  type Identity,
  type SchemaIssue,
  systemClock,
} from '@postern/contracts'
import * as v from 'valibot'
import { quietFaultsOf } from '../credentials/quiet-faults.ts'
import { clockOption, functionOption, milliseconds, nameOption, realmOption, whole } from '../option-parts.ts'
import { readUsers, type UserEntry, type UserParts, type UserRecord, type UserTableInput } from './users.ts'

/**
 * Finds a user and the hash of the password; undefined or null when there is none. A record may have further members, as rows
 * of a database have. A throw, a rejection or anything else that it returns counts as a failure.
 *
 * @param signal aborted when the time for an answer is over
 */
export type UserLookup = (
  username: string,
  signal: AbortSignal,
) => UserRecord | null | undefined | PromiseLike<UserRecord | null | undefined>

/**
 * Checks name and password itself: true, or what is known of the user, when they are good; false, undefined or null when they
 * are not. Both may be empty. A throw, a rejection or anything else that it returns, an object with any other member among
 * them, counts as a failure.
 *
 * @param signal aborted when the time for an answer is over
 */
export type PasswordCheck = (
  username: string,
  password: string,
  req: IncomingMessage,
  signal: AbortSignal,
) => PasswordCheckResult | PromiseLike<PasswordCheckResult>

/** See {@link PasswordCheck}. */
export type PasswordCheckResult = boolean | UserParts | null | undefined

/** Options of {@link basic}. Exactly one of `users`, `lookup` and `verify`. */
export interface BasicOptions {
  /**
   * All users: the text of an htpasswd file (`name:hash` lines), or an object of hashes or records by name. Hashes are
   * bcrypt, Argon2 or scrypt. `replaceUsers()` puts others in their place while the gateway runs.
   */
  readonly users?: UserTableInput
  /** Finds one user by name. Asked for each request, so that a change of password holds at once. */
  readonly lookup?: UserLookup
  /** Checks name and password itself, say by asking a directory. */
  readonly verify?: PasswordCheck
  /**
   * How long a good pair of name and password is good without being checked again, in milliseconds, 0 to 2^31-1. A change of
   * the hash, or `forget(username)`, ends it at once; with `verify` only the latter. @default 60_000; 0 with `verify`
   */
  readonly cacheMs?: number
  /** Most pairs that are remembered, 1 to 1,000,000. @default 10_000 */
  readonly maxEntries?: number
  /**
   * Most passwords that are checked at once, 1 to 1,024. Hashes are checked in libuv's threads, four unless
   * UV_THREADPOOL_SIZE says otherwise, which file and name look-ups need as well. @default 4; 64 with `verify`
   */
  readonly maxConcurrent?: number
  /** Most requests that wait for a check, 0 to 65,536; others get 503. @default 64 */
  readonly maxQueued?: number
  /** Longest wait for `lookup`, `verify` and `user`, in milliseconds, 1 to 60,000. @default 3_000 */
  readonly timeoutMs?: number
  /**
   * What `req.user` is, for handlers that know passport; undefined, null or false refuses the user. Called when a user comes
   * first, and again when the table was replaced; with `lookup` for each request, with `verify` for each check.
   * @default the identity
   */
  readonly user?: (identity: Identity, req: IncomingMessage) => unknown
  /** `realm` of the challenge, which browsers show. @default 'api' */
  readonly realm?: string
  /** `identity.scheme`. @default 'basic' */
  readonly name?: string
  /** Source of time; for tests. @default the process's clocks */
  readonly clock?: Clock
}

/** Where it is known from whether a password is good. */
export type ResolvedUserSource =
  | { readonly kind: 'users'; readonly entries: readonly UserEntry[] }
  | { readonly kind: 'lookup'; readonly lookup: UserLookup }
  | { readonly kind: 'verify'; readonly verify: PasswordCheck }

/** What {@link resolveBasicOptions} makes of the options. */
export interface ResolvedBasicOptions {
  readonly source: ResolvedUserSource
  readonly cacheMs: number
  readonly maxEntries: number
  readonly maxConcurrent: number
  readonly maxQueued: number
  readonly timeoutMs: number
  readonly user: BasicOptions['user']
  readonly realm: string
  readonly name: string
  readonly clock: Clock
}

const schema = v.strictObject({
  users: v.optional(v.unknown()),
  lookup: v.optional(functionOption<UserLookup>()),
  verify: v.optional(functionOption<PasswordCheck>()),
  cacheMs: v.optional(milliseconds),
  maxEntries: v.optional(whole(1, 1_000_000), 10_000),
  maxConcurrent: v.optional(whole(1, 1_024)),
  maxQueued: v.optional(whole(0, 65_536), 64),
  timeoutMs: v.optional(whole(1, 60_000), 3_000),
  user: v.optional(functionOption<NonNullable<BasicOptions['user']>>()),
  realm: realmOption,
  name: nameOption('basic'),
  clock: clockOption,
})

const SOURCES = ['users', 'lookup', 'verify'] as const

/**
 * Checks the options and the users, fills the defaults. Passwords and hashes are never shown.
 *
 * @throws ConfigError with all faults
 */
export function resolveBasicOptions(input: BasicOptions): ResolvedBasicOptions {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    const cure = 'write basic({ users: { alice: hash } })'
    throw new ConfigError('basic()', [{ path: '', message: 'not an options object', cure }])
  }
  const result = v.safeParse(schema, input)
  const issues = (result.issues ?? []) as readonly SchemaIssue[]
  const faults = quietFaultsOf(issues, () => Object.keys(schema.entries), ['users'])
  const given = SOURCES.filter((source) => input[source] !== undefined)
  if (given.length !== 1) {
    const several = `has ${given.join(' and ')}, and only one can be meant`
    const message = given.length === 0 ? 'has no users' : several
    faults.push({ path: '', message, cure: 'give it exactly one of users, lookup and verify' })
  }
  const name = result.success ? result.output.name : ''
  const entries = input.users === undefined ? [] : readUsers(name, input.users, faults)
  if (faults.length > 0 || !result.success) throw new ConfigError('basic()', faults)
  const { users, lookup, verify, cacheMs, maxConcurrent, clock, ...rest } = result.output
  return Object.freeze({
    ...rest,
    source: Object.freeze(sourceOf(entries, lookup, verify)),
    cacheMs: cacheMs ?? (verify === undefined ? 60_000 : 0),
    maxConcurrent: maxConcurrent ?? (verify === undefined ? 4 : 64),
    user: rest.user,
    clock: clock ?? systemClock,
  })
}

/** Checks the users that take the place of others. @throws ConfigError with all faults */
export function resolveUsers(scheme: string, users: UserTableInput): readonly UserEntry[] {
  const faults: ConfigFault[] = []
  const entries = readUsers(scheme, users, faults)
  if (faults.length > 0) throw new ConfigError(`${scheme}: replaceUsers()`, faults)
  return entries
}

function sourceOf(
  entries: readonly UserEntry[],
  lookup: UserLookup | undefined,
  verify: PasswordCheck | undefined,
): ResolvedUserSource {
  if (lookup !== undefined) return { kind: 'lookup', lookup }
  return verify === undefined ? { kind: 'users', entries } : { kind: 'verify', verify }
}

import { ConfigError, type ConfigFault, type Identity } from '@postern/contracts'
import * as v from 'valibot'
import { silentFaultsOf } from '../credentials/quiet-faults.ts'
import { identityOf, type Verified } from '../scheme.ts'
import { MAX_PAIR_BYTES } from './credentials.ts'
import { isHashFault, type PasswordHash, readPasswordHash } from './password-hash.ts'
import { prepare } from './verify-password.ts'

/** What is known of a user beside name and password. Members may be `null` as databases have it. */
export interface UserParts {
  /** Who is calling, 1 to 256 characters. @default the user's name */
  readonly subject?: string | null
  /** @default none */
  readonly scopes?: readonly string[] | null
  /** @default none */
  readonly roles?: readonly string[] | null
  /** Anything else that rules and services want to know. @default none */
  readonly claims?: Readonly<Record<string, unknown>> | null
}

/** A user, and the hash of the password: bcrypt, Argon2 or scrypt, see `hashPassword()`. */
export interface UserRecord extends UserParts {
  readonly hash: string
}

/** Users by their names, or the text of an htpasswd file. */
export type UserTableInput = string | Readonly<Record<string, string | UserRecord>>

/** A user, ready for requests. */
export interface UserEntry {
  readonly username: string
  readonly hash: PasswordHash
  readonly identity: Identity
  /** Undefined until the application was asked for the user. */
  verified: Verified | undefined
}

const SUBJECT = 'not a text of 1 to 256 characters'
const NAMES = 'not a list of names'
const names = v.nullish(v.array(v.pipe(v.string(NAMES), v.regex(/^[^\s\p{Cc}]{1,256}$/u, NAMES)), NAMES))
const VOUCHED = 'neither a boolean nor what is known of the user (subject, scopes, roles, claims)'
const partEntries = {
  subject: v.nullish(v.pipe(v.string(SUBJECT), v.nonEmpty(SUBJECT), v.maxLength(256, SUBJECT))),
  scopes: names,
  roles: names,
  claims: v.nullish(v.custom<Readonly<Record<string, unknown>>>(isPlainObject, 'not an object')),
}
const recordEntries = { hash: v.string('not the hash of a password'), ...partEntries }
const configured = v.strictObject(recordEntries, 'not the hash of a password, or a record with it')
/** What a look-up returns may be a row with further columns. */
const lookedUp = v.object(recordEntries, 'not a record of a user')
/**
 * What a check of the application's own says in the place of `true`. Strict, and not empty: `{ ok: false }`, the answer of a
 * client library or an error that was returned, not thrown, must let nobody in.
 */
const vouched = v.pipe(
  v.strictObject(partEntries, VOUCHED),
  v.check((known) => Object.values(known).some((each) => each != null), VOUCHED),
)

/**
 * Checks all users of a table, and loads what their hashes need.
 *
 * @param scheme name of the scheme
 * @param faults gets what is wrong; neither hashes nor passwords are ever shown
 */
export function readUsers(scheme: string, input: unknown, faults: ConfigFault[]): UserEntry[] {
  if (typeof input === 'string') return readHtpasswd(scheme, input, faults)
  if (!isPlainObject(input)) {
    const cure = 'give the text of an htpasswd file, or { name: hash }'
    faults.push({ path: 'users', message: 'not a table of users', cure })
    return []
  }
  const made: UserEntry[] = []
  for (const [username, given] of Object.entries(input as Readonly<Record<string, unknown>>)) {
    const entry = readUser(scheme, username, given, `users.${username}`, faults)
    if (entry !== undefined) made.push(entry)
  }
  return made
}

function readHtpasswd(scheme: string, text: string, faults: ConfigFault[]): UserEntry[] {
  const made: UserEntry[] = []
  const lines = new Map<string, number>()
  text.split(/\r?\n/).forEach((line, at) => {
    const entry = line.trim()
    if (entry === '' || entry.startsWith('#')) return
    const path = `users, line ${at + 1}`
    const colon = entry.indexOf(':')
    if (colon === -1) {
      const cure = 'a line is name:hash; for the contents of a file, read the file'
      faults.push({ path, message: 'no colon behind a name', cure })
      return
    }
    const username = entry.slice(0, colon)
    const before = lines.get(username)
    if (before !== undefined) faults.push({ path, message: `the same user as in line ${before}` })
    lines.set(username, at + 1)
    const user = readUser(scheme, username, entry.slice(colon + 1), path, faults)
    if (user !== undefined) made.push(user)
  })
  return made
}

function readUser(
  scheme: string,
  username: string,
  given: unknown,
  path: string,
  faults: ConfigFault[],
): UserEntry | undefined {
  if (!isUsername(username)) {
    faults.push({ path, message: 'not a name that a client could show: empty, too long, with a colon or controls' })
  }
  const result = v.safeParse(configured, typeof given === 'string' ? { hash: given } : given)
  if (!result.success) {
    for (const fault of silentFaultsOf(result.issues, () => Object.keys(recordEntries))) {
      faults.push({ ...fault, path: fault.path === '' ? path : `${path}.${fault.path}` })
    }
    return undefined
  }
  const hash = readPasswordHash(result.output.hash)
  if (isHashFault(hash)) {
    faults.push({ path, message: hash.fault, cure: hash.cure })
    return undefined
  }
  try {
    prepare(hash.kind)
  } catch (error) {
    faults.push({ path, message: `needs a library that does not load: ${(error as Error).message}` })
  }
  return entryOf(scheme, username, hash, result.output)
}

/**
 * Reads what a look-up returned; undefined when there is no such user.
 *
 * @throws ConfigError when it is no record
 */
export function readLookedUp(scheme: string, returned: unknown, username: string): UserEntry | undefined {
  if (returned === undefined || returned === null) return undefined
  const subject = 'basic().lookup'
  const result = v.safeParse(lookedUp, returned)
  if (!result.success) throw new ConfigError(subject, silentFaultsOf(result.issues))
  const hash = readPasswordHash(result.output.hash)
  if (isHashFault(hash)) throw new ConfigError(subject, [{ path: 'hash', message: hash.fault, cure: hash.cure }])
  return entryOf(scheme, username, hash, result.output)
}

/**
 * Reads what a function that checks passwords returned; undefined when they were wrong.
 *
 * @throws ConfigError when it says neither
 */
export function readVerified(scheme: string, returned: unknown, username: string): Identity | undefined {
  if (returned === false || returned === undefined || returned === null) return undefined
  if (returned === true) return identityIn(scheme, namedSubject(username), {})
  const result = v.safeParse(vouched, returned)
  if (!result.success) throw new ConfigError('basic().verify', silentFaultsOf(result.issues))
  return identityIn(scheme, namedSubject(result.output.subject ?? username), result.output)
}

function namedSubject(subject: string): string {
  if (subject !== '') return subject
  throw new ConfigError('basic().verify', [{ path: 'subject', message: 'needed for a user without a name' }])
}

/** As a schema gives it. */
type Known = { readonly [Name in keyof UserParts]: UserParts[Name] | undefined }

function entryOf(scheme: string, username: string, hash: PasswordHash, known: Known): UserEntry {
  const identity = identityIn(scheme, known.subject ?? username, known)
  return { username, hash, identity, verified: undefined }
}

function identityIn(scheme: string, subject: string, known: Known): Identity {
  return identityOf(scheme, subject, {
    scopes: known.scopes ?? undefined,
    roles: known.roles ?? undefined,
    claims: known.claims == null ? undefined : Object.freeze({ ...known.claims }),
  })
}

function isUsername(name: string): boolean {
  // At least one byte is left for the colon and one for a password.
  return name !== '' && !/[:\p{Cc}]/u.test(name) && Buffer.byteLength(name) <= MAX_PAIR_BYTES - 2
}

function isPlainObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

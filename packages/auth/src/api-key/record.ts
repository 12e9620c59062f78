import { ConfigError, type ConfigFault, type Identity, pathText } from '@postern/contracts'
import * as v from 'valibot'
import { silentFaultsOf } from '../credentials/quiet-faults.ts'
import { identityOf, type Verified } from '../scheme.ts'
import { type Instant, instantMs } from './instant.ts'

/**
 * A key, and whom it stands for. Several records may have one subject: that is how a key is rotated, the new one being valid
 * before the old one ends. Members may be `null` as databases have it.
 */
export interface ApiKeyRecord {
  /** Speaks of the key in events and logs, and is the claim `key_id` of the identity. 1 to 128 characters, unique. */
  readonly id: string
  /** The SHA-256 of the whole key, 64 hexadecimal characters: see `hashApiKey()`. */
  readonly hash: string
  /** Who is calling when the key is shown, 1 to 256 characters. */
  readonly subject: string
  /** @default none */
  readonly scopes?: readonly string[] | null
  /** @default none */
  readonly roles?: readonly string[] | null
  /** Anything else that rules and services want to know. @default none */
  readonly claims?: Readonly<Record<string, unknown>> | null
  /** The first moment at which the key holds. @default it holds already */
  readonly notBefore?: Instant | null
  /** The first moment at which the key holds no longer. @default it has no end */
  readonly expiresAt?: Instant | null
}

/** A record, ready for requests. */
export interface ApiKeyEntry {
  readonly id: string
  /** Hexadecimal, lower case. */
  readonly hash: string
  readonly digest: Buffer
  readonly notBeforeMs: number
  readonly expiresAtMs: number
  readonly identity: Identity
  /** What every request with this key is answered; undefined until the application was asked for the user. */
  verified: Verified | undefined
  /** When its use was last told, in milliseconds since the Unix epoch. */
  toldAtMs: number
}

const INSTANT =
  'not a Date, an ISO 8601 text with its time zone ("2027-01-31T00:00:00Z"), or milliseconds since the Unix epoch'
const NAMES = 'not a list of names'

function text(most: number) {
  const wanted = `not a text of 1 to ${most} characters`
  return v.pipe(v.string(wanted), v.nonEmpty(wanted), v.maxLength(most, wanted))
}

const names = v.nullish(v.array(v.pipe(v.string(NAMES), v.regex(/^[^\s\p{Cc}]{1,256}$/u, NAMES)), NAMES))
const instant = v.nullish(v.custom<Instant>((value) => instantMs(value) !== undefined, INSTANT))

const entries = {
  id: text(128),
  hash: v.pipe(
    v.string('not 64 hexadecimal characters, the SHA-256 of the key'),
    v.regex(/^[0-9a-f]{64}$/i, 'not 64 hexadecimal characters, the SHA-256 of the key; hashApiKey(key) makes it'),
  ),
  subject: text(256),
  scopes: names,
  roles: names,
  claims: v.nullish(v.custom<Readonly<Record<string, unknown>>>(isPlainObject, 'not an object')),
  notBefore: instant,
  expiresAt: instant,
}

const configured = v.strictObject(entries, 'not a record of a key')
/** What a look-up returns may be a row with further columns. */
const lookedUp = v.object(entries, 'not a record of a key')

/**
 * Checks all records of a table.
 *
 * @param path where they stand: `keys`
 * @param faults gets what is wrong
 */
export function readRecords(scheme: string, records: unknown, path: string, faults: ConfigFault[]): ApiKeyEntry[] {
  if (!Array.isArray(records)) {
    faults.push({ path, message: 'not a list of records', cure: 'give a list of { id, hash, subject }' })
    return []
  }
  const made: ApiKeyEntry[] = []
  const ids = new Map<string, number>()
  const hashes = new Map<string, number>()
  records.forEach((record: unknown, at) => {
    const here = `${path}${pathText([at])}`
    const result = v.safeParse(configured, record)
    if (!result.success) {
      for (const fault of silentFaultsOf(result.issues, () => Object.keys(entries))) {
        faults.push({ ...fault, path: fault.path === '' ? here : `${here}.${fault.path}` })
      }
      return
    }
    const entry = entryOf(scheme, result.output)
    if (entry.notBeforeMs >= entry.expiresAtMs) {
      faults.push({ path: `${here}.expiresAt`, message: 'not later than notBefore: the key would never hold' })
    }
    notTwice(ids, entry.id, at, `${here}.id`, `${path}[%].id`, faults)
    notTwice(hashes, entry.hash, at, `${here}.hash`, `${path}[%].hash`, faults)
    made.push(entry)
  })
  return made
}

/**
 * Reads what a look-up returned for a hash; undefined when there is no such key.
 *
 * @param previous the entry that the key had before
 * @throws ConfigError when it is no record, or that of another key
 */
export function readLookedUp(
  scheme: string,
  returned: unknown,
  hash: string,
  previous: ApiKeyEntry | undefined,
): ApiKeyEntry | undefined {
  if (returned === undefined || returned === null) return undefined
  const result = v.safeParse(lookedUp, returned)
  if (!result.success) throw new ConfigError('apiKey().lookup', silentFaultsOf(result.issues))
  const entry = entryOf(scheme, result.output)
  // A database whose comparison is lax, or a query without its condition, must not make somebody else of the caller.
  if (entry.hash !== hash) {
    throw new ConfigError('apiKey().lookup', [{ path: 'hash', message: 'not the hash that was asked for' }])
  }
  if (previous?.id === entry.id) entry.toldAtMs = previous.toldAtMs
  return entry
}

function entryOf(scheme: string, record: v.InferOutput<typeof lookedUp>): ApiKeyEntry {
  const hash = record.hash.toLowerCase()
  const identity = identityOf(scheme, record.subject, {
    scopes: record.scopes ?? undefined,
    roles: record.roles ?? undefined,
    claims: Object.freeze({ key_id: record.id, ...record.claims }),
  })
  return {
    id: record.id,
    hash,
    digest: Buffer.from(hash, 'hex'),
    notBeforeMs: instantMs(record.notBefore) ?? Number.NEGATIVE_INFINITY,
    expiresAtMs: instantMs(record.expiresAt) ?? Number.POSITIVE_INFINITY,
    identity,
    verified: undefined,
    toldAtMs: Number.NEGATIVE_INFINITY,
  }
}

function notTwice(
  seen: Map<string, number>,
  value: string,
  at: number,
  path: string,
  other: string,
  faults: ConfigFault[],
): void {
  const before = seen.get(value)
  if (before === undefined) seen.set(value, at)
  else faults.push({ path, message: `the same as ${other.replace('%', String(before))}` })
}

function isPlainObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

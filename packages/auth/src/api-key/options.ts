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
import { type TokenSource, tokenSourcesOption } from '../credentials/token-sources.ts'
import { clockOption, functionOption, milliseconds, nameOption, realmOption, whole } from '../option-parts.ts'
import { PREFIX } from './generate.ts'
import { type ApiKeyEntry, type ApiKeyRecord, readRecords } from './record.ts'

/**
 * Finds the record of a key by its SHA-256, 64 hexadecimal characters in lower case; undefined or null when there is none. A record
 * may have further members, as rows of a database have. A throw, a rejection or anything else that it returns counts as a
 * failure.
 *
 * @param signal aborted when the time for an answer is over
 */
export type ApiKeyLookup = (
  hash: string,
  signal: AbortSignal,
) => ApiKeyRecord | null | undefined | PromiseLike<ApiKeyRecord | null | undefined>

/** Options of {@link apiKey}. Exactly one of `keys` and `lookup`. */
export interface ApiKeyOptions {
  /** All keys, by their hashes; `replaceKeys()` puts others in their place while the gateway runs. */
  readonly keys?: readonly ApiKeyRecord[]
  /** Finds one key: for tables that lie elsewhere, or are too long for memory. */
  readonly lookup?: ApiKeyLookup
  /**
   * Where the key is; when it is found in two places the request is refused. `{ header: 'authorization', scheme: 'ApiKey' }`
   * reads `Authorization: ApiKey …`. `{ query: 'api_key' }` is for clients that can do nothing else: what is in a URL ends up in
   * histories, `Referer` fields and the logs of everyone on the way (RFC 9700 §4.3.2).
   * @default { header: 'x-api-key' }
   */
  readonly from?: TokenSource | readonly TokenSource[]
  /**
   * What every key begins with, 1 to 64 letters, digits, `_`, `-`, `.`; or a list of such. Others are refused without
   * being looked up. No secret. @default any
   */
  readonly prefix?: string | readonly string[]
  /** Longest key that is looked at, in bytes, 16 to 8,192. @default 512 */
  readonly maxKeyBytes?: number
  /**
   * With `lookup`: how long a key that was found is not looked up again, in milliseconds, 0 to 2^31-1. A key is of use
   * for so long after it was revoked, unless `forget(hash)` is called. @default 60_000
   */
  readonly cacheMs?: number
  /** With `lookup`: how long a key that was not found is not looked up again, in milliseconds, 0 to 2^31-1. @default 10_000 */
  readonly missCacheMs?: number
  /** With `lookup`: most keys that are remembered, found and not found each, 1 to 1,000,000. @default 10_000 */
  readonly maxEntries?: number
  /** Longest wait for `lookup` and for `user`, in milliseconds, 1 to 60,000. @default 3_000 */
  readonly timeoutMs?: number
  /**
   * With `lookup`: how long beyond `cacheMs` the record found last is used while the look-up fails, in milliseconds, 0 to
   * 2^31-1. Other keys get 503 meanwhile. @default 0
   */
  readonly maxStaleMs?: number
  /**
   * The use of a key is published on `postern:key:used` at most once in so long, in milliseconds, 0 to 2^31-1.
   * @default 60_000
   */
  readonly lastUsedIntervalMs?: number
  /**
   * What `req.user` is, for handlers that know passport; undefined, null or false refuses the key. Called when a key is used
   * first, and again when it was looked up anew or the table was replaced. @default the identity
   */
  readonly user?: (identity: Identity, req: IncomingMessage) => unknown
  /** `realm` of the challenge. @default 'api' */
  readonly realm?: string
  /** `identity.scheme`. @default 'api-key' */
  readonly name?: string
  /** Source of time; for tests. @default the process's clocks */
  readonly clock?: Clock
}

/** How keys are looked up. */
export interface ResolvedKeyLookup {
  readonly lookup: ApiKeyLookup
  readonly cacheMs: number
  readonly missCacheMs: number
  readonly maxEntries: number
  readonly timeoutMs: number
  readonly maxStaleMs: number
}

/** What {@link resolveApiKeyOptions} makes of the options. */
export interface ResolvedApiKeyOptions {
  /** The keys of the table; undefined when they are looked up. */
  readonly entries: readonly ApiKeyEntry[] | undefined
  readonly lookup: ResolvedKeyLookup | undefined
  readonly from: readonly TokenSource[]
  /** Empty: any. */
  readonly prefixes: readonly string[]
  readonly maxKeyBytes: number
  readonly timeoutMs: number
  readonly lastUsedIntervalMs: number
  readonly user: ApiKeyOptions['user']
  readonly realm: string
  readonly name: string
  readonly clock: Clock
}

const PREFIX_WANTED = 'not 1 to 64 letters, digits, "_", "-" and "."'
const prefix = v.pipe(v.string(PREFIX_WANTED), v.nonEmpty(PREFIX_WANTED), v.regex(PREFIX, PREFIX_WANTED))

const schema = v.strictObject({
  keys: v.optional(v.unknown()),
  lookup: v.optional(functionOption<ApiKeyLookup>()),
  from: v.optional(tokenSourcesOption(['header', 'query', 'cookie', 'subprotocol', 'function']), {
    header: 'x-api-key',
  }),
  prefix: v.optional(
    v.union(
      [prefix, v.pipe(v.array(prefix), v.minLength(1, 'an empty list'), v.maxLength(100, 'more than 100'))],
      `${PREFIX_WANTED}, or a list of such`,
    ),
  ),
  maxKeyBytes: v.optional(whole(16, 8_192), 512),
  cacheMs: v.optional(milliseconds),
  missCacheMs: v.optional(milliseconds),
  maxEntries: v.optional(whole(1, 1_000_000)),
  timeoutMs: v.optional(whole(1, 60_000), 3_000),
  maxStaleMs: v.optional(milliseconds),
  lastUsedIntervalMs: v.optional(milliseconds, 60_000),
  user: v.optional(functionOption<NonNullable<ApiKeyOptions['user']>>()),
  realm: realmOption,
  name: nameOption('api-key'),
  clock: clockOption,
})

const FOR_LOOKUP = ['cacheMs', 'missCacheMs', 'maxEntries', 'maxStaleMs'] as const

/**
 * Checks the options and the records, fills the defaults. Keys and hashes are never shown.
 *
 * @throws ConfigError with all faults
 */
export function resolveApiKeyOptions(input: ApiKeyOptions): ResolvedApiKeyOptions {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    const cure = 'write apiKey({ keys: [{ id, hash, subject }] })'
    throw new ConfigError('apiKey()', [{ path: '', message: 'not an options object', cure }])
  }
  const result = v.safeParse(schema, input)
  const issues = (result.issues ?? []) as readonly SchemaIssue[]
  const faults = quietFaultsOf(issues, (path) => (path.length === 0 ? Object.keys(schema.entries) : []), ['keys'])
  checkKinds(input, faults)
  const name = result.success ? result.output.name : ''
  const entries = input.keys === undefined ? undefined : readRecords(name, input.keys, 'keys', faults)
  if (faults.length > 0 || !result.success) throw new ConfigError('apiKey()', faults)
  const { lookup, prefix: prefixes, timeoutMs, clock, ...rest } = result.output
  return Object.freeze({
    entries,
    lookup:
      lookup === undefined
        ? undefined
        : Object.freeze({
            lookup,
            cacheMs: rest.cacheMs ?? 60_000,
            missCacheMs: rest.missCacheMs ?? 10_000,
            maxEntries: rest.maxEntries ?? 10_000,
            maxStaleMs: rest.maxStaleMs ?? 0,
            timeoutMs,
          }),
    from: rest.from,
    prefixes: Object.freeze([prefixes ?? []].flat()),
    maxKeyBytes: rest.maxKeyBytes,
    timeoutMs,
    lastUsedIntervalMs: rest.lastUsedIntervalMs,
    user: rest.user,
    realm: rest.realm,
    name: rest.name,
    clock: clock ?? systemClock,
  })
}

function checkKinds(input: ApiKeyOptions, faults: ConfigFault[]): void {
  if ((input.keys === undefined) === (input.lookup === undefined)) {
    const message = input.keys === undefined ? 'has no keys' : 'has both keys and lookup, and only one can be meant'
    faults.push({ path: '', message, cure: 'give it exactly one of keys and lookup' })
  }
  if (input.lookup !== undefined) return
  for (const option of FOR_LOOKUP) {
    if (input[option] === undefined) continue
    const message = 'says how keys are looked up, and there is no lookup'
    faults.push({ path: option, message, cure: 'give a lookup, or leave it out' })
  }
}

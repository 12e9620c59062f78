import { timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { ConfigError, type ConfigFault, type Exchange } from '@postern/contracts'
import { bearerChallenge, type ChallengeError } from '../challenge.ts'
import { apiKeyUsed } from '../channels.ts'
import { isSameInConstantTime, ShownBefore } from '../credentials/shown-before.ts'
import { isNow, type NoAnswer } from '../credentials/timed-call.ts'
import { type TokenSource, TokenSources } from '../credentials/token-sources.ts'
import { withUser } from '../credentials/user-of.ts'
import { type Refused, refused, type Scheme, type Soon, unavailable, type Verdict, type Verified } from '../scheme.ts'
import { hashApiKey } from './generate.ts'
import { KeyTable } from './key-table.ts'
import type { ResolvedApiKeyOptions } from './options.ts'
import { type ApiKeyEntry, type ApiKeyRecord, readRecords } from './record.ts'
import { RememberedKeys } from './remembered-keys.ts'

// A client is told the same in each of these cases; which it was is for the operator.
const UNKNOWN = refused('unknown-key', { isGuess: true })
const WRONG_PREFIX = refused('prefix', { isGuess: true })
const EXPIRED = refused('expired')
const NOT_YET = refused('not-yet-valid')

const RETRY_AFTER_MS = 1_000

/** Where the bytes of a digest are laid out to be compared, at once: Node makes the text of a hash much faster than a Buffer. */
const SHOWN = Buffer.alloc(32)

/**
 * Tells callers by a key that they were given once. Of keys only SHA-256 hashes are known here: what a request shows is
 * hashed, found by its hash and compared with it in constant time, so that neither the table nor the time tells a key.
 */
export class ApiKeyScheme implements Scheme {
  readonly name: string
  readonly #options: ResolvedApiKeyOptions
  readonly #shown = new ShownBefore<ApiKeyEntry>(isSameInConstantTime)
  readonly #sources: TokenSources
  readonly #challengeName: string
  readonly #table: KeyTable | undefined
  readonly #remembered: RememberedKeys | undefined

  constructor(options: ResolvedApiKeyOptions) {
    const { name, from, maxKeyBytes, entries, lookup, clock } = options
    this.name = name
    this.#options = options
    this.#sources = new TokenSources(from, maxKeyBytes, this.#shown)
    this.#challengeName = challengeNameOf(from)
    this.#table = entries === undefined ? undefined : new KeyTable(entries)
    this.#remembered = lookup === undefined ? undefined : new RememberedKeys(name, lookup, clock)
  }

  find(req: IncomingMessage, exchange: Exchange): string | Refused | undefined {
    return this.#sources.find(req, exchange)
  }

  recall(key: string, req: IncomingMessage): Verified | undefined {
    if (!this.#hasPrefix(key)) return undefined
    const shown = this.#shown.of(req, key)
    const known = shown?.known
    const digest = known?.hash ?? hashApiKey(key)
    const entry = this.#table === undefined ? this.#remembered!.recall(digest) : this.#table.find(digest)
    if (entry?.verified === undefined) return undefined
    // An entry that was compared with this very key is not compared again; one that has taken its place is.
    if ((entry === known ? this.#dateFault(entry) : this.#faultOf(entry, digest)) !== undefined) return undefined
    if (shown !== undefined) shown.known = entry
    this.#tellUse(entry)
    return entry.verified
  }

  verify(key: string, req: IncomingMessage): Soon<Verdict> {
    if (!this.#hasPrefix(key)) return WRONG_PREFIX
    const digest = hashApiKey(key)
    if (this.#table !== undefined) return this.#verdictOf(this.#table.find(digest), digest, req)
    const found = this.#remembered!.find(digest)
    return isNow(found)
      ? this.#verdictOf(found, digest, req)
      : found.then((later) => this.#verdictOf(later, digest, req))
  }

  challenge(error?: ChallengeError, scope?: string): string {
    return bearerChallenge(this.#challengeName, this.#options.realm, error, scope)
  }

  get secretNames(): TokenSources['secretNames'] {
    return this.#sources.secretNames
  }

  strip(req: IncomingMessage, exchange: Exchange): void {
    this.#sources.strip(req, exchange)
  }

  /**
   * Puts other keys in the place of all in the table, at once: a request is judged by the old ones or by the new ones. When
   * there is any fault the old ones stay.
   *
   * @throws ConfigError with all faults
   */
  replaceKeys(records: readonly ApiKeyRecord[]): void {
    const subject = `${this.name}: replaceKeys()`
    const table = this.#table
    if (table === undefined) {
      const cure = 'call forget(hash) for keys that have changed'
      throw new ConfigError(subject, [{ path: '', message: 'the keys are looked up, there is no table', cure }])
    }
    const faults: ConfigFault[] = []
    const entries = readRecords(this.name, records, 'keys', faults)
    if (faults.length > 0) throw new ConfigError(subject, faults)
    table.replace(entries)
  }

  /** With `lookup`: forgets what is known of a key, such as one that was revoked or made just now. By its hash. */
  forget(keyHash: string): void {
    this.#remembered?.forget(keyHash.toLowerCase())
  }

  close(): void {
    this.#remembered?.clear()
  }

  #hasPrefix(key: string): boolean {
    const { prefixes } = this.#options
    if (prefixes.length === 0) return true
    for (let i = 0; i < prefixes.length; i++) if (key.startsWith(prefixes[i]!)) return true
    return false
  }

  #faultOf(entry: ApiKeyEntry, digest: string): Refused | undefined {
    SHOWN.write(digest, 'hex')
    return timingSafeEqual(entry.digest, SHOWN) ? this.#dateFault(entry) : UNKNOWN
  }

  #dateFault({ notBeforeMs, expiresAtMs }: ApiKeyEntry): Refused | undefined {
    const nowMs = this.#options.clock.wallNow()
    if (nowMs >= expiresAtMs) return EXPIRED
    return nowMs < notBeforeMs ? NOT_YET : undefined
  }

  #verdictOf(found: ApiKeyEntry | undefined | NoAnswer, digest: string, req: IncomingMessage): Soon<Verdict> {
    if (found === undefined) return UNKNOWN
    if ('failed' in found) return unavailable(`lookup-${found.reason}`, RETRY_AFTER_MS, found.error)
    const fault = this.#faultOf(found, digest)
    if (fault !== undefined) return fault
    if (found.verified !== undefined) {
      this.#tellUse(found)
      return found.verified
    }
    const { user, timeoutMs } = this.#options
    const verdict = withUser(found.identity, user, req, timeoutMs)
    return isNow(verdict) ? this.#conclude(found, verdict) : verdict.then((later) => this.#conclude(found, later))
  }

  #conclude(entry: ApiKeyEntry, verdict: Verdict): Verdict {
    if (verdict.outcome !== 'verified') return verdict
    entry.verified = verdict
    this.#tellUse(entry)
    return verdict
  }

  #tellUse(entry: ApiKeyEntry): void {
    if (!apiKeyUsed.hasSubscribers) return
    const atMs = this.#options.clock.wallNow()
    // A clock that was set back must not keep silent for as long as it was set back.
    if (atMs >= entry.toldAtMs && atMs - entry.toldAtMs < this.#options.lastUsedIntervalMs) return
    entry.toldAtMs = atMs
    apiKeyUsed.publish({ scheme: this.name, id: entry.id, subject: entry.identity.subject, atMs })
  }
}

/** The name under which the key is asked for: that of `Authorization` where it is read, else one of our own. */
function challengeNameOf(from: readonly TokenSource[]): string {
  for (const source of from) {
    if (source === 'header') return 'Bearer'
    if (typeof source === 'object' && 'header' in source && source.scheme !== undefined) return source.scheme
  }
  return 'ApiKey'
}

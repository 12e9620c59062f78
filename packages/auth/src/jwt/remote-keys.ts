import type { Clock } from '@postern/contracts'
import type { Agent } from 'undici'
import { keySetRefreshed, providerFailed } from '../channels.ts'
import { createProviderAgent, fetchJson, type JsonAnswer, ProviderError, shownUrl } from '../http-client.ts'
import type { Soon } from '../scheme.ts'
import { freshForMs } from './freshness.ts'
import { keysFromJwks } from './json-web-keys.ts'
import type { JwtAlgorithm, KeySet, KeysUnavailable, VerificationKey } from './key-set.ts'
import { KeyTable, succeed } from './key-table.ts'
import { RefreshSchedule } from './refresh-schedule.ts'
import type { ResolvedRemoteKeys } from './remote-options.ts'

type Keys = readonly VerificationKey[] | KeysUnavailable

const NONE: readonly VerificationKey[] = Object.freeze([])

/**
 * The keys that an issuer publishes (RFC 7517 §5). There is one fetch at a time, for all who wait. It begins with the first
 * token, then whenever the keys are not fresh any more, while those that are known are used on; and, at most once in a
 * cool-down, when a `kid` is not known. No timer runs: what is not asked for is not fetched.
 *
 * Keys are dropped by a good answer that does not hold them, and otherwise only when no fetch has succeeded for `maxStaleMs`.
 */
export class RemoteKeys implements KeySet {
  readonly #options: ResolvedRemoteKeys
  readonly #algorithms: readonly JwtAlgorithm[]
  readonly #clock: Clock
  readonly #schedule: RefreshSchedule
  readonly #agent: Agent
  /** As events and messages show it. */
  readonly #url: string
  #table: KeyTable
  /** The fetch that is under way; never rejects. */
  #fetching: Promise<void> | undefined
  #fetchStartedAtMs = 0
  #error: unknown
  /** When {@link keepFresh} has something to do. */
  #nextAtMs = Number.NEGATIVE_INFINITY
  #closed = false

  /** @param random uniform in [0, 1); for the jitter of pauses */
  constructor(
    options: ResolvedRemoteKeys,
    algorithms: readonly JwtAlgorithm[],
    clock: Clock,
    random: () => number = Math.random,
  ) {
    this.#options = options
    this.#algorithms = algorithms
    this.#clock = clock
    this.#schedule = new RefreshSchedule(options, random)
    this.#agent = createProviderAgent(options.tls, 1)
    this.#url = shownUrl(options.uri)
    this.#table = new KeyTable(NONE, algorithms)
  }

  keysFor(kid: string | undefined, algorithm: JwtAlgorithm): Soon<Keys> {
    this.keepFresh()
    const nowMs = this.#clock.now()
    if (!this.#schedule.isUsable(nowMs)) {
      const fetching = this.#fetching
      return fetching === undefined ? this.#unavailable(nowMs) : this.#after(fetching, kid, algorithm)
    }
    const { keys, isNamed } = this.#table.find(kid, algorithm)
    if (isNamed) return keys
    const fetching =
      this.#fetching ?? (this.#schedule.mayFetchForUnknown(nowMs) ? this.#fetchForUnknown(nowMs) : undefined)
    // Keys without a kid may be meant: they are tried at once, and whether there is a better one by now is for the next token.
    if (keys.length > 0) return keys
    if (fetching !== undefined) return this.#after(fetching, kid, algorithm)
    return this.#schedule.isFailing ? this.#unavailable(nowMs) : NONE
  }

  keepFresh(): void {
    const nowMs = this.#clock.now()
    if (nowMs < this.#nextAtMs) return
    if (!this.#schedule.isUsable(nowMs)) for (const key of this.#table.keys) key.active = false
    if (this.#fetching !== undefined) this.#nextAtMs = Number.POSITIVE_INFINITY
    else if (nowMs >= this.#schedule.dueAtMs) this.#fetch(nowMs)
    else this.#nextAtMs = this.#schedule.nextAtMs(nowMs)
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#nextAtMs = Number.POSITIVE_INFINITY
    this.#agent.destroy().catch(() => {})
  }

  /** What is known once a fetch is over. */
  async #after(fetching: Promise<void>, kid: string | undefined, algorithm: JwtAlgorithm): Promise<Keys> {
    await fetching
    const nowMs = this.#clock.now()
    if (!this.#schedule.isUsable(nowMs)) return this.#unavailable(nowMs)
    const { keys } = this.#table.find(kid, algorithm)
    if (keys.length > 0) return keys
    if (this.#schedule.isFailing) return this.#unavailable(nowMs)
    // Whatever the fetch was made for: it has told that this kid is unknown, and so soon it need not be asked again.
    this.#schedule.coolDown(this.#fetchStartedAtMs)
    return NONE
  }

  #unavailable(nowMs: number): KeysUnavailable {
    return { unavailable: true, retryAfterMs: this.#schedule.retryAfterMs(nowMs), cause: this.#error }
  }

  #fetchForUnknown(nowMs: number): Promise<void> | undefined {
    this.#schedule.coolDown(nowMs)
    return this.#fetch(nowMs)
  }

  #fetch(nowMs: number): Promise<void> | undefined {
    if (this.#closed) return undefined
    this.#fetchStartedAtMs = nowMs
    // The keys may have to be given up while it is under way.
    this.#nextAtMs = this.#schedule.isUsable(nowMs) ? this.#schedule.usableUntilMs : Number.POSITIVE_INFINITY
    this.#fetching = this.#refresh(nowMs, this.#clock.wallNow())
    return this.#fetching
  }

  async #refresh(startedAtMs: number, wallMs: number): Promise<void> {
    const { uri, timeoutMs, maxBytes } = this.#options
    try {
      const headers = { accept: 'application/jwk-set+json, application/json' }
      const answer = await fetchJson(uri, { headers, timeoutMs, maxBytes, dispatcher: this.#agent })
      if (!this.#closed) this.#accept(answer, startedAtMs, wallMs)
    } catch (error) {
      if (!this.#closed) this.#fail(error)
    }
    this.#fetching = undefined
    if (!this.#closed) this.#nextAtMs = this.#schedule.nextAtMs(this.#clock.now())
  }

  /** @throws when the answer holds no keys that can be used; then nothing has changed */
  #accept({ status, headers, body }: JsonAnswer, startedAtMs: number, wallMs: number): void {
    if (status !== 200) throw new ProviderError('status', `${this.#url} answers ${status}`, { status })
    const { keys, refused } = this.#read(body)
    if (keys.length === 0) {
      const why = refused.length === 0 ? '' : `: ${refused.slice(0, 5).join('; ')}`
      throw new ProviderError('unusable', `${this.#url} has no key for ${this.#algorithms.join(', ')}${why}`, {
        status,
      })
    }
    this.#table = new KeyTable(succeed(this.#table.keys, keys), this.#algorithms)
    this.#error = undefined
    this.#schedule.succeeded(startedAtMs, this.#clock.now(), freshForMs(headers, wallMs, this.#options))
    if (keySetRefreshed.hasSubscribers) keySetRefreshed.publish({ url: this.#url, keys: keys.length, refused })
  }

  #read(body: unknown): ReturnType<typeof keysFromJwks> {
    try {
      return keysFromJwks(body, this.#algorithms, this.#options.maxKeys)
    } catch (error) {
      throw new ProviderError('unusable', `${this.#url} ${(error as Error).message}`, { cause: error })
    }
  }

  #fail(error: unknown): void {
    this.#error = error
    this.#schedule.failed(this.#clock.now())
    if (providerFailed.hasSubscribers) providerFailed.publish({ provider: 'jwks', url: this.#url, error })
  }
}

import type { Clock } from '@postern/contracts'
import { LRUCache } from 'lru-cache'
import { providerFailed } from '../channels.ts'
import { tokenId } from '../credentials/token-id.ts'
import { createProviderAgent, fetchJson, ProviderError, shownUrl } from '../http-client.ts'
import type { Soon } from '../scheme.ts'
import { type ExchangeRequest, exchangeRequest, formEncoded, readExchangeAnswer } from './exchange-messages.ts'
import type { ResolvedTokenExchange } from './exchange-options.ts'
import { type Refusal, refusal } from './refusal.ts'

/** Most exchanges under way at once; beyond it callers are told to come again. */
const MAX_IN_FLIGHT = 256
const MAX_ANSWER_BYTES = 65_536
/** How long a caller who is denied is not asked for again, in milliseconds. */
const DENIED_MS = 10_000

interface Remembered {
  readonly answer: string | Refusal
  /** In monotonic milliseconds. */
  readonly untilMs: number
}

/**
 * Exchanges the tokens of callers for such as the services behind the gateway take (RFC 8693). One question for many
 * requests with the same token; tokens are remembered by their hash, bounded in number and time.
 */
export class TokenExchange {
  readonly #options: ResolvedTokenExchange
  readonly #clock: Clock
  readonly #request: ExchangeRequest
  readonly #agent: ReturnType<typeof createProviderAgent>
  readonly #remembered: LRUCache<string, Remembered>
  readonly #underWay = new Map<string, Promise<string | Refusal>>()
  #closed = false

  constructor(options: ResolvedTokenExchange, clock: Clock) {
    this.#options = options
    this.#clock = clock
    this.#request = exchangeRequest(options)
    this.#agent = createProviderAgent(options.tls)
    this.#remembered = new LRUCache({ max: options.maxEntries })
  }

  /** The token for a caller's token, or why there is none. At once when it is remembered; never rejects. */
  exchange(token: string): Soon<string | Refusal> {
    const key = tokenId(token)
    const known = this.#remembered.get(key)
    if (known !== undefined) {
      if (this.#clock.now() < known.untilMs) return known.answer
      this.#remembered.delete(key)
    }
    const same = this.#underWay.get(key)
    if (same !== undefined) return same
    if (this.#closed) return CLOSED
    if (this.#underWay.size >= MAX_IN_FLIGHT) return CROWDED
    const asked = this.#ask(key, token).finally(() => this.#underWay.delete(key))
    this.#underWay.set(key, asked)
    return asked
  }

  close(): void {
    this.#closed = true
    this.#remembered.clear()
    void this.#agent.destroy()
  }

  async #ask(key: string, token: string): Promise<string | Refusal> {
    const { endpoint, timeoutMs } = this.#options
    try {
      const answer = readExchangeAnswer(
        await fetchJson(endpoint, {
          method: 'POST',
          headers: this.#request.headers,
          body: this.#request.bodyStart + formEncoded(token),
          timeoutMs,
          maxBytes: MAX_ANSWER_BYTES,
          dispatcher: this.#agent,
        }),
      )
      switch (answer.outcome) {
        case 'exchanged':
          this.#remember(key, answer.token, answer.lifeMs * 0.9)
          return answer.token
        case 'denied': {
          const denied = refusal('access_denied', 'exchange-denied', `the token exchange is denied: ${answer.reason}`)
          this.#remember(key, denied, DENIED_MS)
          return denied
        }
        case 'failed':
          return this.#fail(new ProviderError('status', `${shownUrl(endpoint)} answers with ${answer.reason}`))
      }
    } catch (error) {
      return this.#fail(error)
    }
  }

  #remember(key: string, answer: string | Refusal, forMs: number): void {
    const lastingMs = Math.min(forMs, this.#options.maxCacheMs)
    if (lastingMs <= 0 || this.#closed) return
    this.#remembered.set(key, { answer, untilMs: this.#clock.now() + lastingMs })
  }

  #fail(error: unknown): Refusal {
    const url = shownUrl(this.#options.endpoint)
    if (providerFailed.hasSubscribers && !this.#closed)
      providerFailed.publish({ provider: 'token-exchange', url, error })
    return refusal('identity_unavailable', 'exchange-failed', 'the token exchange has failed', error)
  }
}

const CLOSED = refusal('identity_unavailable', 'exchange-closed', 'the token exchange is closed')
const CROWDED = refusal(
  'identity_unavailable',
  'exchange-crowded',
  `${MAX_IN_FLIGHT} token exchanges are under way already`,
)

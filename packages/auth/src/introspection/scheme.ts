import type { IncomingMessage } from 'node:http'
import type { Exchange, Identity } from '@postern/contracts'
import type { Agent } from 'undici'
import { bearerChallenge, type ChallengeError } from '../challenge.ts'
import { providerFailed } from '../channels.ts'
import { certificateBinding } from '../client-certificate/binding.ts'
import { tokenId } from '../credentials/token-id.ts'
import { TokenSources } from '../credentials/token-sources.ts'
import { withUser } from '../credentials/user-of.ts'
import { createProviderAgent, fetchJson, shownUrl } from '../http-client.ts'
import { holdsUntilMs } from '../jwt/claims.ts'
import {
  type Refused,
  refused,
  type Scheme,
  type Soon,
  type Unavailable,
  unavailable,
  type Verdict,
  type Verified,
} from '../scheme.ts'
import { Answers, type GoodAnswer } from './answers.ts'
import { judge } from './judge.ts'
import { formEncoded, type IntrospectionRequest, introspectionRequest, readIntrospection } from './messages.ts'
import type { ResolvedIntrospectionOptions } from './options.ts'

/** Questions that may be under way at once; a flood of made-up tokens gets no further than that. */
const MAX_IN_FLIGHT = 256
/** What is more waits for one of them, within its time. */
const CONNECTIONS = 64
/** When it is worth trying again after a failure, in milliseconds. */
const RETRY_AFTER_MS = 1_000
/** While the server is down, nobody is asked about a token whose last answer holds on for so long, in milliseconds. */
const STALE_PAUSE_MS = 5_000

/** Not active, though it was: expired or revoked, and not made up. */
const INACTIVE = refused('inactive')
const UNKNOWN = refused('inactive', { isGuess: true })
const NOT_BOUND = refused('certificate-binding')
const BUSY = unavailable('busy', RETRY_AFTER_MS, new Error(`more than ${MAX_IN_FLIGHT} tokens are being asked about`))
const CLOSED = unavailable('closed', RETRY_AFTER_MS)

type Outcome = GoodAnswer | Refused | Unavailable

/** Tokens that only their issuer can read, as bearer tokens: its introspection endpoint is asked about them (RFC 7662). */
export class IntrospectionScheme implements Scheme {
  readonly name: string
  readonly #options: ResolvedIntrospectionOptions
  readonly #sources: TokenSources
  readonly #request: IntrospectionRequest
  readonly #agent: Agent
  readonly #answers: Answers
  /** Questions that others may join, by hash of the token. */
  readonly #underWay = new Map<string, Promise<Outcome>>()
  /** Also those that nobody may join any longer. */
  #inFlight = 0
  #closed = false

  constructor(options: ResolvedIntrospectionOptions) {
    this.name = options.name
    this.#options = options
    this.#sources = new TokenSources(options.from, options.maxTokenBytes)
    this.#request = introspectionRequest(options.client)
    this.#agent = createProviderAgent(options.tls, CONNECTIONS)
    this.#answers = new Answers(options.maxEntries)
  }

  /** How many active tokens are remembered. */
  get remembered(): number {
    return this.#answers.size
  }

  /** Asks anew about a token: it was revoked, say. */
  forget(token: string): void {
    const id = tokenId(token)
    this.#answers.forget(id)
    this.#underWay.delete(id)
  }

  /** Asks anew about all tokens. */
  forgetAll(): void {
    this.#answers.clear()
    this.#underWay.clear()
  }

  find(req: IncomingMessage, exchange: Exchange): string | Refused | undefined {
    return this.#sources.find(req, exchange)
  }

  recall(token: string, req: IncomingMessage): Verified | undefined {
    const { clock } = this.#options
    const answer = this.#answers.good(tokenId(token), clock.now(), clock.wallNow())
    return answer !== undefined && this.#isHeld(answer, req) ? answer.verified : undefined
  }

  verify(token: string, req: IncomingMessage): Soon<Verdict> {
    const { clock } = this.#options
    const id = tokenId(token)
    const nowMs = clock.now()
    const good = this.#answers.good(id, nowMs, clock.wallNow())
    if (good !== undefined) return this.#isHeld(good, req) ? good.verified : NOT_BOUND
    const bad = this.#answers.bad(id, nowMs)
    if (bad !== undefined) return bad
    const underWay = this.#underWay.get(id) ?? this.#begin(token, id, req)
    if (underWay instanceof Promise) return underWay.then((outcome) => this.#settle(outcome, id, req))
    return this.#settle(underWay, id, req)
  }

  challenge(error?: ChallengeError, scope?: string): string {
    return bearerChallenge('Bearer', this.#options.realm, error, scope)
  }

  get secretNames(): TokenSources['secretNames'] {
    return this.#sources.secretNames
  }

  strip(req: IncomingMessage, exchange: Exchange): void {
    this.#sources.strip(req, exchange)
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.forgetAll()
    this.#agent.destroy().catch(() => {})
  }

  /** One question for all who show the same token meanwhile. */
  #begin(token: string, id: string, req: IncomingMessage): Promise<Outcome> | Unavailable {
    if (this.#closed) return CLOSED
    if (this.#inFlight >= MAX_IN_FLIGHT) return BUSY
    this.#inFlight++
    const asking: Promise<Outcome> = this.#ask(token, req).then(({ outcome, bytes }) => {
      this.#inFlight--
      // Forgotten meanwhile: who has asked gets the answer, and nobody else does.
      if (this.#underWay.get(id) !== asking) return outcome
      this.#underWay.delete(id)
      return this.#remember(id, outcome, bytes)
    })
    this.#underWay.set(id, asking)
    return asking
  }

  /** Never rejects. */
  async #ask(token: string, req: IncomingMessage): Promise<{ readonly outcome: Outcome; readonly bytes: number }> {
    const { endpoint, timeoutMs, maxBytes, user, clock } = this.#options
    const askedAtMs = clock.now()
    let bytes = 0
    try {
      const answer = await fetchJson(endpoint, {
        method: 'POST',
        headers: this.#request.headers,
        body: this.#request.bodyStart + formEncoded(token),
        timeoutMs,
        maxBytes,
        dispatcher: this.#agent,
      })
      bytes = answer.bodyBytes
      const claims = readIntrospection(answer, shownUrl(endpoint))
      if (claims === undefined) return { outcome: UNKNOWN, bytes }
      const found = judge(claims, this.#options, clock.wallNow())
      if (isRefused(found)) return { outcome: found, bytes }
      const verdict = await withUser(found, user, req, timeoutMs)
      return { outcome: verdict.outcome === 'verified' ? this.#goodAnswer(verdict, claims, askedAtMs) : verdict, bytes }
    } catch (error) {
      if (!this.#closed && providerFailed.hasSubscribers) {
        providerFailed.publish({ provider: 'introspection', url: shownUrl(endpoint), error })
      }
      return { outcome: unavailable('introspection', RETRY_AFTER_MS, error), bytes }
    }
  }

  /** @param askedAtMs the server's word is as old as the question */
  #goodAnswer(verified: Verified, claims: Readonly<Record<string, unknown>>, askedAtMs: number): GoodAnswer {
    const { rules, maxCacheMs, maxStaleMs } = this.#options
    return {
      verified,
      bound: claims.cnf !== undefined,
      expiresAtMs: holdsUntilMs(claims, rules),
      untilMs: askedAtMs + maxCacheMs,
      staleUntilMs: askedAtMs + maxCacheMs + maxStaleMs,
    }
  }

  #remember(id: string, outcome: Outcome, bytes: number): Outcome {
    if (this.#closed || isUnavailable(outcome)) return outcome
    if (!isRefused(outcome)) {
      this.#answers.rememberGood(id, outcome, bytes)
      return outcome
    }
    const told = outcome === UNKNOWN && this.#answers.wasGood(id) ? INACTIVE : outcome
    this.#answers.rememberBad(id, told, this.#options.clock.now() + this.#options.inactiveCacheMs)
    return told
  }

  /** What an outcome means for one of the requests that have waited for it. */
  #settle(outcome: Outcome, id: string, req: IncomingMessage): Verdict {
    if (isRefused(outcome)) return outcome
    if (!isUnavailable(outcome)) return this.#isHeld(outcome, req) ? outcome.verified : NOT_BOUND
    const { clock } = this.#options
    const nowMs = clock.now()
    const stale = this.#answers.stale(id, nowMs, clock.wallNow())
    if (stale === undefined) return outcome
    // Otherwise each request would first wait for a server that does not answer.
    stale.untilMs = Math.min(nowMs + STALE_PAUSE_MS, stale.staleUntilMs)
    return this.#isHeld(stale, req) ? stale.verified : NOT_BOUND
  }

  /** A bound token counts only together with its certificate, request by request. */
  #isHeld({ bound, verified }: GoodAnswer, req: IncomingMessage): boolean {
    if (!bound) return true
    return certificateBinding(verified.identity.claims, req, this.#options.certificateHeader) === undefined
  }
}

function isRefused(value: Outcome | Identity): value is Refused {
  return 'outcome' in value && value.outcome === 'refused'
}

function isUnavailable(value: Outcome): value is Unavailable {
  return 'outcome' in value && value.outcome === 'unavailable'
}

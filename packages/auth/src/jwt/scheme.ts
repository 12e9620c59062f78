import type { IncomingMessage } from 'node:http'
import type { Clock, Exchange } from '@postern/contracts'
import { bearerChallenge, type ChallengeError } from '../challenge.ts'
import { claimAt, namesAt } from '../claim-path.ts'
import { certificateBinding } from '../client-certificate/binding.ts'
import { isSame, ShownBefore } from '../credentials/shown-before.ts'
import { isNow } from '../credentials/timed-call.ts'
import { TokenSources } from '../credentials/token-sources.ts'
import { withUser } from '../credentials/user-of.ts'
import {
  identityOf,
  type Refused,
  refused,
  type Scheme,
  type Soon,
  unavailable,
  type Verdict,
  type Verified,
} from '../scheme.ts'
import { checkClaims, holdsUntilMs } from './claims.ts'
import { type CompactToken, parseToken } from './compact-token.ts'
import type { KeysUnavailable, VerificationKey } from './key-set.ts'
import type { JwtIssuer, ResolvedJwtOptions } from './options.ts'
import { askRevocation, type Standing } from './revocation.ts'
import { verifySignature } from './signature.ts'
import { type VerifiedToken, VerifiedTokens } from './verified-tokens.ts'

const UNKNOWN_ISSUER = refused('issuer')
const WRONG_ALGORITHM = refused('algorithm')
const UNKNOWN_KEY = refused('unknown-key', { isGuess: true })
const WRONG_SIGNATURE = refused('signature', { isGuess: true })
const NO_SUBJECT = refused('no-subject')
const NOT_BOUND = refused('certificate-binding')
const REVOKED = refused('revoked')

/** Longest wait for the `user` option, in milliseconds. */
const USER_TIMEOUT_MS = 5_000

/**
 * JSON Web Tokens as bearer tokens (RFC 6750, RFC 7519, RFC 8725). Signatures are verified by Node's own crypto, at once:
 * a promise for each token costs four times as much as the signature.
 */
export class JwtScheme implements Scheme {
  readonly name: string
  readonly #options: ResolvedJwtOptions
  readonly #shown = new ShownBefore<VerifiedToken>(isSame)
  readonly #sources: TokenSources
  readonly #tokens: VerifiedTokens
  readonly #clock: Clock
  /** Revocation checks under way, by token: one for many requests. */
  readonly #checks = new Map<VerifiedToken, Promise<Verdict>>()

  constructor(options: ResolvedJwtOptions) {
    this.name = options.name
    this.#options = options
    this.#sources = new TokenSources(options.from, options.maxTokenBytes, this.#shown)
    this.#tokens = new VerifiedTokens(options.rememberBytes)
    this.#clock = options.clock
  }

  /** How many verified tokens are remembered. */
  get remembered(): number {
    return this.#tokens.size
  }

  /** Forgets all verified tokens: each is verified anew, and asked about anew. */
  forgetAll(): void {
    this.#tokens.clear()
  }

  find(req: IncomingMessage, exchange: Exchange): string | Refused | undefined {
    return this.#sources.find(req, exchange)
  }

  recall(token: string, req: IncomingMessage): Soon<Verdict> | undefined {
    const nowMs = this.#clock.wallNow()
    const shown = this.#shown.of(req, token)
    let entry = shown?.known
    if (entry === undefined || !this.#tokens.isHeld(entry, nowMs)) {
      entry = this.#tokens.get(token, nowMs)
      if (shown !== undefined) shown.known = entry
      if (entry === undefined) return undefined
    }
    // Otherwise nobody would ask for new keys as long as only known tokens come, and a key that was withdrawn would last.
    entry.issuer.keys.keepFresh()
    // It may just have found that the keys are too old to be used any longer.
    return entry.key.active ? this.#confirm(entry, req, nowMs) : undefined
  }

  verify(token: string, req: IncomingMessage): Soon<Verdict> {
    const parsed = parseToken(token, this.#options.maxTokenBytes)
    if (typeof parsed === 'string') return refused(parsed)
    const issuer = this.#issuerOf(parsed)
    if (issuer === undefined) return UNKNOWN_ISSUER
    if (!issuer.algorithms.has(parsed.alg)) return WRONG_ALGORITHM
    const keys = issuer.keys.keysFor(parsed.kid, parsed.alg)
    if (keys instanceof Promise) {
      // Of all who wait for the keys with the same token, the first one verifies it for the others.
      return keys.then((later) => this.recall(token, req) ?? this.#verifyWith(later, parsed, issuer, token, req))
    }
    return this.#verifyWith(keys, parsed, issuer, token, req)
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
    for (const { keys } of this.#options.issuers.values()) keys.close()
    this.#options.anyIssuer?.keys.close()
    this.#tokens.clear()
  }

  /** Whose token it says it is, unverified: this only decides which keys and rules it is held against. */
  #issuerOf({ claims }: CompactToken): JwtIssuer | undefined {
    const { issuers, anyIssuer } = this.#options
    if (anyIssuer !== undefined) return anyIssuer
    return typeof claims.iss === 'string' ? issuers.get(claims.iss) : undefined
  }

  #verifyWith(
    keys: readonly VerificationKey[] | KeysUnavailable,
    parsed: CompactToken,
    issuer: JwtIssuer,
    token: string,
    req: IncomingMessage,
  ): Soon<Verdict> {
    if ('unavailable' in keys) return unavailable('keys', keys.retryAfterMs, keys.cause)
    if (keys.length === 0) return UNKNOWN_KEY
    const { alg, signingInput, signature, claims, typ } = parsed
    const key = keys.find((each) => verifySignature(alg, each.key, signingInput, signature))
    if (key === undefined) return WRONG_SIGNATURE
    const fault = checkClaims(claims, typ, issuer.rules, this.#clock.wallNow())
    if (fault !== undefined) return refused(fault)
    const subject = claimAt(claims, issuer.subject)
    if (typeof subject !== 'string' || subject === '') return NO_SUBJECT
    if (claims.cnf === undefined && this.#options.bindingRequired) return NOT_BOUND
    const identity = identityOf(this.name, subject, {
      scopes: issuer.scopes.map((path) => namesAt(claims, path)).find((names) => names.length > 0),
      roles: namesAt(claims, issuer.roles),
      claims: Object.freeze(claims),
    })
    const admitted = withUser(identity, this.#options.user, req, USER_TIMEOUT_MS)
    const finish = (verdict: Awaited<typeof admitted>): Soon<Verdict> =>
      verdict.outcome === 'verified' ? this.#remember(token, verdict, issuer, key, req) : verdict
    return isNow(admitted) ? finish(admitted) : admitted.then((later) => this.recall(token, req) ?? finish(later))
  }

  #remember(
    token: string,
    verified: Verified,
    issuer: JwtIssuer,
    key: VerificationKey,
    req: IncomingMessage,
  ): Soon<Verdict> {
    const { claims } = verified.identity
    const entry: VerifiedToken = {
      verified,
      issuer,
      key,
      expiresAtMs: holdsUntilMs(claims, issuer.rules),
      bound: claims.cnf !== undefined,
      era: this.#tokens.era,
      checkedUntilMs: this.#options.revocation === undefined ? Number.POSITIVE_INFINITY : 0,
      revoked: false,
    }
    this.#tokens.set(token, entry)
    return this.#confirm(entry, req, this.#clock.wallNow())
  }

  /** What has to be asked for each request, or now and then, of a token that is good otherwise. */
  #confirm(entry: VerifiedToken, req: IncomingMessage, nowMs: number): Soon<Verdict> {
    if (entry.bound && this.#bindingFault(entry.verified.identity.claims, req) !== undefined) return NOT_BOUND
    const { revocation } = this.#options
    if (revocation === undefined || entry.checkedUntilMs > nowMs) {
      return entry.revoked ? REVOKED : entry.verified
    }
    const underWay = this.#checks.get(entry)
    if (underWay !== undefined) return underWay
    const standing = askRevocation(revocation, entry.verified.identity, req)
    if (!(standing instanceof Promise)) return this.#note(standing, entry)
    const check = standing.then((later) => {
      this.#checks.delete(entry)
      return this.#note(later, entry)
    })
    this.#checks.set(entry, check)
    return check
  }

  #note({ state, forMs }: Standing, entry: VerifiedToken): Verdict {
    if (state === 'unknown') return unavailable('revocation', 1_000)
    // What is known to be revoked stays so while nobody can tell.
    if (state !== 'assumed') entry.revoked = state === 'revoked'
    entry.checkedUntilMs = this.#clock.wallNow() + forMs
    return entry.revoked ? REVOKED : entry.verified
  }

  #bindingFault(claims: Readonly<Record<string, unknown>>, req: IncomingMessage): string | undefined {
    return certificateBinding(claims, req, this.#options.certificateHeader)
  }
}

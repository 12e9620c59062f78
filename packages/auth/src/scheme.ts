import type { IncomingMessage } from 'node:http'
import type { Exchange, Identity } from '@postern/contracts'
import type { ChallengeError } from './challenge.ts'

/** A value that is there at once, or later. What is known already costs no promise. */
export type Soon<Value> = Value | Promise<Value>

/** Credentials that hold. One object serves every request that shows the same credentials. */
export interface Verified {
  readonly outcome: 'verified'
  readonly identity: Identity
  /** What is found in `req.user`; the identity, unless the scheme was told otherwise. */
  readonly user: unknown
}

/** Credentials that do not hold. */
export interface Refused {
  readonly outcome: 'refused'
  /**
   * What the client is told, in the words of RFC 6750 §3.1: `invalid_request` (400) when it shows credentials in an
   * ambiguous way, `invalid_token` (401) for everything else, whatever the reason. `foreign_origin` (403): a page of
   * another origin had the browser send a cookie.
   */
  readonly error: 'invalid_request' | 'invalid_token' | 'foreign_origin'
  /** For the operator's log and the audit channel alone: `signature`, `expired`, `audience`. Never shown to a client. */
  readonly reason: string
  /**
   * True when somebody may be trying out secrets: a wrong password, an unknown key, a signature that does not fit. An
   * expired token is none: whoever shows it once knew a good one.
   */
  readonly isGuess: boolean
}

/** It cannot be told whether they hold: a provider of keys, an introspection server or a look-up does not answer. */
export interface Unavailable {
  readonly outcome: 'unavailable'
  /** For the operator's log. */
  readonly reason: string
  /** When it is worth trying again, in milliseconds. */
  readonly retryAfterMs: number
  readonly cause?: unknown
}

export type Verdict = Verified | Refused | Unavailable

/**
 * One way to tell who is calling. Made for each `authenticate()` once; holds no state of a request.
 *
 * A request is asked in three steps, so that what is known already is answered at once: {@link find}, {@link recall},
 * {@link verify}. None of them may throw or reject for anything that a client sends.
 */
export interface Scheme {
  /** In `identity.scheme`, events and logs: `jwt`, `api-key`. */
  readonly name: string
  /**
   * The credentials of this scheme as the request shows them; undefined when it shows none. A {@link Refused} when it
   * shows them twice, in two places, or out of form. Runs for every request: reads `req.rawHeaders`, allocates nothing.
   */
  find(req: IncomingMessage, exchange: Exchange): string | Refused | undefined
  /**
   * What is known about these credentials, so that they need not be verified: at once, or when somebody was asked who may have
   * changed it. Undefined when they have to be verified. Is asked also of callers who have to wait after failures, so nothing
   * is answered here that a guess could hit.
   */
  recall(credentials: string, req: IncomingMessage): Soon<Verdict | undefined> | undefined
  /** Finds out whether they hold; undefined when it turns out that there are none, and the next scheme is asked. */
  verify(credentials: string, req: IncomingMessage): Soon<Verdict | undefined>
  /**
   * The value of `WWW-Authenticate` (RFC 9110 §11.6.1).
   *
   * @param error why the request is refused (RFC 6750 §3.1); undefined when it showed no credentials
   * @param scope the scopes that are needed, for `insufficient_scope`
   */
  challenge(error?: ChallengeError, scope?: string): string
  /** Whom the credentials claim to be of, when that can be told before they are verified: a user's name. For limits on failures. */
  claimant?(credentials: string): string | undefined
  /** Run for every request, before any scheme is asked, also where another one decides then. */
  guard?(req: IncomingMessage, exchange: Exchange): void
  /** Takes the credentials out of what is sent upstream. */
  strip(req: IncomingMessage, exchange: Exchange): void
  /** Names of the headers and query parameters that its credentials stand in, for logs to leave their values out. */
  readonly secretNames?: { readonly headers: readonly string[]; readonly query: readonly string[] }
  /** Ends timers and connections. */
  close?(): void
}

/** The challenges of schemes as one list (RFC 9110 §11.6.1). */
export function challengesOf(schemes: readonly Scheme[]): string {
  return schemes.map((scheme) => scheme.challenge()).join(', ')
}

/** {@link Refused} values are made once and shared: they are the same for every request. */
export function refused(reason: string, options: { isGuess?: boolean; error?: Refused['error'] } = {}): Refused {
  return Object.freeze({
    outcome: 'refused',
    error: options.error ?? 'invalid_token',
    reason,
    isGuess: options.isGuess ?? false,
  })
}

/** See {@link Unavailable}. */
export function unavailable(reason: string, retryAfterMs: number, cause?: unknown): Unavailable {
  return { outcome: 'unavailable', reason, retryAfterMs, cause }
}

/**
 * See {@link Verified}.
 *
 * @param user `req.user`; the identity when it is left out
 */
export function verified(identity: Identity, user: unknown = identity): Verified {
  return Object.freeze({ outcome: 'verified', identity: Object.freeze(identity), user })
}

/** Makes an identity out of what a scheme has found; scopes and roles are copied and frozen. */
export function identityOf(
  scheme: string,
  subject: string,
  parts: {
    readonly scopes?: readonly string[] | undefined
    readonly roles?: readonly string[] | undefined
    readonly claims?: Readonly<Record<string, unknown>> | undefined
  } = {},
): Identity {
  return Object.freeze({
    scheme,
    subject,
    scopes: Object.freeze([...(parts.scopes ?? [])]),
    roles: Object.freeze([...(parts.roles ?? [])]),
    claims: parts.claims ?? NO_CLAIMS,
  })
}

const NO_CLAIMS: Readonly<Record<string, unknown>> = Object.freeze({})

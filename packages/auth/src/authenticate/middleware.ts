import type { IncomingMessage, ServerResponse } from 'node:http'
import { inspect } from 'node:util'
import {
  clientOf,
  type Exchange,
  type ExchangeObserver,
  exchangeOf,
  failExchange,
  type GatewayError,
  warnOnce,
} from '@postern/contracts'
import { type Admission, admit } from '../admission.ts'
import { addressKey, FailureLimit } from '../brute-force/failure-limit.ts'
import { identityRefused, identityVerified } from '../channels.ts'
import type { PassportStrategy } from '../passport/scheme-strategy.ts'
import { problem } from '../problems.ts'
import {
  challengesOf,
  type Refused,
  type Scheme,
  type Unavailable,
  unavailable,
  type Verdict,
  type Verified,
} from '../scheme.ts'
import { type AuthenticateOptions, type ResolvedAuthenticate, resolveOptions } from './options.ts'

type Next = (error?: unknown) => void

/** The handler that {@link authenticate} returns. */
export interface AuthenticateHandler {
  (req: IncomingMessage, res: ServerResponse, next: Next): void
  /** In the order in which they are asked. */
  readonly schemes: readonly Scheme[]
  /** Ends the timers and connections of all its schemes. */
  close(): void
}

/**
 * Finds out who is calling. Schemes are asked in their order; the first that finds credentials of its own decides, and none
 * after it is asked. Whoever shows none gets 401 with the challenges of all schemes, or passes where that is `optional`.
 *
 * What was found is in `req.gateway.identity`, and in `req.user` for handlers that know passport.
 *
 * @param args passport strategies, those of this package or any other; options may come last
 * @throws ConfigError with all faults
 */
export function authenticate(
  ...args: readonly [PassportStrategy, ...(PassportStrategy | AuthenticateOptions)[]]
): AuthenticateHandler {
  const options = resolveOptions(args)
  const authentication = new Authentication(options)
  function authenticateHandler(req: IncomingMessage, res: ServerResponse, next: Next): void {
    authentication.run(exchangeOf(req, res), next)
  }
  return Object.assign(authenticateHandler, {
    schemes: options.schemes,
    close() {
      for (const scheme of options.schemes) scheme.close?.()
    },
  })
}

const NOBODY: ExchangeObserver = { onExchangeClosed() {} }

/** One `authenticate()`; holds nothing of a request. */
class Authentication {
  readonly #options: ResolvedAuthenticate
  readonly #schemes: readonly Scheme[]
  readonly #admissions: readonly Admission[]
  readonly #anonymous: Admission
  readonly #guarding: readonly Scheme[]
  readonly #limit: FailureLimit | undefined

  constructor(options: ResolvedAuthenticate) {
    const { schemes, failureLimit, clock } = options
    this.#options = options
    this.#schemes = schemes
    this.#admissions = schemes.map((scheme) => Object.freeze({ scheme, schemes }))
    this.#guarding = schemes.filter((scheme) => scheme.guard !== undefined)
    this.#anonymous = Object.freeze({ scheme: undefined, schemes })
    this.#limit = failureLimit === undefined ? undefined : new FailureLimit(failureLimit, clock)
  }

  run(exchange: Exchange, next: Next): void {
    for (const scheme of this.#guarding) scheme.guard!(exchange.request, exchange)
    this.#ask(0, exchange, next)
  }

  /** Asks the schemes, from the one at `at` on. */
  #ask(at: number, exchange: Exchange, next: Next): void {
    for (let i = at; i < this.#schemes.length; i++) {
      const scheme = this.#schemes[i]!
      const found = findSafely(scheme, exchange)
      if (found === undefined) continue
      if (typeof found !== 'string') {
        this.#decide(found, i, undefined, exchange, next)
        return
      }
      const known = recallSafely(scheme, found, exchange)
      if (known === undefined) this.#verify(found, i, exchange, next)
      else this.#admit(known, i, true, exchange, next)
      return
    }
    this.#findNothing(exchange, next)
  }

  #verify(credentials: string, i: number, exchange: Exchange, next: Next): void {
    const scheme = this.#schemes[i]!
    const claimant = scheme.claimant?.(credentials)
    const waitMs = this.#waitMs(scheme, claimant, exchange)
    if (waitMs > 0) {
      const headers = retryAfter(waitMs)
      this.#refuse(problem('too_many_failures', { headers }), 'too-many-failures', scheme, exchange, next)
      return
    }
    const verdict = verifySafely(scheme, credentials, exchange)
    if (verdict instanceof Promise) {
      // An exchange that nobody watches does not notice that its client has left.
      exchange.observe(NOBODY)
      void verdict.then((later) => this.#decide(later, i, claimant, exchange, next))
    } else this.#decide(verdict, i, claimant, exchange, next)
  }

  #decide(verdict: Verdict | undefined, i: number, claimant: string | undefined, exchange: Exchange, next: Next): void {
    // Whoever left, or was answered by the scheme itself, hears nothing more.
    if (exchange.closed || exchange.response.writableEnded) return
    const scheme = this.#schemes[i]!
    if (verdict === undefined) {
      this.#ask(i + 1, exchange, next)
    } else if (verdict.outcome === 'verified') {
      if (claimant !== undefined) this.#limit?.succeeded(claimantKey(scheme, claimant))
      this.#admit(verdict, i, false, exchange, next)
    } else if (verdict.outcome === 'refused') {
      if (verdict.isGuess) this.#noteGuess(scheme, claimant, exchange)
      this.#refuse(errorOf(verdict, scheme), verdict.reason, scheme, exchange, next)
    } else {
      const { reason, retryAfterMs, cause } = verdict
      const message = `${scheme.name} cannot tell whether credentials hold: ${reason}`
      const error = problem('authentication_unavailable', { headers: retryAfter(retryAfterMs), message, cause })
      this.#refuse(error, reason, scheme, exchange, next)
    }
  }

  #admit(verified: Verified, i: number, remembered: boolean, exchange: Exchange, next: Next): void {
    admit(exchange, this.#admissions[i]!, verified)
    if (this.#options.dropsCredentials) this.#strip(exchange)
    if (identityVerified.hasSubscribers) {
      identityVerified.publish({ exchange, identity: verified.identity, remembered })
    }
    next()
  }

  #findNothing(exchange: Exchange, next: Next): void {
    if (this.#options.optional) {
      admit(exchange, this.#anonymous, undefined)
      if (this.#options.dropsCredentials) this.#strip(exchange)
      next()
      return
    }
    const headers = { 'www-authenticate': challengesOf(this.#schemes) }
    this.#refuse(problem('authentication_required', { headers }), 'none', undefined, exchange, next)
  }

  /** What belongs to a scheme that was not asked is no business of the upstream's either. */
  #strip(exchange: Exchange): void {
    for (const scheme of this.#schemes) scheme.strip(exchange.request, exchange)
  }

  #refuse(error: GatewayError, reason: string, scheme: Scheme | undefined, exchange: Exchange, next: Next): void {
    if (identityRefused.hasSubscribers) {
      identityRefused.publish({ exchange, scheme: scheme?.name, reason, status: error.status })
    }
    failExchange(exchange.request, exchange.response, error, this.#options.errors, next)
  }

  /** How long this caller has to wait before credentials are looked at again, in milliseconds. */
  #waitMs(scheme: Scheme, claimant: string | undefined, exchange: Exchange): number {
    const limit = this.#limit
    // Nobody guesses in the background: a cache shows again what was good before.
    if (limit === undefined || exchange.background || limit.isEmpty) return 0
    const ofAddress = limit.blockedForMs(addressKey(clientOf(exchange.request).address))
    const ofClaimant = claimant === undefined ? 0 : limit.blockedForMs(claimantKey(scheme, claimant))
    return Math.max(ofAddress, ofClaimant)
  }

  #noteGuess(scheme: Scheme, claimant: string | undefined, exchange: Exchange): void {
    const limit = this.#limit
    if (limit === undefined || exchange.background) return
    limit.failed(addressKey(clientOf(exchange.request).address))
    if (claimant !== undefined) limit.failed(claimantKey(scheme, claimant))
  }
}

/** Delays in whole seconds (RFC 9110 §10.2.3). */
function retryAfter(ms: number): Readonly<Record<string, string>> {
  return { 'retry-after': String(Math.max(1, Math.ceil(ms / 1_000))) }
}

function errorOf(refused: Refused, scheme: Scheme): GatewayError {
  const { error, reason } = refused
  const message = `${scheme.name} refused the credentials: ${reason}`
  if (error === 'foreign_origin') return problem('foreign_origin', { message })
  const code = error === 'invalid_request' ? 'ambiguous_credentials' : 'invalid_credentials'
  return problem(code, { message, headers: { 'www-authenticate': scheme.challenge(error) } })
}

function claimantKey(scheme: Scheme, claimant: string): string {
  return `user ${scheme.name} ${claimant}`
}

// A scheme must not throw; one of the user's own may, and ends its own request with 503 and no other.

function findSafely(scheme: Scheme, exchange: Exchange): ReturnType<Scheme['find']> | Unavailable {
  try {
    return scheme.find(exchange.request, exchange)
  } catch (error) {
    return threw(scheme, error)
  }
}

function recallSafely(scheme: Scheme, credentials: string, exchange: Exchange): Verified | undefined {
  try {
    return scheme.recall(credentials, exchange.request)
  } catch (error) {
    threw(scheme, error)
    return undefined
  }
}

function verifySafely(scheme: Scheme, credentials: string, exchange: Exchange): ReturnType<Scheme['verify']> {
  try {
    const verdict = scheme.verify(credentials, exchange.request)
    return verdict instanceof Promise ? verdict.catch((error: unknown) => threw(scheme, error)) : verdict
  } catch (error) {
    return threw(scheme, error)
  }
}

function threw(scheme: Scheme, error: unknown): Unavailable {
  const message = `the scheme "${scheme.name}" threw, which it never should, and requests got 503: ${inspect(error)}`
  warnOnce('POSTERN_SCHEME_THREW', message, scheme.name)
  return unavailable('scheme-threw', 1_000, error)
}

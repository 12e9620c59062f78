import type { IncomingMessage, ServerResponse } from 'node:http'
import { clientOf, type Exchange, exchangeOf, failExchange, type GatewayError } from '@postern/contracts'
import { type Admission, admit, watch } from '../admission.ts'
import { addressKey, FailureLimit } from '../brute-force/failure-limit.ts'
import { identityRefused, identityVerified } from '../channels.ts'
import type { PassportStrategy } from '../passport/scheme-strategy.ts'
import { problem } from '../problems.ts'
import { claimantSafely, findSafely, guardSafely, recallSafely, stripSafely, verifySafely } from '../safe-steps.ts'
import { challengesOf, type Refused, type Scheme, type Soon, type Verdict, type Verified } from '../scheme.ts'
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
    for (const scheme of this.#guarding) {
      const fault = guardSafely(scheme, exchange)
      if (fault === undefined) continue
      this.#decide(fault, this.#schemes.indexOf(scheme), undefined, exchange, next)
      return
    }
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
      const known = this.#holdsUp(scheme, found, exchange) ? undefined : recallSafely(scheme, found, exchange.request)
      if (known === undefined) this.#verify(found, i, exchange, next)
      else if (!(known instanceof Promise) && known.outcome === 'verified') this.#admit(known, i, true, exchange, next)
      else this.#settle(known, i, undefined, exchange, next)
      return
    }
    this.#findNothing(exchange, next)
  }

  #verify(credentials: string, i: number, exchange: Exchange, next: Next): void {
    const scheme = this.#schemes[i]!
    const claimant = scheme.claimant === undefined ? undefined : claimantSafely(scheme, credentials)
    const waitMs = this.#waitMs(scheme, claimant, exchange)
    if (waitMs > 0) {
      const headers = retryAfter(waitMs)
      this.#refuse(problem('too_many_failures', { headers }), 'too-many-failures', scheme, exchange, next)
      return
    }
    this.#settle(verifySafely(scheme, credentials, exchange.request), i, claimant, exchange, next)
  }

  #settle(
    verdict: Soon<Verdict | undefined>,
    i: number,
    claimant: string | undefined,
    exchange: Exchange,
    next: Next,
  ): void {
    if (verdict instanceof Promise) {
      watch(exchange)
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
    if (this.#options.dropsCredentials && !this.#strip(exchange, next)) return
    admit(exchange, this.#admissions[i]!, verified)
    if (identityVerified.hasSubscribers) {
      identityVerified.publish({ exchange, identity: verified.identity, remembered })
    }
    next()
  }

  #findNothing(exchange: Exchange, next: Next): void {
    if (this.#options.optional) {
      if (this.#options.dropsCredentials && !this.#strip(exchange, next)) return
      admit(exchange, this.#anonymous, undefined)
      next()
      return
    }
    const headers = { 'www-authenticate': challengesOf(this.#schemes) }
    this.#refuse(problem('authentication_required', { headers }), 'none', undefined, exchange, next)
  }

  /**
   * What belongs to a scheme that was not asked is no business of the upstream's either. False when one of them threw: the
   * request is refused then, since its credentials may still be in it.
   */
  #strip(exchange: Exchange, next: Next): boolean {
    for (let i = 0; i < this.#schemes.length; i++) {
      const fault = stripSafely(this.#schemes[i]!, exchange)
      if (fault === undefined) continue
      this.#decide(fault, i, undefined, exchange, next)
      return false
    }
    return true
  }

  #refuse(error: GatewayError, reason: string, scheme: Scheme | undefined, exchange: Exchange, next: Next): void {
    if (identityRefused.hasSubscribers) {
      identityRefused.publish({ exchange, scheme: scheme?.name, reason, status: error.status })
    }
    failExchange(exchange.request, exchange.response, error, this.#options.errors, next)
  }

  /**
   * A password that is remembered can be guessed like any other: who has to wait must not learn that it is right by being
   * let in. Tokens and keys are too long to be guessed; those that are remembered pass meanwhile.
   */
  #holdsUp(scheme: Scheme, credentials: string, exchange: Exchange): boolean {
    if (scheme.claimant === undefined || this.#limit === undefined || this.#limit.isEmpty) return false
    return this.#waitMs(scheme, claimantSafely(scheme, credentials), exchange) > 0
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

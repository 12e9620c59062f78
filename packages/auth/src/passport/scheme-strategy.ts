import type { IncomingMessage } from 'node:http'
import { type Exchange, exchangeOf } from '@postern/contracts'
import passport from 'passport'
import { findSafely, guardSafely, recallSafely, verifySafely } from '../safe-steps.ts'
import type { Scheme, Soon, Verdict } from '../scheme.ts'

/** What `authenticate()` takes: a passport strategy. Those of this package also carry their {@link Scheme}. */
export interface PassportStrategy {
  readonly name?: string | undefined
  authenticate(req: never, options?: never): unknown
}

/** A scheme of this package as a passport strategy; it works under `passport.authenticate()` as well. */
export interface SchemeStrategy extends PassportStrategy {
  readonly name: string
  readonly scheme: Scheme
  /** Ends the scheme's timers and connections. */
  close(): void
}

/** The actions that passport puts on a strategy for one request. */
export interface StrategyActions {
  success(user: unknown, info?: object): void
  fail(challenge?: unknown, status?: number): void
  error(error: unknown): void
}

/** Every scheme but `jwt()`, which has passport-jwt's strategy as its parent. */
class PlainSchemeStrategy extends passport.Strategy implements SchemeStrategy {
  override readonly name: string
  readonly scheme: Scheme

  constructor(scheme: Scheme) {
    super()
    this.name = scheme.name
    this.scheme = scheme
  }

  override authenticate(req: unknown): void {
    runScheme(this.scheme, this as unknown as StrategyActions, req as IncomingMessage)
  }

  close(): void {
    this.scheme.close?.()
  }
}

/** A scheme as a passport strategy. */
export function strategyOf(scheme: Scheme): SchemeStrategy {
  return new PlainSchemeStrategy(scheme)
}

/**
 * Runs a scheme as passport runs strategies. The actions are taken at once: where a strategy object is used for several requests
 * at a time, they are another request's when the answer is there.
 */
export function runScheme(scheme: Scheme, actions: StrategyActions, req: IncomingMessage): void {
  const { success, fail, error } = actions
  const settle = (verdict: Verdict | undefined): void => {
    if (verdict === undefined) fail.call(actions, scheme.challenge(), 401)
    else if (verdict.outcome === 'verified') {
      exchange.identity = verdict.identity
      success.call(actions, verdict.user, { scheme: scheme.name })
    } else if (verdict.outcome === 'unavailable') error.call(actions, new AuthenticationUnavailable(verdict.reason))
    else if (verdict.error === 'invalid_token') fail.call(actions, scheme.challenge('invalid_token'), 401)
    else if (verdict.error === 'invalid_request') fail.call(actions, scheme.challenge('invalid_request'), 400)
    else fail.call(actions, undefined, 403)
  }
  // Passport hands a strategy the request alone; Node keeps its response beside it, and Express a reference.
  const exchange = req.gateway ?? exchangeOf(req, (req as unknown as { res: never }).res)
  const verdict = examine(scheme, req, exchange)
  if (verdict instanceof Promise) void verdict.then(settle)
  else settle(verdict)
}

/** `status` is what Express's error handling answers with. */
class AuthenticationUnavailable extends Error {
  readonly status = 503
  readonly statusCode = 503
  readonly expose = false
}

/** All steps of a scheme, for one request. Never throws, never rejects. */
function examine(scheme: Scheme, req: IncomingMessage, exchange: Exchange): Soon<Verdict | undefined> {
  const fault = scheme.guard === undefined ? undefined : guardSafely(scheme, exchange)
  if (fault !== undefined) return fault
  const found = findSafely(scheme, exchange)
  if (typeof found !== 'string') return found
  return recallSafely(scheme, found, req) ?? verifySafely(scheme, found, req)
}

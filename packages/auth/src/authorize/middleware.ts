import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Exchange, exchangeOf, failExchange, type GatewayError, warnOnce } from '@postern/contracts'
import { type Admission, admissionOf, watch } from '../admission.ts'
import { bearerChallenge } from '../challenge.ts'
import { accessDecided } from '../channels.ts'
import { problem } from '../problems.ts'
import { challengesOf } from '../scheme.ts'
import { type AuthorizeOptions, type ResolvedAuthorizeOptions, resolveAuthorizeOptions } from './options.ts'
import type { Outcome, RuleFailure } from './outcome.ts'
import type { Rule } from './rule.ts'

type Next = (error?: unknown) => void

/** The handler that {@link authorize} returns. */
export type AuthorizeHandler = (req: IncomingMessage, res: ServerResponse, next: Next) => void

const ANONYMOUS: RuleFailure = Object.freeze({ part: 'authenticated' })

/**
 * Lets pass whoever the rule allows, and nobody else. Mount it behind `authenticate()`. Without an identity: 401 with the challenges of its
 * schemes, whatever the rule. With one that lacks scopes: 403 `insufficient_scope`, which names them (RFC 6750
 * §3.1); with one that lacks anything else: 403 `access_denied`, which says nothing more.
 *
 * ```ts
 * app.use('/orders', authenticate(jwt({ … })), authorize({ methods: { GET: { scopes: 'orders:read' } } }))
 * ```
 *
 * @throws ConfigError with all faults of rule and options
 */
export function authorize(rule: Rule, options?: AuthorizeOptions): AuthorizeHandler {
  const resolved = resolveAuthorizeOptions(rule, options)
  return function authorizeHandler(req: IncomingMessage, res: ServerResponse, next: Next): void {
    const exchange = exchangeOf(req, res)
    const { identity } = exchange
    if (identity === undefined) {
      decide(resolved, exchange, ANONYMOUS, next)
      return
    }
    const outcome = resolved.rule(identity, req)
    if (outcome instanceof Promise) {
      watch(exchange)
      void outcome.then((later) => {
        // Whoever left while a check was asked hears nothing more, and nobody goes on for him.
        if (!exchange.closed && !res.headersSent) decide(resolved, exchange, later, next)
      })
    } else decide(resolved, exchange, outcome, next)
  }
}

function decide({ name, errors }: ResolvedAuthorizeOptions, exchange: Exchange, outcome: Outcome, next: Next): void {
  if (accessDecided.hasSubscribers) {
    const { identity } = exchange
    accessDecided.publish({ exchange, identity, allowed: outcome === undefined, rule: name, failed: outcome?.part })
  }
  if (outcome === undefined) next()
  else failExchange(exchange.request, exchange.response, errorOf(outcome, exchange.request, name), errors, next)
}

/** What the client is told: the scopes that it lacks, and otherwise only that it may not. */
function errorOf(failure: RuleFailure, req: IncomingMessage, name: string): GatewayError {
  const admission = admissionOf(req)
  if (failure === ANONYMOUS) {
    const headers = { 'www-authenticate': challengesFor(admission) }
    return problem('authentication_required', { headers })
  }
  const { part, scope, fault } = failure
  if (fault !== undefined) {
    const message = `${name}: the check ${part} did not answer`
    return problem('authentication_unavailable', { headers: { 'retry-after': '1' }, message, cause: fault.error })
  }
  const message = `${name}: ${part} does not hold`
  if (scope === undefined) return problem('access_denied', { message })
  const challenge =
    admission?.scheme?.challenge('insufficient_scope', scope) ??
    bearerChallenge('Bearer', 'api', 'insufficient_scope', scope)
  return problem('insufficient_scope', { message, headers: { 'www-authenticate': challenge } })
}

/** A 401 has a challenge in any case (RFC 9110 §15.5.2). */
function challengesFor(admission: Admission | undefined): string {
  if (admission === undefined) {
    warnOnce(
      'POSTERN_AUTHORIZE_BEFORE_AUTHENTICATE',
      'authorize() got a request that no authenticate() has seen, and answered 401: mount authenticate() before it',
    )
  }
  return admission === undefined ? bearerChallenge('Bearer', 'api') : challengesOf(admission.schemes)
}

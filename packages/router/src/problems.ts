import type { IncomingMessage, ServerResponse } from 'node:http'
import { type ErrorMode, failExchange, GatewayError, type ProblemDefinition } from '@postern/contracts'
import type { Next } from './route.ts'

/** The problem codes of this package; each has its page in docs/problems.md. */
export const ROUTER_PROBLEMS = {
  bad_request_target: {
    status: 400,
    title: 'Bad request target',
    detail: 'The path of the request has a form that this gateway does not forward.',
  },
  bad_host: {
    status: 400,
    title: 'Bad Host header',
    detail: 'The request must have exactly one well-formed Host header, equal to the host of its target.',
  },
  route_not_found: {
    status: 404,
    title: 'Not found',
    detail: 'Nothing is served here.',
  },
  route_failed: {
    status: 500,
    title: 'Gateway error',
    detail: 'The gateway failed while it handled the request.',
  },
} as const satisfies Record<string, ProblemDefinition>

/** A problem code of this package. */
export type RouterProblem = keyof typeof ROUTER_PROBLEMS

/** A request that is answered before, or instead of, what its route would do. */
export interface Refused {
  readonly problem: RouterProblem
  /** For the operator's log: which rule the request broke. */
  readonly reason: string
}

/** Answers a refused request, or hands it to the app's error handling. */
export function refuse(
  req: IncomingMessage,
  res: ServerResponse,
  refused: Refused,
  mode: ErrorMode,
  next: Next | undefined,
): void {
  const definition = ROUTER_PROBLEMS[refused.problem]
  const error = new GatewayError(refused.problem, definition, { message: `${definition.title}: ${refused.reason}` })
  failExchange(req, res, error, mode, next)
}

/** Passes an error of a handler on as Express does; without an app around it the client gets a 500 that says nothing. */
export function passError(req: IncomingMessage, res: ServerResponse, cause: unknown, next: Next | undefined): void {
  if (next !== undefined) {
    next(cause)
    return
  }
  const error = new GatewayError('route_failed', ROUTER_PROBLEMS.route_failed, {
    message: cause instanceof Error ? cause.message : String(cause),
    cause,
  })
  failExchange(req, res, error, 'respond')
}

import { GatewayError, type GatewayErrorOptions, type ProblemDefinition } from '@postern/contracts'

/** The problem codes of this package; each has its section in docs/problems.md. */
export const OVERLOAD_PROBLEMS = {
  overloaded: {
    status: 503,
    title: 'Gateway overloaded',
    detail: 'The gateway has more requests than it can serve in time. Try again later.',
  },
  upstream_busy: {
    status: 503,
    title: 'Upstream busy',
    detail: 'All connections to the upstream are in use. Try again later.',
  },
  upstream_timeout: {
    status: 504,
    title: 'Upstream timed out',
    detail: 'The upstream did not answer in time.',
  },
} as const satisfies Record<string, ProblemDefinition>

/** A problem code of this package. */
export type OverloadProblem = keyof typeof OVERLOAD_PROBLEMS

/** The error of a problem code. */
export function problem(code: OverloadProblem, options?: GatewayErrorOptions): GatewayError {
  return new GatewayError(code, OVERLOAD_PROBLEMS[code], options)
}

import { GatewayError, type GatewayErrorOptions, type ProblemDefinition } from '@postern/contracts'

/** The problem codes of this package; each has its section in docs/problems.md. */
export const CACHE_PROBLEMS = {
  not_in_cache: {
    status: 504,
    title: 'Not in the cache',
    detail: 'The request asked for a stored response only, and there is none that it may have.',
  },
  bad_revalidation: {
    status: 502,
    title: 'Bad revalidation',
    detail: 'The upstream answered 304 about a response that the gateway has not stored.',
  },
} as const satisfies Record<string, ProblemDefinition>

/** A problem code of this package. */
export type CacheProblem = keyof typeof CACHE_PROBLEMS

/** The error of a problem code. */
export function problem(code: CacheProblem, options?: GatewayErrorOptions): GatewayError {
  return new GatewayError(code, CACHE_PROBLEMS[code], options)
}

import { GatewayError, type GatewayErrorOptions, type ProblemDefinition } from '@postern/contracts'

/** The problem codes of this package; each has its section in docs/problems.md. */
export const AUTH_PROBLEMS = {
  authentication_required: {
    status: 401,
    title: 'Authentication required',
    detail: 'The request has to say who is calling.',
  },
  invalid_credentials: {
    status: 401,
    title: 'Invalid credentials',
    detail: 'The credentials of the request do not hold.',
  },
  ambiguous_credentials: {
    status: 400,
    title: 'Ambiguous credentials',
    detail: 'The request shows credentials more than once.',
  },
  foreign_origin: {
    status: 403,
    title: 'Foreign origin',
    detail: 'Credentials of a cookie are not taken from a page of another origin.',
  },
  insufficient_scope: {
    status: 403,
    title: 'Insufficient scope',
    detail: 'The credentials do not cover what the request asks for.',
  },
  access_denied: {
    status: 403,
    title: 'Access denied',
    detail: 'The caller may not do what the request asks for.',
  },
  too_many_failures: {
    status: 429,
    title: 'Too many failures',
    detail: 'Credentials that do not hold were shown too often.',
  },
  authentication_unavailable: {
    status: 503,
    title: 'Authentication unavailable',
    detail: 'It cannot be told at the moment whether the credentials hold.',
  },
  identity_unavailable: {
    status: 503,
    title: 'Identity unavailable',
    detail: 'What proves the identity of the caller to the service cannot be had at the moment.',
  },
} as const satisfies Record<string, ProblemDefinition>

/** A problem code of this package. */
export type AuthProblem = keyof typeof AUTH_PROBLEMS

/** The error of a problem code. */
export function problem(code: AuthProblem, options?: GatewayErrorOptions): GatewayError {
  return new GatewayError(code, AUTH_PROBLEMS[code], options)
}

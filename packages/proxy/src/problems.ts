import type { Failure, FailureType, GatewayErrorOptions, ProblemDefinition, Refusal } from '@postern/contracts'
import { GatewayError, statusOf } from '@postern/contracts'

/** The problem codes of this package; each has its page in docs/problems.md. */
export const PROXY_PROBLEMS = {
  bad_request_target: {
    status: 400,
    title: 'Bad request target',
    detail: 'The path of the request has a form that this gateway does not forward.',
  },
  bad_request_framing: {
    status: 400,
    title: 'Ambiguous request framing',
    detail: 'The length of the request body is not stated in one clear way.',
  },
  bad_host: {
    status: 400,
    title: 'Bad Host header',
    detail: 'The request must have exactly one well-formed Host header, equal to the host of its target.',
  },
  bad_request_header: {
    status: 400,
    title: 'Bad request header',
    detail: 'A header of the request has a form that this gateway does not forward.',
  },
  unsupported_transfer_coding: {
    status: 501,
    title: 'Unsupported transfer coding',
    detail: 'The only transfer coding that this gateway understands is "chunked".',
  },
  unsupported_http_version: {
    status: 505,
    title: 'HTTP version not supported',
    detail: 'This gateway takes HTTP/1.1 and HTTP/1.0 requests.',
  },
  too_many_headers: {
    status: 431,
    title: 'Too many header fields',
    detail: 'The request has more header fields than this gateway forwards.',
  },
  body_too_large: {
    status: 413,
    title: 'Request body too large',
    detail: 'The request body is larger than this gateway forwards.',
  },
  body_already_read: {
    status: 500,
    title: 'Request body already read',
    detail: 'The gateway could not forward the request body.',
  },
  bad_upgrade: {
    status: 400,
    title: 'Bad upgrade request',
    detail: 'The request to upgrade the connection is malformed.',
  },
  upgrade_not_supported: {
    status: 501,
    title: 'Upgrade not supported',
    detail: 'This resource does not offer the protocol that the request asks to upgrade to.',
  },
  no_target: {
    status: 500,
    title: 'No target configured',
    detail: 'The gateway has no target for this request.',
  },
  hook_failed: {
    status: 500,
    title: 'Gateway hook failed',
    detail: 'A hook of the gateway failed while it handled the request.',
  },
  proxy_loop: {
    status: 508,
    title: 'Proxy loop',
    detail: 'The request has passed this gateway too often.',
  },
  no_upstream: {
    status: 503,
    title: 'No upstream available',
    detail: 'No upstream can take the request at the moment. Try again later.',
  },
  circuit_open: {
    status: 503,
    title: 'Circuit open',
    detail: 'The service is failing and is left alone for a moment. Try again later.',
  },
  upstream_busy: {
    status: 503,
    title: 'Upstream busy',
    detail: 'All connections to the upstream are in use. Try again later.',
  },
  upstream_failed: {
    status: 502,
    title: 'Upstream failed',
    detail: 'The upstream could not be reached, or gave an answer that is not valid HTTP.',
  },
  upstream_timeout: {
    status: 504,
    title: 'Upstream timed out',
    detail: 'The upstream did not answer in time.',
  },
  request_body_incomplete: {
    status: 400,
    title: 'Request body incomplete',
    detail: 'The request body ended before its announced end.',
  },
  request_timeout: {
    status: 408,
    title: 'Request timed out',
    detail: 'The request body did not arrive in time.',
  },
  fault_injected: {
    status: 503,
    title: 'Fault injected',
    detail: 'The gateway refused the request on purpose, as part of a test or a drill.',
  },
  proxy_closing: {
    status: 503,
    title: 'Gateway shutting down',
    detail: 'The gateway is shutting down. Try again.',
  },
  internal_error: {
    status: 500,
    title: 'Gateway error',
    detail: 'The gateway failed while it handled the request.',
  },
} as const satisfies Record<string, ProblemDefinition>

/** A problem code of this package. */
export type ProxyProblem = keyof typeof PROXY_PROBLEMS

/** The error of a problem code. */
export function problem(code: ProxyProblem, options?: GatewayErrorOptions): GatewayError {
  return new GatewayError(code, PROXY_PROBLEMS[code], options)
}

/** The answer of a proxy that is shutting down. */
export function closingProblem(): GatewayError {
  return problem('proxy_closing', { headers: { 'retry-after': '1' }, closeConnection: true })
}

/** The problem that a failure shows to the client; its status equals {@link statusOf} the failure. */
export function problemOf(type: FailureType): ProxyProblem {
  switch (type) {
    case 'connection_limit_reached':
    case 'queue_timeout':
      return 'upstream_busy'
    case 'destination_unavailable':
      return 'no_upstream'
    case 'proxy_loop_detected':
      return 'proxy_loop'
    case 'client_body_incomplete':
    case 'http_request_error':
      return 'request_body_incomplete'
    case 'client_timeout':
      return 'request_timeout'
    case 'destination_not_found':
      return 'no_target'
    case 'proxy_internal_error':
      return 'internal_error'
    default:
      return statusOf(type) === 504 ? 'upstream_timeout' : 'upstream_failed'
  }
}

/** What a failure is told as. */
export function errorOf(failure: Failure): GatewayError {
  const { type, phase, cause } = failure
  const code = cause?.name === 'BodyLimitError' ? 'body_too_large' : problemOf(type)
  return problem(code, {
    message: `${type} in phase ${phase}${cause === undefined ? '' : `: ${cause.message}`}`,
    failure,
    cause,
    // The rest of that body will not come: nothing can follow it (RFC 9110 §15.5.9).
    closeConnection: code === 'request_timeout' || code === 'request_body_incomplete',
    headers: code === 'no_upstream' || code === 'upstream_busy' ? retryAfter(1_000) : undefined,
  })
}

/** What it is told as that no target takes the request. */
export function refusalError(refusal: Refusal): GatewayError {
  const { reason, retryAfterMs = 1_000 } = refusal
  const type = reason === 'saturated' ? 'connection_limit_reached' : 'destination_unavailable'
  return problem(reason === 'circuit_open' ? 'circuit_open' : problemOf(type), {
    message: `no target takes the request: ${reason}`,
    failure: { type, phase: 'queue', side: 'gateway', totalMs: 0 },
    headers: retryAfter(retryAfterMs),
  })
}

function retryAfter(ms: number): Readonly<Record<string, string>> {
  return { 'retry-after': String(Math.max(1, Math.ceil(ms / 1_000))) }
}

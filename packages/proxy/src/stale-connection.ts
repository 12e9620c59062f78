import type { Failure } from '@postern/contracts'
import type { AttemptRun } from './attempt.ts'
import { RequestBody } from './message/request-body.ts'
import type { UpstreamRequest } from './transport/transport.ts'

/**
 * True when a pooled connection was closed by the upstream just as it was used again: no byte of a response came, none of
 * the client's body was taken, and the method may be repeated (RFC 9110 §9.2.2). The request may then go out once more,
 * over a connection that nobody has used.
 */
export function isStaleConnection(attempt: AttemptRun, failure: Failure, request: UpstreamRequest): boolean {
  return (
    attempt.reused &&
    !attempt.answering &&
    failure.type === 'connection_terminated' &&
    request.upgrade === undefined &&
    isIdempotent(request.method) &&
    !(request.body instanceof RequestBody && request.body.started)
  )
}

/** RFC 9110 §9.2.2. */
function isIdempotent(method: string): boolean {
  switch (method) {
    case 'GET':
    case 'HEAD':
    case 'OPTIONS':
    case 'TRACE':
    case 'PUT':
    case 'DELETE':
      return true
    default:
      return false
  }
}

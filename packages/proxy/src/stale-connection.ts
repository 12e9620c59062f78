import type { Failure } from '@postern/contracts'
import type { AttemptRun } from './attempt.ts'

/**
 * True when a pooled connection was closed by the upstream just as it was used again: no byte of a response came and the
 * method may be repeated (RFC 9110 §9.2.2). The request may then go out once more, over a connection that nobody has used,
 * if its body is still there from the first byte.
 */
export function isStaleConnection(attempt: AttemptRun, failure: Failure): boolean {
  return (
    attempt.reused &&
    !attempt.answering &&
    failure.type === 'connection_terminated' &&
    attempt.upgrade === undefined &&
    isIdempotent(attempt.method)
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

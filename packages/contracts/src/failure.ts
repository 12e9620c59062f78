/**
 * Every way in which an attempt or an exchange can fail. The names are the error types of RFC 9209 §2.3 wherever one
 * fits; those at the end, each with its meaning, are ours. Status, health, breakers, metrics and logs derive from this word, never from an
 * errno and never from a status seen by someone else.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9209#section-2.3
 */
export type FailureType =
  | 'dns_timeout'
  | 'dns_error'
  | 'destination_not_found'
  | 'destination_unavailable'
  | 'destination_ip_prohibited'
  | 'destination_ip_unroutable'
  | 'connection_refused'
  | 'connection_terminated'
  | 'connection_timeout'
  | 'connection_read_timeout'
  | 'connection_write_timeout'
  | 'connection_limit_reached'
  | 'tls_protocol_error'
  | 'tls_certificate_error'
  | 'http_request_error'
  | 'http_response_incomplete'
  | 'http_response_header_section_size'
  | 'http_response_body_size'
  | 'http_response_timeout'
  | 'http_upgrade_failed'
  | 'http_protocol_error'
  | 'proxy_internal_error'
  | 'proxy_loop_detected'
  /** Waited longer in the queue for a connection than the queue timer allows. */
  | 'queue_timeout'
  /** The deadline of the whole exchange ran out. */
  | 'deadline_exceeded'
  /** Another attempt of the same exchange (hedging) was answered first, and this one was given up. Nobody's failure. */
  | 'superseded'
  /** The client left before its answer was complete. Nobody's failure: it changes no health and no breaker. */
  | 'client_aborted'
  /** The client's upload stopped half way, or broke the framing it had announced. */
  | 'client_body_incomplete'
  /** The client stopped sending its body, or stopped reading its answer, for longer than the idle timer allows. */
  | 'client_timeout'

/** How far the attempt had come when it failed. */
export type FailurePhase = 'queue' | 'connect' | 'request' | 'headers' | 'body' | 'tunnel'

/** Who failed. Only `upstream` counts against a target. */
export type FailureSide = 'upstream' | 'client' | 'gateway'

/** A failed attempt. Plain data: it is logged, counted and compared. */
export interface Failure {
  readonly type: FailureType
  readonly phase: FailurePhase
  readonly side: FailureSide
  /** Milliseconds from the start of the attempt to the failure. */
  readonly totalMs: number
  /** The error underneath, for the operator's log. Never shown to a client. */
  readonly cause?: Error | undefined
}

/** An answered attempt, whatever its status: a 500 is an answer. */
export interface Answered {
  /** Status of the final response, 200 to 599, or 101 for a tunnel. */
  readonly status: number
  /** Milliseconds from the start of the attempt to the last byte of the response's head. */
  readonly headersMs: number
  /** Milliseconds from the start of the attempt to the end of the response's body or of the tunnel. */
  readonly totalMs: number
}

/** What one attempt at one target came to. */
export type Outcome = Answered | Failure

/** Tells a failed outcome from an answered one. */
export function isFailure(outcome: Outcome): outcome is Failure {
  return (outcome as Failure).type !== undefined
}

const STATUS: Record<FailureType, number> = {
  dns_timeout: 504,
  dns_error: 502,
  destination_not_found: 500,
  destination_unavailable: 503,
  destination_ip_prohibited: 502,
  destination_ip_unroutable: 502,
  connection_refused: 502,
  connection_terminated: 502,
  connection_timeout: 504,
  connection_read_timeout: 504,
  connection_write_timeout: 504,
  connection_limit_reached: 503,
  tls_protocol_error: 502,
  tls_certificate_error: 502,
  http_request_error: 400,
  http_response_incomplete: 502,
  http_response_header_section_size: 502,
  http_response_body_size: 502,
  http_response_timeout: 504,
  http_upgrade_failed: 502,
  http_protocol_error: 502,
  proxy_internal_error: 500,
  proxy_loop_detected: 508,
  queue_timeout: 503,
  deadline_exceeded: 504,
  superseded: 502,
  client_aborted: 499,
  client_body_incomplete: 400,
  client_timeout: 408,
}

/**
 * The status that a failure shows to the client while nothing has been sent yet. 499 (the client left) exists in logs
 * only: there is nobody to send it to.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9209#section-2.3 for the recommended statuses
 */
export function statusOf(type: FailureType): number {
  return STATUS[type]
}

/** All failure types, for tables and tests. */
export const FAILURE_TYPES = Object.freeze(Object.keys(STATUS)) as readonly FailureType[]

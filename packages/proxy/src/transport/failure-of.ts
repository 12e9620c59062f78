import type { FailurePhase, FailureSide, FailureType } from '@postern/contracts'

/**
 * The failure type of an error that a transport met, from its code and from how far the attempt had come.
 *
 * @see https://nodejs.org/api/errors.html#common-system-errors
 */
export function failureTypeOf(error: Error, phase: FailurePhase): FailureType {
  const code = (error as { code?: unknown }).code
  if (typeof code === 'string') {
    const known = Object.hasOwn(BY_CODE, code) ? BY_CODE[code] : undefined
    if (known !== undefined) return known
    if (isCertificateCode(code)) return 'tls_certificate_error'
    if (code.startsWith('ERR_SSL_') || code.startsWith('ERR_TLS_') || code === 'EPROTO') return 'tls_protocol_error'
    if (code.startsWith('HPE_')) return phase === 'body' ? 'http_response_incomplete' : 'http_protocol_error'
  }
  if (phase === 'body' || phase === 'tunnel') return 'http_response_incomplete'
  // A connection that breaks carries no more news than that; anything else before a head is a malformed answer.
  if (code === 'UND_ERR_SOCKET' && /^bad (?:response|upgrade)$/.test(error.message)) return 'http_protocol_error'
  if (code === 'UND_ERR_SOCKET' || code === 'ECONNRESET' || code === 'EPIPE') return 'connection_terminated'
  if (code === 'ERR_ASSERTION') return 'http_protocol_error'
  return phase === 'connect' || phase === 'queue' ? 'destination_unavailable' : 'http_protocol_error'
}

const BY_CODE: Readonly<Record<string, FailureType>> = {
  ECONNREFUSED: 'connection_refused',
  // A Unix socket that is not there, or not ours to open, is a refusal too.
  ENOENT: 'connection_refused',
  EACCES: 'connection_refused',
  ENOTFOUND: 'dns_error',
  EAI_AGAIN: 'dns_error',
  EAI_FAIL: 'dns_error',
  EAI_NODATA: 'dns_error',
  EAI_NONAME: 'dns_error',
  ETIMEDOUT: 'connection_timeout',
  UND_ERR_CONNECT_TIMEOUT: 'connection_timeout',
  EHOSTUNREACH: 'destination_ip_unroutable',
  ENETUNREACH: 'destination_ip_unroutable',
  EADDRNOTAVAIL: 'destination_ip_unroutable',
  UND_ERR_HEADERS_TIMEOUT: 'http_response_timeout',
  UND_ERR_BODY_TIMEOUT: 'connection_read_timeout',
  UND_ERR_HEADERS_OVERFLOW: 'http_response_header_section_size',
  HPE_HEADER_OVERFLOW: 'http_response_header_section_size',
  UND_ERR_RES_EXCEEDED_MAX_SIZE: 'http_response_body_size',
  UND_ERR_REQ_CONTENT_LENGTH_MISMATCH: 'client_body_incomplete',
  UND_ERR_INVALID_ARG: 'proxy_internal_error',
  UND_ERR_NOT_SUPPORTED: 'proxy_internal_error',
  UND_ERR_DESTROYED: 'destination_unavailable',
  UND_ERR_CLOSED: 'destination_unavailable',
}

function isCertificateCode(code: string): boolean {
  return (
    code === 'ERR_TLS_CERT_ALTNAME_INVALID' ||
    code.startsWith('CERT_') ||
    code.startsWith('CRL_') ||
    code.startsWith('UNABLE_TO_') ||
    code === 'DEPTH_ZERO_SELF_SIGNED_CERT' ||
    code === 'SELF_SIGNED_CERT_IN_CHAIN' ||
    code === 'INVALID_CA' ||
    code === 'INVALID_PURPOSE' ||
    code === 'HOSTNAME_MISMATCH' ||
    code === 'ERR_TLS_CERT_ALTNAME_FORMAT'
  )
}

/** Who failed, going by the type alone. */
export function sideOf(type: FailureType): FailureSide {
  switch (type) {
    case 'client_aborted':
    case 'client_body_incomplete':
    case 'client_timeout':
    case 'http_request_error':
      return 'client'
    case 'connection_limit_reached':
    case 'queue_timeout':
    case 'deadline_exceeded':
    case 'superseded':
    case 'proxy_internal_error':
    case 'proxy_loop_detected':
      return 'gateway'
    default:
      return 'upstream'
  }
}

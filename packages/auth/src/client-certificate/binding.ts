import type { IncomingMessage } from 'node:http'
import { type CertificateHeader, certificateFieldOf } from './certificate-header.ts'
import { isPeerCertificate, peerCertificate } from './peer-certificate.ts'

/**
 * Whether a token may be used on the connection that it came on: a certificate-bound token is good only for whoever
 * proves to hold the key of that very certificate (RFC 8705 §3). Undefined when it may; otherwise the reason why not,
 * and the answer is 401 `invalid_token`. To be asked for every request, also for a token that is remembered.
 *
 * A token that is bound in any other way (`jkt` of DPoP, RFC 9449 §6; `jwk`, RFC 7800 §3) is refused: nobody here checks
 * that proof, and without it a stolen token would pass as a bearer token.
 *
 * The certificate need not be one that a known authority signed: the hash is the proof, and self-signed certificates
 * are a way of RFC 8705 §2.2.
 *
 * @param claims of the token, or the answer of the introspection server (RFC 8705 §3.2)
 * @param header where a trusted proxy tells of the client's certificate, as `certificateHeaderOption` resolves it; none:
 * only the TLS connection itself counts
 */
export function certificateBinding(
  claims: Readonly<Record<string, unknown>>,
  req: IncomingMessage,
  header?: CertificateHeader | undefined,
): 'certificate-binding' | 'unsupported-confirmation' | undefined {
  const confirmation = claims.cnf
  if (confirmation === undefined) return undefined
  if (typeof confirmation !== 'object' || confirmation === null) return 'unsupported-confirmation'
  const members = Object.keys(confirmation)
  if (members.length !== 1 || members[0] !== 'x5t#S256') return 'unsupported-confirmation'
  const wanted = (confirmation as Record<string, unknown>)['x5t#S256']
  // Hashes of certificates are no secrets: a plain comparison tells nothing.
  return typeof wanted === 'string' && wanted === peerThumbprint(req, header) ? undefined : 'certificate-binding'
}

/**
 * The `x5t#S256` of the client's certificate: base64url of the SHA-256 of its DER (RFC 8705 §3.1). Undefined when it
 * showed none, or none that can be read.
 *
 * @param header see {@link certificateBinding}
 */
export function peerThumbprint(req: IncomingMessage, header?: CertificateHeader | undefined): string | undefined {
  const found = peerCertificate(req, certificateFieldOf(header))
  return isPeerCertificate(found) ? found.thumbprint : undefined
}

import { hash, X509Certificate } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { isPeerTrusted } from '@postern/contracts'
import { LRUCache } from 'lru-cache'
import { soleLine, TWICE } from '../credentials/header-lines.ts'
import type { CertificateField } from './certificate-header.ts'
import { derOfField } from './field-value.ts'

/** A certificate as it was shown, and the two names that its bytes have. */
export interface PeerCertificate {
  readonly certificate: X509Certificate
  /** SHA-256 of the DER, 64 lower-case hex characters. */
  readonly fingerprint: string
  /** The same bytes in base64url: `x5t#S256` of RFC 8705 §3.1. */
  readonly thumbprint: string
}

/** A certificate was shown in a way that leaves in doubt which one it is: two lines of the field, or no certificate in it. */
export type UnreadableCertificate = 'ambiguous' | 'malformed'

/** True when a certificate was shown and can be read. */
export function isPeerCertificate(
  found: PeerCertificate | UnreadableCertificate | undefined,
): found is PeerCertificate {
  return typeof found === 'object'
}

// Reading a certificate costs some 20 µs, and who shows one shows it with every request. Both tables only remember what
// their keys say by themselves, and so are shared by all schemes of the process.
const bySocket = new WeakMap<Socket, PeerCertificate>()
const byField = new LRUCache<string, PeerCertificate>({ max: 1_000 })

/**
 * The client's certificate: that of a trusted proxy's header when there is a field to read and the TCP peer is trusted, else
 * that of the TLS connection. Whether the connection's was verified is for the caller to ask; see {@link isAuthorized}.
 *
 * What a trusted proxy does not tell is not made up for by its own certificate: a proxy that speaks mutual TLS with this
 * process would lend its name to every client that has none.
 */
export function peerCertificate(
  req: IncomingMessage,
  field: CertificateField | undefined,
): PeerCertificate | UnreadableCertificate | undefined {
  return field !== undefined && isPeerTrusted(req) ? ofField(req, field) : ofConnection(req.socket)
}

/**
 * True when the certificate that {@link peerCertificate} gives has been verified: by Node's TLS against the server's
 * `ca`, or by the trusted proxy, whose duty it is (RFC 9440 §2.1).
 */
export function isAuthorized(req: IncomingMessage, field: CertificateField | undefined): boolean {
  if (field !== undefined && isPeerTrusted(req)) return true
  return (req.socket as Partial<TLSSocket>).authorized === true
}

function ofConnection(socket: Socket): PeerCertificate | undefined {
  const known = bySocket.get(socket)
  if (known !== undefined) return known
  // `authorized` alone says nothing: with a pre-shared key it is true, and there is no certificate.
  const certificate = (socket as Partial<TLSSocket>).getPeerX509Certificate?.()
  if (certificate === undefined) return undefined
  const found = named(certificate)
  bySocket.set(socket, found)
  return found
}

function ofField(req: IncomingMessage, field: CertificateField): PeerCertificate | UnreadableCertificate | undefined {
  const value = soleLine(req, field.name)
  // Proxies send an empty line for clients that have no certificate.
  if (value === undefined || value === '') return undefined
  if (value === TWICE) return 'ambiguous'
  const key = field.format + hash('sha256', value, 'base64url')
  const known = byField.get(key)
  if (known !== undefined) return known
  const der = derOfField(value, field.format)
  const certificate = der === undefined ? undefined : certificateOf(der)
  if (certificate === undefined) return 'malformed'
  const found = named(certificate)
  byField.set(key, found)
  return found
}

function certificateOf(der: Buffer): X509Certificate | undefined {
  try {
    const certificate = new X509Certificate(der)
    // Node also takes PEM here, and ignores what comes behind a certificate. Two readers of one value must not differ.
    return certificate.raw.equals(der) ? certificate : undefined
  } catch {
    return undefined
  }
}

function named(certificate: X509Certificate): PeerCertificate {
  const fingerprint = certificate.fingerprint256.replaceAll(':', '').toLowerCase()
  return { certificate, fingerprint, thumbprint: Buffer.from(fingerprint, 'hex').toString('base64url') }
}

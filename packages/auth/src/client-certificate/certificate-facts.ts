import { type AlternativeNames, alternativeNames } from './alternative-names.ts'
import { type DistinguishedName, distinguishedName, nameText } from './distinguished-name.ts'
import type { PeerCertificate } from './peer-certificate.ts'

/** What a certificate says, as rules and functions read it. */
export interface ClientCertificate {
  readonly subject: DistinguishedName
  readonly issuer: DistinguishedName
  /** The subject as RFC 4514 writes it: `CN=billing,OU=services,O=Acme`. Empty when it has none. */
  readonly subjectText: string
  /** Upper-case hex. */
  readonly serialNumber: string
  /** SHA-256 of the DER, 64 lower-case hex characters. */
  readonly fingerprint256: string
  readonly san: AlternativeNames
  readonly validFrom: Date
  readonly validTo: Date
}

/** Reads a certificate; undefined when it cannot be read. */
export function certificateFacts({ certificate, fingerprint }: PeerCertificate): ClientCertificate | undefined {
  try {
    // Undefined for an empty name, whatever the types say.
    const { subject, issuer }: { readonly subject?: string; readonly issuer?: string } = certificate
    const { validFromDate: validFrom, validToDate: validTo } = certificate
    if (Number.isNaN(validFrom.getTime()) || Number.isNaN(validTo.getTime())) return undefined
    return Object.freeze({
      subject: distinguishedName(subject),
      issuer: distinguishedName(issuer),
      subjectText: nameText(subject),
      serialNumber: certificate.serialNumber,
      fingerprint256: fingerprint,
      san: alternativeNames(certificate.subjectAltName),
      validFrom,
      validTo,
    })
  } catch {
    return undefined
  }
}

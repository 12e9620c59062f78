import * as v from 'valibot'
import { fieldName } from '../option-parts.ts'

/**
 * The header in which a trusted proxy tells of the client's certificate. `'client-cert'`: that of RFC 9440. For others, how
 * the value is written: `'rfc9440'`, base64 of the DER between colons; `'pem'`, URL-encoded PEM, as nginx
 * (`$ssl_client_escaped_cert`) and AWS (`X-Amzn-Mtls-Clientcert-Leaf`) send it. `false`: none is read.
 */
export type CertificateHeader = false | 'client-cert' | CertificateField

/** A header of the proxy's own choice. */
export interface CertificateField {
  readonly name: string
  readonly format: 'rfc9440' | 'pem'
}

/** The field of RFC 9440 §2.2. */
const CLIENT_CERT: CertificateField = Object.freeze({ name: 'client-cert', format: 'rfc9440' })

/** Its companion with the rest of the chain, §2.3: never read here, and forged as easily. */
export const CLIENT_CERT_CHAIN = 'client-cert-chain'

const fieldSchema = v.strictObject({
  name: fieldName,
  format: v.picklist(['rfc9440', 'pem'], 'not "rfc9440" or "pem"'),
})

/** The option of every scheme that reads the client's certificate; names are lower case when it is resolved. */
export const certificateHeaderOption = v.optional(
  v.union(
    [v.literal(false), v.literal('client-cert'), fieldSchema],
    'not false, "client-cert" or { name, format: "rfc9440" | "pem" }',
  ),
  false,
)

/** The field to read; undefined when there is none. */
export function certificateFieldOf(header: CertificateHeader | undefined): CertificateField | undefined {
  if (header === undefined || header === false) return undefined
  return header === 'client-cert' ? CLIENT_CERT : header
}

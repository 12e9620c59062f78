import { parseItem } from 'structured-headers'
import type { CertificateField } from './certificate-header.ts'

/** Longest value of a field that is read, in characters; certificates have one to four thousand. */
const MAX_LENGTH = 16_384

const PEM = /^-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\r\n]+)-----END CERTIFICATE-----\s*$/

/** The DER in a field's value; undefined when it is not written as the format wants it, or is out of all proportion. */
export function derOfField(value: string, format: CertificateField['format']): Buffer | undefined {
  if (value.length > MAX_LENGTH) return undefined
  return format === 'pem' ? derOfPem(value) : derOfItem(value)
}

/** RFC 9440 §2.1: a structured field's item, a byte sequence. Parameters mean nothing and are ignored. */
function derOfItem(value: string): Buffer | undefined {
  try {
    const [item] = parseItem(value)
    return item instanceof ArrayBuffer ? Buffer.from(item) : undefined
  } catch {
    return undefined
  }
}

/** Exactly one certificate: of a chain nobody could say which is the client's. */
function derOfPem(value: string): Buffer | undefined {
  let text: string
  try {
    // `+` stays what it is: it is base64, and not the blank of a form.
    text = decodeURIComponent(value)
  } catch {
    return undefined
  }
  const encoded = PEM.exec(text)?.[1]?.replaceAll(/[\r\n]/g, '')
  return encoded === undefined ? undefined : Buffer.from(encoded, 'base64')
}

import { X509Certificate } from 'node:crypto'
import * as v from 'valibot'
import { type CertificateAuthorities, checkProviderUrl, type ProviderTls, shownUrl } from './http-client.ts'

// Schemas that the options of all providers share.

/** The address of a provider, http or https; {@link httpsUnlessAllowed} decides about http. */
export const providerUrl = v.pipe(
  v.string('not a URL'),
  v.maxLength(2_048, 'more than 2,048 characters'),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return
    const fault = checkProviderUrl(dataset.value, true)
    if (fault !== undefined) addIssue({ message: fault, input: shownUrl(dataset.value) })
  }),
)

/** Of checked options: the address in one of them is https, or http is allowed. */
export function httpsUnlessAllowed<Options extends { readonly allowHttp: boolean }>(
  member: keyof Options & string,
): v.RawCheckAction<Options> {
  return v.rawCheck<Options>(({ dataset, addIssue }) => {
    if (!dataset.typed) return
    const { value } = dataset
    const url = String(value[member])
    const fault = checkProviderUrl(url, value.allowHttp)
    if (fault === undefined) return
    const path = { type: 'object', origin: 'value', input: { ...value }, key: member, value: url } as const
    addIssue({ message: fault, input: shownUrl(url), path: [path] })
  })
}

const certificateAuthorities = v.custom<CertificateAuthorities>(
  isAuthorities,
  'not a PEM certificate or a list of them',
)

function isAuthorities(value: unknown): boolean {
  const list = Array.isArray(value) ? value : [value]
  return list.length > 0 && list.every(isCertificate)
}

/** Node takes a text that holds no certificate without a word, and then trusts nobody. */
function isCertificate(value: unknown): boolean {
  if (typeof value !== 'string' && !Buffer.isBuffer(value)) return false
  try {
    return new X509Certificate(value) !== undefined
  } catch {
    return false
  }
}

const tlsEntries = { ca: v.optional(certificateAuthorities) }

/** How the connection to a provider is secured. */
export const providerTls: v.GenericSchema<ProviderTls> = v.strictObject(tlsEntries, 'not an object of options')

/** For "did you mean". */
export const PROVIDER_TLS_NAMES: readonly string[] = Object.keys(tlsEntries)

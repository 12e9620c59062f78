import { isIPv4, isIPv6 } from 'node:net'

/** The names of a certificate beside its subject (RFC 5280 §4.2.1.6), those of the four kinds that people write rules about. */
export interface AlternativeNames {
  /** Lower case. */
  readonly dns: readonly string[]
  readonly uri: readonly string[]
  /** As written; what stands behind the `@` lower case. */
  readonly email: readonly string[]
  /** Shortest form, lower case: `10.0.0.1`, `fe80::1`. */
  readonly ip: readonly string[]
}

/** One name in Node's list: its kind, and the value as it is or, when it has anything odd in it, as a JSON string. */
const NAME = /([A-Za-z ]+):(?:("(?:[^"\\]|\\.)*")|([^,"]*))(?:, (?!$)|$)/y

/**
 * Reads Node's text of the extension. A value may hold whatever an authority has signed, `, DNS:admin.example.com` among
 * it; Node writes such values in quotes (CVE-2021-44532), and what is not written so is not read at all: a list that
 * does not parse to its end has no names.
 *
 * @param text `X509Certificate.subjectAltName`
 */
export function alternativeNames(text: string | undefined): AlternativeNames {
  if (text === undefined) return NONE
  const names = { dns: [] as string[], uri: [] as string[], email: [] as string[], ip: [] as string[] }
  NAME.lastIndex = 0
  while (NAME.lastIndex < text.length) {
    const [, kind, quoted, plain] = NAME.exec(text) ?? []
    if (kind === undefined) return NONE
    const value = quoted === undefined ? plain! : unquoted(quoted)
    if (value === undefined) return NONE
    if (kind === 'DNS') names.dns.push(value.toLowerCase())
    else if (kind === 'URI') names.uri.push(value)
    else if (kind === 'email') names.email.push(plainEmail(value))
    else if (kind === 'IP Address') {
      const address = plainAddress(value)
      if (address !== undefined) names.ip.push(address)
    }
  }
  return frozen(names)
}

const NONE = frozen({ dns: [], uri: [], email: [], ip: [] })

/** One identity serves many requests: no handler may change it for the next. */
function frozen(names: AlternativeNames): AlternativeNames {
  for (const list of Object.values(names)) Object.freeze(list)
  return Object.freeze(names)
}

function unquoted(text: string): string | undefined {
  try {
    return JSON.parse(text) as string
  } catch {
    return undefined
  }
}

/** The part behind the `@` is a host and has no case; the part before is for its owner to tell (RFC 5321 §2.4). */
export function plainEmail(address: string): string {
  const at = address.lastIndexOf('@')
  return address.slice(0, at + 1) + address.slice(at + 1).toLowerCase()
}

/** An IP address in its one shortest form (RFC 5952); undefined when it is none. Node writes `FE80:0:0:0:0:0:0:1`. */
export function plainAddress(address: string): string | undefined {
  if (isIPv4(address)) return address
  return isIPv6(address) && !address.includes('%') ? new URL(`http://[${address}]/`).hostname.slice(1, -1) : undefined
}

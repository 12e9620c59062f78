/**
 * A distinguished name by the short names of its attributes (`CN`, `O`, `OU`), or their object identifiers where they have
 * none; a list where an attribute is there several times.
 */
export type DistinguishedName = Readonly<Record<string, string | readonly string[]>>

const ESCAPED = /\\(?:([0-9A-F]{2})|(.))/g

/**
 * Reads Node's text of a name: a line an attribute, or several with ` + ` between, their values escaped as RFC 2253 §2.4
 * has it and controls in hex, so that no value can look like a further attribute.
 *
 * `toLegacyObject()` gives the same without reading, but ends the process for a certificate whose public key Node does
 * not know.
 *
 * @param text `X509Certificate.subject` or `issuer`; undefined for an empty name
 */
export function distinguishedName(text: string | undefined): DistinguishedName {
  const name: Record<string, string | string[]> = Object.create(null)
  for (const attribute of text?.split(/\n| \+ /) ?? []) {
    const equals = attribute.indexOf('=')
    const key = attribute.slice(0, equals)
    const value = attribute.slice(equals + 1).replaceAll(ESCAPED, unescaped)
    const before = name[key]
    if (before === undefined) name[key] = value
    else if (typeof before === 'string') name[key] = [before, value]
    else before.push(value)
  }
  for (const value of Object.values(name)) Object.freeze(value)
  return Object.freeze(name)
}

/** The whole name as RFC 4514 §2.1 writes it, which begins with the last attribute. */
export function nameText(text: string | undefined): string {
  return text?.split('\n').reverse().join(',').replaceAll(' + ', '+') ?? ''
}

function unescaped(_all: string, hex: string | undefined, character: string | undefined): string {
  return hex === undefined ? character! : String.fromCharCode(Number.parseInt(hex, 16))
}

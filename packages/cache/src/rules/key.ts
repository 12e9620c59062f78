/** A port that means nothing beside the scheme, or no port behind the colon (RFC 9110 §4.2.3). */
const DEFAULT_PORT = { http: /:(?:80)?$/, https: /:(?:443)?$/ } as const

const ABSOLUTE = /^https?:\/\/([^/?#]*)/i

/**
 * Puts the effective request URI together: what a stored response is a response for. Scheme and host are lower case, the
 * default port is left out, an empty path is `/`. Path and query stay byte for byte as they were sent, since the
 * key must tell apart whatever the upstream may: nothing is decoded, no dot segment resolved, no slash merged.
 *
 * @param protocol how the client reached the gateway. It holds for an absolute-form target too: a client must not be
 * able to name another scheme, and so write under the key of those who use it
 * @param host `Host`, or what stands for it; the authority of an absolute-form target goes before it (RFC 9112 §3.2.2)
 * @param target as in the request line
 * @see RFC 9111 §2, RFC 9110 §7.1
 */
export function effectiveUri(protocol: 'http' | 'https', host: string, target: string): string {
  let authority = host
  let rest = target
  if (target.charCodeAt(0) !== 0x2f) {
    const match = ABSOLUTE.exec(target)
    if (match !== null) {
      authority = match[1]!
      rest = target.slice(match[0].length)
    }
    if (rest.charCodeAt(0) !== 0x2f) rest = `/${rest}`
  }
  authority = authority.toLowerCase()
  // Most hosts have no port; the last character then says so.
  if (isDigitOrColon(authority.charCodeAt(authority.length - 1))) {
    authority = authority.replace(DEFAULT_PORT[protocol], '')
  }
  return `${protocol}://${authority}${rest}`
}

function isDigitOrColon(code: number): boolean {
  return code >= 0x30 && code <= 0x3a
}

/**
 * Takes query parameters that change nothing out of a URI, and orders the rest, so that more requests find the same stored
 * response. What remains keeps its spelling.
 *
 * A parameter whose name cannot be decoded stays, and so does one with `;` in it: some upstreams end a parameter
 * there, and what comes behind it would be theirs and not part of the key.
 *
 * @param ignore names of parameters to leave out, compared after decoding, case and all; with `*` at the end all that
 * begin so (`utm_*`)
 * @param sort by name; those of one name keep their order, which may mean something
 */
export function editedQuery(uri: string, ignore: ReadonlySet<string>, sort: boolean): string {
  const mark = uri.indexOf('?')
  if (mark === -1 || mark === uri.length - 1 || (ignore.size === 0 && !sort)) return uri
  const kept: { readonly name: string; readonly text: string }[] = []
  for (const text of uri.slice(mark + 1).split('&')) {
    const name = decodedName(text)
    if (name !== undefined && !text.includes(';') && isIgnored(name, ignore)) continue
    kept.push({ name: name ?? text, text })
  }
  if (kept.length === 0) return uri.slice(0, mark)
  // Sorting is stable.
  if (sort) kept.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
  return `${uri.slice(0, mark)}?${kept.map(({ text }) => text).join('&')}`
}

function decodedName(parameter: string): string | undefined {
  const equals = parameter.indexOf('=')
  const name = equals === -1 ? parameter : parameter.slice(0, equals)
  if (!name.includes('%') && !name.includes('+')) return name
  try {
    return decodeURIComponent(name.replaceAll('+', ' '))
  } catch {
    return undefined
  }
}

function isIgnored(name: string, ignore: ReadonlySet<string>): boolean {
  if (ignore.has(name)) return true
  for (const entry of ignore) {
    if (entry.endsWith('*') && name.startsWith(entry.slice(0, -1))) return true
  }
  return false
}

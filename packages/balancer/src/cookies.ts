/**
 * The value of a cookie out of a `Cookie` header, as it stands there; of several with one name the first. One pass, and
 * nothing is made of the others.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6265#section-5.4
 */
export function readCookie(header: string | undefined, name: string): string | undefined {
  if (header === undefined) return undefined
  for (let start = 0; start <= header.length; ) {
    const end = endOfPair(header, start)
    const value = cookieAt(header, start, end, name)
    if (value !== undefined) return value
    start = end + 1
  }
  return undefined
}

/** The `Cookie` header without any cookie of that name; undefined when no other is left. */
export function withoutCookie(header: string, name: string): string | undefined {
  const kept: string[] = []
  for (let start = 0; start <= header.length; ) {
    const end = endOfPair(header, start)
    const pair = header.slice(start, end).trim()
    if (pair !== '' && cookieAt(header, start, end, name) === undefined) kept.push(pair)
    start = end + 1
  }
  return kept.length === 0 ? undefined : kept.join('; ')
}

function endOfPair(header: string, start: number): number {
  const semicolon = header.indexOf(';', start)
  return semicolon === -1 ? header.length : semicolon
}

/** The value of the pair between two places, when it goes by that name. */
function cookieAt(header: string, start: number, end: number, name: string): string | undefined {
  let at = start
  while (at < end && isBlank(header.charCodeAt(at))) at++
  if (!header.startsWith(name, at)) return undefined
  at += name.length
  while (at < end && isBlank(header.charCodeAt(at))) at++
  if (at >= end || header[at] !== '=') return undefined
  const value = header.slice(at + 1, end).trim()
  return value.length > 1 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value
}

function isBlank(c: number): boolean {
  return c === 0x20 || c === 0x09
}

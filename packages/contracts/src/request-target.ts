/** What may stand in a path beyond what is always fine. Each that is looser than the default names its risk. */
export interface PathPolicy {
  /**
   * `%2F` (and `%252F`) inside a segment. `'pass'` when the upstream keeps names with slashes in one segment; the risk:
   * an upstream that decodes first sees more segments than were matched here. @default 'refuse'
   */
  readonly encodedSlashes?: 'refuse' | 'pass'
  /**
   * `//`. `'pass'` when the upstream means something by it; the risk: an upstream that merges slashes reads `//admin`
   * as `/admin`, which no rule for `/admin` has seen. @default 'refuse'
   */
  readonly repeatedSlashes?: 'refuse' | 'pass'
  /**
   * Percent-encoded letters, digits and `- . _ ~` (`/%61dmin`), which RFC 3986 §6.2.2.2 calls equal to the plain ones.
   * `'pass'` for clients that encode too much; the risk: a rule for `/admin` has not seen `/%61dmin`. Encoded dots that
   * make a dot segment stay refused. @default 'refuse'
   */
  readonly encodedUnreserved?: 'refuse' | 'pass'
  /**
   * Path parameters (`/admin;x=1`). `'refuse'` when an upstream strips them before it routes, as Java servlet
   * containers do; then a rule for `/admin` has not seen `/admin;x`. @default 'pass'
   */
  readonly pathParameters?: 'refuse' | 'pass'
}

/** A request target that was understood. */
export interface RequestTarget {
  /** Starts with `/`, still encoded, byte for byte as it was sent. */
  readonly path: string
  /** With its `?`; empty when there is none. */
  readonly query: string
  /** Authority of an absolute-form target, lower case; undefined for the usual origin-form. */
  readonly authority: string | undefined
}

/** Why a request target is refused; a short phrase for the operator and the client. */
export interface RefusedTarget {
  readonly refused: string
}

/** Nothing in it to look at twice: no escape, no dot at a segment's start, no empty segment, no parameter. */
const PLAIN = /^(?:\/(?![/.])[A-Za-z0-9\-._~!$&'()*+,=:@[\]]*)+$/
/** No space, control byte or fragment, and nothing beyond one byte: writing such a character would cut it to another. */
const PLAIN_QUERY = /^[\x21\x22\x24-\x7e\x80-\xff]+$/
const ABSOLUTE = /^https?:\/\/([^/?#]*)(.*)$/is
/**
 * A host (name, IPv4 or bracketed IPv6) and a port, RFC 3986 §3.2. Escapes, commas and the other sub-delims that its
 * grammar also allows stand in no host name, and programs read them differently.
 */
const AUTHORITY = /^(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?$/

/**
 * Splits and checks a request target (RFC 9112 §3.2) before anything is matched or forwarded. What two programs could
 * read differently is refused rather than normalised: earlier handlers in the app have matched the raw form, and
 * forwarding another form than was matched is how rules are walked round.
 *
 * Always refused: dot segments, plain or encoded, also with parameters (`..;`); backslash; control bytes, plain or
 * encoded; `%` without two hex digits; `%u`; over-long UTF-8; a fragment; dot, slash or backslash encoded twice;
 * characters beyond one byte; asterisk-form and authority-form.
 *
 * @param raw the target as it stood in the request line: `req.originalUrl` under Express, else `req.url`
 * @see https://www.rfc-editor.org/rfc/rfc3986#section-6.2.2
 */
export function parseRequestTarget(raw: string, policy: PathPolicy = {}): RequestTarget | RefusedTarget {
  let rest = raw
  let authority: string | undefined
  if (raw.charCodeAt(0) !== 0x2f) {
    const match = ABSOLUTE.exec(raw)
    if (match === null) return { refused: raw === '*' ? 'asterisk-form target' : 'not an absolute path' }
    authority = match[1]!.toLowerCase()
    if (!isAuthority(authority)) return { refused: 'malformed authority' }
    rest = match[2]!
    if (rest[0] === '#') return { refused: 'fragment' }
    if (rest === '' || rest[0] === '?') rest = `/${rest}`
  }
  const mark = rest.indexOf('?')
  const path = mark === -1 ? rest : rest.slice(0, mark)
  const query = mark === -1 ? '' : rest.slice(mark)
  if (path !== '/' && !PLAIN.test(path)) {
    const refused = faultOf(path, policy)
    if (refused !== undefined) return { refused }
  }
  if (query !== '' && !PLAIN_QUERY.test(query)) {
    return { refused: query.includes('#') ? 'fragment' : 'control byte or wide character in the query' }
  }
  return { path, query, authority }
}

/** Tells a refused target from one that was understood. */
export function isRefusedTarget(target: RequestTarget | RefusedTarget): target is RefusedTarget {
  return (target as RefusedTarget).refused !== undefined
}

/** True for a well-formed `host[:port]`, without userinfo, path or spaces (RFC 9110 §7.2). */
export function isAuthority(text: string): boolean {
  return text.length <= 255 && AUTHORITY.test(text)
}

function faultOf(path: string, policy: PathPolicy): string | undefined {
  let segmentStart = 1
  for (let i = 1; i <= path.length; i++) {
    const c = i === path.length ? 0x2f : path.charCodeAt(i)
    if (c === 0x2f) {
      if (i === segmentStart && i < path.length && policy.repeatedSlashes !== 'pass') return 'repeated slash'
      if (isDotSegment(path, segmentStart, i)) return 'dot segment'
      segmentStart = i + 1
    } else if (c === 0x25) {
      const fault = escapeFault(path, i, policy)
      if (fault !== undefined) return fault
    } else if (c === 0x5c) return 'backslash'
    else if (c === 0x23) return 'fragment'
    else if (c <= 0x20 || c === 0x7f) return 'control byte'
    else if (c === 0x3b && policy.pathParameters === 'refuse') return 'path parameter'
    else if (c > 0xff) return 'wide character'
    else if (c >= 0x80 && isOverlong(path, c, i + 1)) return 'over-long UTF-8'
  }
  return undefined
}

/** `.`, `..`, their encodings once or more, and any of them with parameters behind (`..;x`). */
const DOTS = /^(?:\.|%(?:25)*2e){1,2}(?:;|%(?:25)*3b|$)/i

function isDotSegment(path: string, start: number, end: number): boolean {
  if (start >= end) return false
  const segment = path.slice(start, end)
  if (!segment.includes('.') && !segment.includes('%')) return false
  // An encoded slash or backslash ends the segment for an upstream that decodes first, and parameters end with it.
  return segment.split(/%(?:25)*(?:2f|5c)/i).some((part) => DOTS.test(part))
}

function escapeFault(path: string, at: number, policy: PathPolicy): string | undefined {
  const byte = hexByte(path, at + 1)
  if (byte === undefined) return 'malformed percent-encoding'
  if (byte < 0x20 || byte === 0x7f) return 'encoded control byte'
  if (byte === 0x5c) return 'encoded backslash'
  if (byte === 0x2f && policy.encodedSlashes !== 'pass') return 'encoded slash'
  if (byte === 0x3b && policy.pathParameters === 'refuse') return 'path parameter'
  if (byte === 0x25) return twiceEncodedFault(path, at, policy)
  if (isOverlong(path, byte, at + 3)) return 'over-long UTF-8'
  if (policy.encodedUnreserved !== 'pass' && isUnreserved(byte)) return 'encoded unreserved character'
  return undefined
}

/** `%25` and then what would be an escape: harmless text for a single decoder, a dot or a slash for a double one. */
function twiceEncodedFault(path: string, at: number, policy: PathPolicy): string | undefined {
  let i = at + 3
  while (path.startsWith('25', i)) i += 2
  const byte = hexByte(path, i)
  if (byte === undefined) return undefined
  if (byte === 0x2f && policy.encodedSlashes === 'pass') return undefined
  if (byte === 0x2e || byte === 0x2f || byte === 0x5c || byte < 0x20) return 'double encoding'
  return undefined
}

/** A lead byte that starts more bytes than its character needs (RFC 3629 §3); its next byte stands at `next`. */
function isOverlong(path: string, byte: number, next: number): boolean {
  if (byte === 0xc0 || byte === 0xc1 || byte > 0xf4) return true
  if (byte !== 0xe0 && byte !== 0xf0) return false
  // Encoded or not, each on its own: a decoder puts them together again.
  const second = path[next] === '%' ? hexByte(path, next + 1) : path.charCodeAt(next)
  return second !== undefined && second >= 0x80 && second < (byte === 0xe0 ? 0xa0 : 0x90)
}

function hexByte(text: string, at: number): number | undefined {
  const high = hexDigit(text.charCodeAt(at))
  const low = hexDigit(text.charCodeAt(at + 1))
  return high === -1 || low === -1 ? undefined : high * 16 + low
}

function hexDigit(c: number): number {
  if (c >= 0x30 && c <= 0x39) return c - 0x30
  if (c >= 0x41 && c <= 0x46) return c - 0x37
  if (c >= 0x61 && c <= 0x66) return c - 0x57
  return -1
}

function isUnreserved(c: number): boolean {
  return (
    (c >= 0x30 && c <= 0x39) ||
    (c >= 0x41 && c <= 0x5a) ||
    (c >= 0x61 && c <= 0x7a) ||
    c === 0x2d ||
    c === 0x2e ||
    c === 0x5f ||
    c === 0x7e
  )
}

import { REDACTED } from './names.ts'

/** Nothing of what is looked for here can be in a text without one of these. */
const SUSPECT = /[=@]|%(?:25)*(?:3d|40)|eyJ/i
/** What ends a name in a URL, percent-encoded any number of times (a URL inside a parameter). */
const ENCODED_DELIMITER = /%(?:25)*(?:3d|3f|26|3b|23|2f)/iy
const PERCENT = 0x25
const EQUALS = 0x3d
const SLASH = 0x2f
const QUESTION = 0x3f
const AMPERSAND = 0x26
const SEMICOLON = 0x3b
const HASH = 0x23
const LOWER_D = 0x64

/** Two or more slashes: an authority may follow. */
const AUTHORITY_START = /(?:[/\\]|%(?:25)*(?:2f|5c)){2,}/gi
const AUTHORITY_END = /[/\\?#\s"<>]|%(?:25)*(?:2f|5c|3f|23)/gi
/** In a query, the URL ends with its parameter; in front of one, `&` may be part of a password. */
const AUTHORITY_END_IN_QUERY = /[/\\?#&\s"<>]|%(?:25)*(?:2f|5c|3f|23)/gi
/** A JSON Web Token, or as much of one as there is: base64url of `{"`, then its further parts (RFC 7519 §3). */
const JWT = /eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,4}/g

/**
 * Takes the secrets out of a URL, or of a text that may hold URLs: values of parameters with secret names (in the query,
 * in path parameters, and in URLs that are themselves parameters), userinfo, and whatever looks like a JSON Web Token.
 * Where the end of a secret is in doubt, more is taken rather than less. Linear in the length of the text.
 */
export function redactedUrlText(text: string, isSecretParameter: (name: string) => boolean): string {
  if (!SUSPECT.test(text)) return text
  let result = redactedParameters(redactedUserinfo(text), isSecretParameter)
  if (result.includes('eyJ')) result = result.replace(JWT, REDACTED)
  return result
}

/** `name:password@host` → `[redacted]@host`, for a Host header or the target of an absolute-form request. */
export function redactedAuthority(authority: string): string {
  const at = authority.lastIndexOf('@')
  return at === -1 ? authority : `${REDACTED}${authority.slice(at)}`
}

function redactedParameters(text: string, isSecretParameter: (name: string) => boolean): string {
  let result = ''
  let copiedTo = 0
  let nameStart = 0
  let firstSlash = -1
  let firstQuestion = -1
  for (let i = 0; i < text.length; ) {
    const c = text.charCodeAt(i)
    let length = 1
    let isEquals = c === EQUALS
    if (c === PERCENT) {
      length = encodedDelimiterLength(text, i)
      if (length === 0) {
        i++
        continue
      }
      isEquals = (text.charCodeAt(i + length - 1) | 0x20) === LOWER_D
    } else if (c === SLASH) {
      if (firstSlash === -1) firstSlash = i
    } else if (c === QUESTION) {
      if (firstQuestion === -1) firstQuestion = i
    } else if (!isEquals && c !== AMPERSAND && c !== SEMICOLON && c !== HASH && c > 0x20) {
      i++
      continue
    }
    const valueStart = i + length
    if (!isEquals || i === nameStart || !isSecretParameter(text.slice(nameStart, i))) {
      i = valueStart
    } else {
      const inPath = firstSlash !== -1 && firstQuestion === -1
      const end = endOfValue(text, valueStart, c === EQUALS ? -1 : (length - 3) / 2, inPath)
      if (end > valueStart) {
        result += text.slice(copiedTo, valueStart) + REDACTED
        copiedTo = end
      }
      i = end
    }
    nameStart = i
  }
  return copiedTo === 0 ? text : result + text.slice(copiedTo)
}

function encodedDelimiterLength(text: string, at: number): number {
  ENCODED_DELIMITER.lastIndex = at
  return ENCODED_DELIMITER.test(text) ? ENCODED_DELIMITER.lastIndex - at : 0
}

/**
 * A value behind a plain `=` ends at a plain `&`, or in the path at `/`, `?` too; `;` and `#` may be part of it. Behind
 * an encoded `=` it ends also at a `&` which is encoded no more often than that.
 *
 * @param depth how many times the `%` of the `=` is itself encoded; -1: the `=` is plain
 */
function endOfValue(text: string, start: number, depth: number, inPath: boolean): number {
  const ends = inPath ? /[&/?]|%((?:25)*)26/g : /&|%((?:25)*)26/g
  ends.lastIndex = start
  let match: RegExpExecArray | null
  // biome-ignore lint/suspicious/noAssignInExpressions: the loop of a global pattern.
  while ((match = ends.exec(text)) !== null) {
    if (match[1] === undefined || match[1].length / 2 <= depth) return match.index
  }
  return text.length
}

function redactedUserinfo(text: string): string {
  if (!/@|%(?:25)*40/.test(text)) return text
  let result = ''
  let copiedTo = 0
  const firstQuestion = text.indexOf('?')
  AUTHORITY_START.lastIndex = 0
  while (AUTHORITY_START.test(text)) {
    const start = AUTHORITY_START.lastIndex
    const ending = firstQuestion !== -1 && firstQuestion < start ? AUTHORITY_END_IN_QUERY : AUTHORITY_END
    ending.lastIndex = start
    const end = ending.exec(text)?.index ?? text.length
    const authority = text.slice(start, end)
    const sign = [...authority.matchAll(/@|%(?:25)*40/g)].at(-1)
    if (sign !== undefined && sign.index > 0) {
      result += text.slice(copiedTo, start) + REDACTED
      copiedTo = start + sign.index
    }
    AUTHORITY_START.lastIndex = end
  }
  return result + text.slice(copiedTo)
}

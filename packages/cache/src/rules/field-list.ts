// Header fields travel as one flat list: lower-case name, value, name, value, …, lines in the order received.

const NONE: string[] = []
Object.freeze(NONE)

/** Characters of a token (RFC 9110 §5.6.2), by their code. */
const TOKEN_CODES = new Uint8Array(128)
for (const character of "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") {
  TOKEN_CODES[character.charCodeAt(0)] = 1
}

/**
 * All lines of a field, in the order received. Empty, and then not to be written to, when the field is absent.
 *
 * @param headers lower-case name, value, …
 * @param name in lower case
 */
export function fieldLines(headers: readonly string[], name: string): string[] {
  let lines = NONE
  for (let index = 0; index < headers.length; index += 2) {
    if (headers[index] !== name) continue
    if (lines === NONE) lines = [headers[index + 1]!]
    else lines.push(headers[index + 1]!)
  }
  return lines
}

/**
 * The value of a field, several lines joined with `, `; undefined when the field is absent.
 *
 * @see RFC 9110 §5.3
 */
export function fieldValue(headers: readonly string[], name: string): string | undefined {
  let value: string | undefined
  for (let index = 0; index < headers.length; index += 2) {
    if (headers[index] !== name) continue
    const line = headers[index + 1]!
    value = value === undefined ? line : `${value}, ${line}`
  }
  return value
}

/** The list without the fields of some names. */
export function withoutFields(headers: readonly string[], names: ReadonlySet<string>): string[] {
  const kept: string[] = []
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index]!
    if (!names.has(name)) kept.push(name, headers[index + 1]!)
  }
  return kept
}

/** True for the code of a character that a token may have. */
export function isTokenCode(code: number): boolean {
  return code < 128 && TOKEN_CODES[code] === 1
}

/** True for a token, as names of fields and of directives are (RFC 9110 §5.6.2). */
export function isToken(text: string): boolean {
  for (let index = 0; index < text.length; index += 1) {
    if (!isTokenCode(text.charCodeAt(index))) return false
  }
  return text.length > 0
}

/**
 * True for text that can be sent as the value of a field: tab, space, visible ASCII and the bytes from 128 on. No CR,
 * LF or NUL, and no character that does not fit into one byte.
 *
 * @see RFC 9110 §5.5
 */
export function isFieldValue(text: string): boolean {
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index)
    if ((code < 32 && code !== 9) || code === 127 || code > 255) return false
  }
  return true
}

/** The first name or value of a list that must not be sent; undefined when all is well. */
export function invalidField(headers: readonly string[]): string | undefined {
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index]!
    if (!isToken(name)) return name
    const value = headers[index + 1]!
    if (!isFieldValue(value)) return value
  }
  return undefined
}

/**
 * The names in a field whose value is a list of tokens, in lower case; undefined when it holds anything else. Empty
 * elements are passed over (RFC 9110 §5.6.1.2).
 */
export function tokenList(value: string): string[] | undefined {
  const tokens: string[] = []
  let start = 0
  while (start <= value.length) {
    const comma = value.indexOf(',', start)
    const end = comma < 0 ? value.length : comma
    const token = trimSpace(value.slice(start, end))
    start = end + 1
    if (token === '') continue
    if (!isToken(token)) return undefined
    tokens.push(token.toLowerCase())
  }
  return tokens
}

/** Text without spaces and tabs around it; other white space is not optional white space (RFC 9110 §5.6.3). */
export function trimSpace(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && isSpaceCode(text.charCodeAt(start))) start += 1
  while (end > start && isSpaceCode(text.charCodeAt(end - 1))) end -= 1
  return start === 0 && end === text.length ? text : text.slice(start, end)
}

/** True for space and tab. */
export function isSpaceCode(code: number): boolean {
  return code === 32 || code === 9
}

/** Longest value of a client that goes into a line, in UTF-16 units; what is longer is cut and marked as cut. */
export const MAX_VALUE_LENGTH = 2048

/**
 * Characters that no line carries as they are: C0 and C1 controls (ANSI escapes start with one), soft hyphen, line and
 * paragraph separators, bidirectional overrides and marks, zero-width characters, annotation marks.
 */
const UNPRINTABLE =
  '\\u0000-\\u001f\\u007f-\\u009f\\u00ad\\u061c\\u180e\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb'
/** Tags, and all that is reserved to be ignored (U+E0000 to U+E0FFF); as UTF-16 they begin with these units. */
const TAGS = '[\\udb40-\\udb43][\\udc00-\\udfff]'

/** Not printable ASCII without quotes and backslash: to be looked at twice. Cheap, since nearly all values pass it. */
const NOT_PLAIN = /[^ !#-[\]-~]/
const TO_ESCAPE = new RegExp(`[${UNPRINTABLE}]|${TAGS}`, 'g')
const TO_ESCAPE_WITH_BACKSLASH = new RegExp(`[${UNPRINTABLE}\\\\]|${TAGS}`, 'g')

/** Cuts a client's value at {@link MAX_VALUE_LENGTH} and says how much is gone. */
export function bounded(text: string): string {
  if (text.length <= MAX_VALUE_LENGTH) return text
  const last = text.charCodeAt(MAX_VALUE_LENGTH - 1)
  // A pair of surrogates is one character; half of one is none.
  const end = last >= 0xd800 && last <= 0xdbff ? MAX_VALUE_LENGTH - 1 : MAX_VALUE_LENGTH
  return `${text.slice(0, end)}...[cut ${text.length - end}]`
}

/** A JSON string (RFC 8259 §7) that is safe to print: what could move a cursor or hide text is written as `\uXXXX`. */
export function quoted(text: string): string {
  return NOT_PLAIN.test(text) ? printableJson(JSON.stringify(text)) : `"${text}"`
}

/** Escapes the unprintable characters of a JSON text; outside of its strings there are none. */
export function printableJson(json: string): string {
  return json.replace(TO_ESCAPE, unicodeEscapes)
}

/**
 * The text with every unprintable character written out (`\x1b`, `\u2028`) and backslashes doubled, so that the result
 * is one printable line which means one text only. For outputs whose own escaping we do not know.
 */
export function visible(text: string): string {
  return NOT_PLAIN.test(text) ? text.toWellFormed().replace(TO_ESCAPE_WITH_BACKSLASH, shortEscapes) : text
}

function unicodeEscapes(characters: string): string {
  let escaped = ''
  for (let i = 0; i < characters.length; i++) {
    escaped += `\\u${characters.charCodeAt(i).toString(16).padStart(4, '0')}`
  }
  return escaped
}

function shortEscapes(characters: string): string {
  if (characters === '\\') return '\\\\'
  const code = characters.charCodeAt(0)
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : unicodeEscapes(characters)
}

/** Characters of a path segment that need no escape (RFC 3986 §3.3), the percent sign for escapes that are there. */
const NOT_SEGMENT = /[^A-Za-z0-9\-._~!$&'()*+,;=:@]/gu
const NOT_PATH = /[^A-Za-z0-9\-._~!$&'()*+,;=:@/%]/gu
const NON_ASCII = /[^\0-\x7f]/
const NON_ASCII_CHARACTERS = /[\x80-\xff]/g

/**
 * Lower case for comparison. Keeps the length, so that a place found in the folded text is the place in the text itself;
 * letters whose lower case is longer stay as they are.
 */
export function fold(text: string): string {
  if (!NON_ASCII.test(text)) return text.toLowerCase()
  let folded = ''
  // One by one: in whole words `toLowerCase` looks at the neighbours (final sigma), and a part would differ from the whole.
  for (const c of text) {
    const lower = c.toLowerCase()
    folded += lower.length === c.length ? lower : c
  }
  return folded
}

/** Escapes a decoded text so that it is one segment, or a part of one. */
export function encodeSegment(text: string): string {
  return text.replace(NOT_SEGMENT, encodeURIComponent)
}

/** Escapes what a configured path has unescaped; escapes that are there stay. */
export function encodePath(text: string): string {
  return text.replace(NOT_PATH, encodeURIComponent)
}

/** Escapes the bytes that Node's parser let through unescaped (one character a byte). */
export function encodeBytes(text: string): string {
  return text.replace(NON_ASCII_CHARACTERS, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
}

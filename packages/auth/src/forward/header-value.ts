/** Longest text that the values of all identity headers of a request may make together, in characters. */
export const MAX_HEADERS_LENGTH = 4_096

/** Stands for a value that is longer than it may be. */
export const TOO_LONG: unique symbol = Symbol('too long for a header')

/**
 * What a claim looks like as the value of a header: texts as they are, numbers and booleans as text, the elements of a list
 * with commas between, objects as JSON. Controls, `%`, everything beyond ASCII, and a space at either end are
 * percent-encoded, and so are commas inside an element: `decodeURIComponent()` gives each value back, and no value can
 * end the field or begin another (RFC 9110 §5.5).
 *
 * @returns undefined for what says nothing: no value, an empty text, an empty list
 * @throws what `JSON.stringify()` throws, for objects that are no JSON
 */
export function headerValue(value: unknown): string | typeof TOO_LONG | undefined {
  if (!Array.isArray(value)) return bounded(scalarText(value), encodeText)
  let list = ''
  for (let i = 0; i < value.length; i++) {
    const element = bounded(scalarText(value[i]) ?? '', encodeElement)
    if (element === TOO_LONG) return TOO_LONG
    list += i === 0 ? (element ?? '') : `,${element ?? ''}`
    if (list.length > MAX_HEADERS_LENGTH) return TOO_LONG
  }
  return list === '' ? undefined : list
}

function bounded(text: string | undefined, encode: (text: string) => string): string | typeof TOO_LONG | undefined {
  if (text === undefined || text === '') return undefined
  // Looked at first: what is too long is not encoded either.
  if (text.length > MAX_HEADERS_LENGTH) return TOO_LONG
  const encoded = encode(text)
  return encoded.length > MAX_HEADERS_LENGTH ? TOO_LONG : encoded
}

function scalarText(value: unknown): string | undefined {
  switch (typeof value) {
    case 'string':
      return value
    case 'boolean':
    case 'bigint':
      return String(value)
    case 'number':
      return Number.isFinite(value) ? String(value) : undefined
    case 'object':
      return value === null ? undefined : JSON.stringify(value)
    default:
      return undefined
  }
}

/** Everything but visible ASCII and spaces; `%`, so that it can be told from its own encoding; a space at either end. */
const UNSAFE = /[^\x20-\x24\x26-\x7e]+|^ | $/g

function encodeText(text: string): string {
  // A lone surrogate has no encoding.
  return text.replace(UNSAFE, (part) => encodeURIComponent(part.toWellFormed()))
}

function encodeElement(text: string): string {
  return encodeText(text).replaceAll(',', '%2C')
}

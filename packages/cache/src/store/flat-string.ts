import { STRING_HEADER_BYTES } from './memory-costs.ts'

// V8 keeps a string of 13 characters or more that was cut out of another, or put together from others, as a reference to
// them. What the store keeps must not hold a whole request or a whole header alive, so it keeps copies that stand alone.
const SHORTEST_REFERENCE = 13
const BEYOND_LATIN_1 = /[\u0100-\uffff]/

/** The same text as a string that refers to no other. */
export function flatCopy(text: string): string {
  if (text.length < SHORTEST_REFERENCE) return text
  if (BEYOND_LATIN_1.test(text)) return Buffer.from(text, 'utf16le').toString('utf16le')
  return Buffer.from(text, 'latin1').toString('latin1')
}

/** Memory of a flat string: one byte a character when all are Latin-1, else two. */
export function stringBytes(text: string): number {
  const characters = BEYOND_LATIN_1.test(text) ? text.length * 2 : text.length
  return STRING_HEADER_BYTES + ((characters + 7) & ~7)
}

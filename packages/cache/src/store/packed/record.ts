import type { BytePart, StoredHead, StoredResponse } from '../../stored-response.ts'
import type { Segment } from './arena.ts'

// A record is one stored response, at a multiple of 8 bytes:
//
//   12 words of 32 bits     as below
//   10 doubles              times and lengths; NaN: undefined
//   2 doubles a part        first and last
//   a word a text           its length in characters
//   the texts, in one run   a byte a character, or two when one of them is beyond Latin-1
//   the content             unless it is a large one, which is kept elsewhere
//
// The texts: key, id, variant, status text, partition, etag, header fields, Vary names and values, tags.

/** Bytes of the whole record, a multiple of 8. */
export const SIZE = 0
export const HASH = 1
/** Location of the next older response behind the same key; 0: none. */
export const NEXT = 2
export const FLAGS = 3
/** Location of the next newer one; 0: it is the newest, and the index leads to it. */
export const PREVIOUS = 4
/** Characters of all texts. */
export const CHARACTERS = 5
export const HEADERS = 6
export const VARY = 7
export const VARY_VALUES = 8
export const TAGS = 9
/** How many parts; {@link NONE}: it is no partial response. */
export const PARTS = 10
/** Number of the large content; 0: the content is in the record. */
export const LARGE = 11

export const DATE = 6
export const RECEIVED_AT = 7
export const INITIAL_AGE = 8
export const LIFETIME = 9
export const STALE_WHILE_REVALIDATE = 10
export const STALE_IF_ERROR = 11
export const LAST_MODIFIED = 12
export const STALE_SINCE = 13
export const BODY_BYTES = 14
export const COMPLETE_BYTES = 15
export const FIXED_BYTES = 128

export const DEAD = 1
/** Read since it was written, or since it was last looked at for eviction. */
export const USED = 2
/** A decoded copy of it is among the hot responses. What is hot counts as used as long as it is. */
export const HOT = 4
export const WIDE = 8
export const HEURISTIC = 16
export const NO_CACHE = 32
export const MUST_REVALIDATE = 64
/** The method, in two bits from this one on. */
export const METHOD_SHIFT = 7
/** The status, from this bit on. */
export const STATUS_SHIFT = 16

/** As a length: the text is undefined. */
export const NONE = 0xffff_ffff
export const METHODS: readonly StoredHead['method'][] = ['GET', 'HEAD', 'POST']

export const KEY_TEXT = 0
export const ID_TEXT = 1
export const VARIANT_TEXT = 2
/** Texts before the lists. */
export const SINGLE_TEXTS = 6

const NO_TEXTS: readonly never[] = Object.freeze([])

/** Whether a text of a record is this one; compared in place. */
export function isText(segment: Segment, offset: number, nth: number, text: string): boolean {
  const { words, buffer } = segment
  const at = offset >> 2
  const lengths = lengthsAt(words, at)
  if (words[lengths + nth] !== text.length) return false
  let start = (lengths + countOf(words, at)) << 2
  const wide = (words[at + FLAGS]! & WIDE) !== 0
  for (let i = 0; i < nth; i++) if (words[lengths + i] !== NONE) start += words[lengths + i]! << (wide ? 1 : 0)
  if (wide) return buffer.toString('utf16le', start, start + text.length * 2) === text
  for (let i = 0; i < text.length; i++) if (buffer[start + i] !== text.charCodeAt(i)) return false
  return true
}

/** The key alone. */
export function readKey(segment: Segment, offset: number): string {
  const run = new TextRun(segment, offset)
  return run.text() ?? ''
}

/** The id alone. */
export function readId(segment: Segment, offset: number): string {
  const run = new TextRun(segment, offset)
  run.skip(ID_TEXT)
  return run.text() ?? ''
}

/** The tags alone. */
export function readTags(segment: Segment, offset: number): readonly string[] {
  const { words } = segment
  const at = offset >> 2
  if (words[at + TAGS] === 0) return NO_TEXTS
  const run = new TextRun(segment, offset)
  run.skip(SINGLE_TEXTS + words[at + HEADERS]! + words[at + VARY]! + words[at + VARY_VALUES]!)
  return run.list(words[at + TAGS]!) as readonly string[]
}

/** The response as it was stored, with the content that is given. */
export function readResponse(
  segment: Segment,
  offset: number,
  body: readonly Uint8Array[] | undefined,
): StoredResponse {
  const { words, doubles } = segment
  const at = offset >> 2
  const double = offset >> 3
  const flags = words[at + FLAGS]!
  const run = new TextRun(segment, offset)
  run.text()
  return {
    id: run.text()!,
    variant: run.text()!,
    method: METHODS[(flags >> METHOD_SHIFT) & 3]!,
    status: flags >>> STATUS_SHIFT,
    statusText: run.text()!,
    partition: run.text()!,
    etag: run.text(),
    headers: run.list(words[at + HEADERS]!) as readonly string[],
    vary: run.list(words[at + VARY]!) as readonly string[],
    varyValues: run.list(words[at + VARY_VALUES]!),
    tags: run.list(words[at + TAGS]!) as readonly string[],
    dateMs: doubles[double + DATE]!,
    receivedAtMs: doubles[double + RECEIVED_AT]!,
    initialAgeMs: doubles[double + INITIAL_AGE]!,
    lifetimeMs: doubles[double + LIFETIME]!,
    heuristic: (flags & HEURISTIC) !== 0,
    noCache: (flags & NO_CACHE) !== 0,
    mustRevalidate: (flags & MUST_REVALIDATE) !== 0,
    staleWhileRevalidateMs: doubles[double + STALE_WHILE_REVALIDATE]!,
    staleIfErrorMs: doubles[double + STALE_IF_ERROR]!,
    lastModifiedMs: defined(doubles[double + LAST_MODIFIED]!),
    staleSinceMs: defined(doubles[double + STALE_SINCE]!),
    bodyBytes: doubles[double + BODY_BYTES]!,
    parts: readParts(segment, offset),
    completeBytes: defined(doubles[double + COMPLETE_BYTES]!),
    body,
  }
}

/**
 * A copy of the content in a record: what lies there is written over one day.
 *
 * @param lasting whether it is to be kept, so that it must not be part of a larger buffer
 */
export function copyContent(segment: Segment, offset: number, lasting: boolean): readonly Uint8Array[] {
  const { words, buffer, doubles } = segment
  const bytes = doubles[(offset >> 3) + BODY_BYTES]!
  if (bytes === 0) return NO_TEXTS
  const at = offset >> 2
  const wide = (words[at + FLAGS]! & WIDE) === 0 ? 0 : 1
  const start = ((lengthsAt(words, at) + countOf(words, at)) << 2) + (words[at + CHARACTERS]! << wide)
  const copy = lasting ? Buffer.allocUnsafeSlow(bytes) : Buffer.allocUnsafe(bytes)
  buffer.copy(copy, 0, start, start + bytes)
  return [copy]
}

/** How many texts a record has. */
export function countOf(words: Uint32Array, at: number): number {
  return SINGLE_TEXTS + words[at + HEADERS]! + words[at + VARY]! + words[at + VARY_VALUES]! + words[at + TAGS]!
}

function lengthsAt(words: Uint32Array, at: number): number {
  const parts = words[at + PARTS]!
  return at + (FIXED_BYTES >> 2) + (parts === NONE ? 0 : parts << 2)
}

function readParts({ words, doubles }: Segment, offset: number): readonly BytePart[] | undefined {
  const count = words[(offset >> 2) + PARTS]!
  if (count === NONE) return undefined
  const at = (offset + FIXED_BYTES) >> 3
  return Array.from({ length: count }, (_, i) => ({ first: doubles[at + i * 2]!, last: doubles[at + i * 2 + 1]! }))
}

function defined(value: number): number | undefined {
  return Number.isNaN(value) ? undefined : value
}

/** The texts of a record one after the other. They are parts of one string, made in one go. */
class TextRun {
  readonly #words: Uint32Array
  readonly #run: string
  #at: number
  #from = 0

  constructor({ words, buffer }: Segment, offset: number) {
    const at = offset >> 2
    this.#words = words
    this.#at = lengthsAt(words, at)
    const start = (this.#at + countOf(words, at)) << 2
    const characters = words[at + CHARACTERS]!
    const wide = (words[at + FLAGS]! & WIDE) !== 0
    this.#run = wide
      ? buffer.toString('utf16le', start, start + characters * 2)
      : buffer.toString('latin1', start, start + characters)
  }

  text(): string | undefined {
    const length = this.#words[this.#at++]!
    if (length === NONE) return undefined
    const from = this.#from
    this.#from = from + length
    return this.#run.slice(from, this.#from)
  }

  list(count: number): readonly (string | undefined)[] {
    if (count === 0) return NO_TEXTS
    const texts: (string | undefined)[] = []
    for (let i = 0; i < count; i++) texts.push(this.text())
    return texts
  }

  skip(count: number): void {
    for (let i = 0; i < count; i++) {
      const length = this.#words[this.#at++]!
      if (length !== NONE) this.#from += length
    }
  }
}

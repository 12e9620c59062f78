import type { BytePart, StoredHead } from '../stored-response.ts'
import { isSpaceCode } from './field-list.ts'

export { type ContentRange, contentRange, parseContentRange, unsatisfiedRange } from './content-range.ts'

/**
 * What a Range header comes to: `whole` when it is to be ignored, parts to send, or nothing that could be sent (416).
 * Parts lie within the representation and do not overlap, so that together they are never longer than it.
 */
export type RangePlan = 'whole' | UnsatisfiableRange | SatisfiableRange

export interface UnsatisfiableRange {
  readonly kind: 'unsatisfiable'
}

export interface SatisfiableRange {
  readonly kind: 'ranges'
  /** In the order asked for; at least one. */
  readonly parts: readonly BytePart[]
}

/** More ranges than this, and the header is ignored: RFC 9110 §14.2 takes many small ranges for a broken client or an attack. */
const MOST_RANGES = 50
/** Characters; as many ranges of any real numbers fit into it. */
const LONGEST_RANGE = 4096
/** More parts than this are joined where that saves bytes. */
const FEW_PARTS = 8
/** A gap that costs less than the lines that a further part needs (RFC 9110 §15.3.7.2 reckons 80 bytes). */
const SMALL_GAP_BYTES = 80

const UNSATISFIABLE: UnsatisfiableRange = { kind: 'unsatisfiable' }

/**
 * Works out which parts of a representation a Range header asks for.
 *
 * Ignored (`whole`): another unit than bytes, a malformed set, more than 50 ranges, any range of an empty representation.
 * Ranges that overlap or touch become one part, wherever they stand; with more than eight parts also those less than 80
 * bytes apart (RFC 9110 §15.3.7.2). Otherwise the order stays as asked.
 *
 * @param range the field's value; undefined when the client sent none
 * @param completeBytes length of the representation
 * @see RFC 9110 §14.1.2, §14.2, §17.15
 */
export function planRanges(range: string | undefined, completeBytes: number): RangePlan {
  if (range === undefined || completeBytes === 0) return 'whole'
  const specs = parseByteRanges(range)
  if (specs === undefined) return 'whole'
  const parts: BytePart[] = []
  for (const spec of specs) {
    const part = resolve(spec, completeBytes)
    if (part !== undefined) parts.push(part)
  }
  if (parts.length === 0) return UNSATISFIABLE
  if (parts.length === 1) return { kind: 'ranges', parts }
  const apart = joined(parts, 0)
  return { kind: 'ranges', parts: apart.length > FEW_PARTS ? joined(apart, SMALL_GAP_BYTES) : apart }
}

/**
 * The same for a stored response: `not-stored` when a partial one has not all that is asked for, which no Range at all
 * always is.
 *
 * @see RFC 9111 §3.3
 */
export function planFromStored(range: string | undefined, head: StoredHead): RangePlan | 'not-stored' {
  if (head.parts === undefined) return planRanges(range, head.completeBytes ?? head.bodyBytes)
  if (range === undefined) return 'not-stored'
  // Of an unknown length, so that what counts from the end or reaches to it is never within the parts.
  const plan = planRanges(range, head.completeBytes ?? Number.MAX_SAFE_INTEGER)
  if (plan === 'whole' || (plan.kind === 'ranges' && !coveredBy(head.parts, plan.parts))) return 'not-stored'
  return plan
}

/** A range as asked for: `5-9`, `5-` (no last), `-5` (no first). Numbers too large to count with stand for the largest. */
interface RangeSpec {
  readonly first: number | undefined
  readonly last: number | undefined
}

/** Undefined when the header is to be ignored. */
function parseByteRanges(range: string): RangeSpec[] | undefined {
  if (range.length > LONGEST_RANGE || range.slice(0, 6).toLowerCase() !== 'bytes=') return undefined
  const specs: RangeSpec[] = []
  let at = 6
  while (at < range.length) {
    let comma = range.indexOf(',', at)
    if (comma === -1) comma = range.length
    const spec = parseSpec(range, at, comma)
    if (spec === undefined) return undefined
    if (spec !== 'empty') {
      if (specs.length === MOST_RANGES) return undefined
      specs.push(spec)
    }
    at = comma + 1
  }
  return specs.length === 0 ? undefined : specs
}

function parseSpec(range: string, from: number, to: number): RangeSpec | 'empty' | undefined {
  let start = from
  let end = to
  while (start < end && isSpaceCode(range.charCodeAt(start))) start++
  while (end > start && isSpaceCode(range.charCodeAt(end - 1))) end--
  // Empty members of a list mean nothing (RFC 9110 §5.6.1.2).
  if (start === end) return 'empty'
  const dash = range.indexOf('-', start)
  if (dash === -1 || dash >= end) return undefined
  const first = dash === start ? undefined : parsePosition(range, start, dash)
  const last = dash === end - 1 ? undefined : parsePosition(range, dash + 1, end)
  if (first === NOT_A_NUMBER || last === NOT_A_NUMBER || (first === undefined && last === undefined)) return undefined
  if (first !== undefined && last !== undefined && last < first) return undefined
  return { first, last }
}

const NOT_A_NUMBER = -1

/** Digits only; counts up to the largest safe integer and stays there (RFC 9110 §14.1.2: large numbers must be expected). */
function parsePosition(text: string, from: number, to: number): number {
  let value = 0
  for (let i = from; i < to; i++) {
    const digit = text.charCodeAt(i) - 0x30
    if (digit < 0 || digit > 9) return NOT_A_NUMBER
    value = Math.min(value * 10 + digit, Number.MAX_SAFE_INTEGER)
  }
  return value
}

function resolve({ first, last }: RangeSpec, completeBytes: number): BytePart | undefined {
  if (first === undefined) {
    return last === 0 ? undefined : { first: Math.max(0, completeBytes - last!), last: completeBytes - 1 }
  }
  return first >= completeBytes ? undefined : { first, last: Math.min(last ?? completeBytes, completeBytes - 1) }
}

/** Joins parts that overlap, touch, or lie less than `gapBytes` apart; a joined part takes the earliest of their places. */
function joined(parts: readonly BytePart[], gapBytes: number): BytePart[] {
  const ascending = parts.map((part, place) => ({ first: part.first, last: part.last, place }))
  ascending.sort((a, b) => a.first - b.first)
  const apart: typeof ascending = []
  for (const part of ascending) {
    const before = apart.at(-1)
    if (before !== undefined && part.first - before.last - 1 <= Math.max(0, gapBytes - 1)) {
      before.last = Math.max(before.last, part.last)
      before.place = Math.min(before.place, part.place)
    } else apart.push(part)
  }
  apart.sort((a, b) => a.place - b.place)
  return apart.map(({ first, last }) => ({ first, last }))
}

/** True when each wanted part lies within one of the parts at hand. */
export function coveredBy(parts: readonly BytePart[], wanted: readonly BytePart[]): boolean {
  return wanted.every((part) => parts.some((has) => has.first <= part.first && part.last <= has.last))
}

/**
 * Cuts a part out of stored content, as views on its pieces: no byte is copied.
 *
 * @param stored which parts of the representation the content has; undefined: all of it
 * @throws RangeError when the part is not within the content
 */
export function sliceBody(
  body: readonly Uint8Array[],
  stored: readonly BytePart[] | undefined,
  wanted: BytePart,
): Uint8Array[] {
  let skipBytes = stored === undefined ? wanted.first : offsetWithin(stored, wanted)
  let leftBytes = wanted.last - wanted.first + 1
  const slices: Uint8Array[] = []
  for (const piece of body) {
    if (leftBytes === 0) break
    if (skipBytes >= piece.length) {
      skipBytes -= piece.length
      continue
    }
    const slice = piece.subarray(skipBytes, skipBytes + leftBytes)
    skipBytes = 0
    leftBytes -= slice.length
    slices.push(slice)
  }
  if (leftBytes > 0) throw new RangeError('the part reaches beyond the stored content')
  return slices
}

function offsetWithin(stored: readonly BytePart[], wanted: BytePart): number {
  let offsetBytes = 0
  for (const part of stored) {
    if (part.first <= wanted.first && wanted.last <= part.last) return offsetBytes + wanted.first - part.first
    offsetBytes += part.last - part.first + 1
  }
  throw new RangeError('the part is not among the stored ones')
}

import type { BytePart } from '../stored-response.ts'

/** What a Content-Range says: which part, and of how many bytes; undefined when the length is not known. */
export interface ContentRange extends BytePart {
  readonly complete: number | undefined
}

/**
 * Writes the Content-Range of a part: `bytes 0-4/10`, `bytes 0-4/*` when the length is not known.
 *
 * @see RFC 9110 §14.4
 */
export function contentRange(part: BytePart, completeBytes: number | undefined): string {
  return `bytes ${part.first}-${part.last}/${completeBytes ?? '*'}`
}

/** Writes the Content-Range of a 416, which names the length alone (RFC 9110 §15.5.17). */
export function unsatisfiedRange(completeBytes: number): string {
  return `bytes */${completeBytes}`
}

/** Fifteen digits are a petabyte, and every number of so many can be counted with. */
const CONTENT_RANGE = /^bytes ([0-9]{1,15})-([0-9]{1,15})\/(?:([0-9]{1,15})|\*)$/i

/**
 * Reads a Content-Range.
 *
 * @returns undefined for another unit, for what names a length alone, and for all that is malformed or contradicts itself
 * @see RFC 9110 §14.4
 */
export function parseContentRange(text: string): ContentRange | undefined {
  const match = CONTENT_RANGE.exec(text)
  if (match === null) return undefined
  const first = Number(match[1])
  const last = Number(match[2])
  const complete = match[3] === undefined ? undefined : Number(match[3])
  if (last < first || (complete !== undefined && complete <= last)) return undefined
  return { first, last, complete }
}

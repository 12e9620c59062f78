import type { BytePart } from '../stored-response.ts'
import { contentRange } from './content-range.ts'

/** One part of a multipart answer with its content. */
export interface MultipartPart {
  readonly part: BytePart
  /** Its bytes, in pieces of any length. */
  readonly pieces: readonly Uint8Array[]
}

export interface MultipartBody {
  /** The content's own pieces among those between them: nothing of it is copied. */
  readonly pieces: Uint8Array[]
  readonly bytes: number
}

/** The Content-Type of an answer of several parts. */
export function multipartType(boundary: string): string {
  return `multipart/byteranges; boundary=${boundary}`
}

/**
 * Writes the content of an answer of several parts.
 *
 * @param contentType Content-Type of the representation, repeated in each part; undefined: it has none
 * @param completeBytes length of the representation; undefined when it is not known
 * @param boundary token characters only, at most 70, and so random that it cannot stand in the content
 * @see RFC 9110 §14.6, RFC 2046 §5.1
 */
export function multipartBody(
  parts: readonly MultipartPart[],
  contentType: string | undefined,
  completeBytes: number | undefined,
  boundary: string,
): MultipartBody {
  const typeLine = contentType === undefined ? '' : `Content-Type: ${contentType}\r\n`
  const pieces: Uint8Array[] = []
  let bytes = 0
  let before = ''
  for (const { part, pieces: content } of parts) {
    const lines = `${before}--${boundary}\r\n${typeLine}Content-Range: ${contentRange(part, completeBytes)}\r\n\r\n`
    // Field values hold bytes, one a character.
    const opening = Buffer.from(lines, 'latin1')
    pieces.push(opening)
    for (const piece of content) pieces.push(piece)
    bytes += opening.length + part.last - part.first + 1
    before = '\r\n'
  }
  const closing = Buffer.from(`${before}--${boundary}--\r\n`, 'latin1')
  pieces.push(closing)
  return { pieces, bytes: bytes + closing.length }
}

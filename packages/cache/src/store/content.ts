import { arrayBytes, PIECE_BYTES } from './memory-costs.ts'

// Below this a piece's own cost is more than a few percent of it, so that it is put together with its neighbours.
const SMALL_BYTES = 16 * 1_024
const CHUNK_BYTES = 256 * 1_024
const NOTHING: readonly Uint8Array[] = Object.freeze([])

/** Length of content, in bytes. */
export function contentBytes(pieces: readonly Uint8Array[]): number {
  let bytes = 0
  for (const piece of pieces) bytes += piece.byteLength
  return bytes
}

/** Memory that content takes as {@link keepContent} returned it. */
export function contentMemoryBytes(kept: readonly Uint8Array[]): number {
  let bytes = arrayBytes(kept.length) + kept.length * PIECE_BYTES
  for (const piece of kept) bytes += piece.buffer.byteLength
  return bytes
}

/**
 * Makes sure that what is kept is what is counted. A piece that is a small part of a larger buffer (Node's shared pool, a
 * read from a socket) would keep all of it alive, so it is copied; small pieces become one.
 */
export function keepContent(pieces: readonly Uint8Array[]): readonly Uint8Array[] {
  const kept: Uint8Array[] = []
  let run: Uint8Array[] = []
  let runBytes = 0
  for (const piece of pieces) {
    const large = piece.byteLength >= SMALL_BYTES && standsAlone(piece)
    if (run.length > 0 && (large || runBytes + piece.byteLength > CHUNK_BYTES)) {
      kept.push(joined(run, runBytes))
      run = []
      runBytes = 0
    }
    if (large) {
      kept.push(piece)
    } else if (piece.byteLength > 0) {
      run.push(piece)
      runBytes += piece.byteLength
    }
  }
  if (run.length > 0) kept.push(joined(run, runBytes))
  // A list that was pushed to has room to spare; a copy has not.
  return kept.length === 0 ? NOTHING : kept.slice()
}

function standsAlone(piece: Uint8Array): boolean {
  return piece.buffer.byteLength - piece.byteLength <= piece.byteLength >> 4
}

function joined(pieces: readonly Uint8Array[], bytes: number): Uint8Array {
  if (pieces.length === 1 && standsAlone(pieces[0]!)) return pieces[0]!
  const whole = Buffer.allocUnsafeSlow(bytes)
  let at = 0
  for (const piece of pieces) {
    whole.set(piece, at)
    at += piece.byteLength
  }
  return whole
}

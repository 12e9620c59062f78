/** Longer texts are read at both ends only, so that no client can make a choice expensive. */
const WHOLE = 1_024
const END = 512

/** 64 bits of a text, as two numbers of 32; for spreading, not for secrets. */
export class TextHash {
  readonly high: number
  readonly low: number

  /** @param salt keeps hashes of different purposes apart, so that a key which equals a target's id means nothing */
  constructor(text: string, salt = 0) {
    this.high = lane(text, 0x811c9dc5 ^ salt, 0x01000193)
    this.low = lane(text, 0x9747b28c ^ salt, 0x5bd1e995)
  }
}

/**
 * A place in (0, 1), both ends excluded, with 52 bits: the same for the same two hashes, and for all else as if drawn by
 * chance.
 */
export function placeOf(key: TextHash, seed: TextHash): number {
  const high = mix(key.high ^ seed.high)
  const low = mix(key.low ^ seed.low ^ high)
  return (high * 2 ** 20 + (low >>> 12) + 0.5) / 2 ** 52
}

/** FNV-1a over UTF-16 code units, then mixed. Of a long text both ends and the length count. */
function lane(text: string, basis: number, prime: number): number {
  if (text.length <= WHOLE) return mix(hashRange(text, 0, text.length, basis, prime))
  const head = hashRange(text, 0, END, Math.imul(basis ^ text.length, prime), prime)
  return mix(hashRange(text, text.length - END, text.length, head, prime))
}

function hashRange(text: string, start: number, end: number, basis: number, prime: number): number {
  let hash = basis
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ text.charCodeAt(i), prime)
  return hash
}

/** MurmurHash3's finalizer: every bit of the input changes half of the output's. Unsigned. */
function mix(value: number): number {
  let h = value
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

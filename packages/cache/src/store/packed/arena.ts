import type { Ledger } from './ledger.ts'

const LARGEST_SEGMENT_BYTES = 1_048_576
const SMALLEST_SEGMENT_BYTES = 256
const SEGMENTS = 32
/** Where the first record of a segment begins. Not at 0, so that no record has the location 0, which says "none". */
export const SEGMENT_START = 8

/** A block of memory that records are written into one behind the other, with what is known of it. */
export class Segment {
  readonly id: number
  readonly buffer: Buffer
  readonly words: Uint32Array
  readonly doubles: Float64Array
  /** Where the next record goes. */
  end = SEGMENT_START
  /** How far it was ever written: the pages beyond are no memory yet. */
  writtenBytes = 0
  /** Bytes of the records that are not dead. */
  liveBytes = 0
  /** Up to where records were looked at for eviction. */
  hand = SEGMENT_START

  constructor(id: number, bytes: number) {
    this.id = id
    this.buffer = Buffer.allocUnsafeSlow(bytes)
    this.words = new Uint32Array(this.buffer.buffer)
    this.doubles = new Float64Array(this.buffer.buffer)
  }
}

/**
 * The memory that records live in: blocks of one size, and larger ones for single records that are too long for those. A
 * location names a record in 32 bits: the block, and where in it, in steps of 8 bytes.
 */
export class Arena {
  readonly segmentBytes: number
  readonly #ledger: Ledger
  readonly #offsetBits: number
  readonly #segments: (Segment | undefined)[] = []
  readonly #freeIds: number[] = []

  constructor(maxBytes: number, ledger: Ledger) {
    let bytes = SMALLEST_SEGMENT_BYTES
    while (bytes < LARGEST_SEGMENT_BYTES && bytes * 2 * SEGMENTS <= maxBytes) bytes *= 2
    this.segmentBytes = bytes
    this.#offsetBits = Math.log2(bytes) - 3
    this.#ledger = ledger
  }

  /** True when a segment more could not be named by a location: at 32 GiB in large segments. */
  get isFull(): boolean {
    return this.#freeIds.length === 0 && this.#segments.length >= 2 ** (32 - this.#offsetBits)
  }

  add(bytes: number): Segment {
    const id = this.#freeIds.pop() ?? this.#segments.length
    const segment = new Segment(id, bytes)
    this.#segments[id] = segment
    this.#ledger.bytes += bytes
    this.#ledger.untouchedBytes += bytes
    return segment
  }

  remove(segment: Segment): void {
    this.#segments[segment.id] = undefined
    this.#freeIds.push(segment.id)
    this.#ledger.bytes -= segment.buffer.length
    this.#ledger.untouchedBytes -= segment.buffer.length - segment.writtenBytes
  }

  /** Takes the next bytes of a segment, where there is room for them. */
  take(segment: Segment, bytes: number): number {
    const offset = segment.end
    segment.end += bytes
    segment.liveBytes += bytes
    if (segment.end > segment.writtenBytes) {
      this.#ledger.untouchedBytes -= segment.end - segment.writtenBytes
      segment.writtenBytes = segment.end
    }
    return offset
  }

  segmentAt(location: number): Segment {
    return this.#segments[location >>> this.#offsetBits]!
  }

  offsetAt(location: number): number {
    return (location & ((1 << this.#offsetBits) - 1)) << 3
  }

  locationOf(segment: Segment, offset: number): number {
    return ((segment.id << this.#offsetBits) | (offset >> 3)) >>> 0
  }

  /** A word of the record at a location, counted from its start. */
  word(location: number, which: number): number {
    return this.segmentAt(location).words[(this.offsetAt(location) >> 2) + which]!
  }

  setWord(location: number, which: number, value: number): void {
    this.segmentAt(location).words[(this.offsetAt(location) >> 2) + which] = value
  }
}

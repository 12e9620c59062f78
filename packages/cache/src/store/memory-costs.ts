// What things cost in memory, in bytes, on a 64-bit V8 without pointer compression (every Node release). The sizes of
// objects follow from their layout: a header of 24 bytes (map, properties, elements) and 8 a field; a number that is no
// small integer is an object of 16 bytes of its own. The others were measured, as the growth of the process divided by
// how many there were. Compared with the process as a whole: it grew by 95 to 100 % of the account for a million responses
// of 100 bytes and of 1 KiB, with four and with twenty header strings, and for ten thousand of 100 KB, all only added.

/** Map, hash and length. */
export const STRING_HEADER_BYTES = 16

/** An array of its exact length: object and elements each with a header. An empty one is shared and costs nothing. */
export function arrayBytes(length: number): number {
  return length === 0 ? 0 : 48 + 8 * length
}

/** A held response: 30 fields, and six numbers that are no small integers (times, lifetimes of months). */
export const RESPONSE_BYTES = 24 + 30 * 8 + 6 * 16

/** A part of a partial response: two fields, often beyond small integers. */
export const PART_BYTES = 24 + 2 * 8 + 2 * 16

/**
 * A piece of content besides its bytes: 200 on the heap for the Buffer and its ArrayBuffer, the rest outside it for the
 * backing store, its bookkeeping and the allocator's header and rounding.
 */
export const PIECE_BYTES = 400

/**
 * A key: its entry object (56), and its place in an lru-cache. That place was measured as 72 to 108 in one that only
 * grew, by how full its tables are, and as 100 to 160 in one that also lost entries.
 */
export const KEY_BYTES = 56 + 128

/** A tag with at least one response: record, place in the table (about 50), and a set for up to four (152). */
export const TAG_BYTES = 40 + 50 + 152

/** A response in the set of a tag: 20 to 40 in larger sets. */
export const TAG_MEMBER_BYTES = 32

/** A string in the pool besides itself: record and place in the table. */
export const POOLED_BYTES = 40 + 50

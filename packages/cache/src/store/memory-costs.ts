// What things cost in memory, in bytes, on a 64-bit V8 without pointer compression (every Node release). The sizes of
// objects follow from their layout: a header of 24 bytes (map, properties, elements) and 8 a field; a number that is no small integer
// is a box of 16 bytes of its own. The others were measured as the growth of the process, divided by how many there were.

/** Map, hash and length. */
export const STRING_HEADER_BYTES = 16

/** An array of its exact length: object and elements each with a header. An empty one is shared and costs nothing. */
export function arrayBytes(length: number): number {
  return length === 0 ? 0 : 48 + 8 * length
}

/** A held response: 28 fields, and boxes for the numbers that are times (six of them, and up to two more). */
export const RESPONSE_BYTES = 24 + 28 * 8 + 7 * 16

/** A part of a partial response: two fields, often beyond small integers. */
export const PART_BYTES = 24 + 2 * 8 + 2 * 16

/**
 * A piece of content besides its bytes: 200 on the heap for the Buffer and its ArrayBuffer, the rest outside it for the
 * backing store, its bookkeeping and the allocator's header and rounding.
 */
export const PIECE_BYTES = 400

/**
 * A key: its entry object (56), and its place in an lru-cache. That place was measured as 72 to 108
 * bytes in one that only grew, by how full its tables are, and 100 to 160 in one that also lost entries.
 */
export const KEY_BYTES = 56 + 128

/** A tag with at least one response: record, place in the table (about 50), and a set for up to four (152). */
export const TAG_BYTES = 40 + 50 + 152

/** A response in the set of a tag: 20 to 40 in larger sets. */
export const TAG_MEMBER_BYTES = 32

/** A string in the pool besides itself: record and place in the table. */
export const POOLED_BYTES = 40 + 50

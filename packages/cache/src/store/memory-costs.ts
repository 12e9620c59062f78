// What things cost in memory, in bytes, on a 64-bit V8 without pointer compression (every Node release): what lies on V8's
// heap or beside it, while records and index count as what they are. The sizes of objects follow from their layout; the
// others were measured, as the growth of the process divided by how many there were.

/** Map, hash and length of a string. */
export const STRING_HEADER_BYTES = 16

/** An array of its exact length: object and elements each with a header. An empty one is shared and costs nothing. */
export function arrayBytes(length: number): number {
  return length === 0 ? 0 : 48 + 8 * length
}

/**
 * A piece of content besides its bytes: 200 on the heap for the Buffer and its ArrayBuffer, the rest outside it for the
 * backing store, its bookkeeping and the allocator's header and rounding.
 */
export const PIECE_BYTES = 400

/** A large content besides its pieces: its place in the table. */
export const LARGE_CONTENT_BYTES = 60

/** A tag besides its text: its place in the table, with one response. */
export const TAG_PLACE_BYTES = 60

/** The set of the responses of a tag that several have, for up to four. */
export const TAG_SET_BYTES = 152

/** A response in the set of a tag: 20 to 40 in larger sets. */
export const TAG_MEMBER_BYTES = 32

/** A decoded response besides its texts and content: object, lists, Buffer, place in the table. */
export const DECODED_BYTES = 800

/** A text of a decoded response: part of a string, and place in a list. */
export const DECODED_TEXT_BYTES = 40

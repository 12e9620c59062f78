import type { StoredHead } from '../../stored-response.ts'
import type { Segment } from './arena.ts'
import * as record from './record.ts'

const BEYOND_LATIN_1 = /[\u0100-\uffff]/

/** Writes responses as records: first {@link measure}, then, where there is room, {@link write}. */
export class RecordWriter {
  // Used again for each record, so that writing one makes little garbage.
  readonly #texts: string[] = []
  readonly #lengths: number[] = []
  #run = ''
  #wide = false

  /**
   * Takes the texts of a response down.
   *
   * @param inlineBytes length of the content that goes into the record
   * @returns bytes of the record
   */
  measure(key: string, head: StoredHead, inlineBytes: number): number {
    this.#texts.length = 0
    this.#lengths.length = 0
    this.#add(key)
    this.#add(head.id)
    this.#add(head.variant)
    this.#add(head.statusText)
    this.#add(head.partition)
    this.#add(head.etag)
    for (const text of head.headers) this.#add(text)
    for (const text of head.vary) this.#add(text)
    for (const text of head.varyValues) this.#add(text)
    for (const text of head.tags) this.#add(text)
    this.#run = this.#texts.join('')
    this.#wide = BEYOND_LATIN_1.test(this.#run)
    const partBytes = (head.parts?.length ?? 0) * 16
    const textBytes = this.#lengths.length * 4 + this.#run.length * (this.#wide ? 2 : 1)
    return (record.FIXED_BYTES + partBytes + textBytes + inlineBytes + 7) & ~7
  }

  /**
   * Writes what was measured last, dead and without a link, to a place that is large enough.
   *
   * @param large number of its large content; 0: `body` goes into the record
   */
  write(
    segment: Segment,
    offset: number,
    hash: number,
    head: StoredHead,
    body: readonly Uint8Array[],
    large: number,
  ): void {
    const { words, doubles, buffer } = segment
    const at = offset >> 2
    words[at + record.HASH] = hash
    words[at + record.NEXT] = 0
    words[at + record.FLAGS] = this.#flagsOf(head)
    words[at + record.PREVIOUS] = 0
    words[at + record.CHARACTERS] = this.#run.length
    words[at + record.HEADERS] = head.headers.length
    words[at + record.VARY] = head.vary.length
    words[at + record.VARY_VALUES] = head.varyValues.length
    words[at + record.TAGS] = head.tags.length
    words[at + record.PARTS] = head.parts === undefined ? record.NONE : head.parts.length
    words[at + record.LARGE] = large
    const double = offset >> 3
    doubles[double + record.DATE] = head.dateMs
    doubles[double + record.RECEIVED_AT] = head.receivedAtMs
    doubles[double + record.INITIAL_AGE] = head.initialAgeMs
    doubles[double + record.LIFETIME] = head.lifetimeMs
    doubles[double + record.STALE_WHILE_REVALIDATE] = head.staleWhileRevalidateMs
    doubles[double + record.STALE_IF_ERROR] = head.staleIfErrorMs
    doubles[double + record.LAST_MODIFIED] = head.lastModifiedMs ?? Number.NaN
    doubles[double + record.STALE_SINCE] = head.staleSinceMs ?? Number.NaN
    doubles[double + record.BODY_BYTES] = head.bodyBytes
    doubles[double + record.COMPLETE_BYTES] = head.completeBytes ?? Number.NaN
    let position = offset + record.FIXED_BYTES
    for (const { first, last } of head.parts ?? []) {
      doubles[position >> 3] = first
      doubles[(position >> 3) + 1] = last
      position += 16
    }
    const lengths = this.#lengths
    for (let i = 0; i < lengths.length; i++) words[(position >> 2) + i] = lengths[i]!
    position += lengths.length * 4
    position += buffer.write(this.#run, position, this.#wide ? 'utf16le' : 'latin1')
    this.#run = ''
    if (large !== 0) return
    for (const piece of body) {
      buffer.set(piece, position)
      position += piece.byteLength
    }
  }

  #add(text: string | undefined): void {
    if (text === undefined) {
      this.#lengths.push(record.NONE)
    } else {
      this.#lengths.push(text.length)
      this.#texts.push(text)
    }
  }

  #flagsOf(head: StoredHead): number {
    let flags = record.DEAD | (record.METHODS.indexOf(head.method) << record.METHOD_SHIFT)
    flags |= head.status << record.STATUS_SHIFT
    if (this.#wide) flags |= record.WIDE
    if (head.heuristic) flags |= record.HEURISTIC
    if (head.noCache) flags |= record.NO_CACHE
    if (head.mustRevalidate) flags |= record.MUST_REVALIDATE
    return flags
  }
}

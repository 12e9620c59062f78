import { type Arena, SEGMENT_START, type Segment } from './arena.ts'
import type { Ledger } from './ledger.ts'
import { DEAD, FLAGS, SIZE, USED } from './record.ts'

// Segments that are left as they are in one go since more than half of them is in use. So the work for a put is bounded.
const MOST_SPARED = 8

/** What the owner of the records does for {@link Space}. */
export interface RecordOwner {
  /** Nobody must know anything of a record but where it is: it is about to move. */
  prepareMove(segment: Segment, offset: number): void
  moved(segment: Segment, from: number, to: number): void
  /** True when it was used since it was last asked. */
  takeUse(segment: Segment, offset: number): boolean
  /** Takes the record away, and calls {@link Space.free}. */
  evict(segment: Segment, offset: number): void
}

/**
 * Says where the next record goes, and what must go for it. Records are written one behind the other. When no segment
 * more may be had, one is emptied and written anew: one that is half dead, of which nothing is lost; else that which was
 * written first, of which stays what was used since (CLOCK, that is FIFO with a second chance).
 */
export class Space {
  /** Longest record that shares a segment with others. */
  readonly sharedBytes: number
  readonly #arena: Arena
  readonly #ledger: Ledger
  readonly #owner: RecordOwner
  readonly #maxBytes: number
  /** The first is the next to give something up. */
  readonly #order: Segment[] = []
  #writing: Segment | undefined

  constructor(arena: Arena, ledger: Ledger, maxBytes: number, owner: RecordOwner) {
    this.#arena = arena
    this.#ledger = ledger
    this.#owner = owner
    this.#maxBytes = maxBytes
    this.sharedBytes = arena.segmentBytes / 2 - SEGMENT_START
  }

  /** True when a record and what it has elsewhere would have room if nothing else were stored. */
  couldHold(recordBytes: number, otherBytes: number): boolean {
    const own = recordBytes > this.sharedBytes ? recordBytes + SEGMENT_START : this.#arena.segmentBytes
    return own + otherBytes + this.#ledger.indexBytes <= this.#maxBytes
  }

  /**
   * Takes the place for a record; what lies there counts as dead until it is written. Other records may move or go.
   *
   * @returns its location; 0: there is no room
   */
  reserve(bytes: number): number {
    let segment = this.#writing
    if (bytes > this.sharedBytes) {
      if (!this.makeRoom(bytes + SEGMENT_START) || this.#arena.isFull) return 0
      segment = this.#arena.add(bytes + SEGMENT_START)
      this.#order.push(segment)
    } else if (segment === undefined || segment.end + bytes > this.#arena.segmentBytes) {
      segment = this.#nextSegment()
      this.#writing = segment
      if (segment === undefined) return 0
    }
    const offset = this.#arena.take(segment, bytes)
    segment.words[(offset >> 2) + SIZE] = bytes
    segment.words[(offset >> 2) + FLAGS] = DEAD
    return this.#arena.locationOf(segment, offset)
  }

  /** Gives the place of a record back, dead from now on. */
  free(segment: Segment, offset: number): void {
    const at = offset >> 2
    segment.words[at + FLAGS] = segment.words[at + FLAGS]! | DEAD
    segment.liveBytes -= segment.words[at + SIZE]!
    if (segment.liveBytes === 0 && this.#isOwn(segment)) this.#release(segment)
  }

  /** Lets records go, without moving any, until so many bytes are free. */
  makeRoom(bytes: number): boolean {
    while (this.#ledger.bytes + bytes > this.#maxBytes) {
      const dead = this.#order.find((segment) => segment.liveBytes === 0)
      if (dead !== undefined) this.#release(dead)
      else if (!this.#evictOne()) return false
    }
    return true
  }

  #nextSegment(): Segment | undefined {
    let chances = MOST_SPARED
    for (;;) {
      const emptiest = this.#emptiest()
      if (emptiest?.liveBytes === 0) return this.#emptied(emptiest, false)
      const { segmentBytes, isFull } = this.#arena
      if (!isFull && this.#ledger.bytes + segmentBytes <= this.#maxBytes) {
        const segment = this.#arena.add(segmentBytes)
        this.#order.push(segment)
        return segment
      }
      if (emptiest !== undefined && emptiest.liveBytes <= this.sharedBytes) return this.#emptied(emptiest, false)
      const [oldest] = this.#order
      if (oldest === undefined) return undefined
      const spared = chances-- > 0 && this.#usedBytes(oldest) > this.sharedBytes
      if (!spared && !this.#isOwn(oldest)) return this.#emptied(oldest, true)
      if (!spared) this.#owner.evict(oldest, SEGMENT_START)
      else this.#spare(oldest)
    }
  }

  #usedBytes({ words, end }: Segment): number {
    let bytes = 0
    for (let offset = SEGMENT_START; offset < end; offset += words[(offset >> 2) + SIZE]!) {
      if ((words[(offset >> 2) + FLAGS]! & (DEAD | USED)) === USED) bytes += words[(offset >> 2) + SIZE]!
    }
    return bytes
  }

  /** Leaves a segment as it is, until its turn comes again. */
  #spare(segment: Segment): void {
    const { words, end } = segment
    for (let offset = SEGMENT_START; offset < end; offset += words[(offset >> 2) + SIZE]!) {
      if ((words[(offset >> 2) + FLAGS]! & DEAD) === 0) this.#owner.takeUse(segment, offset)
    }
    this.#toTheEnd(segment)
  }

  #emptiest(): Segment | undefined {
    let emptiest: Segment | undefined
    for (const segment of this.#order) {
      if (this.#isOwn(segment)) continue
      if (emptiest === undefined || segment.liveBytes < emptiest.liveBytes) emptiest = segment
    }
    return emptiest
  }

  /** Moves what stays to the front of the segment, so that at least half of it can be written. */
  #emptied(segment: Segment, evicts: boolean): Segment {
    const { words, buffer } = segment
    const { end } = segment
    let to = SEGMENT_START
    for (let offset = SEGMENT_START; offset < end; ) {
      const bytes = words[(offset >> 2) + SIZE]!
      if ((words[(offset >> 2) + FLAGS]! & DEAD) === 0) {
        this.#owner.prepareMove(segment, offset)
        if (evicts && !(this.#owner.takeUse(segment, offset) && to + bytes - SEGMENT_START <= this.sharedBytes)) {
          this.#owner.evict(segment, offset)
        } else {
          if (to !== offset) {
            buffer.copyWithin(to, offset, offset + bytes)
            this.#owner.moved(segment, offset, to)
          }
          to += bytes
        }
      }
      offset += bytes
    }
    segment.end = to
    segment.hand = SEGMENT_START
    this.#toTheEnd(segment)
    return segment
  }

  /** @returns false when there is nothing left to evict */
  #evictOne(): boolean {
    while (this.#ledger.responses > 0) {
      const segment = this.#order[0]!
      while (segment.hand < segment.end) {
        const offset = segment.hand
        segment.hand += segment.words[(offset >> 2) + SIZE]!
        if ((segment.words[(offset >> 2) + FLAGS]! & DEAD) !== 0 || this.#owner.takeUse(segment, offset)) continue
        this.#owner.evict(segment, offset)
        return true
      }
      segment.hand = SEGMENT_START
      this.#toTheEnd(segment)
    }
    return false
  }

  #toTheEnd(segment: Segment): void {
    this.#order.splice(this.#order.indexOf(segment), 1)
    this.#order.push(segment)
  }

  #release(segment: Segment): void {
    this.#order.splice(this.#order.indexOf(segment), 1)
    if (segment === this.#writing) this.#writing = undefined
    this.#arena.remove(segment)
  }

  /** True for the segment of a single long record. */
  #isOwn(segment: Segment): boolean {
    return segment.buffer.length !== this.#arena.segmentBytes
  }
}

import type { ClientSide } from './client-side.ts'

const SEGMENT_BYTES = 65_536

/** What a log still has for readers that have fallen behind, once it keeps nothing for the store, in bytes. */
const WINDOW_BYTES = 4 * 1024 * 1024

/**
 * The content of a response on its way: kept as it comes, and read by any number of clients, each at its own pace. The
 * origin is read as fast as the fastest of them, so that a slow one holds up nobody.
 */
export class BodyLog {
  readonly #segments: Uint8Array[] = []
  /** Where each segment begins. */
  readonly #starts: number[] = []
  readonly #readers: LogReader[] = []
  /** The last segment, while there is room in it. */
  #open: Uint8Array | undefined = undefined
  #openBytes = 0
  /** Announced length that is still to come; -1 when none was announced. */
  #left: number
  #keeps = true
  /** Bytes at the beginning that are gone. */
  #base = 0
  bytes = 0
  /** All is there. */
  complete = false
  readonly #onSpace: () => void

  /**
   * @param expectedBytes the announced length, or -1
   * @param onSpace told when the origin may be read on
   */
  constructor(expectedBytes: number, onSpace: () => void) {
    this.#left = expectedBytes
    this.#onSpace = onSpace
  }

  /** False once the beginning is gone; then nobody can begin to read, and nothing can be stored. */
  get isWhole(): boolean {
    return this.#keeps
  }

  get readers(): number {
    return this.#readers.length
  }

  /** Adds a client, which gets everything from the beginning. Its head was written. */
  read(client: ClientSide): LogReader {
    const reader = new LogReader(this, client)
    this.#readers.push(reader)
    return reader
  }

  /** @returns false when no reader wants more for now */
  append(chunk: Uint8Array): boolean {
    const from = this.bytes
    this.#keep(chunk)
    this.bytes += chunk.length
    for (const reader of this.#readers.slice()) reader.onAppended(chunk, from)
    if (!this.#keeps) this.#forget()
    return this.wantsMore
  }

  end(chunk?: Uint8Array): void {
    const from = this.bytes
    if (chunk !== undefined) {
      this.#keep(chunk)
      this.bytes += chunk.length
    }
    this.complete = true
    for (const reader of this.#readers.slice()) reader.onEnded(chunk, from)
  }

  /** Ends all answers that are under way, so that their clients see it. */
  cut(): void {
    for (const reader of this.#readers.splice(0)) reader.cut()
    this.release()
  }

  /** Keeps only what readers have still to get: nothing will be stored. */
  release(): void {
    this.#keeps = false
    this.#forget()
  }

  remove(reader: LogReader): void {
    const at = this.#readers.indexOf(reader)
    if (at !== -1) this.#readers.splice(at, 1)
    if (!this.#keeps) this.#forget()
  }

  /** With nobody reading, the store is the one that wants more. */
  get wantsMore(): boolean {
    if (this.#readers.length === 0) return true
    for (const reader of this.#readers) if (!reader.isBlocked) return true
    return false
  }

  /** A reader has caught up. @internal */
  onReaderDrained(): void {
    if (!this.complete) this.#onSpace()
  }

  /** What is there from a position on, in one piece; the whole of it may take several calls. */
  pieceAt(position: number): Uint8Array | undefined {
    let at = this.#segments.length - 1
    while (at >= 0 && this.#starts[at]! > position) at--
    if (at < 0) return undefined
    const segment = this.#segments[at]!
    const filled = segment === this.#open ? this.#openBytes : segment.length
    return segment.subarray(position - this.#starts[at]!, filled)
  }

  /** The content, whole. Only when it is complete and nothing was forgotten. */
  content(): readonly Uint8Array[] {
    const open = this.#open
    if (open !== undefined && this.#openBytes < open.length) {
      this.#segments[this.#segments.length - 1] = open.subarray(0, this.#openBytes)
    }
    this.#open = undefined
    return this.#segments
  }

  /** Copies: the piece may be part of a larger buffer, or used again by whoever gave it. */
  #keep(chunk: Uint8Array): void {
    let from = 0
    while (from < chunk.length) {
      if (this.#open === undefined) this.#openSegment(chunk.length - from)
      const open = this.#open!
      const part = Math.min(chunk.length - from, open.length - this.#openBytes)
      open.set(part === chunk.length ? chunk : chunk.subarray(from, from + part), this.#openBytes)
      this.#openBytes += part
      from += part
      if (this.#left !== -1) this.#left = Math.max(0, this.#left - part)
      if (this.#openBytes === open.length) this.#open = undefined
    }
  }

  #openSegment(wanted: number): void {
    const first = this.#segments.length === 0
    // The first piece is often all there is.
    const size = this.#left > 0 ? Math.min(this.#left, SEGMENT_BYTES) : first ? wanted : SEGMENT_BYTES
    this.#open = Buffer.allocUnsafeSlow(Math.max(size, Math.min(wanted, SEGMENT_BYTES)))
    this.#openBytes = 0
    this.#starts.push(this.#nextStart())
    this.#segments.push(this.#open)
  }

  /** Where the next byte goes. */
  #nextStart(): number {
    const last = this.#segments.length - 1
    return last === -1 ? this.#base : this.#starts[last]! + this.#segments[last]!.length
  }

  #forget(): void {
    let needed = this.bytes
    for (const reader of this.#readers) {
      if (this.bytes - reader.position > WINDOW_BYTES && reader.isBlocked) continue
      needed = Math.min(needed, reader.position)
    }
    // Nobody can be given what is not kept: who is too far behind sees that his answer is not whole.
    for (const reader of this.#readers.slice()) if (reader.position < needed) reader.giveUp()
    while (this.#segments.length > 0) {
      const first = this.#segments[0]!
      const end = this.#starts[0]! + first.length
      if (first === this.#open || end > needed) return
      this.#segments.shift()
      this.#starts.shift()
      this.#base = end
    }
  }
}

/** One client that reads a {@link BodyLog}. */
export class LogReader {
  readonly #log: BodyLog
  readonly #client: ClientSide
  /** How much of the content it was given. */
  position = 0
  isBlocked = false
  #ended = false

  constructor(log: BodyLog, client: ClientSide) {
    this.#log = log
    this.#client = client
  }

  /** The client has all, or has left. */
  get hasEnded(): boolean {
    return this.#ended
  }

  /** Gives the client what is there already. */
  begin(): void {
    this.#pump()
  }

  /** @internal */
  onAppended(chunk: Uint8Array, from: number): void {
    if (this.isBlocked || this.#ended) return
    if (this.position !== from) {
      this.#pump()
      return
    }
    this.position += chunk.length
    this.#note(this.#client.write(chunk))
  }

  /** @internal */
  onEnded(chunk: Uint8Array | undefined, from: number): void {
    if (this.isBlocked || this.#ended) return
    if (this.position !== from) {
      this.#pump()
      return
    }
    this.position += chunk?.length ?? 0
    this.#finish(chunk)
  }

  cut(): void {
    if (this.#ended) return
    this.#ended = true
    this.#client.cut()
  }

  /** It has fallen too far behind. @internal */
  giveUp(): void {
    this.#log.remove(this)
    this.cut()
  }

  /** The client has left. */
  leave(): void {
    this.#ended = true
    this.#log.remove(this)
  }

  #pump(): void {
    const log = this.#log
    while (!this.isBlocked && !this.#ended && this.position < log.bytes) {
      const piece = log.pieceAt(this.position)
      if (piece === undefined) {
        this.giveUp()
        return
      }
      this.position += piece.length
      this.#note(this.#client.write(piece))
    }
    if (log.complete && !this.isBlocked && !this.#ended && this.position === log.bytes) this.#finish(undefined)
  }

  #note(ok: boolean): void {
    if (ok) return
    this.isBlocked = true
    this.#client.res.once('drain', () => this.#onDrain())
  }

  #onDrain(): void {
    const { res } = this.#client
    // The event is also given to the origin's side, on the same response, when another reader has drained.
    if (res.writableNeedDrain) {
      res.once('drain', () => this.#onDrain())
      return
    }
    this.isBlocked = false
    this.#pump()
    if (!this.isBlocked) this.#log.onReaderDrained()
  }

  #finish(chunk: Uint8Array | undefined): void {
    this.#ended = true
    this.#log.remove(this)
    this.#client.end(chunk)
  }
}

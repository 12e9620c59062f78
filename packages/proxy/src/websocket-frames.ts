/**
 * Follows one direction of a WebSocket by frame lengths alone (RFC 6455 §5.2), so that a Close frame can be put between
 * two frames when the gateway drains. Payloads are not looked at, unmasked or kept.
 */
export class FrameTracker {
  /** Bytes of the payload that are still to come. */
  #payload = 0
  /** Bytes of the header seen so far; at most 14. */
  readonly #header: number[] = []

  /** True between two frames. */
  get atBoundary(): boolean {
    return this.#payload === 0 && this.#header.length === 0
  }

  /**
   * Follows a chunk.
   *
   * @param stop end at the first frame boundary
   * @returns how many bytes were followed: all, unless a boundary stopped it
   */
  follow(chunk: Uint8Array, stop = false): number {
    let at = 0
    while (at < chunk.length) {
      if (this.#payload > 0) {
        const taken = Math.min(this.#payload, chunk.length - at)
        this.#payload -= taken
        at += taken
      } else {
        this.#header.push(chunk[at]!)
        at++
        this.#readHeader()
      }
      if (stop && this.atBoundary) return at
    }
    return at
  }

  #readHeader(): void {
    const header = this.#header
    if (header.length < 2) return
    const short = header[1]! & 0x7f
    const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0
    const maskBytes = (header[1]! & 0x80) === 0 ? 0 : 4
    if (header.length < 2 + lengthBytes + maskBytes) return
    let length = short
    if (lengthBytes > 0) {
      length = 0
      for (let i = 0; i < lengthBytes; i++) length = length * 256 + header[2 + i]!
    }
    header.length = 0
    this.#payload = length
  }
}

/** Close with status 1001, "going away" (RFC 6455 §7.4.1), as a server sends it. */
export const GOING_AWAY_FROM_SERVER = Buffer.from([0x88, 0x02, 0x03, 0xe9])

/** The same as a client sends it: masked, with a mask of zeros, which leaves the payload as it is (§5.3). */
export const GOING_AWAY_FROM_CLIENT = Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe9])

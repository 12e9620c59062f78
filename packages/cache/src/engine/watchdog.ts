/** How long a handler of the app's own may still take for a head when its client has gone, in milliseconds. */
const LOCAL_HEAD_MS = 1_000

/** A fill whose client has left while others want its answer. */
export interface Watched {
  /** Bytes of the content that have come; undefined while there is no head. */
  readonly bytesSoFar: number | undefined
  /** The stages behind the cache wait for the readers. */
  readonly isHeldBack: boolean
  /** No proxy works on it: the answer comes from a handler of the app's own. */
  readonly isLocal: boolean
  /** No head came from such a handler. */
  onSilent(): void
  /** No content came for as long as a request waits. */
  onStalled(): void
}

/**
 * Looks after a fill without a client: its handler may have stopped without a word. Those who wait for a head can go on
 * their own then, and those who wait for the rest have to be cut.
 */
export class Watchdog {
  readonly #watched: Watched
  readonly #maxWaitMs: number
  #timer: NodeJS.Timeout | undefined = undefined

  constructor(watched: Watched, maxWaitMs: number) {
    this.#watched = watched
    this.#maxWaitMs = maxWaitMs
    this.#look()
  }

  stop(): void {
    clearTimeout(this.#timer)
  }

  #look(): void {
    const { bytesSoFar, isLocal } = this.#watched
    const isAsked = bytesSoFar === undefined && isLocal
    const delayMs = isAsked ? Math.min(this.#maxWaitMs, LOCAL_HEAD_MS) : this.#maxWaitMs
    this.#timer = setTimeout(() => this.#lookAgain(bytesSoFar), delayMs)
    this.#timer.unref()
  }

  #lookAgain(bytesBefore: number | undefined): void {
    const watched = this.#watched
    const { bytesSoFar } = watched
    if (bytesSoFar === undefined && watched.isLocal) watched.onSilent()
    else if (bytesSoFar !== undefined && bytesSoFar === bytesBefore && !watched.isHeldBack) watched.onStalled()
    else this.#look()
  }
}

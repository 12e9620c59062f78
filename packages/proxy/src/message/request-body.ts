import { EventEmitter } from 'node:events'
import type { BodySource } from './body-source.ts'

/** Raised when a body grows over its limit. */
export class BodyLimitError extends Error {
  override readonly name = 'BodyLimitError'
}

/** Raised when the client's body broke off. */
export class BodySourceError extends Error {
  override readonly name = 'BodySourceError'
}

/** Whoever wants to know that a body moves; for idle timers. */
export interface ProgressListener {
  progress(): void
}

/**
 * One attempt's reader of the client's body: the events of a readable stream over a {@link BodySource}, without its fate.
 * What a transport does to it when an attempt fails (destroy it) must not destroy the client's connection, on which an
 * answer has yet to go out. Nothing is read before the first `resume()`, which a transport calls once the connection is
 * there.
 */
export class RequestBody extends EventEmitter {
  destroyed = false
  /** True once a byte may have been taken from the client. */
  started = false
  /** True once the last byte was handed over. */
  ended = false
  readonly #source: BodySource
  readonly #listener: ProgressListener
  #held = false
  /** What an attempt before this one has read, while it is handed over again. */
  #replay: readonly Buffer[] | undefined = undefined
  #at = 0
  #scheduled = false

  constructor(source: BodySource, listener: ProgressListener) {
    super()
    this.#source = source
    this.#listener = listener
  }

  /** True while the transport holds the client back. */
  get paused(): boolean {
    return this.started && this.#held
  }

  resume(): this {
    if (this.destroyed) return this
    this.#held = false
    if (!this.started) {
      this.started = true
      this.#replay = this.#source.attach(this)
    }
    if (this.#replay === undefined) this.#source.resume()
    else if (!this.#scheduled) {
      // Not at once: whoever resumes has yet to see that it did.
      this.#scheduled = true
      process.nextTick(replay, this)
    }
    return this
  }

  pause(): this {
    this.#held = true
    this.#source.pause()
    return this
  }

  /** Lets go of the client's body; the client's connection lives on. */
  destroy(error?: Error): this {
    if (this.destroyed) return this
    this.destroyed = true
    if (this.started) this.#source.detach(this)
    if (error !== undefined && this.listenerCount('error') > 0) this.emit('error', error)
    this.emit('close')
    return this
  }

  /** Makes this a stream in the eyes of a transport that asks for `pipe`; no transport of ours calls it. */
  pipe(): never {
    throw new Error('RequestBody.pipe: read the events instead')
  }

  /** Hands a chunk to the transport. @internal */
  take(chunk: Buffer): void {
    this.#listener.progress()
    this.emit('data', chunk)
  }

  /** @internal */
  finish(): void {
    if (this.ended || this.destroyed) return
    this.ended = true
    this.emit('end')
  }

  /** @internal */
  breakOff(error: Error): void {
    if (this.destroyed || this.ended) return
    if (this.listenerCount('error') > 0) this.emit('error', error)
    this.destroy()
  }

  /** @internal */
  replay(): void {
    this.#scheduled = false
    const chunks = this.#replay
    if (chunks === undefined) return
    while (this.#at < chunks.length) {
      if (this.#held || this.destroyed) return
      this.take(chunks[this.#at++]!)
    }
    this.#replay = undefined
    if (!this.destroyed) this.#source.goOn(this, this.#held)
  }
}

function replay(body: RequestBody): void {
  body.replay()
}

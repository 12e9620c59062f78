import { EventEmitter } from 'node:events'
import type { Readable } from 'node:stream'
import type { Exchange } from '@postern/contracts'

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

/** Where a source keeps the body that reads it, so that its listeners need no closures. */
const READER = Symbol('postern.body')

type Source = Readable & { [READER]?: RequestBody | undefined }

/**
 * The client's body on its way to an upstream: the events of a readable stream over the request, without its fate. What
 * a transport does to it when an attempt fails (destroy it) must not destroy the client's connection, on which an
 * answer has yet to go out. Nothing is read before the first `resume()`, which a transport calls once the connection is
 * there; until then the attempt can be made again elsewhere.
 */
export class RequestBody extends EventEmitter {
  destroyed = false
  /** True once a byte may have been taken from the client. */
  started = false
  /** True once the last byte was handed over. */
  ended = false
  readonly #source: Source
  readonly #exchange: Exchange
  readonly #limit: number
  readonly #listener: ProgressListener

  /** @param limit most bytes; `Infinity` for none */
  constructor(source: Readable, exchange: Exchange, limit: number, listener: ProgressListener) {
    super()
    this.#source = source
    this.#exchange = exchange
    this.#limit = limit
    this.#listener = listener
  }

  /** True while the transport holds the client back. */
  get paused(): boolean {
    return this.started && this.#source.isPaused()
  }

  resume(): this {
    if (this.destroyed) return this
    if (!this.started) {
      this.started = true
      this.#source[READER] = this
      this.#source.on('data', onData)
      this.#source.on('end', onEnd)
      this.#source.on('error', onError)
    }
    this.#source.resume()
    return this
  }

  pause(): this {
    this.#source.pause()
    return this
  }

  /** Lets go of the client's body; the client's connection lives on, and what still comes of the body is dropped. */
  destroy(error?: Error): this {
    if (this.destroyed) return this
    this.destroyed = true
    if (this.started) {
      this.#source[READER] = undefined
      this.#source.off('data', onData)
      this.#source.off('end', onEnd)
      // The error listener stays: an upload that breaks later must find one. Left paused, the rest of the body would
      // stand before the client's next request for ever.
      if (!this.ended) this.#source.resume()
    }
    if (error !== undefined && this.listenerCount('error') > 0) this.emit('error', error)
    this.emit('close')
    return this
  }

  /** Makes this a stream in the eyes of a transport that asks for `pipe`; no transport of ours calls it. */
  pipe(): never {
    throw new Error('RequestBody.pipe: read the events instead')
  }

  /** Passes on what the source has; over the limit, ends the body as failed. @internal */
  take(chunk: Buffer): void {
    const total = this.#exchange.requestBodyBytes + chunk.length
    if (total > this.#limit) {
      this.#source.pause()
      this.breakOff(new BodyLimitError('the request body grew over its limit'))
      return
    }
    this.#exchange.requestBodyBytes = total
    this.#listener.progress()
    this.emit('data', chunk)
  }

  /** @internal */
  finish(): void {
    this.ended = true
    this.emit('end')
  }

  /** @internal */
  breakOff(error: Error): void {
    if (this.destroyed || this.ended) return
    if (this.listenerCount('error') > 0) this.emit('error', error)
    this.destroy()
  }
}

function onData(this: Source, chunk: Buffer): void {
  this[READER]?.take(chunk)
}

function onEnd(this: Source): void {
  this[READER]?.finish()
}

function onError(this: Source, error: Error): void {
  this[READER]?.breakOff(new BodySourceError('the request body broke off', { cause: error }))
}

import type { Readable } from 'node:stream'
import type { Exchange } from '@postern/contracts'
import { BodyLimitError, BodySourceError, type ProgressListener, RequestBody } from './request-body.ts'

/** Told of everything that the client sends, once, however often it is sent on: a mirror's copy. Must not throw. */
export interface BodyTee {
  write(chunk: Buffer): void
  /** The body is whole. */
  end(): void
  /** The body will not become whole. Idempotent, and of no effect behind {@link end}. */
  abort(): void
}

/** Where a stream keeps the source that reads it, so that its listeners need no closures. */
const SOURCE = Symbol('postern.body')

type Stream = Readable & { [SOURCE]?: BodySource | undefined }

/**
 * The client's body, for as many attempts as it takes: each reads it through a reader of its own. What is read can be
 * kept, up to a bound, so that the next attempt has it from its first byte; over the bound nothing is kept and the
 * attempt under way is the last.
 */
export class BodySource {
  /** True once the last byte was read. */
  ended = false
  readonly #stream: Stream
  readonly #exchange: Exchange
  readonly #limit: number
  readonly #tee: BodyTee | undefined
  #reader: RequestBody | undefined = undefined
  #listening = false
  #sealed = false
  #broken: Error | undefined = undefined
  /** What was read so far; undefined when it is not kept. */
  #kept: Buffer[] | undefined
  /** How many bytes may still be kept. */
  #room: number

  /**
   * @param limit most bytes; `Infinity` for none
   * @param maxReplayBytes most bytes that are kept for another attempt; 0: none
   */
  constructor(stream: Readable, exchange: Exchange, limit: number, maxReplayBytes: number, tee?: BodyTee | undefined) {
    this.#stream = stream
    this.#exchange = exchange
    this.#limit = limit
    this.#room = maxReplayBytes
    this.#kept = maxReplayBytes > 0 ? [] : undefined
    this.#tee = tee
  }

  /** True while an attempt that begins now has the body from its first byte. */
  get isWhole(): boolean {
    return !this.#listening || (this.#kept !== undefined && this.#broken === undefined)
  }

  /** A reader for one attempt; the one before it must have been destroyed by then. */
  open(listener: ProgressListener): RequestBody {
    return new RequestBody(this, listener)
  }

  /** No attempt will follow the one under way: what was kept is let go. Idempotent. */
  seal(): void {
    if (this.#sealed) return
    this.#sealed = true
    this.#kept = undefined
    if (this.#reader === undefined) this.#drop()
  }

  /** @returns what was read before; undefined when there is nothing to be read again. @internal */
  attach(reader: RequestBody): readonly Buffer[] | undefined {
    this.#reader = reader
    if (!this.#listening) {
      this.#listening = true
      this.#stream[SOURCE] = this
      this.#stream.on('data', onData)
      this.#stream.on('end', onEnd)
      this.#stream.on('error', onError)
      return undefined
    }
    return this.#kept === undefined ? [] : this.#kept.slice()
  }

  /** @internal */
  detach(reader: RequestBody): void {
    if (this.#reader !== reader) return
    this.#reader = undefined
    if (this.#kept === undefined) this.#drop()
    else this.#stream.pause()
  }

  /** @internal */
  resume(): void {
    this.#stream.resume()
  }

  /** @internal */
  pause(): void {
    this.#stream.pause()
  }

  /** What was read before has been read again by the reader: now comes the rest. @internal */
  goOn(reader: RequestBody, isHeld: boolean): void {
    if (this.#broken !== undefined) reader.breakOff(this.#broken)
    else if (this.ended) reader.finish()
    else if (!isHeld) this.#stream.resume()
  }

  /** Takes what the client sends; over the limit, ends the body as failed. @internal */
  take(chunk: Buffer): void {
    const total = this.#exchange.requestBodyBytes + chunk.length
    if (total > this.#limit) {
      this.#stream.pause()
      this.breakOff(new BodyLimitError('the request body grew over its limit'))
      return
    }
    this.#exchange.requestBodyBytes = total
    if (this.#kept !== undefined) this.#keep(this.#kept, chunk)
    this.#tee?.write(chunk)
    this.#reader?.take(chunk)
  }

  /** @internal */
  finish(): void {
    this.ended = true
    this.#tee?.end()
    this.#reader?.finish()
  }

  /** @internal */
  breakOff(error: Error): void {
    if (this.ended) return
    this.#broken = error
    this.#kept = undefined
    this.#tee?.abort()
    this.#reader?.breakOff(error)
  }

  #keep(kept: Buffer[], chunk: Buffer): void {
    this.#room -= chunk.length
    if (this.#room < 0) this.#kept = undefined
    else kept.push(chunk)
  }

  /** What still comes of the body goes nowhere; left paused, it would stand before the client's next request for ever. */
  #drop(): void {
    this.#tee?.abort()
    if (!this.#listening || this.ended) return
    // The error listener stays: an upload that breaks later must find one.
    this.#stream[SOURCE] = undefined
    this.#stream.off('data', onData)
    this.#stream.off('end', onEnd)
    this.#stream.resume()
  }
}

function onData(this: Stream, chunk: Buffer): void {
  this[SOURCE]?.take(chunk)
}

function onEnd(this: Stream): void {
  this[SOURCE]?.finish()
}

function onError(this: Stream, error: Error): void {
  this[SOURCE]?.breakOff(new BodySourceError('the request body broke off', { cause: error }))
}

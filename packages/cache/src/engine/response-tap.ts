import type { OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { asObject, ClientSide, isNodesOwn } from './client-side.ts'
import { DrainListeners } from './drain-listeners.ts'
import { HeldEvents } from './held-events.ts'
import { pretendOpen } from './pretend-open.ts'

/** Whoever decides about an answer that the stages behind the cache are writing. */
export interface TapOwner {
  /**
   * They have written a head. Nothing was sent: the owner sends it or another one, or keeps silent.
   *
   * @param headers what they have set: lower-case name, value, …
   */
  onHead(status: number, statusText: string | undefined, headers: string[]): void
  /** @returns false when they should wait for `drain` */
  onData(chunk: Uint8Array): boolean
  /** The answer is whole; the last piece may come with it. */
  onEnd(chunk: Uint8Array | undefined): void
  /** They have cut it, or given up before a head: the owner cuts the client's answer where it is that one. */
  onCut(): void
}

type WriteHead = (status: number, reason?: unknown, headers?: unknown) => ServerResponse
type Write = (chunk: unknown, encoding?: unknown, callback?: unknown) => boolean
type End = (chunk?: unknown, encoding?: unknown, callback?: unknown) => ServerResponse

const TAP = Symbol('postern.cache.tap')

type Tapped = ServerResponse & { [TAP]?: ResponseTap }

/**
 * Puts a tap into the place of a response's own methods.
 *
 * The functions are the same for all responses: with functions of its own on each, V8 keeps every response, and all that
 * hangs on it, until the next full collection. Only a second tap on one response has functions of its own.
 */
function takeMethods(res: Tapped, tap: ResponseTap): void {
  if (res[TAP] === undefined) {
    res[TAP] = tap
    res.writeHead = writeHead as ServerResponse['writeHead']
    res.write = write as ServerResponse['write']
    res.end = end as ServerResponse['end']
    res.flushHeaders = flushHeaders
    res.destroy = destroy as ServerResponse['destroy']
    return
  }
  res.writeHead = ((status: number, reason?: unknown, headers?: unknown) =>
    tap.onWriteHead(status, reason, headers)) as ServerResponse['writeHead']
  res.write = ((chunk: unknown, encoding?: unknown, callback?: unknown) =>
    tap.onWrite(chunk, encoding, callback)) as ServerResponse['write']
  res.end = ((chunk?: unknown, encoding?: unknown, callback?: unknown) =>
    tap.onEnd(chunk, encoding, callback)) as ServerResponse['end']
  res.flushHeaders = () => tap.onFlush()
  res.destroy = ((error?: Error) => tap.onDestroy(error)) as ServerResponse['destroy']
}

function writeHead(this: Tapped, status: number, reason?: unknown, headers?: unknown): ServerResponse {
  return this[TAP]!.onWriteHead(status, reason, headers)
}

function write(this: Tapped, chunk: unknown, encoding?: unknown, callback?: unknown): boolean {
  return this[TAP]!.onWrite(chunk, encoding, callback)
}

function end(this: Tapped, chunk?: unknown, encoding?: unknown, callback?: unknown): ServerResponse {
  return this[TAP]!.onEnd(chunk, encoding, callback)
}

function flushHeaders(this: Tapped): void {
  this[TAP]!.onFlush()
}

function destroy(this: Tapped, error?: Error): ServerResponse {
  return this[TAP]!.onDestroy(error)
}

// What tells a handler that its client has its answer, or has left.
const RESPONSE_ENDS = ['finish', 'close']
const REQUEST_ENDS = ['aborted', 'error', 'close']

/**
 * Stands between the stages behind the cache and the client: what they write to the response goes to the owner, and the
 * owner writes to the client. They see a response as any other.
 */
export class ResponseTap extends ClientSide {
  readonly #owner: TapOwner
  readonly #writeHead: WriteHead
  readonly #write: Write
  readonly #end: End
  readonly #flushHeaders: () => void
  readonly #destroy: (error?: Error) => ServerResponse
  /** What was set on the response before the stages behind the cache came. */
  readonly #earlier: OutgoingHttpHeaders | undefined
  /** The owner is writing, or wants no more part in it: calls go to the response itself. */
  #through = false
  #left = false
  #headDone = false
  #ended = false
  /** Those who listened before the stages behind the cache came are told of everything. */
  readonly #responseEvents: HeldEvents
  readonly #requestEvents: HeldEvents
  /** Where a stage before has taken the events of the response over; undefined otherwise. */
  readonly #drainListeners: DrainListeners | undefined
  #closePretence: (() => void) | undefined = undefined

  constructor(res: ServerResponse, owner: TapOwner) {
    super(res)
    this.#owner = owner
    this.#responseEvents = new HeldEvents(res, RESPONSE_ENDS)
    this.#requestEvents = new HeldEvents(res.req, REQUEST_ENDS)
    this.#drainListeners = Object.hasOwn(res, 'on') ? new DrainListeners(res) : undefined
    this.#earlier = res.getHeaderNames().length === 0 ? undefined : res.getHeaders()
    this.#writeHead = res.writeHead as WriteHead
    this.#write = res.write as Write
    this.#end = res.end as End
    this.#flushHeaders = res.flushHeaders
    this.#destroy = res.destroy as (error?: Error) => ServerResponse
    takeMethods(res, this)
  }

  /** From now on everything goes to the response itself. */
  leave(): void {
    this.#left = true
    this.#through = true
  }

  /**
   * From now on the stages behind the cache are not told that the client has its answer or has left, until
   * {@link releaseEnd}: they would stop, and others want what they write. Those before the cache are told as ever.
   */
  holdEnd(): void {
    this.#responseEvents.hold()
    this.#requestEvents.hold()
  }

  /** The client has left, and the stages behind the cache are not to see it. Only while the end is held. */
  pretendOpen(): void {
    this.#closePretence ??= pretendOpen(this.res)
  }

  /** Wakes the stages behind the cache when they wait for room. */
  wake(): void {
    if (this.#drainListeners === undefined) this.res.emit('drain')
    else this.#drainListeners.wake()
  }

  /** Tells the stages behind the cache what was held back. */
  releaseEnd(): void {
    this.#closePretence?.()
    this.#closePretence = undefined
    this.#responseEvents.release()
    this.#requestEvents.release()
  }

  /** Takes back what the stages behind the cache have set, for an answer that is not theirs. */
  forgetHeaders(): void {
    for (const name of this.res.getHeaderNames()) this.#restore(name)
  }

  #restore(name: string): void {
    const before = this.#earlier?.[name]
    if (before === undefined) this.res.removeHeader(name)
    else this.res.setHeader(name, before)
  }

  override write(chunk: Uint8Array): boolean {
    this.#through = true
    try {
      return this.#write.call(this.res, chunk)
    } finally {
      this.#through = this.#left
    }
  }

  override end(chunk?: Uint8Array): void {
    this.#through = true
    try {
      this.#end.call(this.res, chunk)
    } finally {
      this.#through = this.#left
    }
  }

  protected override writeHead(status: number, statusText: string, headers: string[]): void {
    this.#through = true
    try {
      const isPlain = isNodesOwn(this.#writeHead)
      this.#writeHead.call(this.res, status, statusText, isPlain ? headers : asObject(headers))
    } finally {
      this.#through = this.#left
    }
  }

  protected override destroy(): void {
    this.#destroy.call(this.res)
  }

  /** @internal */
  onWriteHead(status: number, reason: unknown, given: unknown): ServerResponse {
    if (this.#through) return this.#writeHead.call(this.res, status, reason, given)
    const text = typeof reason === 'string' ? reason : undefined
    const headers = typeof reason === 'string' ? given : (reason ?? given)
    this.#head(status, text ?? (this.res.statusMessage || undefined), headers)
    return this.res
  }

  /** @internal */
  onWrite(chunk: unknown, encoding: unknown, callback: unknown): boolean {
    if (this.#through) return this.#write.call(this.res, chunk, encoding, callback)
    if (!this.#headDone) this.#head(this.res.statusCode, this.res.statusMessage || undefined, undefined)
    // The owner may have left meanwhile.
    if (this.#through) return this.#write.call(this.res, chunk, encoding, callback)
    const ok = this.#owner.onData(bytesOf(chunk, encoding))
    const done = typeof encoding === 'function' ? encoding : callback
    if (typeof done === 'function') process.nextTick(done)
    return ok
  }

  /** @internal */
  onEnd(chunk: unknown, encoding: unknown, callback: unknown): ServerResponse {
    const { res } = this
    if (this.#through) return this.#end.call(res, chunk, encoding, callback)
    if (this.#ended) return res
    if (typeof chunk === 'function') return this.onEnd(undefined, undefined, chunk)
    const last = chunk === undefined || chunk === null || chunk === '' ? undefined : bytesOf(chunk, encoding)
    // Node knows the length of a body that is written in one go, and says it.
    if (!this.#headDone) this.#head(res.statusCode, res.statusMessage || undefined, undefined, last?.length ?? 0)
    if (this.#through) return this.#end.call(res, chunk, encoding, callback)
    this.#ended = true
    this.#owner.onEnd(last)
    const done = typeof encoding === 'function' ? encoding : callback
    if (typeof done === 'function') process.nextTick(done)
    return res
  }

  /** @internal */
  onFlush(): void {
    if (!this.#through && !this.#headDone)
      this.#head(this.res.statusCode, this.res.statusMessage || undefined, undefined)
    if (this.#through || this.res.headersSent) this.#flushHeaders.call(this.res)
  }

  /** @internal */
  onDestroy(error: Error | undefined): ServerResponse {
    if (this.#left) return this.#destroy.call(this.res, error)
    if (!this.#ended) {
      this.#ended = true
      this.#owner.onCut()
    }
    return this.res
  }

  #head(status: number, statusText: string | undefined, given: unknown, onlyBytes?: number): void {
    if (this.#headDone) throw new Error('The head of this response was written before.')
    this.#headDone = true
    const headers = this.#headersOf(given)
    if (onlyBytes !== undefined && mayStateLength(this.res, status, headers)) {
      headers.push('content-length', String(onlyBytes))
    }
    try {
      this.#owner.onHead(status, statusText, headers)
    } catch (error) {
      // Nothing was sent, and another head may still come.
      this.#headDone = false
      throw error
    }
  }

  /** All that the stages behind the cache have set, in this call and before it. */
  #headersOf(given: unknown): string[] {
    const { res } = this
    const list: string[] = []
    if (Array.isArray(given)) {
      for (let i = 0; i < given.length; i += 2) list.push(String(given[i]).toLowerCase(), String(given[i + 1]))
    } else if (typeof given === 'object' && given !== null) {
      for (const name in given) pushLines(list, name.toLowerCase(), (given as OutgoingHttpHeaders)[name])
    }
    const own = list.length
    const earlier = this.#earlier
    for (const name of res.getHeaderNames()) {
      const value = res.getHeader(name)
      if (value === undefined) continue
      if (earlier !== undefined && earlier[name] === value && !decidesStorage(name)) continue
      let isOverridden = false
      for (let i = 0; i < own && !isOverridden; i += 2) isOverridden = list[i] === name
      if (!isOverridden) pushLines(list, name, value)
      // It is in the list now, and the owner decides about the list.
      this.#restore(name)
    }
    return list
  }
}

/** Set before the cache and left as it is, it holds for what comes from behind as well: the client reads it. */
function decidesStorage(name: string): boolean {
  return name.endsWith('cache-control') || name === 'expires' || name === 'pragma'
}

function pushLines(list: string[], name: string, value: number | string | readonly string[] | undefined): void {
  if (value === undefined) return
  if (typeof value === 'object') for (const line of value) list.push(name, line)
  else list.push(name, typeof value === 'string' ? value : String(value))
}

/** As Node does it: where there may be a body, and nothing else says how long it is. */
function mayStateLength(res: ServerResponse, status: number, headers: readonly string[]): boolean {
  if (res.req.method === 'HEAD' || status === 204 || status === 304) return false
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] === 'content-length' || headers[i] === 'transfer-encoding' || headers[i] === 'trailer') return false
  }
  return true
}

function bytesOf(chunk: unknown, encoding: unknown): Uint8Array {
  if (typeof chunk === 'string')
    return Buffer.from(chunk, typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8')
  if (chunk instanceof Uint8Array) return chunk
  throw new TypeError('The chunk of a response must be a string, a Buffer or a Uint8Array.')
}

import { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import {
  Exchange,
  type ExchangeObserver,
  type Failure,
  type FailurePhase,
  type FailureType,
  type Outcome,
} from '@postern/contracts'
import { responseFault } from '../message/response-head.ts'
import { failureTypeOf } from '../transport/failure-of.ts'
import type { Flow, ResponseHeaders, ResponseSink, Upstream, UpstreamRequest } from '../transport/transport.ts'
import type { BodyCopy } from './body-copy.ts'

/** Why a request that was to be copied has no copy. */
export type MirrorDrop =
  /** As many copies as `maxInFlight` were under way. */
  | 'over_budget'
  | 'body_too_large'
  /** The client's body broke off, or was not read. */
  | 'body_incomplete'
  | 'closing'

/** What a copy is fed with while the client's body passes by. None of it throws. */
export interface MirrorCopy {
  /** A part of the body; copied. Over the limit the copy is given up. */
  write(chunk: Buffer): void
  /** The body is whole: the copy is sent. */
  end(): void
  /** The body broke off, or is not wanted any more: nothing is sent. Without effect behind {@link end}. */
  abort(): void
}

/** Whoever has copies made. */
export interface MirrorCopyOwner {
  onCopySent(): void
  onCopySettled(copy: MirrorRun, outcome: Outcome): void
  onCopyDropped(copy: MirrorRun, reason: MirrorDrop): void
}

/** What a copy is made of, apart from its body. */
export interface MirrorHead {
  readonly method: string
  readonly path: string
  readonly headers: string[]
}

/** Bytes of an answer that are read, so that its connection can be used again; it is given up for a longer one. */
const MAX_ANSWER_BYTES = 1_048_576

/**
 * One copy on its way: its body is gathered, then it is sent, its answer is read and dropped, and one timer bounds all of
 * that. Ends in exactly one of: settled, dropped.
 */
export class MirrorRun implements MirrorCopy, UpstreamRequest, ResponseSink, ExchangeObserver {
  readonly method: string
  readonly path: string
  readonly headers: string[]
  /** The mirror's. */
  readonly host = undefined
  readonly upgrade = undefined
  readonly fresh = false
  body: Buffer | undefined
  contentLength: number | undefined
  /** The exchange that is copied. */
  readonly original: Exchange
  readonly #owner: MirrorCopyOwner
  readonly #upstream: Upstream
  readonly #timeoutMs: number
  #gathered: BodyCopy | undefined
  #exchange: Exchange | undefined = undefined
  #done = false
  #sent = false
  #phase: FailurePhase = 'connect'
  #startedAtMs = 0
  #status = 0
  #headersMs = 0
  #answerBytes = 0
  #flow: Flow | undefined = undefined
  #timer: NodeJS.Timeout | undefined = undefined

  constructor(
    owner: MirrorCopyOwner,
    upstream: Upstream,
    timeoutMs: number,
    original: Exchange,
    head: MirrorHead,
    body: Buffer | BodyCopy | undefined,
  ) {
    this.#owner = owner
    this.#upstream = upstream
    this.#timeoutMs = timeoutMs
    this.original = original
    this.method = head.method
    this.path = head.path
    this.headers = head.headers
    this.#gathered = Buffer.isBuffer(body) ? undefined : body
    this.body = Buffer.isBuffer(body) && body.length > 0 ? body : undefined
    this.contentLength = this.body?.length
  }

  /**
   * What a transport shows to handlers of the app: the client's request with a response that goes nowhere, since what
   * they set on the real one would be in the client's answer.
   */
  get exchange(): Exchange {
    if (this.#exchange === undefined) {
      const { request, id } = this.original
      this.#exchange = new Exchange(request, new ServerResponse(request))
      this.#exchange.id = id
    }
    return this.#exchange
  }

  write(chunk: Buffer): void {
    if (this.#gathered?.add(chunk) === false) this.#drop('body_too_large')
  }

  end(): void {
    if (this.#gathered === undefined) return
    const { bytes } = this.#gathered
    this.#gathered = undefined
    if (bytes.length > 0) {
      this.body = bytes
      this.contentLength = bytes.length
    }
    this.send()
  }

  abort(): void {
    if (!this.#sent) this.#drop('body_incomplete')
  }

  /** A body that is not whole by now will not become whole. */
  onExchangeClosed(): void {
    this.abort()
  }

  /** Sends the copy as it is. */
  send(): void {
    if (this.#done || this.#sent) return
    this.#sent = true
    this.#startedAtMs = performance.now()
    this.#timer = setTimeout(onTimer, this.#timeoutMs, this).unref()
    this.#owner.onCopySent()
    try {
      this.#upstream.dispatch(this, this)
    } catch (error) {
      this.#fail('proxy_internal_error', error instanceof Error ? error : new Error(String(error)))
    }
  }

  /** Ends the copy, however far it has come: the mirror is being closed. */
  cut(): void {
    if (!this.#sent) this.#drop('closing')
    else this.#fail('destination_unavailable', new Error('the mirror is being closed'))
  }

  onSent(flow: Flow): void {
    this.#flow = flow
    // Given up while the connection was being made.
    if (this.#done) flow.abort()
    else this.#phase = this.body === undefined ? 'headers' : 'request'
  }

  onBodySent(): void {
    if (this.#phase === 'request') this.#phase = 'headers'
  }

  onFirstByte(): void {}

  onInformational(): void {}

  onHead(status: number, headers: ResponseHeaders): void {
    if (this.#done) return
    const fault = responseFault(status, headers)
    if (fault !== undefined) {
      this.#fail('http_protocol_error', new Error(`the response has ${fault}`))
      return
    }
    this.#phase = 'body'
    this.#status = status
    this.#headersMs = performance.now() - this.#startedAtMs
  }

  onData(chunk: Buffer): void {
    if (this.#done) return
    this.#answerBytes += chunk.length
    if (this.#answerBytes <= MAX_ANSWER_BYTES) return
    this.#answered()
    this.#flow?.abort()
  }

  onEnd(_trailers: ResponseHeaders): void {
    this.#answered()
  }

  onUpgrade(_headers: ResponseHeaders, socket: Duplex): void {
    socket.destroy()
    this.#fail('http_protocol_error', new Error('the mirror changed to another protocol unasked'))
  }

  onError(cause: Error, type?: FailureType): void {
    this.#fail(type ?? failureTypeOf(cause, this.#phase), cause)
  }

  /** @internal */
  onTimeout(): void {
    const { type, what } = TIMEOUTS[this.#phase as keyof typeof TIMEOUTS]
    this.#fail(type, new Error(`the mirror ${what} within ${this.#timeoutMs} ms`))
  }

  #answered(): void {
    if (this.#done) return
    const totalMs = performance.now() - this.#startedAtMs
    this.#finish()
    this.#owner.onCopySettled(this, { status: this.#status, headersMs: this.#headersMs, totalMs })
  }

  #fail(type: FailureType, cause: Error): void {
    if (this.#done) return
    const failure: Failure = {
      type,
      phase: this.#phase,
      side: type === 'proxy_internal_error' || type === 'destination_unavailable' ? 'gateway' : 'upstream',
      totalMs: performance.now() - this.#startedAtMs,
      cause,
    }
    this.#finish()
    this.#flow?.abort()
    this.#owner.onCopySettled(this, failure)
  }

  #drop(reason: MirrorDrop): void {
    if (this.#done) return
    this.#finish()
    this.#owner.onCopyDropped(this, reason)
  }

  #finish(): void {
    this.#done = true
    this.#gathered = undefined
    clearTimeout(this.#timer)
  }
}

/** What a phase that takes too long comes to. */
const TIMEOUTS = {
  connect: { type: 'connection_timeout', what: 'was not connected to' },
  request: { type: 'connection_write_timeout', what: 'did not take the request' },
  headers: { type: 'http_response_timeout', what: 'did not answer' },
  body: { type: 'connection_read_timeout', what: 'did not end its answer' },
} as const

function onTimer(copy: MirrorRun): void {
  copy.onTimeout()
}

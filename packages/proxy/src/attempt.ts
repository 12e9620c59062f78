import type { Duplex } from 'node:stream'
import type {
  Attempt,
  AttemptKind,
  Exchange,
  Failure,
  FailurePhase,
  FailureSide,
  FailureType,
  Lease,
  Target,
} from '@postern/contracts'
import { BodySource } from './message/body-source.ts'
import { BodyLimitError, BodySourceError, RequestBody } from './message/request-body.ts'
import type { ResolvedProxyOptions } from './options.ts'
import type { TargetPool, Waiter } from './target-pool.ts'
import { failureTypeOf, sideOf } from './transport/failure-of.ts'
import type { Flow, ResponseHeaders, ResponseSink, UpstreamRequest } from './transport/transport.ts'

/** Whoever makes attempts and passes on what they bring; with it, what all attempts of an exchange send alike. */
export interface AttemptOwner extends Omit<UpstreamRequest, 'path' | 'headers' | 'body' | 'fresh'> {
  /** A head is later than one try should wait for it: true gives the attempt up, false lets it wait on. */
  mayGiveUp(attempt: AttemptRun): boolean
  onAttemptInformational(status: number, headers: ResponseHeaders): void
  onAttemptHead(attempt: AttemptRun, status: number, headers: ResponseHeaders, statusText: string): void
  onAttemptData(attempt: AttemptRun, chunk: Buffer): void
  onAttemptEnd(attempt: AttemptRun, trailers: ResponseHeaders): void
  onAttemptUpgrade(attempt: AttemptRun, headers: ResponseHeaders, socket: Duplex, head: Buffer): void
  onAttemptFailed(attempt: AttemptRun, failure: Failure): void
}

/** Interim responses that an upstream may send before its final one. */
const MAX_INFORMATIONAL = 64

/**
 * One try at one target: waits for a place, has the request sent, watches the clock, and reports to its owner. Ends in
 * exactly one of: end, upgrade, failure. It is also the record of itself in `exchange.attempts`.
 *
 * One timer serves all phases. It is set for the first phase and asked what time it is when it fires: a phase whose end
 * is later than the timer's costs nothing to enter.
 */
export class AttemptRun implements Attempt, ResponseSink, UpstreamRequest, Waiter {
  readonly target: Target
  readonly lease: Lease
  readonly kind: AttemptKind
  readonly startedAtMs = performance.now()
  queueMs = 0
  connectMs = 0
  headersMs: number | undefined = undefined
  totalMs: number | undefined = undefined
  status: number | undefined = undefined
  reused = false
  failure: Failure | undefined = undefined
  readonly path: string
  readonly headers: string[]
  /** Its own reader of the client's body, so that one that failed unread leaves it whole. */
  readonly body: RequestBody | Buffer | undefined
  /** It took leave of the budget, which gets it back. */
  isBudgeted = false
  /** True once a byte of a response has come. */
  answering = false
  phase: FailurePhase = 'queue'
  done = false
  /** False for streams that may be silent for as long as they like. */
  watchIdle = true
  /** True while the client does not take what the upstream sends. */
  paused = false
  readonly #owner: AttemptOwner
  readonly #pool: TargetPool
  readonly #timeouts: ResolvedProxyOptions['timeouts']
  /** Longest wait for a head while another try may follow; 0: as long as the timeouts allow. */
  #perTryMs: number
  #flow: Flow | undefined = undefined
  #entered = false
  #held = false
  #progressAtMs = 0
  #timer: NodeJS.Timeout | undefined = undefined
  #timerDueMs = Number.POSITIVE_INFINITY
  #informational = 0

  constructor(
    owner: AttemptOwner,
    lease: Lease,
    kind: AttemptKind,
    pool: TargetPool,
    timeouts: ResolvedProxyOptions['timeouts'],
    path: string,
    headers: string[],
    body: BodySource | Buffer | undefined,
    perTryMs: number,
  ) {
    this.target = lease.target
    this.lease = lease
    this.kind = kind
    this.#owner = owner
    this.#pool = pool
    this.#timeouts = timeouts
    this.#perTryMs = perTryMs
    this.path = path
    this.headers = headers
    this.body = body instanceof BodySource ? body.open(this) : body
    this.#progressAtMs = this.startedAtMs
  }

  get exchange(): Exchange {
    return this.#owner.exchange
  }
  get method(): string {
    return this.#owner.method
  }
  get host(): string | undefined {
    return this.#owner.host
  }
  get contentLength(): number | undefined {
    return this.#owner.contentLength
  }
  get upgrade(): string | undefined {
    return this.#owner.upgrade
  }
  get fresh(): boolean {
    return this.kind === 'stale'
  }

  start(): void {
    const place = this.#pool.enter(this)
    if (place === 'entered') this.#send(this.startedAtMs)
    else if (place === 'queued') this.#watch(this.startedAtMs)
    else this.fail('connection_limit_reached')
  }

  onPlace(): void {
    this.#send(performance.now())
  }

  /** Stops the upstream until {@link resume}. */
  pause(): void {
    this.paused = true
    this.#flow?.pause()
  }

  resume(): void {
    if (!this.paused) return
    this.paused = false
    this.progress()
    this.#flow?.resume()
  }

  /** Stops the upstream and the idle timer while a hook of the app takes its time. */
  hold(): void {
    this.#held = true
    this.pause()
  }

  /** Ends a {@link hold}. */
  release(): void {
    this.#held = false
    if (this.done) return
    this.resume()
    this.#watch(performance.now())
  }

  /** Notes that a byte moved. */
  progress(): void {
    this.#progressAtMs = performance.now()
  }

  /** Ends the attempt as failed. Later reports of the transport are ignored. */
  fail(type: FailureType, cause?: Error, side: FailureSide = sideOf(type)): void {
    if (this.done) return
    const failure: Failure = {
      type,
      phase: this.phase,
      side,
      totalMs: performance.now() - this.startedAtMs,
      cause,
    }
    this.failure = failure
    this.#finish(failure.totalMs, true)
    this.#owner.onAttemptFailed(this, failure)
  }

  /** Ends the attempt as answered without reading the rest of the answer; its connection is given up. */
  discard(): void {
    if (this.done) return
    this.#finish(performance.now() - this.startedAtMs, true)
  }

  onSent(flow: Flow, reused: boolean, connectMs: number): void {
    this.#flow = flow
    if (this.done) {
      // Given up while the connection was being made.
      flow.abort()
      return
    }
    this.reused = reused
    const now = performance.now()
    // What was waited beyond the making of this connection was the wait for one to be free.
    const waited = now - this.startedAtMs - this.queueMs
    this.connectMs = Math.min(connectMs, waited)
    this.queueMs += waited - this.connectMs
    this.#enterPhase(this.body === undefined ? 'headers' : 'request', now)
  }

  onBodySent(): void {
    if (this.phase === 'request' && !this.done) this.#enterPhase('headers', performance.now())
  }

  onFirstByte(): void {
    this.answering = true
  }

  onInformational(status: number, headers: ResponseHeaders): void {
    if (this.done) return
    this.answering = true
    // A 101 that comes here names no protocol that could have been switched to.
    if (status < 100 || status === 101 || ++this.#informational > MAX_INFORMATIONAL) this.fail('http_protocol_error')
    else this.#owner.onAttemptInformational(status, headers)
  }

  onHead(status: number, headers: ResponseHeaders, statusText: string): void {
    if (this.done) return
    const now = performance.now()
    this.answering = true
    this.headersMs = now - this.startedAtMs
    this.status = status
    this.#enterPhase('body', now)
    this.#owner.onAttemptHead(this, status, headers, statusText)
  }

  onData(chunk: Buffer): void {
    if (this.done) return
    this.progress()
    this.#owner.onAttemptData(this, chunk)
  }

  onEnd(trailers: ResponseHeaders): void {
    if (this.done) return
    this.#finish(performance.now() - this.startedAtMs)
    this.#owner.onAttemptEnd(this, trailers)
  }

  onUpgrade(headers: ResponseHeaders, socket: Duplex, head: Buffer): void {
    if (this.done) {
      socket.destroy()
      return
    }
    if (String(headers.upgrade).trim().toLowerCase() !== this.#owner.upgrade) {
      // RFC 9110 §7.8: a server switches to nothing that it was not asked for.
      socket.destroy()
      this.fail('http_upgrade_failed', new Error(`the upstream switched to ${String(headers.upgrade)}`))
      return
    }
    this.headersMs = performance.now() - this.startedAtMs
    this.status = 101
    this.phase = 'tunnel'
    clearTimeout(this.#timer)
    this.#owner.onAttemptUpgrade(this, headers, socket, head)
  }

  /** Ends an attempt that became a tunnel. */
  onTunnelClosed(): void {
    if (!this.done) this.#finish(performance.now() - this.startedAtMs)
  }

  onError(cause: Error, type?: FailureType): void {
    if (this.done) return
    if (cause instanceof BodyLimitError) this.fail('http_request_error', cause)
    // Whatever the connection says of it: no target pays for our own closing.
    else if (this.#pool.destroyed) this.fail('destination_unavailable', cause, 'gateway')
    else if (cause instanceof BodySourceError) this.fail('client_body_incomplete', cause)
    else this.fail(type ?? failureTypeOf(cause, this.phase), cause)
  }

  #send(now: number): void {
    this.#entered = true
    this.queueMs = now - this.startedAtMs
    this.#enterPhase('connect', now)
    this.#pool.upstream.dispatch(this, this)
  }

  #finish(totalMs: number, abort = false): void {
    this.done = true
    this.totalMs = totalMs
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (abort) {
      this.#flow?.abort()
      if (this.body instanceof RequestBody) this.body.destroy()
    }
    if (this.#entered) this.#pool.leave()
    else this.#pool.giveUp(this)
  }

  #enterPhase(phase: FailurePhase, now: number): void {
    this.phase = phase
    this.#progressAtMs = now
    this.#watch(now)
  }

  /** When the present phase is over time, in monotonic milliseconds. */
  #dueMs(): number {
    const limit = this.#limitMs()
    const due = limit === 0 ? Number.POSITIVE_INFINITY : this.#progressAtMs + limit
    return this.#perTryMs === 0 ? due : Math.min(due, this.#tryDueMs())
  }

  /** When this try should have brought a head. The time that a client takes over its body is not the target's. */
  #tryDueMs(): number {
    switch (this.phase) {
      case 'queue':
      case 'connect':
        return this.startedAtMs + this.#perTryMs
      case 'headers':
        return (this.body === undefined ? this.startedAtMs : this.#progressAtMs) + this.#perTryMs
      default:
        return Number.POSITIVE_INFINITY
    }
  }

  #limitMs(): number {
    switch (this.phase) {
      case 'queue':
        return this.#timeouts.queueMs
      case 'connect':
        return this.#timeouts.connectMs
      case 'headers':
        return this.#timeouts.headersMs
      case 'request':
        return this.#timeouts.bodyIdleMs
      case 'body':
        return this.watchIdle && !this.#held ? this.#timeouts.bodyIdleMs : 0
      default:
        return 0
    }
  }

  #watch(now: number): void {
    const due = this.#dueMs()
    if (due === Number.POSITIVE_INFINITY || (this.#timer !== undefined && this.#timerDueMs <= due)) return
    clearTimeout(this.#timer)
    this.#timerDueMs = due
    this.#timer = setTimeout(onTimer, due - now, this)
  }

  /** @internal */
  checkTime(): void {
    this.#timer = undefined
    if (this.done) return
    const now = performance.now()
    if (now < this.#dueMs() - 1) {
      this.#watch(now)
      return
    }
    if (this.#perTryMs !== 0 && now >= this.#tryDueMs() - 1 && !this.#owner.mayGiveUp(this)) {
      // No other try may follow: then this one has as long as any.
      this.#perTryMs = 0
      this.checkTime()
    } else this.fail(this.#timeoutType())
  }

  #timeoutType(): FailureType {
    switch (this.phase) {
      case 'queue':
        return 'queue_timeout'
      case 'connect':
        return 'connection_timeout'
      case 'headers':
        return 'http_response_timeout'
      case 'request':
        // Held back: the upstream does not read. Otherwise the client does not send.
        return (this.body as RequestBody).paused ? 'connection_write_timeout' : 'client_timeout'
      default:
        return this.paused ? 'client_timeout' : 'connection_read_timeout'
    }
  }
}

function onTimer(attempt: AttemptRun): void {
  attempt.checkTime()
}

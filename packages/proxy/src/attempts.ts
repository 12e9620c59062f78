import type { Duplex } from 'node:stream'
import {
  type AttemptKind,
  type Exchange,
  type Failure,
  type FailureType,
  isRefusal,
  type Lease,
  type Refusal,
  type Selection,
} from '@postern/contracts'
import { type AttemptOwner, AttemptRun } from './attempt.ts'
import { attemptRetried, attemptSettled } from './channels.ts'
import { withTimeLeft } from './deadline.ts'
import type { BodySource } from './message/body-source.ts'
import { responseFault } from './message/response-head.ts'
import type { ProxyState } from './proxy-state.ts'
import { FurtherTries } from './retry/further-tries.ts'
import { wasNeverSent } from './retry/policy.ts'
import { isStaleConnection } from './stale-connection.ts'
import type { ResponseHeaders } from './transport/transport.ts'

/** The upstream request of an exchange, complete but for what depends on the target. */
export interface OutgoingMessage {
  readonly method: string
  /** Without the target's base path, query apart. */
  readonly path: string
  /** With its `?`, or empty. */
  readonly query: string
  readonly headers: string[]
  readonly host: string | undefined
  readonly body: BodySource | Buffer | undefined
  readonly contentLength: number | undefined
  readonly upgrade: string | undefined
}

/** Whoever has attempts made, and takes the one answer or the one failure that they come to. */
export interface AttemptsOwner {
  onInformational(status: number, headers: ResponseHeaders): void
  /** The head that is used; behind it come data, then an end or a failure. */
  onHead(attempt: AttemptRun, status: number, headers: ResponseHeaders, statusText: string): void
  onData(attempt: AttemptRun, chunk: Buffer): void
  onEnd(attempt: AttemptRun, trailers: ResponseHeaders): void
  onUpgrade(attempt: AttemptRun, headers: ResponseHeaders, socket: Duplex, head: Buffer): void
  /** Nothing was answered, or the answer broke, and no attempt follows. */
  onFailed(failure: Failure): void
  /** No target takes another try. */
  onRefused(refusal: Refusal): void
  /** A selection, or we ourselves, threw. */
  onInternalError(error: unknown): void
}

/**
 * The attempts of one exchange: the first, further ones where the options allow them, and at most one beside another
 * (a hedge). The first head that is not to be tried again wins; what else is under way is given up.
 */
export class Attempts implements AttemptOwner {
  readonly exchange: Exchange
  readonly method: string
  readonly headers: string[]
  readonly host: string | undefined
  readonly contentLength: number | undefined
  readonly upgrade: string | undefined
  readonly #owner: AttemptsOwner
  readonly #state: ProxyState
  readonly #message: OutgoingMessage
  readonly #selection: Selection
  /** Undefined for a proxy that makes one attempt. */
  readonly #further: FurtherTries | undefined
  #latest: AttemptRun
  #hedge: AttemptRun | undefined = undefined
  #winner: AttemptRun | undefined = undefined
  /** No attempt may follow: the client has left, time is up, or all is said. */
  #over = false
  /** What the last try came to; undefined when it was answered. */
  #failure: Failure | undefined = undefined
  /** Runs between two tries, or until a hedge is due. */
  #timer: NodeJS.Timeout | undefined = undefined

  constructor(
    owner: AttemptsOwner,
    state: ProxyState,
    exchange: Exchange,
    message: OutgoingMessage,
    selection: Selection,
    lease: Lease,
  ) {
    this.#owner = owner
    this.#state = state
    this.exchange = exchange
    this.#message = message
    this.#selection = selection
    this.method = message.method
    this.headers = message.headers
    this.host = message.host
    this.contentLength = message.contentLength
    this.upgrade = message.upgrade
    const { retries, hedging } = state.options
    this.#further = retries === undefined && hedging === undefined ? undefined : new FurtherTries(state, exchange, this)
    this.#latest = this.#make(lease, 'first')
  }

  /** Sends the request. */
  start(): void {
    const hedgeMs = this.#hedgeMs()
    if (hedgeMs > 0) this.#timer = setTimeout(onHedgeTimer, hedgeMs, this)
    this.#latest.start()
  }

  /** The attempt whose answer is used; else the latest. */
  get current(): AttemptRun {
    return this.#winner ?? this.#latest
  }

  get isBodyWhole(): boolean {
    const { body } = this.#message
    return body === undefined || Buffer.isBuffer(body) || body.isWhole
  }

  /** Ends whatever is under way; the owner is told. Of no effect once an answer has come to its end. */
  end(type: FailureType, cause?: Error): void {
    if (this.#winner?.done === true) return
    this.#close()
    const { current } = this
    if (this.#hedge !== undefined && this.#hedge !== current) this.#hedge.fail(type, cause)
    if (!current.done) current.fail(type, cause)
    else this.#fail(this.#failureNow(type))
  }

  /** Leaves whatever is under way, without a word to the owner: somebody else has answered. */
  abandon(): void {
    this.#close()
    this.#abandon(this.#latest)
    if (this.#hedge !== undefined) this.#abandon(this.#hedge)
  }

  /** Ends an attempt that became a tunnel. */
  closeTunnel(attempt: AttemptRun): void {
    attempt.onTunnelClosed()
    this.#settleAnswered(attempt)
  }

  mayGiveUp(attempt: AttemptRun): boolean {
    return this.#isAnotherLive(attempt) || this.#further?.mayGiveUp(attempt) === true
  }

  onAttemptInformational(status: number, headers: ResponseHeaders): void {
    if (this.#winner === undefined) this.#owner.onInformational(status, headers)
  }

  onAttemptHead(attempt: AttemptRun, status: number, headers: ResponseHeaders, statusText: string): void {
    const fault = responseFault(status, headers)
    if (fault !== undefined) {
      attempt.fail('http_protocol_error', new Error(`the response has ${fault}`))
      return
    }
    if (this.#isTriedAgain(attempt, status, headers)) return
    if (status < 500) this.#state.latencies?.add(attempt.headersMs!)
    this.#win(attempt)
    this.#owner.onHead(attempt, status, headers, statusText)
  }

  onAttemptData(attempt: AttemptRun, chunk: Buffer): void {
    this.#owner.onData(attempt, chunk)
  }

  onAttemptEnd(attempt: AttemptRun, trailers: ResponseHeaders): void {
    this.#settleAnswered(attempt)
    this.#owner.onEnd(attempt, trailers)
  }

  onAttemptUpgrade(attempt: AttemptRun, headers: ResponseHeaders, socket: Duplex, head: Buffer): void {
    this.#win(attempt)
    this.#owner.onUpgrade(attempt, headers, socket, head)
  }

  onAttemptFailed(attempt: AttemptRun, failure: Failure): void {
    if (!this.#over && attempt.kind !== 'stale' && this.isBodyWhole && isStaleConnection(attempt, failure)) {
      this.#renew(attempt, failure)
      return
    }
    this.#settle(attempt, failure)
    if (failure.type === 'superseded') return
    if (attempt === this.#winner) {
      this.#owner.onFailed(failure)
      return
    }
    this.#failure = failure
    if (this.#isAnotherLive(attempt)) return
    const delayMs = this.#over ? undefined : this.#further?.afterFailure(failure)
    if (delayMs === undefined) this.#fail(failure)
    else this.#again(attempt, delayMs)
  }

  // Further attempts

  /** The same once more over a connection that nobody has used, at the same target and on the same lease. */
  #renew(attempt: AttemptRun, failure: Failure): void {
    this.#publish(attempt, failure)
    const again = this.#make(attempt.lease, 'stale')
    again.isBudgeted = attempt.isBudgeted
    if (attempt === this.#hedge) this.#hedge = again
    else this.#latest = again
    again.start()
  }

  /** True when the answer counts as a failed try and is not used; the attempt is over then. */
  #isTriedAgain(attempt: AttemptRun, status: number, headers: ResponseHeaders): boolean {
    if (this.#further?.isFailedTry(status) !== true) return false
    const isAnotherLive = this.#isAnotherLive(attempt)
    const delayMs = isAnotherLive ? undefined : this.#further.afterAnswer(headers, this.#selection)
    if (!isAnotherLive && delayMs === undefined) return false
    attempt.discard()
    this.#settleAnswered(attempt)
    this.#failure = undefined
    if (delayMs !== undefined) this.#again(attempt, delayMs)
    return true
  }

  #again(attempt: AttemptRun, delayMs: number): void {
    clearTimeout(this.#timer)
    // Even at once it is not from within: the attempt that has failed is still being taken down.
    this.#timer = setTimeout(onRetryTimer, delayMs, this)
    if (attemptRetried.hasSubscribers) attemptRetried.publish({ exchange: this.exchange, attempt, delayMs })
  }

  /** @internal */
  onRetryTime(): void {
    this.#timer = undefined
    try {
      let lease = this.#acquireUntried()
      // Nobody else is left: then the same again.
      if (isRefusal(lease)) lease = this.#selection.acquire()
      if (isRefusal(lease)) this.#failRefused(lease)
      else {
        this.#latest = this.#make(lease, 'retry')
        this.#latest.start()
      }
    } catch (error) {
      this.#owner.onInternalError(error)
    }
  }

  /** How long the first attempt is left alone, in milliseconds; 0: for good. */
  #hedgeMs(): number {
    const { hedging } = this.#state.options
    if (hedging === undefined || this.#message.body !== undefined || this.upgrade !== undefined) return 0
    if (!hedging.methods.has(this.method)) return 0
    if (hedging.delayMs > 0) return hedging.delayMs
    const p95Ms = this.#state.latencies!.p95Ms
    return p95Ms === undefined ? 0 : Math.max(hedging.minDelayMs, p95Ms)
  }

  /** @internal */
  onHedgeTime(): void {
    this.#timer = undefined
    const further = this.#further!
    if (!further.take()) return
    try {
      const lease = this.#acquireUntried()
      if (isRefusal(lease)) further.giveBack()
      else {
        this.#hedge = this.#make(lease, 'hedge')
        this.#hedge.start()
      }
    } catch (error) {
      this.#owner.onInternalError(error)
    }
  }

  #acquireUntried(): Lease | Refusal {
    const { attempts } = this.exchange
    return this.#selection.acquire((target) => !attempts.some((attempt) => attempt.target === target))
  }

  #make(lease: Lease, kind: AttemptKind): AttemptRun {
    const { options, pools, counts } = this.#state
    const message = this.#message
    const attempt = new AttemptRun(
      this,
      lease,
      kind,
      pools.of(lease.target),
      options.timeouts,
      joinPath(lease.target.basePath, message.path) + message.query,
      withTimeLeft(message.headers, this.exchange),
      message.body,
      this.#further === undefined ? 0 : this.#further.perTryMs,
    )
    if (kind === 'retry' || kind === 'hedge') {
      attempt.isBudgeted = this.#further!.useLeave()
      counts[kind]++
    }
    this.exchange.attempts.push(attempt)
    return attempt
  }

  #win(attempt: AttemptRun): void {
    this.#winner = attempt
    this.#close()
    const other = attempt === this.#hedge ? this.#latest : this.#hedge
    other?.fail('superseded')
  }

  #isAnotherLive(attempt: AttemptRun): boolean {
    if (this.#hedge === undefined) return false
    return !(attempt === this.#hedge ? this.#latest : this.#hedge).done
  }

  // Ends

  /** No attempt follows any more. */
  #close(): void {
    this.#over = true
    clearTimeout(this.#timer)
    this.#further?.giveBack()
    const { body } = this.#message
    if (body !== undefined && !Buffer.isBuffer(body)) body.seal()
  }

  #abandon(attempt: AttemptRun): void {
    if (attempt.done) return
    const { phase, status } = attempt
    attempt.discard()
    if (status !== undefined) this.#settleAnswered(attempt)
    else this.#settle(attempt, { type: 'client_aborted', phase, side: 'client', totalMs: attempt.totalMs! })
  }

  #settleAnswered(attempt: AttemptRun): void {
    const { status = 0, headersMs = 0, totalMs = 0 } = attempt
    this.#settle(attempt, { status, headersMs, totalMs })
  }

  #settle(attempt: AttemptRun, outcome: Parameters<Lease['settle']>[0]): void {
    if (attempt.isBudgeted) this.#state.budget.release()
    attempt.lease.settle(outcome)
    this.#publish(attempt, outcome)
  }

  #publish(attempt: AttemptRun, outcome: Parameters<Lease['settle']>[0]): void {
    if (attemptSettled.hasSubscribers) attemptSettled.publish({ exchange: this.exchange, attempt, outcome })
  }

  #fail(failure: Failure): void {
    this.#close()
    this.#owner.onFailed(failure)
  }

  /** No target takes another try. Where something had been sent, what became of it is the better news. */
  #failRefused(refusal: Refusal): void {
    const failure = this.#failure
    this.#close()
    if (failure !== undefined && !wasNeverSent(failure)) this.#owner.onFailed(failure)
    else this.#owner.onRefused(refusal)
  }

  #failureNow(type: FailureType): Failure {
    const totalMs = performance.now() - this.exchange.receivedAtMs
    return { type, phase: 'queue', side: type === 'client_aborted' ? 'client' : 'gateway', totalMs }
  }
}

function onRetryTimer(attempts: Attempts): void {
  attempts.onRetryTime()
}

function onHedgeTimer(attempts: Attempts): void {
  attempts.onHedgeTime()
}

function joinPath(basePath: string, path: string): string {
  if (basePath === '') return path
  return path === '/' ? basePath : basePath + path
}

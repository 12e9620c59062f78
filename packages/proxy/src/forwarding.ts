import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex, Transform } from 'node:stream'
import {
  type Exchange,
  type ExchangeObserver,
  type Failure,
  failExchange,
  GatewayError,
  isRefusal,
  type Lease,
  type Refusal,
  warnOnce,
} from '@postern/contracts'
import { type AttemptOwner, AttemptRun } from './attempt.ts'
import { attemptSettled } from './channels.ts'
import { OutgoingRequestHead } from './hooks.ts'
import { RequestBody } from './message/request-body.ts'
import { cleanResponseHead, responseFault } from './message/response-head.ts'
import { isRefusedPlan, planRequest } from './plan-request.ts'
import { closingProblem, errorOf, type ProxyProblem, problem } from './problems.ts'
import type { ProxyState } from './proxy-state.ts'
import { feedTransform } from './request-transform.ts'
import { type RelayOwner, ResponseRelay, relayInformational, rewriteHead } from './response-relay.ts'
import { isStaleConnection } from './stale-connection.ts'
import type { ResponseHeaders } from './transport/transport.ts'
import { openTunnel } from './tunnel.ts'

type Next = (error?: unknown) => void

/**
 * One exchange on its way through the proxy: reads the request into a plan that no target has a part in, makes attempts
 * until one answers, and writes what comes back to the client.
 */
export class Forwarding implements AttemptOwner, ExchangeObserver, RelayOwner {
  readonly exchange: Exchange
  method: string
  path = ''
  headers: string[] = []
  host: string | undefined = undefined
  body: RequestBody | Buffer | undefined = undefined
  contentLength: number | undefined = undefined
  upgrade: string | undefined = undefined
  fresh = false
  readonly #state: ProxyState
  readonly #req: IncomingMessage
  readonly #res: ServerResponse
  readonly #next: Next | undefined
  #hasBody = false
  /** Path without the target's base path, query apart. */
  #localPath = ''
  #query = ''
  #relay: ResponseRelay | undefined = undefined
  #attempt: AttemptRun | undefined = undefined
  #transformedBody: Transform | undefined = undefined
  #totalTimer: NodeJS.Timeout | undefined = undefined
  #entered = false
  #done = false

  constructor(
    state: ProxyState,
    exchange: Exchange,
    req: IncomingMessage,
    res: ServerResponse,
    next: Next | undefined,
  ) {
    this.#state = state
    this.exchange = exchange
    this.#req = req
    this.#res = res
    this.#next = next
    this.method = req.method ?? 'GET'
  }

  /** Reads the request and starts. Answers by itself whatever goes wrong. */
  begin(): void {
    try {
      this.#begin()
    } catch (error) {
      this.#failInternally(error)
    }
  }

  #begin(): void {
    const { options } = this.#state
    const plan = planRequest(this.exchange, this.#req, options)
    if (isRefusedPlan(plan)) {
      this.#refuse(plan.problem, plan.detail, plan.message)
      return
    }
    this.#localPath = plan.path
    this.#query = plan.query
    this.#hasBody = plan.hasBody
    this.headers = plan.headers
    this.host = plan.host
    this.body = plan.bytes
    this.contentLength = plan.contentLength
    this.upgrade = plan.upgrade
    this.#entered = true
    this.#state.enter()
    this.exchange.observe(this)
    if (options.timeouts.totalMs > 0 && plan.upgrade === undefined) {
      this.#totalTimer = setTimeout(onTotalTimer, options.timeouts.totalMs, this)
    }
    if (options.onRequest !== undefined) this.#callRequestHook(options.onRequest)
    else this.#send()
  }

  /** Ends the exchange because its total time is over. @internal */
  onTotalTimeout(): void {
    if (this.#attempt !== undefined && !this.#attempt.done) this.#attempt.fail('deadline_exceeded')
    else
      this.#fail({
        type: 'deadline_exceeded',
        phase: 'queue',
        side: 'gateway',
        totalMs: this.#state.options.timeouts.totalMs,
      })
  }

  onExchangeClosed(exchange: Exchange): void {
    if (this.#done) return
    if (this.#res.writableFinished) {
      const attempt = this.#attempt
      if (attempt === undefined || attempt.done) this.#finish()
      // Otherwise the last byte went out just now, and the attempt ends in a moment.
      else if (this.#relay?.begun !== true) this.#leave(attempt)
      return
    }
    const attempt = this.#attempt
    if (attempt !== undefined && !attempt.done) attempt.fail('client_aborted')
    else {
      exchange.failure ??= {
        type: 'client_aborted',
        phase: 'queue',
        side: 'client',
        totalMs: performance.now() - exchange.receivedAtMs,
      }
      this.#finish()
    }
  }

  onAttemptInformational(status: number, headers: ResponseHeaders): void {
    relayInformational(this.#req, this.#res, status, headers)
  }

  onAttemptHead(attempt: AttemptRun, status: number, headers: ResponseHeaders, statusText: string): void {
    const { options } = this.#state
    const fault = responseFault(status, headers)
    if (fault !== undefined) {
      attempt.fail('http_protocol_error', new Error(`the response has ${fault}`))
      return
    }
    if (options.fallthrough?.has(status) && this.#next !== undefined && !this.#hasBody) {
      this.#discard(attempt)
      this.#next()
      return
    }
    this.#relay = new ResponseRelay(options, this.exchange, this)
    this.#relay.head(attempt, status, headers, statusText)
  }

  onAttemptData(attempt: AttemptRun, chunk: Buffer): void {
    this.#relay!.data(chunk, attempt)
  }

  onAttemptEnd(attempt: AttemptRun, trailers: ResponseHeaders): void {
    this.#settleAnswered(attempt)
    this.#relay!.end(trailers, attempt)
  }

  onRelayed(): void {
    this.#finish()
  }

  onAnsweredByHook(attempt: AttemptRun): void {
    this.#discard(attempt)
  }

  onAttemptUpgrade(attempt: AttemptRun, received: ResponseHeaders, socket: Duplex, head: Buffer): void {
    const upgrade = this.exchange.upgrade!
    this.exchange.upgrade = undefined
    const { headers } = cleanResponseHead(101, received)
    rewriteHead(this.#state.options, this.exchange, attempt, headers)
    openTunnel(this.#state.tunnels, this.exchange, upgrade, headers, socket, head, (type) => {
      if (type === undefined) {
        attempt.onTunnelClosed()
        this.#settleAnswered(attempt)
        this.#finish()
      } else attempt.fail(type)
      this.exchange.close()
    })
  }

  onAttemptFailed(attempt: AttemptRun, failure: Failure): void {
    if (!this.fresh && !this.exchange.closed && isStaleConnection(attempt, failure, this)) {
      if (attemptSettled.hasSubscribers) attemptSettled.publish({ exchange: this.exchange, attempt, outcome: failure })
      this.fresh = true
      this.#startAttempt(attempt.lease)
      return
    }
    this.#settle(attempt, failure)
    this.#fail(failure)
  }

  // Attempts

  #callRequestHook(hook: NonNullable<ProxyState['options']['onRequest']>): void {
    const request = new OutgoingRequestHead(this.method, this.#localPath + this.#query, this.headers)
    const go = (): void => {
      if (this.#done || this.exchange.closed) return
      if (this.#res.writableEnded || this.#res.headersSent) return
      this.method = request.method
      const mark = request.path.indexOf('?')
      this.#localPath = mark === -1 ? request.path : request.path.slice(0, mark)
      this.#query = mark === -1 ? '' : request.path.slice(mark)
      try {
        this.#send(request)
      } catch (error) {
        this.#failInternally(error)
      }
    }
    try {
      const result = hook(this.exchange, request)
      if (result === undefined) go()
      else result.then(go, (error: unknown) => this.onHookFailed(error))
    } catch (error) {
      this.onHookFailed(error)
    }
  }

  #send(request?: OutgoingRequestHead): void {
    const { options, ownSelection } = this.#state
    if (this.#state.closed) {
      // A hook took longer than the grace of close().
      this.#finish()
      failExchange(this.#req, this.#res, closingProblem(), options.errors, this.#next)
      return
    }
    if (options.transformRequest !== undefined && this.#hasBody) {
      try {
        const head = request ?? new OutgoingRequestHead(this.method, this.#localPath + this.#query, this.headers)
        this.#transformedBody = options.transformRequest(this.exchange, head)
      } catch (error) {
        this.onHookFailed(error)
        return
      }
      if (this.#transformedBody !== undefined) {
        this.contentLength = undefined
        const fail = (error: Error): void => this.#attempt?.fail('proxy_internal_error', error)
        feedTransform(
          this.#transformedBody,
          Buffer.isBuffer(this.body) ? this.body : this.#req,
          options.maxTransformBytes,
          fail,
        )
        this.body = undefined
      }
    }
    const selection = ownSelection ?? this.exchange.selection
    if (selection === undefined) {
      this.#finish()
      const cure = 'proxy() needs a target: give it one, or mount balancer() before it'
      if (options.log === undefined) warnOnce('POSTERN_NO_TARGET', cure)
      this.#refuse('no_target', undefined, cure)
      return
    }
    const lease = selection.acquire()
    if (isRefusal(lease)) this.#refuseSelection(lease)
    else this.#startAttempt(lease)
  }

  #startAttempt(lease: Lease): void {
    const pool = this.#state.pools.of(lease.target)
    const attempt = new AttemptRun(this, lease, this.fresh ? 'stale' : 'first', pool, this.#state.options.timeouts)
    this.#attempt = attempt
    this.exchange.attempts.push(attempt)
    this.path = joinPath(lease.target.basePath, this.#localPath) + this.#query
    if (this.#hasBody && !Buffer.isBuffer(this.body)) this.#openBody(attempt)
    attempt.start()
  }

  /** Each attempt reads the client's body through its own reader, so that one that failed unread leaves it whole. */
  #openBody(attempt: AttemptRun): void {
    const limit = this.#state.options.maxRequestBodyBytes
    this.body = new RequestBody(this.#transformedBody ?? this.#req, this.exchange, limit, attempt)
  }

  #settleAnswered(attempt: AttemptRun): void {
    const { status = 0, headersMs = 0, totalMs = 0 } = attempt
    this.#settle(attempt, { status, headersMs, totalMs })
  }

  /** Leaves the rest of a response unread. */
  #discard(attempt: AttemptRun): void {
    if (!attempt.done) {
      attempt.discard()
      this.#settleAnswered(attempt)
    }
    this.#finish()
  }

  /** Somebody else has answered (a hook, a time-out of the app): what the attempt would bring is of no use. */
  #leave(attempt: AttemptRun): void {
    if (attempt.status !== undefined) {
      this.#discard(attempt)
      return
    }
    const { phase } = attempt
    attempt.discard()
    this.#settle(attempt, { type: 'client_aborted', phase, side: 'client', totalMs: attempt.totalMs! })
    this.#finish()
  }

  #settle(attempt: AttemptRun, outcome: Parameters<Lease['settle']>[0]): void {
    attempt.lease.settle(outcome)
    if (attemptSettled.hasSubscribers) attemptSettled.publish({ exchange: this.exchange, attempt, outcome })
  }

  // Ends

  #refuse(code: ProxyProblem, detail?: string, message?: string): void {
    if (code === 'proxy_loop') {
      this.#fail({ type: 'proxy_loop_detected', phase: 'queue', side: 'gateway', totalMs: 0 })
      return
    }
    // A request that is refused for its form may be followed by bytes that are not what they seem.
    const closeConnection = /^(?:bad_|unsupported_|too_many_headers$)/.test(code)
    const error = problem(code, { detail, message, closeConnection })
    if (message !== undefined) this.#state.options.log?.error({ requestId: this.exchange.id, code }, message)
    failExchange(this.#req, this.#res, error, this.#state.options.errors, this.#next)
  }

  #refuseSelection(refusal: Refusal): void {
    const failure: Failure = { type: 'destination_unavailable', phase: 'queue', side: 'gateway', totalMs: 0 }
    this.#fail(failure, refusal.retryAfterMs)
  }

  /** A fault of ours, or of a function that the options or a selection gave: it ends this exchange and no other. */
  #failInternally(error: unknown): void {
    this.#finish()
    const { options } = this.#state
    options.log?.error({ requestId: this.exchange.id, err: error }, 'proxy: internal error')
    const answer = problem('internal_error', { message: String(error), cause: error })
    failExchange(this.#req, this.#res, answer, options.errors, this.#next)
  }

  onHookFailed(error: unknown): void {
    // The exchange was over before the hook was: there is nobody left to tell.
    if (this.#done) return
    const known = error instanceof GatewayError ? error : undefined
    if (this.#attempt === undefined) this.#finish()
    else this.#discard(this.#attempt)
    this.#state.options.log?.error({ requestId: this.exchange.id, err: error }, 'proxy: a hook failed')
    failExchange(
      this.#req,
      this.#res,
      known ?? problem('hook_failed', { message: `a hook of proxy() failed: ${String(error)}`, cause: error }),
      this.#state.options.errors,
      this.#next,
    )
  }

  #fail(failure: Failure, retryAfterMs = 1000): void {
    if (this.#done) return
    this.exchange.failure ??= failure
    this.#finish()
    const { options } = this.#state
    if (failure.type === 'client_aborted') {
      if (!this.#res.destroyed) this.#res.destroy()
      return
    }
    options.log?.warn(
      {
        requestId: this.exchange.id,
        target: this.#attempt?.target.id,
        failure: failure.type,
        phase: failure.phase,
        err: failure.cause,
      },
      `proxy: ${failure.type}`,
    )
    // Both ends of a tunnel are gone, and its answer was the 101.
    if (failure.phase === 'tunnel') return
    if (this.#res.headersSent) {
      if (this.#relay !== undefined) this.#relay.cut()
      else this.#res.destroy()
      return
    }
    const error = errorOf(failure, retryAfterMs)
    failExchange(this.#req, this.#res, error, options.errors, this.#next)
  }

  #finish(): void {
    if (this.#done) return
    this.#done = true
    clearTimeout(this.#totalTimer)
    if (this.#transformedBody !== undefined && !this.#transformedBody.readableEnded) {
      // What still comes of the client's body is dropped, so that it does not stand before the next request.
      this.#req.unpipe(this.#transformedBody).resume()
      this.#transformedBody.destroy()
    }
    if (this.#entered) this.#state.leave()
  }
}

function onTotalTimer(forwarding: Forwarding): void {
  forwarding.onTotalTimeout()
}

function joinPath(basePath: string, path: string): string {
  if (basePath === '') return path
  return path === '/' ? basePath : basePath + path
}

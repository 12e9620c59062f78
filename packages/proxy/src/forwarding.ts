import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex, Transform } from 'node:stream'
import {
  type Exchange,
  type ExchangeObserver,
  type Failure,
  failExchange,
  GatewayError,
  isRefusal,
  type Refusal,
  warnOnce,
} from '@postern/contracts'
import type { AttemptRun } from './attempt.ts'
import { Attempts, type AttemptsOwner } from './attempts.ts'
import { limitExchange } from './deadline.ts'
import { OutgoingRequestHead } from './hooks.ts'
import { BodySource } from './message/body-source.ts'
import { cleanResponseHead } from './message/response-head.ts'
import { isRefusedPlan, planRequest, type RequestPlan } from './plan-request.ts'
import { closingProblem, errorOf, type ProxyProblem, problem, refusalError } from './problems.ts'
import type { ProxyState } from './proxy-state.ts'
import { feedTransform } from './request-transform.ts'
import { type RelayOwner, ResponseRelay, relayInformational, rewriteHead } from './response-relay.ts'
import type { ResponseHeaders } from './transport/transport.ts'
import { openTunnel } from './tunnel.ts'

type Next = (error?: unknown) => void

/**
 * One exchange on its way through the proxy: reads the request into a plan that no target has a part in, has attempts
 * made until one answers, and writes what comes back to the client.
 */
export class Forwarding implements AttemptsOwner, ExchangeObserver, RelayOwner {
  readonly #exchange: Exchange
  readonly #state: ProxyState
  readonly #req: IncomingMessage
  readonly #res: ServerResponse
  readonly #next: Next | undefined
  #plan: RequestPlan | undefined = undefined
  #relay: ResponseRelay | undefined = undefined
  #attempts: Attempts | undefined = undefined
  #transformedBody: Transform | undefined = undefined
  #deadlineTimer: NodeJS.Timeout | undefined = undefined
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
    this.#exchange = exchange
    this.#req = req
    this.#res = res
    this.#next = next
  }

  /** Reads the request and starts. Answers by itself whatever goes wrong. */
  begin(): void {
    try {
      this.#begin()
    } catch (error) {
      this.onInternalError(error)
    }
  }

  #begin(): void {
    const { options } = this.#state
    const plan = planRequest(this.#exchange, this.#req, options)
    if (isRefusedPlan(plan)) {
      this.#refuse(plan.problem, plan.detail, plan.message)
      return
    }
    this.#plan = plan
    this.#entered = true
    this.#state.enter()
    this.#exchange.observe(this)
    if (options.deadline !== undefined) limitExchange(this.#exchange, options.deadline)
    const { deadline } = this.#exchange
    if (deadline !== undefined && !this.#startTimer(deadline.remainingMs())) return
    if (options.onRequest !== undefined) this.#callRequestHook(options.onRequest, plan)
    else this.#send(plan)
  }

  /** @returns false when no time is left to begin */
  #startTimer(remainingMs: number): boolean {
    if (remainingMs <= 0) {
      this.onDeadline()
      return false
    }
    // More than a timer can hold counts as for ever.
    if (remainingMs < 2 ** 31) this.#deadlineTimer = setTimeout(onDeadlineTimer, remainingMs, this)
    return true
  }

  /** Ends the exchange because its time is over. @internal */
  onDeadline(): void {
    this.#end('deadline_exceeded', 'gateway')
  }

  onExchangeClosed(): void {
    if (this.#done) return
    if (!this.#res.writableFinished) {
      this.#end('client_aborted', 'client')
      return
    }
    const attempts = this.#attempts
    // The last byte went out just now, and the attempt ends in a moment.
    if (attempts !== undefined && !attempts.current.done && this.#relay?.begun === true) return
    // Otherwise somebody else has answered (a hook, a time-out of the app).
    attempts?.abandon()
    this.#finish()
  }

  #end(type: 'deadline_exceeded' | 'client_aborted', side: 'gateway' | 'client'): void {
    if (this.#attempts !== undefined) this.#attempts.end(type)
    if (this.#done) return
    this.onFailed({ type, phase: 'queue', side, totalMs: performance.now() - this.#exchange.receivedAtMs })
  }

  onInformational(status: number, headers: ResponseHeaders): void {
    relayInformational(this.#req, this.#res, status, headers)
  }

  onHead(attempt: AttemptRun, status: number, headers: ResponseHeaders, statusText: string): void {
    const { options } = this.#state
    if (options.fallthrough?.has(status) && this.#next !== undefined && !this.#plan!.hasBody) {
      this.#attempts!.abandon()
      this.#finish()
      this.#next()
      return
    }
    this.#relay = new ResponseRelay(options, this.#exchange, this)
    this.#relay.head(attempt, status, headers, statusText)
  }

  onData(attempt: AttemptRun, chunk: Buffer): void {
    this.#relay!.data(chunk, attempt)
  }

  onEnd(attempt: AttemptRun, trailers: ResponseHeaders): void {
    this.#relay!.end(trailers, attempt)
  }

  onRelayed(): void {
    this.#finish()
  }

  onAnsweredByHook(): void {
    this.#attempts!.abandon()
    this.#finish()
  }

  onUpgrade(attempt: AttemptRun, received: ResponseHeaders, socket: Duplex, head: Buffer): void {
    // What began as an exchange has become a connection: it lives as long as both ends want.
    clearTimeout(this.#deadlineTimer)
    const exchange = this.#exchange
    const upgrade = exchange.upgrade!
    exchange.upgrade = undefined
    const { headers } = cleanResponseHead(101, received)
    rewriteHead(this.#state.options, exchange, attempt, headers)
    openTunnel(this.#state.tunnels, exchange, upgrade, headers, socket, head, (type) => {
      if (type === undefined) {
        this.#attempts!.closeTunnel(attempt)
        this.#finish()
      } else attempt.fail(type)
      exchange.close()
    })
  }

  // Sending

  #callRequestHook(hook: NonNullable<ProxyState['options']['onRequest']>, plan: RequestPlan): void {
    const request = new OutgoingRequestHead(plan.method, plan.path + plan.query, plan.headers)
    const go = (): void => {
      if (this.#done || this.#exchange.closed) return
      if (this.#res.writableEnded || this.#res.headersSent) return
      const mark = request.path.indexOf('?')
      const path = mark === -1 ? request.path : request.path.slice(0, mark)
      const query = mark === -1 ? '' : request.path.slice(mark)
      try {
        this.#send({ ...plan, method: request.method, path, query }, request)
      } catch (error) {
        this.onInternalError(error)
      }
    }
    try {
      const result = hook(this.#exchange, request)
      if (result === undefined) go()
      else result.then(go, (error: unknown) => this.onHookFailed(error))
    } catch (error) {
      this.onHookFailed(error)
    }
  }

  #send(plan: RequestPlan, request?: OutgoingRequestHead): void {
    const { options, ownSelection } = this.#state
    if (this.#state.closed) {
      // A hook took longer than the grace of close().
      this.#finish()
      failExchange(this.#req, this.#res, closingProblem(), options.errors, this.#next)
      return
    }
    if (options.transformRequest !== undefined && plan.hasBody) {
      try {
        const head = request ?? new OutgoingRequestHead(plan.method, plan.path + plan.query, plan.headers)
        this.#transformedBody = options.transformRequest(this.#exchange, head)
      } catch (error) {
        this.onHookFailed(error)
        return
      }
      if (this.#transformedBody !== undefined) {
        const fail = (error: Error): void => this.#attempts?.end('proxy_internal_error', error)
        feedTransform(this.#transformedBody, plan.bytes ?? this.#req, options.maxTransformBytes, fail)
      }
    }
    const selection = ownSelection ?? this.#exchange.selection
    if (selection === undefined) {
      this.#finish()
      const cure = 'proxy() needs a target: give it one, or mount balancer() before it'
      if (options.log === undefined) warnOnce('POSTERN_NO_TARGET', cure)
      this.#refuse('no_target', undefined, cure)
      return
    }
    const lease = selection.acquire()
    if (isRefusal(lease)) {
      this.onRefused(lease)
      return
    }
    const transformed = this.#transformedBody !== undefined
    const message = {
      method: plan.method,
      path: plan.path,
      query: plan.query,
      headers: plan.headers,
      host: plan.host,
      body: this.#body(plan),
      contentLength: transformed ? undefined : plan.contentLength,
      upgrade: plan.upgrade,
    }
    this.#attempts = new Attempts(this, this.#state, this.#exchange, message, selection, lease)
    this.#attempts.start()
  }

  #body(plan: RequestPlan): BodySource | Buffer | undefined {
    const stream = this.#transformedBody
    const { mirror, options } = this.#state
    const isStream = plan.hasBody && (stream !== undefined || plan.bytes === undefined)
    const copy = mirror?.begin(this.#exchange, {
      method: plan.method,
      path: plan.path + plan.query,
      headers: plan.headers,
      body: isStream ? 'stream' : plan.bytes,
      contentLength: stream === undefined ? plan.contentLength : undefined,
      upgrade: plan.upgrade,
    })
    if (!isStream) return plan.bytes
    return new BodySource(
      stream ?? this.#req,
      this.#exchange,
      options.maxRequestBodyBytes,
      this.#state.replayBytes(plan),
      copy,
    )
  }

  // Ends

  #refuse(code: ProxyProblem, detail?: string, message?: string): void {
    if (code === 'proxy_loop') {
      this.onFailed({ type: 'proxy_loop_detected', phase: 'queue', side: 'gateway', totalMs: 0 })
      return
    }
    // A request that is refused for its form may be followed by bytes that are not what they seem.
    const closeConnection = /^(?:bad_|unsupported_|too_many_headers$)/.test(code)
    const error = problem(code, { detail, message, closeConnection })
    if (message !== undefined) this.#state.options.log?.error({ requestId: this.#exchange.id, code }, message)
    failExchange(this.#req, this.#res, error, this.#state.options.errors, this.#next)
  }

  /** A fault of ours, or of a function that the options or a selection gave: it ends this exchange and no other. */
  onInternalError(error: unknown): void {
    this.#attempts?.abandon()
    this.#finish()
    const { options } = this.#state
    options.log?.error({ requestId: this.#exchange.id, err: error }, 'proxy: internal error')
    const answer = problem('internal_error', { message: String(error), cause: error })
    failExchange(this.#req, this.#res, answer, options.errors, this.#next)
  }

  onHookFailed(error: unknown): void {
    // The exchange was over before the hook was: there is nobody left to tell.
    if (this.#done) return
    const known = error instanceof GatewayError ? error : undefined
    this.#attempts?.abandon()
    this.#finish()
    this.#state.options.log?.error({ requestId: this.#exchange.id, err: error }, 'proxy: a hook failed')
    failExchange(
      this.#req,
      this.#res,
      known ?? problem('hook_failed', { message: `a hook of proxy() failed: ${String(error)}`, cause: error }),
      this.#state.options.errors,
      this.#next,
    )
  }

  onFailed(failure: Failure): void {
    this.#failWith(errorOf(failure))
  }

  onRefused(refusal: Refusal): void {
    this.#failWith(refusalError(refusal))
  }

  #failWith(error: GatewayError): void {
    if (this.#done) return
    const failure = error.failure!
    this.#exchange.failure ??= failure
    this.#finish()
    const { options } = this.#state
    if (failure.type === 'client_aborted') {
      if (!this.#res.destroyed) this.#res.destroy()
      return
    }
    options.log?.warn(
      {
        requestId: this.#exchange.id,
        target: this.#attempts?.current.target.id,
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
    failExchange(this.#req, this.#res, error, options.errors, this.#next)
  }

  #finish(): void {
    if (this.#done) return
    this.#done = true
    clearTimeout(this.#deadlineTimer)
    if (this.#transformedBody !== undefined && !this.#transformedBody.readableEnded) {
      // What still comes of the client's body is dropped, so that it does not stand before the next request.
      this.#req.unpipe(this.#transformedBody).resume()
      this.#transformedBody.destroy()
    }
    if (this.#entered) this.#state.leave()
  }
}

function onDeadlineTimer(forwarding: Forwarding): void {
  forwarding.onDeadline()
}

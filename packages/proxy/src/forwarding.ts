import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex, Transform } from 'node:stream'
import {
  clientOf,
  type Exchange,
  type ExchangeObserver,
  type Failure,
  failExchange,
  GatewayError,
  isRefusal,
  type Lease,
  type Refusal,
  type Selection,
} from '@postern/contracts'
import { type AttemptOwner, AttemptRun } from './attempt.ts'
import { attemptSettled } from './channels.ts'
import { ClientAnswer } from './client-answer.ts'
import { type IncomingResponse, OutgoingRequestHead } from './hooks.ts'
import { editResponseHeaders } from './message/edits.ts'
import { RequestBody } from './message/request-body.ts'
import { cleanResponseHead, responseFault } from './message/response-head.ts'
import { editCookie, rewriteLocation } from './message/rewrite.ts'
import { isRefusedPlan, mountPath, planRequest } from './plan-request.ts'
import { type ProxyProblem, problem, problemOf } from './problems.ts'
import type { ProxyState } from './proxy-state.ts'
import type { ResponseHeaders } from './transport/transport.ts'
import { openTunnel } from './tunnel.ts'

type Next = (error?: unknown) => void

/**
 * One exchange on its way through the proxy: reads the request into a plan that no target has a part in, makes attempts
 * until one answers, and writes what comes back to the client.
 */
export class Forwarding implements AttemptOwner, ExchangeObserver {
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
  #answer: ClientAnswer | undefined = undefined
  #attempt: AttemptRun | undefined = undefined
  #selection: Selection | undefined = undefined
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
      // Somebody answered in our place (a hook, the error handler of the app), or the last byte went out just now.
      if (this.#attempt === undefined || this.#attempt.done) this.#finish()
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
    const res = this.#res
    if (res.headersSent || this.#req.httpVersionMinor === 0 || this.#req.httpVersionMajor !== 1) return
    try {
      if (status === 103 && headers.link !== undefined) res.writeEarlyHints({ link: headers.link })
      else if (status === 102) res.writeProcessing()
    } catch {
      // A Link that Node does not write: a hint is not worth the answer.
    }
  }

  onAttemptHead(attempt: AttemptRun, status: number, received: ResponseHeaders, statusText: string): void {
    const { options } = this.#state
    const fault = responseFault(status, received)
    if (fault !== undefined) {
      attempt.fail('http_protocol_error', new Error(`the response has ${fault}`))
      return
    }
    if (options.fallthrough?.has(status) && this.#next !== undefined && !this.#hasBody) {
      attempt.discard()
      this.#settle(attempt, { status, headersMs: attempt.headersMs!, totalMs: attempt.totalMs! })
      this.#finish()
      this.#next()
      return
    }
    const { headers, trailers } = cleanResponseHead(status, received)
    if (isLongStream(headers['content-type'])) attempt.watchIdle = false
    this.#rewrite(attempt, headers)
    if (options.onResponse === undefined) {
      this.#writeHead(attempt, status, headers, statusText, trailers)
      return
    }
    const response: IncomingResponse = { status, headers, target: attempt.target }
    let result: void | Promise<void>
    try {
      result = options.onResponse(this.exchange, response)
    } catch (error) {
      this.#failHook(error)
      return
    }
    const go = (): void => {
      if (attempt.done && attempt.failure !== undefined) return
      if (this.#res.writableEnded) {
        // The hook answered itself.
        attempt.discard()
        this.#settle(attempt, { status, headersMs: attempt.headersMs!, totalMs: attempt.totalMs! })
        this.#finish()
        return
      }
      const text = response.status === status ? statusText : ''
      this.#writeHead(attempt, response.status, headers, text, trailers, response)
    }
    if (result === undefined) {
      go()
      return
    }
    attempt.pause()
    result.then(
      () => {
        go()
        if (!attempt.done) attempt.resume()
      },
      (error: unknown) => this.#failHook(error),
    )
  }

  onAttemptData(attempt: AttemptRun, chunk: Buffer): void {
    this.#answer?.data(chunk, attempt)
  }

  onAttemptEnd(attempt: AttemptRun, trailers: ResponseHeaders): void {
    this.#settle(attempt, { status: attempt.status!, headersMs: attempt.headersMs!, totalMs: attempt.totalMs! })
    this.#answer?.end(trailers)
    this.#finish()
  }

  onAttemptUpgrade(attempt: AttemptRun, received: ResponseHeaders, socket: Duplex, head: Buffer): void {
    const upgrade = this.exchange.upgrade!
    this.exchange.upgrade = undefined
    const { headers } = cleanResponseHead(101, received)
    this.#rewrite(attempt, headers)
    openTunnel(this.#state.tunnels, this.exchange, upgrade, headers, socket, head, (type) => {
      if (type === undefined) {
        attempt.onTunnelClosed()
        this.#settle(attempt, { status: 101, headersMs: attempt.headersMs!, totalMs: attempt.totalMs! })
        this.#finish()
      } else attempt.fail(type)
      this.exchange.close()
    })
  }

  onAttemptFailed(attempt: AttemptRun, failure: Failure): void {
    if (this.#isStaleConnection(attempt, failure)) {
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
      this.#send(request)
    }
    try {
      const result = hook(this.exchange, request)
      if (result === undefined) go()
      else result.then(go, (error: unknown) => this.#failHook(error))
    } catch (error) {
      this.#failHook(error)
    }
  }

  #send(request?: OutgoingRequestHead): void {
    const { options, ownSelection } = this.#state
    if (options.transformRequest !== undefined && this.#hasBody) {
      try {
        const head = request ?? new OutgoingRequestHead(this.method, this.#localPath + this.#query, this.headers)
        this.#transformedBody = options.transformRequest(this.exchange, head)
      } catch (error) {
        this.#failHook(error)
        return
      }
      if (this.#transformedBody !== undefined) this.#transformRequest(this.#transformedBody)
    }
    this.#selection = ownSelection ?? this.exchange.selection
    if (this.#selection === undefined) {
      this.#finish()
      this.#refuse(
        'no_target',
        undefined,
        'proxy() needs a target: give it one, or mount balancer() before it (POSTERN_NO_TARGET)',
      )
      return
    }
    const lease = this.#selection.acquire()
    if (isRefusal(lease)) this.#refuseSelection(lease)
    else this.#startAttempt(lease)
  }

  #startAttempt(lease: Lease): void {
    const pool = this.#state.pools.of(lease.target)
    const attempt = new AttemptRun(this, lease, pool, this.#state.options.timeouts)
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

  #transformRequest(transform: Transform): void {
    this.contentLength = undefined
    let total = 0
    const { maxTransformBytes } = this.#state.options
    transform.on('data', (chunk: Buffer) => {
      total += chunk.length
      if (total > maxTransformBytes)
        transform.destroy(new Error(`the transformed body grew over ${maxTransformBytes} bytes`))
    })
    transform.pause()
    transform.on('error', (error) => this.#attempt?.fail('proxy_internal_error', error))
    if (Buffer.isBuffer(this.body)) {
      transform.end(this.body)
      this.body = undefined
    } else this.#req.pipe(transform)
  }

  /**
   * A pooled connection that the upstream closed just as it was used again: no byte of a response came, and the method
   * may be repeated (RFC 9110 §9.2.2). One more try, on a connection that nobody has used.
   */
  #isStaleConnection(attempt: AttemptRun, failure: Failure): boolean {
    return (
      attempt.reused &&
      !attempt.answering &&
      !this.fresh &&
      failure.type === 'connection_terminated' &&
      isIdempotent(this.method) &&
      this.upgrade === undefined &&
      !(this.body instanceof RequestBody && this.body.started) &&
      !this.exchange.closed
    )
  }

  #settle(attempt: AttemptRun, outcome: Parameters<Lease['settle']>[0]): void {
    attempt.lease.settle(outcome)
    if (attemptSettled.hasSubscribers) attemptSettled.publish({ exchange: this.exchange, attempt, outcome })
  }

  // The answer

  #rewrite(attempt: AttemptRun, headers: ResponseHeaders): void {
    const { options } = this.#state
    const { location } = headers
    if (location !== undefined && options.rewriteLocation && typeof location === 'string') {
      headers.location = rewriteLocation(location, attempt.target, clientOf(this.#req), mountPath(this.#req))
    }
    const cookies = headers['set-cookie']
    if (cookies !== undefined && options.cookies !== undefined) {
      headers['set-cookie'] = [cookies].flat().map((line) => editCookie(line, options.cookies!))
    }
    if (options.responseEdits !== undefined) editResponseHeaders(headers, options.responseEdits)
    const edits = this.exchange.outgoing.responseHeaders
    if (edits !== undefined) editResponseHeaders(headers, edits)
  }

  #writeHead(
    attempt: AttemptRun,
    status: number,
    headers: ResponseHeaders,
    statusText: string,
    trailers: string[] | undefined,
    response: IncomingResponse = { status, headers, target: attempt.target },
  ): void {
    const { options } = this.#state
    let transform: Transform | undefined
    if (options.transformResponse !== undefined) {
      try {
        transform = options.transformResponse(this.exchange, response)
      } catch (error) {
        this.#failHook(error)
        return
      }
    }
    this.#answer = new ClientAnswer(this.exchange, this.#res)
    const error = this.#answer.head(
      status,
      statusText,
      headers,
      trailers,
      transform,
      attempt,
      options.maxTransformBytes,
    )
    if (error !== undefined) {
      this.#answer = undefined
      attempt.fail('http_protocol_error', error)
    }
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

  #failHook(error: unknown): void {
    const attempt = this.#attempt
    const known = error instanceof GatewayError ? error : undefined
    if (attempt !== undefined && !attempt.done) {
      attempt.discard()
      this.#settle(attempt, {
        status: attempt.status ?? 0,
        headersMs: attempt.headersMs ?? 0,
        totalMs: attempt.totalMs!,
      })
    }
    this.#finish()
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
    if (this.#res.headersSent) {
      if (this.#answer !== undefined) this.#answer.cut()
      else this.#res.destroy()
      return
    }
    const code = failure.cause?.name === 'BodyLimitError' ? 'body_too_large' : problemOf(failure.type)
    const error = problem(code, {
      message: `${failure.type} in phase ${failure.phase}${failure.cause === undefined ? '' : `: ${failure.cause.message}`}`,
      failure,
      cause: failure.cause,
      headers:
        code === 'no_upstream' || code === 'upstream_busy'
          ? { 'retry-after': String(Math.max(1, Math.ceil(retryAfterMs / 1000))) }
          : undefined,
    })
    failExchange(this.#req, this.#res, error, options.errors, this.#next)
  }

  #finish(): void {
    if (this.#done) return
    this.#done = true
    clearTimeout(this.#totalTimer)
    if (this.#transformedBody !== undefined && !this.#transformedBody.readableEnded) {
      this.#req.unpipe(this.#transformedBody)
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

/** RFC 9110 §9.2.2. */
function isIdempotent(method: string): boolean {
  switch (method) {
    case 'GET':
    case 'HEAD':
    case 'OPTIONS':
    case 'TRACE':
    case 'PUT':
    case 'DELETE':
      return true
    default:
      return false
  }
}

/** Streams that are silent while nothing happens. */
function isLongStream(contentType: string | string[] | undefined): boolean {
  return typeof contentType === 'string' && /^(?:text\/event-stream|application\/grpc)/i.test(contentType)
}

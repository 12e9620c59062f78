import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Transform } from 'node:stream'
import { clientOf, type Exchange } from '@postern/contracts'
import type { AttemptRun } from './attempt.ts'
import { ClientAnswer } from './client-answer.ts'
import type { IncomingResponse } from './hooks.ts'
import { editResponseHeaders } from './message/edits.ts'
import { cleanResponseHead } from './message/response-head.ts'
import { editCookie, rewriteLocation } from './message/rewrite.ts'
import type { ResolvedProxyOptions } from './options.ts'
import { mountPath } from './plan-request.ts'
import type { ResponseHeaders } from './transport/transport.ts'

/** Whoever has a response relayed. */
export interface RelayOwner {
  /** A hook or a transform function threw; nothing was written. */
  onHookFailed(error: unknown): void
  /** A hook has answered by itself. */
  onAnsweredByHook(attempt: AttemptRun): void
  /** The whole response was handed to the client's side. */
  onRelayed(): void
}

/**
 * Brings a response of an upstream to the client: edits its head, has the app's hook see it, and passes body and
 * trailers on. A hook that takes its time holds the rest of the response back.
 */
export class ResponseRelay {
  readonly #options: ResolvedProxyOptions
  readonly #exchange: Exchange
  readonly #owner: RelayOwner
  #answer: ClientAnswer | undefined = undefined
  #waitsForHook = false
  /** The response was over before the hook was done. */
  #endedWith: ResponseHeaders | undefined = undefined

  constructor(options: ResolvedProxyOptions, exchange: Exchange, owner: RelayOwner) {
    this.#options = options
    this.#exchange = exchange
    this.#owner = owner
  }

  head(attempt: AttemptRun, status: number, received: ResponseHeaders, statusText: string): void {
    const { onResponse } = this.#options
    const { headers, trailers } = cleanResponseHead(status, received)
    if (isLongStream(headers['content-type'])) attempt.watchIdle = false
    rewriteHead(this.#options, this.#exchange, attempt, headers)
    const response: IncomingResponse = { status, headers, target: attempt.target }
    if (onResponse === undefined) {
      this.#write(attempt, response, statusText, trailers)
      return
    }
    let result: void | Promise<void>
    try {
      result = onResponse(this.#exchange, response)
    } catch (error) {
      this.#owner.onHookFailed(error)
      return
    }
    const goOn = (): void => {
      if (this.#exchange.closed || attempt.failure !== undefined) return
      if (this.#exchange.response.writableEnded) this.#owner.onAnsweredByHook(attempt)
      else this.#write(attempt, response, response.status === status ? statusText : '', trailers)
    }
    if (result === undefined) {
      goOn()
      return
    }
    this.#waitsForHook = true
    attempt.hold()
    result
      .then(() => {
        this.#waitsForHook = false
        goOn()
        if (this.#endedWith !== undefined) this.end(this.#endedWith, attempt)
        else attempt.release()
      })
      .catch((error: unknown) => this.#owner.onHookFailed(error))
  }

  data(chunk: Buffer, attempt: AttemptRun): void {
    this.#answer?.data(chunk, attempt)
  }

  /** True once the head of an answer was written to the client. */
  get begun(): boolean {
    return this.#answer !== undefined
  }

  end(trailers: ResponseHeaders, attempt: AttemptRun): void {
    if (this.#waitsForHook) {
      this.#endedWith = trailers
      return
    }
    this.#answer?.end(trailers, attempt)
    this.#owner.onRelayed()
  }

  /** Ends the client's connection where the answer stands; a head that nobody wrote is the owner's business. */
  cut(): void {
    if (this.#answer !== undefined) this.#answer.cut()
    else this.#exchange.response.destroy()
  }

  #write(attempt: AttemptRun, response: IncomingResponse, statusText: string, trailers: string[] | undefined): void {
    const { transformResponse, maxTransformBytes } = this.#options
    const { status, headers } = response
    if (!(status >= 200 && status <= 599)) {
      this.#owner.onHookFailed(new RangeError(`onResponse set the status ${status}`))
      return
    }
    let transform: Transform | undefined
    if (transformResponse !== undefined && !isBodiless(this.#exchange.request, status)) {
      try {
        transform = transformResponse(this.#exchange, response)
      } catch (error) {
        this.#owner.onHookFailed(error)
        return
      }
    }
    const answer = new ClientAnswer(this.#exchange, this.#exchange.response)
    const error = answer.head(status, statusText, headers, trailers, transform, attempt, maxTransformBytes)
    if (error === undefined) this.#answer = answer
    else if (this.#isEdited()) this.#owner.onHookFailed(error)
    else attempt.fail('http_protocol_error', error)
  }

  /** What cannot be written then is the app's doing, and the target does not pay for it. */
  #isEdited(): boolean {
    return this.#options.onResponse !== undefined || this.#exchange.outgoing.responseHeaders !== undefined
  }
}

/** Applies the options' and the exchange's edits to a response head, in place. */
export function rewriteHead(
  options: ResolvedProxyOptions,
  exchange: Exchange,
  attempt: AttemptRun,
  headers: ResponseHeaders,
): void {
  const { location } = headers
  if (location !== undefined && options.rewriteLocation && typeof location === 'string') {
    const req = exchange.request
    headers.location = rewriteLocation(location, attempt.target, clientOf(req), mountPath(req))
  }
  const setCookie = headers['set-cookie']
  const { cookies } = options
  if (setCookie !== undefined && cookies !== undefined) {
    headers['set-cookie'] = [setCookie].flat().map((line) => editCookie(line, cookies))
  }
  if (options.responseEdits !== undefined) editResponseHeaders(headers, options.responseEdits)
  const edits = exchange.outgoing.responseHeaders
  if (edits !== undefined) editResponseHeaders(headers, edits)
}

/** Passes 102 and 103 on to clients that know them; the rest of the interim responses is for the gateway alone. */
export function relayInformational(
  req: IncomingMessage,
  res: ServerResponse,
  status: number,
  headers: ResponseHeaders,
): void {
  if (res.headersSent || req.httpVersionMajor !== 1 || req.httpVersionMinor === 0) return
  try {
    if (status === 103 && headers.link !== undefined) res.writeEarlyHints({ link: headers.link })
    else if (status === 102) res.writeProcessing()
  } catch {
    // A Link that Node does not write: a hint is not worth the answer.
  }
}

function isBodiless(req: IncomingMessage, status: number): boolean {
  return req.method === 'HEAD' || status === 204 || status === 304
}

/** Streams that are silent while nothing happens. */
function isLongStream(contentType: string | string[] | undefined): boolean {
  return typeof contentType === 'string' && /^(?:text\/event-stream|application\/grpc)/i.test(contentType)
}

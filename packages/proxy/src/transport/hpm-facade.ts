import { EventEmitter } from 'node:events'
import type { ClientRequest, IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import type { HpmExchange } from './hpm-exchange.ts'

/**
 * The request that http-proxy-middleware is given in place of the client's: what it reads of one, already in the form
 * that goes upstream. Whatever it does to it reaches neither the client's request nor its connection.
 */
export class FacadeRequest {
  readonly exchange: HpmExchange
  readonly method: string
  readonly headers: OutgoingHttpHeaders
  readonly httpVersion = '1.1'
  readonly httpVersionMajor = 1
  readonly httpVersionMinor = 1
  /** Empty until the path filter, which would parse it, has run; then the path as it goes upstream. */
  url = ''
  /** Only asked whether the client is still there. Not the client's socket: listeners would be left on its server. */
  readonly socket: { readonly writable: boolean }

  constructor(exchange: HpmExchange, method: string, headers: OutgoingHttpHeaders) {
    this.exchange = exchange
    this.method = method
    this.headers = headers
    this.socket = new ClientLiveness(exchange.req)
  }

  /** The moment at which the body is to be sent. */
  pipe(to: ClientRequest): ClientRequest {
    this.exchange.onReadyForBody()
    return to
  }

  /** Nothing is ever emitted: errors of the client's upload come through the exchange. */
  on(): this {
    return this
  }
}

class ClientLiveness {
  readonly #req: IncomingMessage

  constructor(req: IncomingMessage) {
    this.#req = req
  }

  get writable(): boolean {
    return this.#req.socket?.writable === true
  }
}

/**
 * The response that http-proxy-middleware is given in place of the client's. Only its `close` means something: that the
 * exchange is over. An answer written to it becomes a failure of the attempt.
 */
export class FacadeResponse extends EventEmitter {
  readonly #exchange: HpmExchange
  readonly headersSent = false
  finished = false
  writableEnded = false
  writableFinished = false
  destroyed = false

  constructor(exchange: HpmExchange) {
    super()
    this.#exchange = exchange
  }

  /** @param whole the answer came to its end */
  close(whole: boolean): void {
    this.finished = whole
    this.writableEnded = whole
    this.writableFinished = whole
    this.destroyed = true
    this.emit('close')
  }

  setHeader(): this {
    return this
  }
  writeHead(): this {
    this.#exchange.fail(new Error('http-proxy-middleware answered by itself'), 'proxy_internal_error')
    return this
  }
  write(): boolean {
    this.writeHead()
    return true
  }
  end(): this {
    return this.writeHead()
  }
  destroy(error?: Error): this {
    if (!this.destroyed) this.#exchange.fail(error ?? new Error('the answer of the upstream broke off'))
    return this
  }
}

/**
 * The client's response, to be read: for handlers of `error`, which come from configurations that answer errors by
 * themselves. Here the answer is the gateway's (or there will be another attempt), so that what they write goes nowhere.
 */
export function readOnlyResponse(res: ServerResponse): ServerResponse {
  return Object.create(res, SILENCED) as ServerResponse
}

function silent(this: unknown): unknown {
  return this
}

const SILENCED: PropertyDescriptorMap = {}
for (const name of [
  'addTrailers',
  'appendHeader',
  'destroy',
  'end',
  'flushHeaders',
  'removeHeader',
  'setHeader',
  'setHeaders',
  'writeContinue',
  'writeEarlyHints',
  'writeHead',
  'writeInformation',
  'writeProcessing',
]) {
  SILENCED[name] = { value: silent, writable: true, configurable: true }
}
SILENCED.write = { value: () => true, writable: true, configurable: true }
// Express assigns these; the assignment must end at the copy.
for (const name of ['statusCode', 'statusMessage']) {
  SILENCED[name] = { value: undefined, writable: true, configurable: true }
}

import type { ClientRequest, IncomingMessage, InformationEvent, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import type { FailureType } from '@postern/contracts'
import { RequestBody } from '../message/request-body.ts'
import { FacadeRequest, FacadeResponse } from './hpm-facade.ts'
import { applyChanges, copyHeaders, toRequestHeaders, toResponseHeaders } from './hpm-headers.ts'
import type { RequestOptions } from './hpm-server.ts'
import type { HpmUpstream } from './hpm-upstream.ts'
import type { Flow, ResponseSink, UpstreamRequest } from './transport.ts'

/**
 * One request on its way through http-proxy-middleware: from the façade that it is given, over the `ClientRequest` that
 * it makes, to exactly one `onEnd`, `onUpgrade` or `onError` of the sink.
 */
export class HpmExchange implements Flow {
  /** The client's, for the user's handlers. */
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly method: string
  readonly path: string
  readonly headers: ReturnType<typeof toRequestHeaders>
  /** Token of the protocol to upgrade to. */
  readonly upgrade: string | undefined
  readonly fresh: boolean
  done = false
  readonly #upstream: HpmUpstream
  readonly #sink: ResponseSink
  readonly #body: UpstreamRequest['body']
  readonly #chunked: boolean
  readonly #facade: FacadeResponse
  #client: ClientRequest | undefined = undefined
  #incoming: IncomingMessage | undefined = undefined
  #cause: Error | undefined = undefined
  #connectStartedAtMs = 0
  #connectMs = 0
  #connected = false
  #readyForBody = false
  #handlerWroteBody = false
  #connectTimer: NodeJS.Timeout | undefined = undefined

  constructor(upstream: HpmUpstream, request: UpstreamRequest, sink: ResponseSink) {
    this.req = request.exchange.request
    this.res = request.exchange.response
    this.method = request.method
    this.path = request.path
    this.upgrade = request.upgrade
    this.fresh = request.fresh
    this.headers = toRequestHeaders(request, upstream.target.host)
    this.#upstream = upstream
    this.#sink = sink
    this.#body = request.body
    this.#chunked = request.body !== undefined && request.contentLength === undefined
    this.#facade = new FacadeResponse(this)
  }

  /** Hands the request to http-proxy-middleware. */
  send(): void {
    this.#upstream.server.send(this, new FacadeRequest(this, this.method, this.headers), this.#facade)
  }

  /** http-proxy-middleware asks where the request goes; the rest of what it needs for it is set on the way. */
  route(options: RequestOptions): NonNullable<RequestOptions['target']> {
    return this.#upstream.route(this, options)
  }

  /** http-proxy-middleware has not taken the request, or has failed before there was one. */
  onNotTaken(error: unknown): void {
    const cause = error instanceof Error ? error : new Error(`http-proxy-middleware passed the request on: ${error}`)
    this.fail(cause, 'proxy_internal_error')
  }

  /** An event of http-proxy-middleware that only the user's handlers have a part in. */
  onEvent(event: string, args: unknown[]): void {
    const { server } = this.#upstream
    switch (event) {
      case 'start':
        if (!this.done) server.tell(event, [this.req, this.res, args[2]], this.#onFault)
        // Nothing may be dialled any more; a throw is how httpxy is told so.
        if (this.done) throw this.#cause ?? GIVEN_UP
        break
      case 'proxyReq':
        if (this.done || !server.has(event)) return
        this.#watchWrites(args[0] as ClientRequest, () =>
          server.tell(event, [args[0], this.req, this.res, args[3]], this.#onFault),
        )
        break
      case 'end':
        // The answer is over, whatever becomes of the handler.
        server.tell(event, [this.req, this.res, args[2]], (error) => server.report(event, error))
        break
    }
  }

  /** The request object is there; no connection yet. */
  onRequestMade(client: ClientRequest): void {
    this.#client = client
    // Node would drop the header lines beyond a number in silence, framing among them; their bytes are bounded.
    client.maxHeadersCount = 0
    client.on('socket', (socket) => this.#onSocket(socket as TLSSocket))
    client.on('information', (info: InformationEvent) => this.#onInformation(info))
    client.on('upgrade', (incoming, socket, head) => this.#onUpgrade(incoming, socket, head))
    client.on('finish', () => this.#sink.onBodySent())
    client.on('error', (error) => this.#onClientError(error))
    client.on('close', () => {
      // What has arrived whole is still to be delivered.
      if (this.#incoming?.complete !== true) this.#onClosed()
    })
  }

  /** The request's head is as it will be; its body is asked for. */
  onReadyForBody(): void {
    this.#readyForBody = true
    if (this.#connected) this.#begin()
  }

  onResponse(incoming: IncomingMessage): void {
    if (this.done) {
      incoming.destroy()
      return
    }
    this.#incoming = incoming
    const headers = toResponseHeaders(incoming.rawHeaders)
    const { server } = this.#upstream
    if (this.upgrade === undefined && server.has('proxyRes')) {
      const before = copyHeaders(incoming.headers)
      server.tell('proxyRes', [incoming, this.req, this.res], this.#onFault)
      if (this.done) return
      applyChanges(headers, before, incoming.headers)
    }
    this.#sink.onHead(incoming.statusCode!, headers, incoming.statusMessage ?? '')
    if (this.done) return
    incoming.on('data', (chunk: Buffer) => {
      if (!this.done) this.#sink.onData(chunk)
    })
    incoming.on('end', () => this.#onEnd(incoming))
    incoming.on('error', (error) => this.fail(error))
    incoming.on('close', () => this.#onClosed())
  }

  /** Ends the exchange as failed, unless it is over. */
  fail(cause: Error, type?: FailureType): void {
    if (this.done) return
    this.#cause = cause
    this.#finish(false)
    this.#client?.destroy(cause)
    this.#sink.onError(cause, type)
  }

  abort(): void {
    if (this.done) return
    this.#finish(false)
    this.#client?.destroy(GIVEN_UP)
  }

  pause(): void {
    this.#incoming?.pause()
  }

  resume(): void {
    this.#incoming?.resume()
  }

  /** @internal */
  onConnectTimeout(): void {
    this.fail(new Error('the connection took too long'), 'connection_timeout')
  }

  readonly #onFault = (error: unknown): void => {
    const cause = error instanceof Error ? error : new Error(String(error))
    this.fail(cause, 'proxy_internal_error')
  }

  #onSocket(socket: TLSSocket): void {
    const client = this.#client!
    if (this.done) return
    if (this.#chunked && !client.headersSent) {
      // httpxy knows no body without a length on these methods.
      if (client.hasHeader('content-length')) client.removeHeader('content-length')
      client.setHeader('transfer-encoding', 'chunked')
    }
    socket.once('data', () => this.#sink.onFirstByte())
    if (client.reusedSocket || !isConnecting(socket)) {
      this.#connected = true
      return
    }
    this.#connectStartedAtMs = performance.now()
    const { connectMs } = this.#upstream.settings
    if (connectMs > 0) this.#connectTimer = setTimeout(onConnectTimeout, connectMs, this)
    socket.once(this.#upstream.target.secure ? 'secureConnect' : 'connect', () => {
      clearTimeout(this.#connectTimer)
      this.#connectMs = performance.now() - this.#connectStartedAtMs
      this.#connected = true
      if (this.#readyForBody) this.#begin()
    })
  }

  /** The connection is there and the handlers have run: the request goes out. */
  #begin(): void {
    if (this.done) return
    const client = this.#client!
    this.#sink.onSent(this, client.reusedSocket, this.#connectMs)
    if (this.done) return
    const body = this.#body
    if (body instanceof RequestBody) {
      if (this.#handlerWroteBody) {
        this.fail(new Error('a handler of "proxyReq" wrote a body beside the client\'s'), 'proxy_internal_error')
      } else this.#pump(body, client)
    } else if (body === undefined || this.#handlerWroteBody) client.end()
    else client.end(body)
  }

  #pump(body: RequestBody, client: ClientRequest): void {
    body.on('data', (chunk: Buffer) => {
      if (!client.write(chunk)) body.pause()
    })
    client.on('drain', () => body.resume())
    body.on('end', () => client.end())
    body.on('error', (error: Error) => this.fail(error))
    body.resume()
  }

  /** `fixRequestBody` and its like write a parsed body themselves; the proxy, which rebuilds it too, then must not. */
  #watchWrites(client: ClientRequest, handlers: () => void): void {
    const { write } = client
    client.write = ((...args: Parameters<typeof write>) => {
      this.#handlerWroteBody = true
      return Reflect.apply(write, client, args)
    }) as typeof write
    handlers()
    client.write = write
  }

  #onInformation(info: InformationEvent): void {
    if (!this.done) this.#sink.onInformational(info.statusCode, toResponseHeaders(info.rawHeaders as never))
  }

  #onUpgrade(incoming: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (this.done || this.upgrade === undefined) {
      socket.destroy()
      this.fail(new Error('the upstream changed to another protocol unasked'), 'http_protocol_error')
      return
    }
    this.#finish(true)
    this.#upstream.onUpgraded(incoming, socket, head)
    this.#sink.onUpgrade(toResponseHeaders(incoming.rawHeaders), socket, head)
  }

  #onClientError(error: Error): void {
    // What has arrived whole is delivered, whatever becomes of an upload that it did not wait for.
    if (this.#incoming?.complete === true) return
    this.fail(error)
  }

  /** The connection has gone; news only when nothing else has told so before. */
  #onClosed(): void {
    if (!this.done) this.fail(hungUp())
  }

  #onEnd(incoming: IncomingMessage): void {
    if (this.done) return
    if (!incoming.complete) {
      this.fail(hungUp())
      return
    }
    this.#finish(true)
    this.#sink.onEnd(toResponseHeaders(incoming.rawTrailers))
  }

  #finish(whole: boolean): void {
    this.done = true
    clearTimeout(this.#connectTimer)
    this.#upstream.leave(this)
    // The rest of an upload that nobody waits for any more.
    if (this.#body instanceof RequestBody && !this.#body.ended) this.#body.destroy()
    this.#facade.close(whole)
  }
}

/** One object for all: an abort of ours needs no stack. With this code httpxy tells a client that left from a failure. */
const GIVEN_UP: Error = Object.assign(new Error('the proxy gave the request up'), { code: 'ECONNRESET', stack: '' })

function hungUp(): Error {
  return Object.assign(new Error('the connection was closed'), { code: 'ECONNRESET' })
}

function isConnecting(socket: TLSSocket & { readonly secureConnecting?: boolean }): boolean {
  return socket.connecting || socket.secureConnecting === true
}

function onConnectTimeout(exchange: HpmExchange): void {
  exchange.onConnectTimeout()
}

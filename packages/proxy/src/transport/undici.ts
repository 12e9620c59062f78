import type { Duplex } from 'node:stream'
import { Readable } from 'node:stream'
import type { Target } from '@postern/contracts'
import { buildConnector, Client, type Dispatcher, Pool } from 'undici'
import { RequestBody } from '../message/request-body.ts'
import type {
  ConnectionSettings,
  Flow,
  ResponseHeaders,
  ResponseSink,
  Transport,
  Upstream,
  UpstreamRequest,
} from './transport.ts'

/** The default transport: one undici pool a target, its `dispatch()` written straight to the sink. */
export function undiciTransport(): Transport {
  return {
    name: 'undici',
    features: { http2: true, upgrades: true, informational: true },
    connect: (target, settings) => new UndiciUpstream(target, settings),
  }
}

class UndiciUpstream implements Upstream {
  readonly #origin: string
  readonly #options: Pool.Options
  readonly #pool: Pool
  readonly #http2: boolean
  /** Connections outside the pool, each for one request. */
  readonly #fresh = new Set<Client>()
  /** Sent as SNI and verified; set on every request, so that a preserved client `Host` never decides it. */
  readonly servername: string | undefined
  /**
   * How long the connection took that is being handed over at this moment; undefined at all other times. undici
   * announces a connection and writes its first request in one stack, which is how that request learns that its
   * connection is new.
   */
  freshConnectMs: number | undefined = undefined
  /**
   * True while undici is being told that a connection broke. It takes a body that ends with its connection for whole
   * then; a reset says that it is not.
   */
  breaking = false

  constructor(target: Target, settings: ConnectionSettings) {
    this.#origin = target.origin
    this.#http2 = settings.http2
    this.servername = target.secure ? (target.tls?.servername ?? new URL(target.origin).hostname) : undefined
    this.#options = {
      connect: this.#connector(target, settings),
      connections: settings.maxConnections,
      pipelining: 1,
      allowH2: settings.http2,
      keepAliveTimeout: settings.keepAliveMs,
      // A target's hint may shorten that, never lengthen it.
      keepAliveMaxTimeout: settings.keepAliveMs,
      // Half of what the target announces is a margin for the round trip of its FIN.
      keepAliveTimeoutThreshold: 1_000,
      maxHeaderSize: settings.maxResponseHeaderBytes,
      // The proxy's own timers: undici's cannot be lifted once the content type is known.
      headersTimeout: 0,
      bodyTimeout: 0,
    }
    this.#pool = new Pool(this.#origin, this.#options)
  }

  dispatch(request: UpstreamRequest, sink: ResponseSink): void {
    // A pool that was destroyed refuses the request; a client of its own would not know.
    const dispatcher = request.fresh && !this.#pool.destroyed ? this.#freshClient() : this.#pool
    try {
      dispatcher.dispatch(
        {
          path: request.path,
          method: request.method as Dispatcher.HttpMethod,
          headers: headersOf(request),
          body: (this.#http2 ? asReadable(request.body) : request.body) as Readable | Buffer | null,
          upgrade: request.upgrade ?? null,
          servername: this.servername,
        } as Dispatcher.DispatchOptions,
        new UndiciExchange(this, sink),
      )
    } catch (error) {
      sink.onError(error as Error)
    }
  }

  async close(): Promise<void> {
    if (!this.#pool.closed) await this.#pool.close()
  }

  async destroy(): Promise<void> {
    const clients = [...this.#fresh].map((client) => client.destroy())
    if (!this.#pool.destroyed) await this.#pool.destroy()
    await Promise.all(clients)
  }

  /** A connection of its own, closed behind its one request. */
  #freshClient(): Client {
    const { connections: _, ...options } = this.#options
    const client = new Client(this.#origin, options as Client.Options)
    this.#fresh.add(client)
    // Closing lets the request that is about to be dispatched finish.
    queueMicrotask(() => {
      const gone = (): void => void this.#fresh.delete(client)
      client.close().then(gone, gone)
    })
    return client
  }

  #connector(target: Target, settings: ConnectionSettings): buildConnector.connector {
    const tls = target.tls
    const base = buildConnector({
      timeout: settings.connectMs,
      allowH2: settings.http2,
      // A tunnel may close one direction and go on in the other; undici itself closes on FIN for plain HTTP.
      allowHalfOpen: true,
      ...(settings.http2 ? { preferH2: true } : null),
      ...(target.socketPath === undefined ? null : { socketPath: target.socketPath }),
      ...(tls === undefined
        ? null
        : {
            ...(tls.ca === undefined ? null : { ca: tls.ca as string[] }),
            ...(tls.cert === undefined ? null : { cert: tls.cert }),
            ...(tls.key === undefined ? null : { key: tls.key }),
            ...(tls.passphrase === undefined ? null : { passphrase: tls.passphrase }),
            rejectUnauthorized: tls.rejectUnauthorized ?? true,
          }),
    } as buildConnector.BuildOptions)
    const servername = tls?.servername
    return (options, callback) => {
      const startedAt = performance.now()
      // The name comes from the target alone: an IP address has none unless the options give one.
      const { servername: _, ...rest } = options
      base((servername === undefined ? rest : { ...rest, servername }) as buildConnector.Options, (...result) => {
        this.freshConnectMs = performance.now() - startedAt
        const [, socket] = result
        socket?.on('error', () => {
          this.breaking = true
        })
        try {
          callback(...result)
        } finally {
          this.freshConnectMs = undefined
        }
        // Behind undici's own listener.
        socket?.on('error', () => {
          this.breaking = false
        })
      })
    }
  }
}

/** One request on undici: turns its callbacks into the sink's. */
class UndiciExchange implements Dispatcher.DispatchHandler, Flow {
  readonly #upstream: UndiciUpstream
  readonly #sink: ResponseSink
  #controller: Dispatcher.DispatchController | undefined = undefined
  /** The end of the connection is the only sign of the end of the body. */
  #untilClose = false

  constructor(upstream: UndiciUpstream, sink: ResponseSink) {
    this.#upstream = upstream
    this.#sink = sink
  }

  abort(): void {
    this.#controller?.abort(ABORTED)
  }
  pause(): void {
    this.#controller?.pause()
  }
  resume(): void {
    this.#controller?.resume()
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    const connectMs = this.#upstream.freshConnectMs
    this.#upstream.freshConnectMs = undefined
    this.#sink.onSent(this, connectMs === undefined, connectMs ?? 0)
  }
  onRequestSent(): void {
    this.#sink.onBodySent()
  }
  onResponseStarted(): void {
    this.#sink.onFirstByte()
  }
  onResponseStart(_: unknown, status: number, headers: object, statusText?: string): void {
    const received = headers as ResponseHeaders
    if (status < 200) {
      this.#sink.onInformational(status, received)
      return
    }
    this.#untilClose = received['content-length'] === undefined && received['transfer-encoding'] === undefined
    this.#sink.onHead(status, received, statusText ?? '')
  }
  onResponseData(_: unknown, chunk: Buffer): void {
    this.#sink.onData(chunk)
  }
  onResponseEnd(_: unknown, trailers: object): void {
    if (this.#untilClose && this.#upstream.breaking) {
      this.#sink.onError(new Error('the connection broke in the middle of the body'), 'http_response_incomplete')
    } else this.#sink.onEnd(trailers as ResponseHeaders)
  }
  onRequestUpgrade(_: unknown, _status: number, headers: object, socket: Duplex): void {
    const head = (socket.read() as Buffer | null) ?? EMPTY
    this.#sink.onUpgrade(headers as ResponseHeaders, socket, head)
  }
  onResponseError(_: unknown, error: Error): void {
    this.#sink.onError(error)
  }
}

const EMPTY = Buffer.alloc(0)

/** One object for all: an abort of ours needs no stack. */
const ABORTED: Error = Object.assign(new Error('the proxy gave the request up'), { stack: '' })

function headersOf(request: UpstreamRequest): string[] {
  const { headers, host, contentLength } = request
  if (host === undefined && contentLength === undefined) return headers
  const all = headers.slice()
  if (host !== undefined) all.push('host', host)
  if (contentLength !== undefined && request.body !== undefined) all.push('content-length', String(contentLength))
  return all
}

/** For HTTP/2, where undici pipes the body: a stream that can be piped. */
function asReadable(body: RequestBody | Buffer | undefined): Readable | Buffer | undefined {
  if (!(body instanceof RequestBody)) return body
  const readable = new Readable({
    read: () => void body.resume(),
    destroy: (error, done) => {
      body.destroy()
      done(error)
    },
  })
  body.on('data', (chunk: Buffer) => {
    if (!readable.push(chunk)) body.pause()
  })
  body.on('end', () => readable.push(null))
  body.on('error', (error: Error) => readable.destroy(error))
  return readable
}

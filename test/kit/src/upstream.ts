import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import type { Server } from 'node:net'
import { certificates } from './certificates.ts'
import { closeServer, listen, trackSockets } from './sockets.ts'

/** What an upstream saw of one request. Live: `body`, `trailers`, `complete` and `aborted` change as things arrive. */
export interface RecordedRequest {
  readonly method: string
  readonly url: string
  readonly httpVersion: string
  /** Names and values in turn, as they stood on the wire. */
  readonly rawHeaders: readonly string[]
  readonly headers: http.IncomingHttpHeaders
  /** What has arrived of the body. */
  readonly body: Buffer
  readonly trailers: NodeJS.Dict<string>
  /** True once the whole request has arrived. */
  readonly complete: boolean
  /** True when the connection went away before the answer was finished. */
  readonly aborted: boolean
  /** True once the answer is finished or the connection is gone. */
  readonly closed: boolean
  /** Every value of a header, in order, the name in any case. */
  all(name: string): string[]
}

export type UpstreamHandler = (
  req: http.IncomingMessage,
  res: http.ServerResponse,
  record: RecordedRequest,
) => void | Promise<void>

export interface UpstreamOptions {
  /** `true`: the kit's own server certificate; give `certificates().ca.cert` to the client. */
  readonly tls?: boolean | https.ServerOptions
  /** HTTP/2 over TLS, chosen by ALPN, with HTTP/1.1 beside it. Implies `tls`. */
  readonly http2?: boolean
  /** Listens on this Unix socket instead of a port. */
  readonly socketPath?: string
  /** How long an idle connection is kept, in milliseconds. @default Node's (5_000) */
  readonly keepAliveTimeoutMs?: number
  /** Further options of node:http's server. */
  readonly server?: http.ServerOptions
}

/** A real HTTP server that remembers every request. */
export interface Upstream {
  /** `http://127.0.0.1:port`, `https://…`, or `unix:/path`. */
  readonly url: string
  /** 0 on a Unix socket. */
  readonly port: number
  readonly server: Server
  readonly requests: readonly RecordedRequest[]
  /** The newest request. @throws when there is none */
  readonly last: RecordedRequest
  /** Sockets that are open now. */
  readonly sockets: number
  /** Connections ever accepted. */
  readonly connections: number
  /** Cuts every open connection, and goes on listening. */
  cut(): void
  /** Stops listening and cuts every open connection. */
  close(): Promise<void>
}

/**
 * Starts an upstream on 127.0.0.1. Without a handler it answers 200 with a JSON echo of `method`, `url`, `headers` and
 * `bodyBytes` once the body has arrived.
 */
export async function startUpstream(
  handler: UpstreamHandler | undefined = echo,
  options: UpstreamOptions = {},
): Promise<Upstream> {
  const requests: RecordedRequest[] = []
  const listener = (req: http.IncomingMessage, res: http.ServerResponse) => {
    const record = recordOf(req, res)
    requests.push(record)
    // A handler that throws is a fault of the test: let it surface as an uncaught error.
    void handler(req, res, record)
  }
  const secure = options.http2 === true || (options.tls !== undefined && options.tls !== false)
  const tls = typeof options.tls === 'object' ? options.tls : certificates().server
  let server: Server
  if (options.http2 === true) {
    const listener2 = listener as unknown as (req: http2.Http2ServerRequest, res: http2.Http2ServerResponse) => void
    server = http2.createSecureServer({ ...tls, allowHTTP1: true } as http2.SecureServerOptions, listener2)
  } else if (secure) server = https.createServer({ ...options.server, ...tls }, listener)
  else server = http.createServer({ ...options.server }, listener)
  if (options.keepAliveTimeoutMs !== undefined) {
    ;(server as http.Server).keepAliveTimeout = options.keepAliveTimeoutMs
  }
  server.on('clientError', (_error, socket) => socket.destroy())
  server.on('tlsClientError', () => {})
  const sockets = trackSockets(server)
  const port = await listen(server, options.socketPath)
  const url =
    options.socketPath === undefined ? `${secure ? 'https' : 'http'}://127.0.0.1:${port}` : `unix:${options.socketPath}`
  return {
    url,
    port,
    server,
    requests,
    get last() {
      const newest = requests.at(-1)
      if (newest === undefined) throw new Error('the upstream has seen no request')
      return newest
    },
    get sockets() {
      return sockets.open
    },
    get connections() {
      return sockets.total
    },
    cut: () => sockets.destroyAll(),
    close: () => closeServer(server, sockets),
  }
}

function echo(req: http.IncomingMessage, res: http.ServerResponse, record: RecordedRequest): void {
  req.resume()
  req.on('end', () => {
    const { method, url, headers, body } = record
    res.setHeader('content-type', 'application/json')
    res.end(JSON.stringify({ method, url, headers, bodyBytes: body.length }))
  })
}

function recordOf(req: http.IncomingMessage, res: http.ServerResponse): RecordedRequest {
  const chunks: Buffer[] = []
  let closed = false
  let aborted = false
  // Recorded where the parser hands the bytes over, so that the handler still decides whether and how fast to read.
  const push = req.push
  req.push = function recordingPush(chunk: Buffer | null, encoding?: BufferEncoding) {
    if (chunk !== null) chunks.push(Buffer.from(chunk))
    return push.call(this, chunk, encoding)
  }
  res.once('close', () => {
    closed = true
    aborted = !res.writableFinished
  })
  res.on('error', () => {})
  req.on('error', () => {})
  const rawHeaders = [...req.rawHeaders]
  return {
    method: req.method!,
    url: req.url!,
    httpVersion: req.httpVersion,
    rawHeaders,
    headers: req.headers,
    get body() {
      if (chunks.length > 1) chunks.splice(0, chunks.length, Buffer.concat(chunks))
      return chunks[0] ?? Buffer.alloc(0)
    },
    get trailers() {
      return req.trailers
    },
    get complete() {
      return req.complete
    },
    get aborted() {
      return aborted
    },
    get closed() {
      return closed
    },
    all(name) {
      return valuesOf(rawHeaders, name)
    },
  }
}

/** Every value of a header in a raw header list, in order, the name in any case. */
export function valuesOf(rawHeaders: readonly string[], name: string): string[] {
  const wanted = name.toLowerCase()
  const values: string[] = []
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i]!.toLowerCase() === wanted) values.push(rawHeaders[i + 1]!)
  }
  return values
}

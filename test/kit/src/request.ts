import http from 'node:http'
import https from 'node:https'
import type { Readable } from 'node:stream'

export interface RequestOptions {
  readonly method?: string
  /** An object, or names and values in turn to keep case, order and repetition. */
  readonly headers?: http.OutgoingHttpHeaders | readonly string[]
  /** A stream is sent chunked unless the headers state a Content-Length. */
  readonly body?: string | Uint8Array | Readable
  /** Trailers behind a chunked body. */
  readonly trailers?: Readonly<Record<string, string>>
  /** @default a connection of its own, closed behind the answer */
  readonly agent?: http.Agent
  /** Cuts the request: rejects while there is no head of an answer, else resolves with `aborted`. */
  readonly signal?: AbortSignal
  /** Called with the head of the answer, before its body is read; may destroy the request. */
  readonly onResponse?: (res: http.IncomingMessage, req: http.ClientRequest) => void
  /** The request target as it shall stand in the request line, when the URL parser would change it. */
  readonly path?: string
  /** Authorities to trust, for https. */
  readonly ca?: string
  /** Client certificate and key, for https. */
  readonly cert?: string
  readonly key?: string
  /** Fails when the whole exchange takes longer, in milliseconds. @default 10_000 */
  readonly timeoutMs?: number
}

/** An answer, read to its end or to where it was cut. */
export interface Reply {
  readonly status: number
  readonly statusMessage: string
  readonly headers: http.IncomingHttpHeaders
  /** Names and values in turn, as they stood on the wire. */
  readonly rawHeaders: readonly string[]
  readonly body: Buffer
  readonly text: string
  /** The body as JSON. @throws when it is none */
  json(): unknown
  readonly trailers: NodeJS.Dict<string>
  /** Interim responses (1xx), in order. */
  readonly informational: readonly http.InformationEvent[]
  /** True when the whole answer arrived. */
  readonly complete: boolean
  /** True when the connection went away in the middle of the answer. */
  readonly aborted: boolean
}

/**
 * One request with node:http, its answer read whole.
 *
 * @throws when no head of an answer came: refused, reset, aborted, out of time
 */
export function request(url: string | URL, options: RequestOptions = {}): Promise<Reply> {
  const target = new URL(url)
  const secure = target.protocol === 'https:'
  return new Promise((resolve, reject) => {
    const informational: http.InformationEvent[] = []
    let answered = false
    const req = (secure ? https : http).request(target, {
      method: options.method ?? 'GET',
      agent: options.agent ?? false,
      ...(options.headers !== undefined && { headers: options.headers as http.OutgoingHttpHeaders }),
      ...(options.path !== undefined && { path: options.path }),
      ...(options.ca !== undefined && { ca: options.ca }),
      ...(options.cert !== undefined && { cert: options.cert }),
      ...(options.key !== undefined && { key: options.key }),
      ...(options.signal !== undefined && { signal: options.signal }),
    })
    const timeoutMs = options.timeoutMs ?? 10_000
    const timer = setTimeout(() => {
      const error = new Error(`request(): ${req.method} ${target} took longer than ${timeoutMs} ms`)
      reject(error)
      req.destroy(error)
    }, timeoutMs)
    req.on('information', (info) => informational.push(info))
    req.on('error', (error) => {
      // Behind the head of an answer the answer itself tells how it ended, also when the upload broke.
      if (answered) return
      clearTimeout(timer)
      reject(error)
    })
    req.on('upgrade', (res, socket) => {
      clearTimeout(timer)
      socket.destroy()
      reject(new Error(`request(): the connection was switched to another protocol (${res.statusCode})`))
    })
    req.on('response', (res) => {
      answered = true
      const chunks: Buffer[] = []
      res.on('data', (chunk: Buffer) => chunks.push(chunk))
      res.on('error', () => {})
      res.once('close', () => {
        clearTimeout(timer)
        const body = Buffer.concat(chunks)
        resolve({
          status: res.statusCode!,
          statusMessage: res.statusMessage!,
          headers: res.headers,
          rawHeaders: res.rawHeaders,
          body,
          text: body.toString(),
          json: () => JSON.parse(body.toString()) as unknown,
          trailers: res.trailers,
          informational,
          complete: res.complete,
          aborted: !res.complete,
        })
      })
      options.onResponse?.(res, req)
    })
    send(req, options)
  })
}

function send(req: http.ClientRequest, { body, trailers }: RequestOptions): void {
  if (trailers !== undefined) req.addTrailers(trailers)
  if (body === undefined || typeof body === 'string' || body instanceof Uint8Array) {
    // A body that is at hand gets a Content-Length from Node, unless trailers ask for chunks.
    if (trailers !== undefined && body !== undefined) req.write(body)
    req.end(trailers === undefined ? body : undefined)
    return
  }
  body.on('error', (error) => req.destroy(error))
  req.once('close', () => body.destroy())
  body.pipe(req)
}

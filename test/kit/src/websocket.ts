import http, { type IncomingHttpHeaders } from 'node:http'
import { type ClientOptions, WebSocket, WebSocketServer } from 'ws'
import { closeServer, listen, trackSockets } from './sockets.ts'

/** What one side received. */
export interface WebSocketMessage {
  readonly data: Buffer
  readonly isBinary: boolean
}

/** How a WebSocket ended. */
export interface WebSocketEnd {
  /** 1006 when the connection went away without a closing handshake. */
  readonly code: number
  readonly reason: string
}

/** What an upstream saw of one WebSocket. Live. */
export interface RecordedWebSocket {
  readonly socket: WebSocket
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly rawHeaders: readonly string[]
  readonly protocol: string
  readonly extensions: string
  readonly messages: readonly WebSocketMessage[]
  /** Undefined while it is open. */
  readonly end: WebSocketEnd | undefined
}

export interface WebSocketUpstreamOptions {
  /** Chooses the sub-protocol out of those offered; `false` for none. @default the first one */
  readonly chooseProtocol?: (offered: ReadonlySet<string>) => string | false
  /** @default true */
  readonly perMessageDeflate?: boolean
  /** Sends every message back. @default true */
  readonly echo?: boolean
  readonly onConnection?: (recorded: RecordedWebSocket) => void
}

export interface WebSocketUpstream {
  /** `http://127.0.0.1:port`, as a proxy is given it. */
  readonly url: string
  /** `ws://127.0.0.1:port` */
  readonly wsUrl: string
  readonly port: number
  readonly webSockets: readonly RecordedWebSocket[]
  /** Sockets that are open now. */
  readonly sockets: number
  close(): Promise<void>
}

/** Starts a WebSocket server on 127.0.0.1. Plain HTTP requests are answered 426. */
export async function startWebSocketUpstream(options: WebSocketUpstreamOptions = {}): Promise<WebSocketUpstream> {
  const server = http.createServer((_req, res) => {
    res.writeHead(426, { upgrade: 'websocket' }).end()
  })
  const webSockets: RecordedWebSocket[] = []
  const wss = new WebSocketServer({
    server,
    perMessageDeflate: options.perMessageDeflate === false ? false : { threshold: 0 },
    ...(options.chooseProtocol !== undefined && { handleProtocols: options.chooseProtocol }),
  })
  wss.on('connection', (socket, req) => {
    const messages: WebSocketMessage[] = []
    let end: WebSocketEnd | undefined
    const recorded: RecordedWebSocket = {
      socket,
      url: req.url!,
      headers: req.headers,
      rawHeaders: req.rawHeaders,
      protocol: socket.protocol,
      extensions: socket.extensions,
      messages,
      get end() {
        return end
      },
    }
    webSockets.push(recorded)
    socket.on('error', () => {})
    socket.on('message', (data, isBinary) => {
      messages.push({ data: toBuffer(data), isBinary })
      if (options.echo !== false) socket.send(data, { binary: isBinary })
    })
    socket.on('close', (code, reason) => {
      end = { code, reason: reason.toString() }
    })
    options.onConnection?.(recorded)
  })
  const sockets = trackSockets(server)
  const port = await listen(server)
  return {
    url: `http://127.0.0.1:${port}`,
    wsUrl: `ws://127.0.0.1:${port}`,
    port,
    webSockets,
    get sockets() {
      return sockets.open
    },
    async close() {
      wss.close()
      await closeServer(server, sockets)
    },
  }
}

/** A handshake that was answered with something else than 101. */
export class HandshakeRefused extends Error {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string

  constructor(status: number, headers: IncomingHttpHeaders, body: string) {
    super(`the WebSocket handshake was answered ${status}: ${body}`)
    this.status = status
    this.headers = headers
    this.body = body
  }
}

/** An open WebSocket. */
export interface ConnectedWebSocket {
  readonly socket: WebSocket
  /** The sub-protocol that was chosen; empty for none. */
  readonly protocol: string
  readonly extensions: string
  /** Headers of the 101. */
  readonly headers: IncomingHttpHeaders
  send(data: string | Uint8Array): void
  /** The next message that was not taken yet. @throws when the connection ends before */
  next(): Promise<WebSocketMessage>
  /** Resolves when the connection is over. */
  readonly ended: Promise<WebSocketEnd>
  /** Closes with a handshake; cuts when it takes longer than a second. */
  close(code?: number): Promise<WebSocketEnd>
}

/**
 * Opens a WebSocket.
 *
 * @param url `ws://…`; `http://…` is taken as `ws://…`
 * @throws HandshakeRefused when the answer is not 101
 */
export function connectWebSocket(
  url: string,
  protocols: readonly string[] = [],
  options: ClientOptions = {},
): Promise<ConnectedWebSocket> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url.replace(/^http/, 'ws'), [...protocols], options)
    let headers: IncomingHttpHeaders = {}
    const queue: WebSocketMessage[] = []
    const takers: { resolve(message: WebSocketMessage): void; reject(error: Error): void }[] = []
    const ended = new Promise<WebSocketEnd>((settle) => {
      socket.on('close', (code, reason) => {
        for (const taker of takers.splice(0)) taker.reject(new Error(`the WebSocket ended (${code})`))
        settle({ code, reason: reason.toString() })
      })
    })
    socket.on('error', reject)
    socket.on('upgrade', (res) => {
      headers = res.headers
    })
    socket.on('unexpected-response', (_req, res) => {
      const chunks: Buffer[] = []
      res.on('data', (chunk: Buffer) => chunks.push(chunk))
      res.on('close', () => {
        reject(new HandshakeRefused(res.statusCode!, res.headers, Buffer.concat(chunks).toString()))
        socket.terminate()
      })
    })
    socket.on('message', (data, isBinary) => {
      const message = { data: toBuffer(data), isBinary }
      const taker = takers.shift()
      if (taker === undefined) queue.push(message)
      else taker.resolve(message)
    })
    socket.on('open', () =>
      resolve({
        socket,
        protocol: socket.protocol,
        extensions: socket.extensions,
        headers,
        send: (data) => socket.send(data),
        next: () =>
          new Promise((settle, fail) => {
            const message = queue.shift()
            if (message !== undefined) settle(message)
            else if (socket.readyState >= WebSocket.CLOSING) fail(new Error('the WebSocket has ended'))
            else takers.push({ resolve: settle, reject: fail })
          }),
        ended,
        async close(code = 1000) {
          const timer = setTimeout(() => socket.terminate(), 1_000)
          socket.close(code)
          const end = await ended
          clearTimeout(timer)
          return end
        },
      }),
    )
  })
}

function toBuffer(data: Buffer | ArrayBuffer | Buffer[]): Buffer {
  if (Array.isArray(data)) return Buffer.concat(data)
  return Buffer.isBuffer(data) ? data : Buffer.from(data)
}

import http from 'node:http'
import https from 'node:https'
import { certificates } from './certificates.ts'
import { closeServer, listen, trackSockets } from './sockets.ts'

export interface ServeOptions {
  /** `true`: the kit's own server certificate. */
  readonly tls?: boolean | https.ServerOptions
  /** Further options of node:http's server. */
  readonly server?: http.ServerOptions
}

/** An app that listens. */
export interface Served {
  /** `http://127.0.0.1:port` */
  readonly url: string
  readonly port: number
  readonly server: http.Server
  /** Sockets that are open now. */
  readonly sockets: number
  /** Stops listening and cuts every open connection. */
  close(): Promise<void>
}

/** Serves a handler (an Express app is one) on 127.0.0.1 at a free port. */
export async function serve(handler: http.RequestListener, options: ServeOptions = {}): Promise<Served> {
  const secure = options.tls !== undefined && options.tls !== false
  const tls = typeof options.tls === 'object' ? options.tls : undefined
  const server = secure
    ? https.createServer({ ...options.server, ...(tls ?? certificates().server) }, handler)
    : http.createServer({ ...options.server }, handler)
  const sockets = trackSockets(server)
  const port = await listen(server)
  return {
    url: `${secure ? 'https' : 'http'}://127.0.0.1:${port}`,
    port,
    server,
    get sockets() {
      return sockets.open
    },
    close: () => closeServer(server, sockets),
  }
}

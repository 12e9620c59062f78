import { createServer as createHttpServer, type Server } from 'node:http'
import { harden, proxy } from '@postern/proxy'
import type { GatewayContext } from '../lib/protocol.ts'

/** `http.createServer(proxy(url))`, no framework. */
export function createServer({ upstreams }: GatewayContext): Server {
  const server = createHttpServer(proxy(upstreams[0]!))
  harden(server)
  return server
}

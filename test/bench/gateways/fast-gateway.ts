import type { Server } from 'node:http'
import gateway from 'fast-gateway'
import type { GatewayContext } from '../lib/protocol.ts'

/** fast-gateway on its own server, with its own defaults (keep-alive agent). */
export function createServer({ upstreams }: GatewayContext): Server {
  const service = gateway({ routes: [{ prefix: '', target: upstreams[0]! }] })
  return service.getServer() as Server
}

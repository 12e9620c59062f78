import { createServer as createHttpServer, type Server } from 'node:http'
import { gateway } from '@postern/gateway'
import express from 'express'
import { TEN_PREFIXES } from '../lib/paths.ts'
import type { GatewayContext } from '../lib/protocol.ts'

/** `gateway(config)` as in `postern-gateway`, one log line a request included, with `cache: true` on its ten routes. */
export function createServer({ upstreams }: GatewayContext): Server {
  const gate = gateway({
    upstreams: { shop: { targets: [...upstreams] } },
    routes: TEN_PREFIXES.map((prefix) => ({ prefix, upstream: 'shop' as const, cache: true })),
  })
  const app = express()
  app.disable('x-powered-by')
  app.use(gate)
  const server = createHttpServer(app)
  gate.attach(server)
  return server
}

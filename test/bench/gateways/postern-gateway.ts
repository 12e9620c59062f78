import { createServer as createHttpServer, type Server } from 'node:http'
import { gateway } from '@postern/gateway'
import express from 'express'
import { TEN_PREFIXES } from '../lib/paths.ts'
import type { GatewayContext } from '../lib/protocol.ts'

/** `gateway(config)` in Express, with its defaults, one log line a request among them: the same ten routes and three targets as `postern-full`. */
export function createServer({ upstreams }: GatewayContext): Server {
  const gate = gateway({
    upstreams: { shop: { targets: [...upstreams] } },
    routes: TEN_PREFIXES.map((prefix) => ({ prefix, upstream: 'shop' as const })),
  })
  const app = express()
  app.use(gate)
  const server = createHttpServer(app)
  gate.attach(server)
  return server
}

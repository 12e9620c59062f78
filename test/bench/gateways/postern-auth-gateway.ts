import { createServer as createHttpServer, type Server } from 'node:http'
import { gateway } from '@postern/gateway'
import express from 'express'
import { strategyOf } from '../lib/auth-strategies.ts'
import { TEN_PREFIXES } from '../lib/paths.ts'
import type { GatewayContext } from '../lib/protocol.ts'

/** `gateway(config)` with `auth`, breaker and retries: ten routes that only known callers may use, three targets, one log line a request. */
export function createServer({ upstreams, params }: GatewayContext): Server {
  const gate = gateway({
    auth: { schemes: strategyOf(params), rule: 'authenticated' },
    upstreams: { shop: { targets: [...upstreams], breaker: true, retries: { attempts: 3 } } },
    routes: TEN_PREFIXES.map((prefix) => ({ prefix, upstream: 'shop' as const })),
  })
  const app = express()
  app.use(gate)
  const server = createHttpServer(app)
  gate.attach(server)
  return server
}

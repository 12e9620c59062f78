import { createServer as createHttpServer, type Server } from 'node:http'
import { authenticate } from '@postern/auth'
import { harden, proxy } from '@postern/proxy'
import express from 'express'
import { strategyOf } from '../lib/auth-strategies.ts'
import type { GatewayContext } from '../lib/protocol.ts'

/** `authenticate()` with `jwt()` or `apiKey()`, whichever the credentials of the scenario ask for, before `proxy(url)` in Express. */
export function createServer({ upstreams, params }: GatewayContext): Server {
  const app = express()
  app.use(authenticate(strategyOf(params)))
  app.use(proxy(upstreams[0]!))
  const server = createHttpServer(app)
  harden(server)
  return server
}

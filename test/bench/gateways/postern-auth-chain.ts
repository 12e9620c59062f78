import { createServer as createHttpServer, type Server } from 'node:http'
import { authenticate } from '@postern/auth'
import { balancer } from '@postern/balancer'
import { circuitBreaker } from '@postern/circuit-breaker'
import { logger } from '@postern/logger'
import { harden, proxy } from '@postern/proxy'
import express from 'express'
import { strategyOf } from '../lib/auth-strategies.ts'
import type { GatewayContext } from '../lib/protocol.ts'

/** `logger() + authenticate(jwt()) + balancer() + circuitBreaker() + proxy()` with retries, in Express: three targets, one log line a request. */
export function createServer({ upstreams, params }: GatewayContext): Server {
  const app = express()
  app.use(logger())
  app.use(authenticate(strategyOf(params)))
  app.use(balancer({ targets: [...upstreams] }))
  app.use(circuitBreaker())
  app.use(proxy({ retries: { attempts: 3 } }))
  const server = createHttpServer(app)
  harden(server)
  return server
}

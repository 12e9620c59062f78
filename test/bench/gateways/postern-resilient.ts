import { createServer as createHttpServer, type Server } from 'node:http'
import { balancer } from '@postern/balancer'
import { circuitBreaker } from '@postern/circuit-breaker'
import { bulkhead, loadShedder } from '@postern/overload'
import { harden, proxy } from '@postern/proxy'
import express from 'express'
import type { GatewayContext } from '../lib/protocol.ts'

/**
 * `balancer()`, and as many of the other parts that a failing upstream calls for as `parts` names, before `proxy()`.
 * Nothing fails here: it shows what they cost on a quiet day.
 */
export function createServer({ upstreams, params }: GatewayContext): Server {
  const parts = String(params.parts).split('+')
  const app = express()
  if (parts.includes('shedder')) app.use(loadShedder({ maxInFlight: 10_000 }))
  if (parts.includes('bulkhead')) app.use(bulkhead({ maxInFlight: 1_000 }))
  app.use(balancer({ targets: [...upstreams] }))
  if (parts.includes('breaker')) app.use(circuitBreaker())
  app.use(proxy(parts.includes('retries') ? { retries: { attempts: 3 } } : {}))
  const server = createHttpServer(app)
  harden(server)
  return server
}

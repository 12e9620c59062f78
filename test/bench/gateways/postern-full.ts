import { createServer as createHttpServer, type Server } from 'node:http'
import { balancer } from '@postern/balancer'
import { logger } from '@postern/logger'
import { harden, proxy } from '@postern/proxy'
import { router } from '@postern/router'
import express from 'express'
import { TEN_PREFIXES } from '../lib/paths.ts'
import type { GatewayContext } from '../lib/protocol.ts'

/**
 * `logger() + router() + balancer() + proxy()` in Express: ten routes, three targets, one JSON line a request on standard
 * output, which the benchmark sends to a file.
 */
export function createServer({ upstreams }: GatewayContext): Server {
  const pool = balancer({ targets: [...upstreams] })
  const forward = proxy()
  const app = express()
  app.use(logger())
  app.use(router(TEN_PREFIXES.map((prefix) => ({ prefix, handlers: [pool, forward] }))))
  const server = createHttpServer(app)
  harden(server)
  return server
}

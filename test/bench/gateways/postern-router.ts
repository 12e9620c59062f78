import { createServer as createHttpServer, type Server } from 'node:http'
import { harden, proxy } from '@postern/proxy'
import { router } from '@postern/router'
import express from 'express'
import { routePrefix } from '../lib/paths.ts'
import type { GatewayContext } from '../lib/protocol.ts'

/** `router(routes)` with a chosen number of routes, all to one proxy. */
export function createServer({ upstreams, params }: GatewayContext): Server {
  const forward = proxy(upstreams[0]!)
  const routes = Array.from({ length: Number(params.routes) }, (_, index) => ({
    prefix: routePrefix(index),
    handlers: [forward],
  }))
  const app = express()
  app.use(router(routes))
  const server = createHttpServer(app)
  harden(server)
  return server
}

import { createServer as createHttpServer, type Server } from 'node:http'
import { cache } from '@postern/cache'
import { harden, proxy } from '@postern/proxy'
import express from 'express'
import type { GatewayContext } from '../lib/protocol.ts'

/** `app.use(cache())` before `app.use(proxy(url))` in Express, with the defaults of both. */
export function createServer({ upstreams }: GatewayContext): Server {
  const app = express()
  app.disable('x-powered-by')
  app.use(cache())
  app.use(proxy(upstreams[0]!))
  const server = createHttpServer(app)
  harden(server)
  return server
}

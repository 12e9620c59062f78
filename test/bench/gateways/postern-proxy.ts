import { createServer as createHttpServer, type Server } from 'node:http'
import { harden, proxy } from '@postern/proxy'
import express from 'express'
import type { GatewayContext } from '../lib/protocol.ts'

/** `app.use(proxy(url))` in Express. */
export function createServer({ upstreams }: GatewayContext): Server {
  const app = express()
  app.use(proxy(upstreams[0]!))
  const server = createHttpServer(app)
  harden(server)
  return server
}

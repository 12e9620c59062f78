import { Agent, createServer as createHttpServer, type Server } from 'node:http'
import express from 'express'
import { createProxyMiddleware } from 'http-proxy-middleware'
import type { GatewayContext } from '../lib/protocol.ts'

/** http-proxy-middleware in Express, with the keep-alive agent that its documentation recommends for speed. */
export function createServer({ upstreams }: GatewayContext): Server {
  const app = express()
  app.use(createProxyMiddleware({ target: upstreams[0]!, agent: new Agent({ keepAlive: true }) }))
  return createHttpServer(app)
}

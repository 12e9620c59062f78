import { Agent, createServer, type RequestListener } from 'node:http'
import { pathToFileURL } from 'node:url'
import express from 'express'
import { entryOfPeer } from '../lib/peers.ts'
import type { GatewaySetup } from '../lib/protocol.ts'
import type { HostedGateway } from '../processes/gateway.ts'

/** As much of http-proxy-middleware as is used here; it is a peer of the benchmark, not a dependency of the repository. */
interface HttpProxyMiddleware {
  createProxyMiddleware(options: {
    readonly router: () => string
    readonly agent: Agent
    readonly proxyTimeout: number
  }): RequestListener
}

export const SETTINGS = {
  default: 'in Express, round robin by its `router`, keep-alive agent, `proxyTimeout` 2 s; no retry, no health checks',
  limit: undefined,
  adaptive: undefined,
} as const

/** http-proxy-middleware over three targets in turn, as one writes it first. */
export async function createGateway({ upstreams }: GatewaySetup): Promise<HostedGateway> {
  const entry = entryOfPeer('http-proxy-middleware')
  const { createProxyMiddleware } = (await import(pathToFileURL(entry).href)) as HttpProxyMiddleware
  let turn = 0
  const router = (): string => {
    turn = (turn + 1) % upstreams.length
    return upstreams[turn]!
  }
  const app = express()
  app.use(createProxyMiddleware({ router, agent: new Agent({ keepAlive: true }), proxyTimeout: 2_000 }))
  const server = createServer(app)
  server.keepAliveTimeout = 65_000
  return {
    server,
    stop: () => new Promise((resolve) => server.close(() => resolve())),
  }
}

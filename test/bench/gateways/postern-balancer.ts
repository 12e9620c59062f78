import { createServer as createHttpServer, type Server } from 'node:http'
import { type BalancerOptions, balancer } from '@postern/balancer'
import { harden, proxy } from '@postern/proxy'
import express from 'express'
import type { GatewayContext } from '../lib/protocol.ts'

/** `balancer()` with a chosen number of targets and strategy, before `proxy()`. */
export function createServer({ upstreams, params }: GatewayContext): Server {
  const targets = upstreams.slice(0, Number(params.targets))
  const app = express()
  app.use(balancer({ targets, strategy: params.strategy as NonNullable<BalancerOptions['strategy']> }))
  app.use(proxy())
  const server = createHttpServer(app)
  harden(server)
  return server
}

import type { Server } from 'node:http'
import httpProxy from '@fastify/http-proxy'
import fastify from 'fastify'
import type { GatewayContext } from '../lib/protocol.ts'

/** @fastify/http-proxy on Fastify, with its own defaults (undici). */
export async function createServer({ upstreams }: GatewayContext): Promise<Server> {
  const app = fastify()
  await app.register(httpProxy, { upstream: upstreams[0]! })
  await app.ready()
  return app.server
}

import { createServer } from 'node:http'
import { ConfigError, exchangeOf } from '@postern/contracts'
import type { RouteHandler } from '@postern/router'
import { type Reply, refusedPort, startUpstream, type UpstreamHandler } from '@postern/test-kit'
import express from 'express'
import { afterEach } from 'vitest'
import { type GatewayConfig, gateway } from '../src/index.ts'

export const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

export async function upstream(handler: UpstreamHandler) {
  const started = await startUpstream(handler)
  closers.push(() => started.close())
  return started
}

export async function dead(): Promise<string> {
  const port = await refusedPort()
  closers.push(() => port.close())
  return port.url
}

/** Answers with `<path> 1`, `<path> 2`, …, one more with every request, and a Cache-Control. */
export function counting(cacheControl = 'max-age=60', headers: Readonly<Record<string, string>> = {}): UpstreamHandler {
  let asked = 0
  return (req, res) => {
    asked++
    res.writeHead(200, { 'cache-control': cacheControl, ...headers }).end(`${req.url} ${asked}`)
  }
}

/** A gateway in an Express app on a free port. @param before mounts what sees requests first @param behind what sees them last */
export async function start<Upstream extends string>(
  config: GatewayConfig<Upstream>,
  before?: (app: express.Express) => void,
  behind?: (app: express.Express) => void,
) {
  const gw = gateway({ logger: false, shutdown: { graceMs: 2_000 }, ...config } as GatewayConfig<Upstream>)
  const app = express()
  before?.(app)
  app.use(gw)
  behind?.(app)
  const server = createServer(app)
  gw.attach(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closers.push(() => gw.close())
  const { port } = server.address() as { port: number }
  return { gw, url: `http://127.0.0.1:${port}` }
}

/** What the cache says of an answer. */
export function cacheStatus(reply: Reply): string | undefined {
  const value = reply.headers['cache-status']
  return value === undefined ? undefined : String(value)
}

/** `path: cure` of every fault of a configuration; `path: message` where there is no cure. */
export function faultsOf(config: unknown): string[] {
  try {
    gateway(config as GatewayConfig)
  } catch (error) {
    if (error instanceof ConfigError)
      return error.faults.map((fault) => `${fault.path}: ${fault.cure ?? fault.message}`)
    throw error
  }
  return []
}

/** Stands for authentication: who calls is what `X-User` says. */
export const authenticates: RouteHandler = (req, res, next) => {
  const subject = req.headers['x-user']
  if (typeof subject === 'string') {
    exchangeOf(req, res).identity = { scheme: 'test', subject, scopes: [], roles: [], claims: {} }
  }
  next()
}

export const as = (user: string) => ({ headers: { 'x-user': user } })

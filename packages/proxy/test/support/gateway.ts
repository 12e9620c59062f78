import type { RequestListener } from 'node:http'
import {
  attemptSettled,
  harden,
  httpProxyMiddleware,
  type ProxyHandler,
  type ProxyOptions,
  proxy,
  type SettledAttempt,
  undiciTransport,
} from '@postern/proxy'
import { type ServeOptions, serve } from '@postern/test-kit'
import express, { type RequestHandler } from 'express'
import { afterEach } from 'vitest'

/** Every transport under every host: what one promises, all keep. */
export const EVERYWHERE = [
  { via: 'undici', under: 'a bare server' },
  { via: 'undici', under: 'Express' },
  { via: 'http-proxy-middleware', under: 'a bare server' },
  { via: 'http-proxy-middleware', under: 'Express' },
] as const

/** Every transport, for what the host has no part in. */
export const TRANSPORTS = [{ via: 'undici' }, { via: 'http-proxy-middleware' }] as const

export type Via = (typeof TRANSPORTS)[number]['via']

/** Which transport and which host; the rest goes to the proxy. */
export interface GatewayOptions extends ProxyOptions {
  readonly via: Via
  readonly under?: 'a bare server' | 'Express'
  /** Mounted in front of the proxy; Express then. */
  readonly before?: readonly RequestHandler[]
  readonly trustProxy?: boolean
  readonly serve?: ServeOptions
}

/** A proxy that listens. */
export interface Gateway {
  readonly url: string
  readonly port: number
  readonly handler: ProxyHandler
  /** Every attempt that has ended, in order. */
  readonly settled: readonly SettledAttempt[]
  /** Open connections of clients. */
  readonly sockets: number
  close(): Promise<void>
}

const open: { close(): Promise<unknown> }[] = []

/** Has a part closed behind the test that uses it. */
export async function using<Part extends { close(): Promise<unknown> }>(part: Part | Promise<Part>): Promise<Part> {
  const made = await part
  open.push(made)
  return made
}

afterEach(async () => {
  // The newest first: clients and gateways let go of upstreams.
  for (const part of open.splice(0).reverse()) await part.close()
})

/** Starts a gateway in front of a target; closed behind the test. */
export async function gateway(options: GatewayOptions): Promise<Gateway> {
  const { via, under, before, trustProxy, serve: serveOptions, ...proxyOptions } = options
  const handler = proxy({ transport: via === 'undici' ? undiciTransport() : httpProxyMiddleware(), ...proxyOptions })
  let inner: RequestListener = handler
  if (under === 'Express' || before !== undefined || trustProxy === true) {
    const app = express()
    app.disable('x-powered-by')
    if (trustProxy === true) app.set('trust proxy', true)
    for (const each of before ?? []) app.use(each)
    app.use(handler)
    inner = app
  }
  const requests = new WeakSet<object>()
  const served = await serve((req, res) => {
    requests.add(req)
    inner(req, res)
  }, serveOptions)
  harden(served.server)
  const settled: SettledAttempt[] = []
  const record = (attempt: SettledAttempt): void => {
    if (requests.has(attempt.exchange.request)) settled.push(attempt)
  }
  attemptSettled.subscribe(record)
  return using({
    url: served.url,
    port: served.port,
    handler,
    settled,
    get sockets() {
      return served.sockets
    },
    async close() {
      await served.close()
      await handler.close({ graceMs: 1_000 })
      attemptSettled.unsubscribe(record)
    },
  })
}

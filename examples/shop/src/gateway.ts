import { gateway } from '@postern/gateway'
import type { LoggerOptions } from '@postern/logger'
import express from 'express'
import { paymentsFallback } from './payments-fallback.ts'

type Targets = readonly { readonly id: string; readonly url: string }[]

/** Where the services are; an id names an instance in logs and handles. */
export interface ShopTargets {
  readonly products: Targets
  readonly inventory: Targets
  readonly payments: Targets
}

/** Asked so often, an instance that comes back is in use again within half a second. */
const health = { path: '/healthz', intervalMs: 500, timeoutMs: 1_000 }
const retries = { attempts: 3, perTryTimeoutMs: 1_000 }

/** The gateway in front of the shop: this file is all that it takes. */
export function createApp(targets: ShopTargets, logger: boolean | LoggerOptions = true) {
  const gw = gateway({
    upstreams: {
      products: { targets: targets.products, strategy: 'round-robin', health, retries, slowStart: 5_000 },
      inventory: { targets: targets.inventory, health, retries },
      payments: {
        targets: targets.payments,
        health,
        timeouts: { headersMs: 10_000 },
        breaker: { consecutiveFailures: 3, maxOpenMs: 1_000 },
        bulkhead: { maxInFlight: 20, maxQueued: 10, queueMs: 300 },
        fallback: paymentsFallback,
      },
      // The same instances. WebSockets stay open, and would take the places of payments one by one.
      events: { targets: targets.payments },
    },
    routes: [
      { prefix: '/products', method: 'GET', upstream: 'products', priority: 'normal' },
      { path: '/categories', method: 'GET', upstream: 'products', priority: 'low' },
      { prefix: '/inventory', upstream: 'inventory', rewrite: { stripPrefix: true }, priority: 'high' },
      { prefix: '/payments', method: ['GET', 'POST'], upstream: 'payments', priority: 'critical' },
      { path: '/events', upstream: 'events', priority: 'high' }, // a WebSocket
    ],
    shedding: { maxInFlight: 500 },
    logger,
  })
  const app = express()
  app.disable('x-powered-by')
  app.use(gw)
  // What no route takes is the app's own, as before.
  app.get('/', (_req, res) => {
    res.json({ shop: 'open', try: ['/products', '/categories', '/inventory/stock', '/payments', '/events'] })
  })
  return { app, gw }
}

import { gateway } from '@postern/gateway'
import type { LoggerOptions } from '@postern/logger'
import express from 'express'

/** Where the services are; an id names an instance in logs and handles. */
export interface ShopTargets {
  readonly products: readonly { readonly id: string; readonly url: string }[]
  readonly inventory: readonly { readonly id: string; readonly url: string }[]
  readonly payments: readonly { readonly id: string; readonly url: string }[]
}

/** The gateway in front of the shop: this file is all that it takes. */
export function createApp(targets: ShopTargets, logger: boolean | LoggerOptions = true) {
  const gw = gateway({
    upstreams: {
      products: { targets: targets.products, strategy: 'round-robin' },
      inventory: { targets: targets.inventory },
      payments: { targets: targets.payments, timeouts: { headersMs: 10_000 } },
    },
    routes: [
      { prefix: '/products', method: 'GET', upstream: 'products' },
      { path: '/categories', method: 'GET', upstream: 'products' },
      { prefix: '/inventory', upstream: 'inventory', rewrite: { stripPrefix: true } },
      { prefix: '/payments', method: ['GET', 'POST'], upstream: 'payments' },
      { path: '/events', upstream: 'payments' }, // a WebSocket
    ],
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

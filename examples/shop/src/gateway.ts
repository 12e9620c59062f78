import { gateway } from '@postern/gateway'
import type { LoggerOptions } from '@postern/logger'
import express from 'express'
import { paymentsFallback } from './payments-fallback.ts'
import { onPriceChange } from './price-change.ts'
import { staffOnly } from './staff.ts'

type Targets = readonly { readonly id: string; readonly url: string }[]

/** Where the services are; an id names an instance in logs and handles. */
export interface ShopTargets {
  readonly products: Targets
  readonly inventory: Targets
  readonly payments: Targets
}

export interface AppOptions {
  /** Who shows it may change prices. */
  readonly staffKey: string
  /** @default true */
  readonly logger?: boolean | LoggerOptions
}

/** Asked so often, an instance that comes back is in use again within half a second. */
const health = { path: '/healthz', intervalMs: 500, timeoutMs: 1_000 }
const retries = { attempts: 3, perTryTimeoutMs: 1_000 }

/** The gateway in front of the shop: this file is all that it takes. */
export function createApp(targets: ShopTargets, { staffKey, logger = true }: AppOptions) {
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
      // For how long, and by which tags, the products service says itself: Cache-Control and Cache-Tag.
      { prefix: '/products', method: 'GET', upstream: 'products', priority: 'normal', cache: true },
      { path: '/categories', method: 'GET', upstream: 'products', priority: 'low', cache: true },
      {
        path: '/products/:sku/price',
        method: 'PUT',
        handlers: [staffOnly(staffKey), onPriceChange(purgeProduct)],
        // The key is the gateway's business; no service needs it.
        requestHeaders: { remove: ['Authorization'] },
        upstream: 'products',
        priority: 'high',
      },
      { prefix: '/inventory', upstream: 'inventory', rewrite: { stripPrefix: true }, priority: 'high' },
      { prefix: '/payments', method: ['GET', 'POST'], upstream: 'payments', priority: 'critical' },
      { path: '/events', upstream: 'events', priority: 'high' }, // a WebSocket
    ],
    shedding: { maxInFlight: 500 },
    logger,
  })

  /**
   * A PUT takes away by itself what is stored of its own URL (RFC 9111 §4.4), and that is not enough: the price stands on the
   * product's page, in the list, in its category and in searches, page by page, and nobody knows all these URLs. Each
   * answer says which products it shows, by tags, so the product's tag finds them all.
   */
  function purgeProduct(sku: string): void {
    gw.cache!.purgeTag(`product-${sku}`).catch((error: unknown) => console.error(`${sku} was not purged`, error))
  }

  const app = express()
  app.disable('x-powered-by')
  app.use(gw)
  // What no route takes is the app's own, as before.
  app.get('/', (_req, res) => {
    res.json({ shop: 'open', try: ['/products', '/categories', '/inventory/stock', '/payments', '/events'] })
  })
  return { app, gw }
}

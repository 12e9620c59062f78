import { type ApiKeyRecord, anyOf, apiKey, type InternalIssuer, jwt } from '@postern/auth'
import { gateway } from '@postern/gateway'
import type { LoggerOptions } from '@postern/logger'
import express from 'express'
import { paymentsFallback } from './payments-fallback.ts'
import { onPriceChange } from './price-change.ts'

type Targets = readonly { readonly id: string; readonly url: string }[]

/** Where the services are; an id names an instance in logs and handles. */
export interface ShopTargets {
  readonly accounts: Targets
  readonly products: Targets
  readonly inventory: Targets
  readonly payments: Targets
}

export interface AppOptions {
  /** By their hashes: the keys themselves are with partners and staff. */
  readonly keys: readonly ApiKeyRecord[]
  /** Tells the services who is calling. They know its public keys. */
  readonly issuer: InternalIssuer
  /** @default true */
  readonly logger?: boolean | LoggerOptions
}

/** Asked so often, an instance that comes back is in use again within half a second. */
const health = { path: '/healthz', intervalMs: 500, timeoutMs: 1_000 }
const retries = { attempts: 3, perTryTimeoutMs: 1_000 }

/** The gateway in front of the shop: this file is all that it takes. */
export function createApp(targets: ShopTargets, { keys, issuer, logger = true }: AppOptions) {
  /** What a service gets in place of the client's credentials: a token for this service alone, good for a minute. */
  const identityFor = (audience: string) => ({ token: { issuer, audience } })

  const gw = gateway({
    upstreams: {
      // Password hashing takes its time on purpose: four at a time, or guesses would keep the service busy.
      accounts: { targets: targets.accounts, health, bulkhead: { maxInFlight: 4, maxQueued: 20, queueMs: 2_000 } },
      products: {
        targets: targets.products,
        strategy: 'round-robin',
        health,
        retries,
        slowStart: 5_000,
        identity: identityFor('products'),
      },
      inventory: { targets: targets.inventory, health, retries, identity: identityFor('inventory') },
      payments: {
        targets: targets.payments,
        health,
        timeouts: { headersMs: 10_000 },
        breaker: { consecutiveFailures: 3, maxOpenMs: 1_000 },
        bulkhead: { maxInFlight: 20, maxQueued: 10, queueMs: 300 },
        fallback: paymentsFallback,
        identity: identityFor('payments'),
      },
      // The same instances. WebSockets stay open, and would take the places of payments one by one.
      events: { targets: targets.payments, identity: identityFor('payments') },
    },
    // There is no rule for all: a route that forgets its own is a fault at start, not an open door.
    auth: {
      schemes: [
        // Customers, and staff who sign in as such.
        jwt({
          issuer: 'https://accounts.shop.example',
          audience: 'shop',
          algorithms: ['ES256'],
          typ: 'at+jwt',
          // Plain http, since the keys never leave this machine. Anywhere else: https, or whoever is on the way signs tokens.
          jwksUri: { uri: `${targets.accounts[0]!.url}/.well-known/jwks.json`, allowHttp: true },
          // A page cannot set a header on a WebSocket; it offers the token as a sub-protocol.
          from: ['header', { subprotocol: 'bearer' }],
        }),
        // Programs: partners', and those of the staff.
        apiKey({ keys }),
      ],
    },
    routes: [
      { path: '/accounts/login', method: 'POST', upstream: 'accounts', rewrite: { path: '/login' }, public: true },
      // For how long, and by which tags, the products service says itself: Cache-Control and Cache-Tag.
      { prefix: '/products', method: 'GET', upstream: 'products', priority: 'normal', cache: true, public: true },
      { path: '/categories', method: 'GET', upstream: 'products', priority: 'low', cache: true, public: true },
      {
        path: '/products/:sku/price',
        method: 'PUT',
        auth: { rule: anyOf({ roles: 'staff' }, { scopes: 'prices:write' }) },
        handlers: [onPriceChange(purgeProduct)],
        upstream: 'products',
        priority: 'high',
      },
      {
        path: '/inventory/stock/:sku',
        method: 'GET',
        auth: { rule: 'authenticated' },
        upstream: 'inventory',
        rewrite: { path: '/stock/:sku' },
        priority: 'high',
      },
      {
        path: '/inventory/stock',
        method: 'GET',
        auth: { rule: anyOf({ roles: 'staff' }, { scopes: 'stock:read' }) },
        upstream: 'inventory',
        rewrite: { path: '/stock' },
        priority: 'high',
      },
      {
        prefix: '/inventory/reservations',
        auth: { rule: { scopes: 'stock:reserve' } },
        upstream: 'inventory',
        rewrite: { prefix: '/reservations' },
        priority: 'high',
      },
      {
        prefix: '/payments',
        method: ['GET', 'POST'],
        // Whose payment it is, the service asks itself.
        auth: { rule: { methods: { GET: { scopes: 'payments:read' }, POST: { scopes: 'payments:write' } } } },
        upstream: 'payments',
        priority: 'critical',
      },
      // A WebSocket
      { path: '/events', auth: { rule: { scopes: 'orders:read' } }, upstream: 'events', priority: 'high' },
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
    res.json({ shop: 'open', try: ['/products', '/categories', '/accounts/login', '/payments', '/events'] })
  })
  return { app, gw }
}

import { createServer } from 'node:http'
import { gateway } from '@postern/gateway'
import express from 'express'
import type { GatewaySetup, Setting } from '../lib/protocol.ts'
import type { HostedGateway } from '../processes/gateway.ts'

/** What the report says of this configuration, by setting; keep it in step with the code below. */
export const SETTINGS = {
  default:
    '`gateway()` with its defaults (power of two choices, outlier ejection) and probes every 500 ms (time-out 400 ms, out after 2, ' +
    'back after 1), connect 1 s, response head 2 s, retries in 3 attempts, 500 ms for each but the last',
  limit:
    '`bulkhead: { maxInFlight: 9, queueMs: 400 }`: half as many again as the upstreams work on at a time, so that none waits for the gateway',
  adaptive: '`bulkhead: { adaptive: true }`',
} as const

const BULKHEADS: Readonly<Record<Setting, object>> = {
  default: {},
  limit: { bulkhead: { maxInFlight: 9, queueMs: 400 } },
  adaptive: { bulkhead: { adaptive: true } },
}

/** A gateway from one configuration, in Express. */
export function createGateway({ upstreams, setting }: GatewaySetup): HostedGateway {
  const gw = gateway({
    logger: false,
    upstreams: {
      orders: {
        targets: upstreams,
        health: { path: '/healthz', intervalMs: 500, timeoutMs: 400, unhealthyAfter: 2, healthyAfter: 1 },
        timeouts: { connectMs: 1_000, headersMs: 2_000 },
        retries: { attempts: 3, perTryTimeoutMs: 500 },
        ...BULKHEADS[setting],
      },
    },
    routes: [{ prefix: '/', upstream: 'orders' }],
  })
  const app = express()
  app.use(gw)
  const server = gw.attach(createServer(app))
  return { server, stop: () => gw.close() }
}

import type { IncomingMessage, Server } from 'node:http'
import type { Server as SecureServer } from 'node:https'
import { ConfigError, faultsOf } from '@postern/contracts'
import * as v from 'valibot'

/** Limits of the server itself, which no middleware can set. */
export interface HardenOptions {
  /**
   * Longest wait for a whole request head, in milliseconds, 1 to 2^31-1; then 408, at most a quarter of that time later.
   * No more than `requestTimeoutMs`. @default 15_000
   */
  readonly headersTimeoutMs?: number
  /**
   * Longest wait for a whole request, body included, in milliseconds, 0 to 2^31-1; then 408. 0 for no limit: uploads
   * are then bounded by the proxy's idle timer alone. @default 300_000
   */
  readonly requestTimeoutMs?: number
  /**
   * How long an idle client connection is kept, in milliseconds, 1 to 2^31-1. Behind a load balancer, longer than its
   * own. @default 65_000
   */
  readonly keepAliveTimeoutMs?: number
  /** Most client connections at a time, 1 to 2^31-1; more are dropped. @default no limit */
  readonly maxConnections?: number
  /** Most requests over one client connection, 0 (no limit) to 2^31-1. @default 0 */
  readonly maxRequestsPerSocket?: number
}

const HARDENED = Symbol.for('postern.hardened')
const MAX = 2 ** 31 - 1

function whole(min: number) {
  const wanted = `expected a whole number from ${min} to ${MAX}`
  return v.optional(v.pipe(v.number(wanted), v.integer(wanted), v.minValue(min, wanted), v.maxValue(MAX, wanted)))
}

const entries = {
  headersTimeoutMs: whole(1),
  requestTimeoutMs: whole(0),
  keepAliveTimeoutMs: whole(1),
  maxConnections: whole(1),
  maxRequestsPerSocket: whole(0),
}

/**
 * Sets the server's own timeouts and limits, so that slow heads, slow bodies and idle connections are bounded before any
 * handler runs, and refuses CONNECT with an answer. `gateway().attach()` does it too.
 *
 * @returns the server
 * @throws ConfigError for an unknown or wrong option
 */
export function harden<S extends Server | SecureServer>(server: S, options: HardenOptions = {}): S {
  const parsed = v.safeParse(v.strictObject(entries), options)
  if (!parsed.success)
    throw new ConfigError(
      'harden()',
      faultsOf(parsed.issues, () => Object.keys(entries)),
    )
  const requestTimeout = options.requestTimeoutMs ?? 300_000
  const headersTimeout = options.headersTimeoutMs ?? 15_000
  server.requestTimeout = requestTimeout
  // A head is part of its request; with the two the other way round Node swaps them.
  server.headersTimeout = requestTimeout === 0 ? headersTimeout : Math.min(headersTimeout, requestTimeout)
  checkConnectionsEvery(server, Math.max(25, Math.ceil(server.headersTimeout / 4)))
  server.keepAliveTimeout = options.keepAliveTimeoutMs ?? 65_000
  server.maxRequestsPerSocket = options.maxRequestsPerSocket ?? 0
  if (options.maxConnections !== undefined) server.maxConnections = options.maxConnections
  const marked = server as S & { [HARDENED]?: true }
  if (marked[HARDENED] !== true) {
    marked[HARDENED] = true
    server.on('connect', (_req, socket) => {
      socket.on('error', () => socket.destroy())
      socket.end(
        'HTTP/1.1 405 Method Not Allowed\r\nconnection: close\r\ncontent-length: 0\r\nallow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n\r\n',
      )
    })
  }
  return server
}

/** Node looks for connections that are over time every 30 s, which would let a slow head of 15 s live for 45. */
function checkConnectionsEvery(server: Server | SecureServer, intervalMs: number): void {
  const checked = server as { connectionsCheckingInterval?: number }
  if (checked.connectionsCheckingInterval === undefined || checked.connectionsCheckingInterval <= intervalMs) return
  checked.connectionsCheckingInterval = intervalMs
  if (!server.listening) return
  // It listens already: what has started the checker starts it anew with the new interval.
  for (const listener of server.listeners('listening')) {
    if (listener.name === 'setupConnectionsTracking') listener.call(server)
  }
}

/** True when the server of this request was given its limits. */
export function isHardened(req: IncomingMessage): boolean {
  const { server } = req.socket as { server?: { [HARDENED]?: true } }
  // Not a server of Node's own kind: nothing to be said about it.
  return server === undefined || server[HARDENED] === true
}

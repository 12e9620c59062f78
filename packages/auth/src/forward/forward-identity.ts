import type { IncomingMessage, ServerResponse } from 'node:http'
import { exchangeOf } from '@postern/contracts'
import { Forwarder } from './forwarder.ts'
import { type ForwardIdentityOptions, resolveForwardIdentityOptions } from './options.ts'

/** The handler, with its handles. */
export interface ForwardIdentityHandler {
  (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void): void
  /** Names of all headers that it may set, lower case. */
  readonly reserved: readonly string[]
  /** Whether it takes the client's own credentials away: see {@link ForwardIdentityOptions.credentials}. */
  readonly dropsCredentials: boolean
  /** Ends the connections of the token exchange; requests that need one are then refused. Idempotent. */
  close(): void
}

/**
 * Tells the upstream who is calling: in headers, by a token of the gateway's own, or by one that an authorization server
 * gives for the client's. Whatever a client sends under the names of these headers is gone, whether it is anonymous or not.
 * Mount it behind `authenticate()`.
 *
 * @throws ConfigError at once, with every fault of the options
 */
export function forwardIdentity(options: ForwardIdentityOptions): ForwardIdentityHandler {
  const resolved = resolveForwardIdentityOptions(options)
  const forwarder = new Forwarder(resolved)

  function forwardIdentityHandler(req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void): void {
    const exchange = exchangeOf(req, res)
    if (exchange.closed || res.headersSent) return
    forwarder.forward({ exchange, req, res, next })
  }

  const { reserved, dropsCredentials } = resolved
  return Object.assign(forwardIdentityHandler, { reserved, dropsCredentials, close: () => forwarder.close() })
}

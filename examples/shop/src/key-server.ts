import { createServer } from 'node:http'
import type { InternalIssuer } from '@postern/auth'
import { listen } from './listen.ts'

/** Where services find the keys of the gateway's own tokens. */
export interface KeyServer {
  /** The gateway's name in its tokens. */
  readonly issuer: string
  readonly jwksUri: string
  close(): void
}

/**
 * Publishes the gateway's public keys on a port of their own, on 127.0.0.1: services need them before there is a gateway, and
 * nobody else needs them at all.
 */
export async function serveKeys({ issuer, jwks }: InternalIssuer): Promise<KeyServer> {
  const server = createServer(jwks)
  const port = await listen(server, 0)
  return {
    issuer,
    jwksUri: `http://127.0.0.1:${port}/jwks.json`,
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
}

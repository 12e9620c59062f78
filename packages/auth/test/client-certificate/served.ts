import type { IncomingMessage } from 'node:http'
import https from 'node:https'
import { type Exchange, exchangeOf } from '@postern/contracts'
import { certificates, type RequestOptions, request, type Served, serve } from '@postern/test-kit'
import express from 'express'
import { afterEach } from 'vitest'
import type { Pair } from './support.ts'

const opened: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const one of opened.splice(0)) await one.close()
})

export interface ServedOptions {
  /** Mutual TLS; those whose certificates are trusted. */
  readonly ca?: string
  /** Express's `trust proxy`. */
  readonly trust?: string | boolean
}

export interface Asked {
  /** Sends a request and gives what the server made of it. */
  ask(options?: RequestOptions & { readonly client?: Pair }): Promise<unknown>
  readonly served: Served
}

/** An Express app that answers with what a function makes of each request. */
export async function servedBy(
  answer: (req: IncomingMessage, exchange: Exchange) => unknown,
  { ca, trust = false }: ServedOptions = {},
): Promise<Asked> {
  const app = express()
  app.set('trust proxy', trust)
  app.use(async (req, res) => {
    res.json((await answer(req, exchangeOf(req, res))) ?? null)
  })
  const tls = ca !== undefined && { ...certificates().server, ca, requestCert: true, rejectUnauthorized: false }
  const served = await serve(app, { tls })
  opened.push(served)
  return {
    served,
    async ask({ client, ...options } = {}) {
      const reply = await request(served.url, { ca: certificates().ca.cert, ...client, ...options })
      return reply.json()
    },
  }
}

/** An agent that keeps one connection. */
export function keptConnection(): https.Agent {
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1 })
  opened.push({ close: async () => agent.destroy() })
  return agent
}

import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { harden } from '@postern/proxy'
import { startUpstream, type Upstream, type UpstreamHandler } from '@postern/test-kit'
import express, { type Express } from 'express'
import { afterEach } from 'vitest'

const open: (() => unknown)[] = []

afterEach(async () => {
  // The newest first: gateways let go of upstreams.
  for (const close of open.splice(0).reverse()) await close()
})

/** Has something closed behind the test. */
export function closing<Part extends { close(): unknown }>(part: Part): Part {
  open.push(() => part.close())
  return part
}

export async function upstream(handler: UpstreamHandler): Promise<Upstream> {
  return closing(await startUpstream(handler))
}

/** An Express app on a free port. */
export async function served(mount: (app: Express) => void): Promise<string> {
  const app = express()
  mount(app)
  const server = harden(createServer(app as unknown as RequestListener))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  open.push(() => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** Answers with its own name. */
export const saying =
  (text: string, status = 200): UpstreamHandler =>
  (req, res) => {
    req.resume()
    req.on('end', () => res.writeHead(status).end(text))
  }

/** Works on one request at a time, each for so long; the others wait in a line without end. */
export function oneAtATime(latencyMs: number): UpstreamHandler {
  let last = Promise.resolve()
  return (req, res) => {
    req.resume()
    last = last.then(async () => {
      await new Promise((resolve) => setTimeout(resolve, latencyMs))
      res.end('done')
    })
  }
}

/** The value that a share of the values do not exceed. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)]!
}

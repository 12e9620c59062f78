import type { IncomingMessage, ServerResponse } from 'node:http'
import { exchangeOf } from '@postern/contracts'
import { attachUpgrades } from '@postern/proxy'
import { rawRequest, serve } from '@postern/test-kit'
import { afterEach } from 'vitest'
import { type TokenSource, TokenSources } from '../../src/credentials/token-sources.ts'

const open: { close(): Promise<unknown> }[] = []

afterEach(async () => {
  for (const part of open.splice(0).reverse()) await part.close()
})

/** Has a part closed behind the test that uses it. */
export async function using<Part extends { close(): Promise<unknown> }>(part: Part | Promise<Part>): Promise<Part> {
  const made = await part
  open.push(made)
  return made
}

/** What `find()` says: the token, the reason of a refusal with its error, or undefined. */
export type Found = string | { readonly refused: string; readonly error: string } | undefined

/** Sends a request, one line an entry, and tells what is found in it. `Host: shop.test` comes first. */
export type Looking = (lines: readonly string[], start?: string) => Promise<Found>

/** A server that looks for tokens in what it is sent. */
export async function looking(
  list: readonly TokenSource[],
  options: { readonly maxBytes?: number; readonly before?: (req: IncomingMessage) => void } = {},
): Promise<Looking> {
  const sources = new TokenSources(list, options.maxBytes ?? 200)
  const app = (req: IncomingMessage, res: ServerResponse): void => {
    options.before?.(req)
    const found = sources.find(req, exchangeOf(req, res))
    const told =
      typeof found === 'object' ? { refused: found.reason, error: found.error } : found === undefined ? null : found
    res.setHeader('connection', 'close')
    res.end(JSON.stringify({ told }))
  }
  const served = await using(serve(app))
  attachUpgrades(served.server, app)
  const look = async (lines: readonly string[], start = 'GET / HTTP/1.1'): Promise<Found> => {
    const head = [start, 'Host: shop.test', ...lines].map((line) => `${line}\r\n`).join('')
    const { response } = await rawRequest(served.port, `${head}\r\n`)
    return (JSON.parse(response.body.toString()) as { told: Found | null }).told ?? undefined
  }
  return look
}

/** The lines of a WebSocket handshake. */
export const HANDSHAKE: readonly string[] = [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version: 13',
]

export const AMBIGUOUS = { refused: 'ambiguous', error: 'invalid_request' }
export const MALFORMED = { refused: 'malformed', error: 'invalid_token' }
export const TOO_LONG = { refused: 'too-long', error: 'invalid_token' }
export const FOREIGN = { refused: 'foreign-origin', error: 'foreign_origin' }

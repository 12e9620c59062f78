import http from 'node:http'
import type { AddressInfo } from 'node:net'

/**
 * Serves a handler and hands out its URL; everything is closed behind `use`.
 *
 * @param prepare is given the server before it listens
 */
export async function served(
  handler: http.RequestListener,
  use: (url: string) => Promise<void>,
  prepare: (server: http.Server) => void = () => {},
): Promise<void> {
  const server = http.createServer(handler)
  prepare(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  } finally {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
}

/** An upstream that answers every request with its path. */
export function withUpstream(use: (url: string) => Promise<void>): Promise<void> {
  return served((req, res) => void res.end(`upstream saw ${req.url}`), use)
}

/** Fetches, and fails unless the answer is as it should be. */
export async function expectAnswer(url: string, status: number, text?: string): Promise<void> {
  const reply = await fetch(url)
  const body = await reply.text()
  if (reply.status !== status) throw new Error(`${url} answered ${reply.status}, not ${status}: ${body}`)
  if (text !== undefined && !body.includes(text)) throw new Error(`${url} answered ${JSON.stringify(body)}`)
}

import type { RequestListener, Server } from 'node:http'
import { attachUpgrades, type HardenOptions, harden, type ProxyHandler, type ProxyOptions, proxy } from '@postern/proxy'
import {
  answer,
  type RawAnswer,
  type RawRequestOptions,
  type RawScript,
  type RawUpstream,
  rawRequest,
  type ServeOptions,
  serve,
  startRawUpstream,
} from '@postern/test-kit'
import express, { type RequestHandler } from 'express'
import { afterEach, expect } from 'vitest'

/** Where the proxy stands: behind rules in an Express app, or alone in a plain server. */
export const HOSTS = ['an Express app', 'a bare server'] as const
export type Host = (typeof HOSTS)[number]

export interface GateOptions extends ProxyOptions {
  /** @default 'an Express app' */
  readonly in?: Host
  /** What the upstream does with each connection. @default answers every request 200 "ok" */
  readonly upstream?: RawScript | readonly RawScript[]
  /** Mounted in front of the proxy, behind the rule for `/admin`; for Express. */
  readonly before?: readonly RequestHandler[]
  /** Express's setting. */
  readonly trustProxy?: string | boolean
  /** Where the proxy is mounted; for Express. @default the root */
  readonly mount?: string
  readonly serve?: ServeOptions
  readonly harden?: HardenOptions
  /** Whether upgrades go through the app. @default false */
  readonly upgrades?: boolean
}

/** A gateway with a recording upstream behind it. */
export interface Gate {
  readonly port: number
  readonly server: Server
  readonly handler: ProxyHandler
  readonly upstream: RawUpstream
  /** Open connections of clients. */
  readonly sockets: number
  /** Sends bytes and reads until the gateway closes the connection, or until the awaited responses are there. */
  ask(bytes: string | Uint8Array | readonly (string | Uint8Array)[], options?: RawRequestOptions): Promise<RawAnswer>
  close(): Promise<void>
}

const open: { close(): Promise<unknown> }[] = []

/** Has a part closed behind the test that uses it. */
export async function using<Part extends { close(): Promise<unknown> }>(part: Part | Promise<Part>): Promise<Part> {
  const made = await part
  open.push(made)
  return made
}

afterEach(async () => {
  for (const part of open.splice(0).reverse()) await part.close()
})

/** The rule that attacks try to walk round. */
export const deny: RequestHandler = (_req, res) => {
  res.status(403).type('text').send('denied')
}

/** Starts a gateway: `app.use('/admin', deny)` and behind it `app.use(proxy(upstream))`; closed behind the test. */
export async function gate(options: GateOptions = {}): Promise<Gate> {
  const { in: host, upstream: script, before, trustProxy, mount, upgrades, ...others } = options
  const { serve: serveOptions, harden: hardenOptions, ...proxyOptions } = others
  const upstream = await startRawUpstream(script ?? answer())
  const handler = proxy({ target: upstream.url, ...proxyOptions })
  let listener: RequestListener = handler
  if (host !== 'a bare server') {
    const app = express()
    app.disable('x-powered-by')
    if (trustProxy !== undefined) app.set('trust proxy', trustProxy)
    app.use('/admin', deny)
    for (const each of before ?? []) app.use(each)
    if (mount === undefined) app.use(handler)
    else app.use(mount, handler)
    listener = app
  }
  const served = await serve(listener, serveOptions)
  harden(served.server, hardenOptions)
  if (upgrades === true) attachUpgrades(served.server, listener)
  return using({
    port: served.port,
    server: served.server,
    handler,
    upstream,
    get sockets() {
      return served.sockets
    },
    ask: (bytes, ask) => rawRequest(served.port, bytes, ask),
    async close() {
      await served.close()
      await handler.close({ graceMs: 500 })
      await upstream.close()
    },
  })
}

/** A request out of lines; CRLF behind each, and the empty line. */
export function head(...lines: string[]): string {
  return `${lines.join('\r\n')}\r\n\r\n`
}

/** A second request, which must never be taken for one of its own. */
export const SMUGGLED = head('GET /smuggled HTTP/1.1', 'Host: a')

/**
 * The request was answered with an error of one of these statuses and with nothing else, the connection is closed
 * behind it, and not one byte has reached the upstream.
 */
export function expectRefused(gateway: Gate, answered: RawAnswer, ...statuses: number[]): void {
  expect(answered.parsed.fault).toBeUndefined()
  const finals = answered.parsed.responses.filter((each) => each.status >= 200)
  expect(finals.map((each) => each.status)).toHaveLength(1)
  expect(statuses).toContain(finals[0]!.status)
  expect(answered.endedBy).not.toBe('timeout')
  expect(gateway.upstream.received).toBe('')
}

/** Requests as an upstream reads them off one connection, split by its own strict framing. */
export interface SeenRequest {
  readonly line: string
  /** Names and values, names in lower case. */
  readonly headers: readonly (readonly [string, string])[]
  readonly raw: string
  /** Everything behind the head, framing included. */
  readonly rest: string
}

/** What the upstream has read, as the head of the first request and all bytes behind it. */
export function firstSeen(gateway: Gate): SeenRequest {
  const raw = gateway.upstream.received
  const blank = raw.indexOf('\r\n\r\n')
  if (blank === -1) throw new Error(`the upstream saw no whole head: ${JSON.stringify(raw)}`)
  const [line, ...lines] = raw.slice(0, blank).split('\r\n')
  const headers = lines.map((each) => {
    const colon = each.indexOf(':')
    return [each.slice(0, colon).toLowerCase(), each.slice(colon + 1).trim()] as const
  })
  return { line: line!, headers, raw, rest: raw.slice(blank + 4) }
}

/** Values of a header that the upstream saw in the first request. */
export function seenValues(gateway: Gate, name: string): string[] {
  return firstSeen(gateway)
    .headers.filter(([each]) => each === name)
    .map(([, value]) => value)
}

/** How many requests start in the bytes that the upstream has read. */
export function requestLines(gateway: Gate): string[] {
  return gateway.upstream.received.match(/[A-Z]+ \/\S* HTTP\/1\.1(?=\r\n)/g) ?? []
}

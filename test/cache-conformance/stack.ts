import { once } from 'node:events'
import { connect } from 'node:net'
import { type CacheHandler, type CacheOptions, cache } from '@postern/cache'
import type { Clock } from '@postern/contracts'
import { harden, proxy } from '@postern/proxy'
import { type ParsedResponse, rawRequest, serve } from '@postern/test-kit'
import express from 'express'
import { START_MS } from './dates.ts'
import { type Origin, startOrigin } from './origin.ts'

/** Wall time that stands still until it is moved. */
export interface HandClock extends Clock {
  pass(seconds: number): void
}

/** What the client got. */
export interface ClientAnswer extends ParsedResponse {
  /** Status and headers of 1xx answers that came before. */
  readonly interim: readonly ParsedResponse[]
  /** The content as latin1 text. */
  readonly text: string
}

/** Client, Express, cache, proxy, origin: each talks to the next over a socket or the way it is mounted in an app. */
export interface Stack {
  readonly clock: HandClock
  readonly origin: Origin
  readonly cache: CacheHandler
  /**
   * Sends one request on a connection of its own and waits for the final answer.
   *
   * @param line method and target: `GET /a?b=c`
   * @param lines header lines; a Host is added unless it is among them
   */
  send(line?: string, lines?: readonly string[], body?: string): Promise<ClientAnswer>
  /** Sends one request and breaks the connection off as soon as bytes of the answer are there. */
  sendAndLeave(line: string): Promise<void>
  close(): Promise<void>
}

/** Starts all of it, with an empty cache. */
export async function startStack(options: CacheOptions = {}): Promise<Stack> {
  let wallMs = START_MS
  const clock: HandClock = {
    now: () => performance.now(),
    wallNow: () => wallMs,
    pass(seconds) {
      wallMs += seconds * 1_000
    },
  }
  const origin = await startOrigin(clock)
  const cacheHandler = cache({ clock, ...options })
  const forward = proxy(origin.url)
  const app = express().disable('x-powered-by')
  app.use(cacheHandler, forward)
  const served = await serve(app)
  harden(served.server)

  return {
    clock,
    origin,
    cache: cacheHandler,
    async send(line = 'GET /', lines = [], body) {
      const method = line.slice(0, line.indexOf(' '))
      const head = [...lines]
      if (!head.some((each) => /^host:/i.test(each))) head.unshift('Host: shop.example')
      if (body !== undefined && !head.some((each) => /^(?:content-length|transfer-encoding):/i.test(each)))
        head.push(`Content-Length: ${body.length}`)
      const bytes = `${line} HTTP/1.1\r\n${head.join('\r\n')}\r\n\r\n${body ?? ''}`
      const answer = await rawRequest(served.port, bytes, { methods: [method], responses: 1, timeoutMs: 10_000 })
      const response = answer.response
      const interim = answer.parsed.responses.filter((each) => each.status < 200)
      return { ...response, interim, text: response.body.toString('latin1') }
    },
    async sendAndLeave(line) {
      const socket = connect(served.port, '127.0.0.1')
      socket.write(`${line} HTTP/1.1\r\nHost: shop.example\r\n\r\n`)
      await once(socket, 'data')
      socket.resetAndDestroy()
    },
    async close() {
      await served.close()
      await forward.close({ graceMs: 0 })
      await cacheHandler.close()
      await origin.close()
    },
  }
}

import http from 'node:http'
import type { CacheVerdict, Clock, Exchange, TypedChannel } from '@postern/contracts'
import { exchangeOf } from '@postern/contracts'
import { harden, type ProxyOptions, proxy } from '@postern/proxy'
import {
  type Reply,
  type RequestOptions,
  request,
  type Served,
  serve,
  startUpstream,
  type Upstream,
  type UpstreamHandler,
} from '@postern/test-kit'
import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express'
import { afterEach } from 'vitest'
import { type CacheHandler, type CacheOptions, cache } from '../../src/index.ts'

const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  // The newest first: clients let go of gateways, gateways of upstreams.
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

/** Does something behind the test. */
export function afterwards(cleanUp: () => unknown): void {
  cleanUps.push(cleanUp)
}

/** Has a part closed behind the test that uses it. */
export async function using<Part extends { close(): unknown }>(part: Part | Promise<Part>): Promise<Part> {
  const made = await part
  afterwards(() => made.close())
  return made
}

/** A wall clock that the test moves. Stands at a whole second. */
export class HandClock implements Clock {
  #wallMs = Math.floor(Date.now() / 1_000) * 1_000

  now(): number {
    return performance.now()
  }

  wallNow(): number {
    return this.#wallMs
  }

  advance(ms: number): void {
    this.#wallMs += ms
  }
}

/** An origin without a clock of its own, so that only the cache's clock counts; closed behind the test. */
export function origin(handler: UpstreamHandler): Promise<Upstream> {
  return using(
    startUpstream((req, res, record) => {
      res.sendDate = false
      return handler(req, res, record)
    }),
  )
}

/** A request whose answer is waited for later; a failure of the test before that is not told twice. */
export function ask(url: string, options?: RequestOptions): Promise<Reply> {
  const reply = request(url, options)
  reply.catch(() => {})
  return reply
}

/** Something that is waited for until the test lets it happen. */
export interface Gate {
  readonly opened: Promise<void>
  open(): void
}

export function gate(): Gate {
  let open = (): void => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open }
}

/** What was seen of one exchange when it was over, by an observer in front of the cache. */
export interface Seen {
  readonly exchange: Exchange
  readonly url: string
  readonly verdict: CacheVerdict | undefined
  readonly bytes: number
  readonly background: boolean
}

export interface GatewayOptions {
  readonly cache?: CacheOptions
  /** Use this one instead of making one. */
  readonly handler?: CacheHandler
  /** Mounted in front of the cache. */
  readonly before?: readonly RequestHandler[]
  /** Mounted behind the cache, in front of the proxy. */
  readonly behind?: readonly RequestHandler[]
  /** Mounted behind everything. */
  readonly last?: readonly (RequestHandler | ErrorRequestHandler)[]
  /** The upstream of a proxy at the end; none: the handlers answer. */
  readonly target?: { readonly url: string }
  readonly proxy?: Omit<ProxyOptions, 'target'>
  /** The cache is told what is behind it. @default false */
  readonly around?: boolean
  readonly configure?: (app: Express) => void
}

/** An Express app with a cache that listens. */
export interface Gateway {
  readonly url: string
  readonly port: number
  readonly cache: CacheHandler
  readonly served: Served
  /** Every exchange that is over, in order. */
  readonly seen: readonly Seen[]
  close(): Promise<void>
}

/** Starts an Express app with a cache in front of handlers or of a proxy; closed behind the test. */
export async function gateway(options: GatewayOptions): Promise<Gateway> {
  const handler = options.handler ?? cache(options.cache)
  const forward = options.target === undefined ? undefined : proxy({ ...options.proxy, target: options.target.url })
  const seen: Seen[] = []
  const app = express()
  options.configure?.(app)
  app.use((req, res, next) => {
    exchangeOf(req, res).observe({
      onExchangeClosed(exchange) {
        const { cache: verdict, responseBodyBytes: bytes, background } = exchange
        seen.push({ exchange, url: req.originalUrl, verdict, bytes, background })
      },
    })
    next()
  })
  for (const each of options.before ?? []) app.use(each)
  const behind: RequestHandler[] = [...(options.behind ?? [])]
  if (forward !== undefined) behind.push(forward as RequestHandler)
  if (options.around === true) app.use(handler.around(...behind))
  else app.use(handler, ...behind)
  for (const each of options.last ?? []) app.use(each)
  const served = await serve(app)
  harden(served.server)
  return using({
    url: served.url,
    port: served.port,
    cache: handler,
    served,
    seen,
    async close() {
      await served.close()
      await forward?.close({ graceMs: 1_000 })
      await handler.close()
    },
  })
}

/** One client that reads as the answer comes, and can leave at any time. */
export class Client {
  readonly #req: http.ClientRequest
  readonly #chunks: Buffer[] = []
  #res: http.IncomingMessage | undefined = undefined
  #left = false
  /** The head; rejects when there never is one. */
  readonly head: Promise<http.IncomingMessage>
  /** True when the answer came whole, false when it was cut or never came. */
  readonly whole: Promise<boolean>

  constructor(url: string, options: http.RequestOptions & { readonly paused?: boolean } = {}) {
    this.#req = http.request(url, { agent: false, ...options })
    this.head = new Promise((resolve, reject) => {
      this.#req.once('response', resolve)
      this.#req.once('error', reject)
    })
    this.head.catch(() => {})
    this.whole = new Promise((resolve) => {
      this.#req.on('error', () => resolve(false))
      this.#req.once('response', (res) => {
        this.#res = res
        res.on('error', () => {})
        res.once('close', () => resolve(res.complete))
        if (options.paused !== true) this.read()
      })
    })
    this.#req.end()
    afterwards(() => this.#req.destroy())
  }

  /** What has come of the body. */
  get text(): string {
    return Buffer.concat(this.#chunks).toString()
  }

  get bytes(): number {
    return this.#chunks.reduce((sum, chunk) => sum + chunk.length, 0)
  }

  /** True while a head has come. */
  get isAnswered(): boolean {
    return this.#res !== undefined
  }

  get hasLeft(): boolean {
    return this.#left
  }

  /** Begins to read. */
  read(): void {
    this.#res!.on('data', (chunk: Buffer) => this.#chunks.push(chunk))
  }

  leave(): void {
    this.#left = true
    this.#req.destroy()
  }

  /** Status, text and whether it is whole, once it is over. */
  async answer(): Promise<{ readonly status: number; readonly text: string; readonly whole: boolean }> {
    const whole = await this.whole
    return { status: this.#res?.statusCode ?? 0, text: this.text, whole }
  }
}

/** Everything that is told on a channel from now to the end of the test. */
export function told<Message>(channel: TypedChannel<Message>): Message[] {
  const messages: Message[] = []
  const listener = (message: Message): void => void messages.push(message)
  channel.subscribe(listener)
  afterwards(() => channel.unsubscribe(listener))
  return messages
}

/** Warnings with a code from now to the end of the test. */
export function warnings(code: string): Error[] {
  const seen: Error[] = []
  const listener = (warning: Error & { code?: string }): void => {
    if (warning.code === code) seen.push(warning)
  }
  process.on('warning', listener)
  afterwards(() => process.off('warning', listener))
  return seen
}

/** Lets everything run that is ready to. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve))
}

import type { RequestListener, Server } from 'node:http'
import net from 'node:net'
import {
  createTarget,
  type Exchange,
  exchangeFinished,
  exchangeOf,
  type Logger,
  type Outcome,
  type Selection,
  type Target,
  type TargetOptions,
} from '@postern/contracts'
import {
  attachUpgrades,
  attemptSettled,
  harden,
  type ProxyHandler,
  type ProxyOptions,
  proxy,
  type SettledAttempt,
} from '@postern/proxy'
import { eventually, type ServeOptions, serve, type Unhandled, unhandled } from '@postern/test-kit'
import express, { type Express } from 'express'
import { afterEach, beforeEach, expect } from 'vitest'

/** A lease and everything that was ever settled on it. */
export interface CountedLease {
  readonly target: Target
  readonly outcomes: Outcome[]
}

const open: { close(): Promise<unknown> }[] = []
let leases: CountedLease[] = []
let watched: Unhandled

beforeEach(() => {
  leases = []
  watched = unhandled()
})

// What holds behind every test, whatever went wrong in it: each lease was settled once, and nothing would have ended
// the process.
afterEach(async () => {
  for (const part of open.splice(0).reverse()) await part.close()
  await eventually(() => leases.every((lease) => lease.outcomes.length > 0), { timeoutMs: 2_000 }).catch(() => {})
  const errors = await watched.stop()
  expect(leases.map((lease) => lease.outcomes.length)).toEqual(leases.map(() => 1))
  expect(errors).toEqual([])
})

/** Has a part closed behind the test that uses it; the newest first. */
export async function using<Part extends { close(): Promise<unknown> }>(part: Part | Promise<Part>): Promise<Part> {
  const made = await part
  open.push(made)
  return made
}

/** A selection that hands out its targets in turn, those alone that are accepted, and remembers what its leases came to. */
export function countingSelection(targets: readonly (string | TargetOptions)[]): Selection {
  const made = targets.map((target) => createTarget(target))
  let next = 0
  return {
    size: made.length,
    acquire(accept) {
      const turns = made.map((_, i) => made[(next + i) % made.length]!)
      const target = turns.find((each) => accept === undefined || accept(each))
      if (target === undefined) return { reason: 'no_targets' }
      next += turns.indexOf(target) + 1
      const lease: CountedLease = { target, outcomes: [] }
      leases.push(lease)
      return { target: lease.target, settle: (outcome) => void lease.outcomes.push(outcome) }
    },
  }
}

export interface AppOptions {
  /** Where requests go: chosen by a counting selection in front of the proxy. */
  readonly to: string | TargetOptions | readonly (string | TargetOptions)[]
  readonly proxy?: ProxyOptions
  /** Where the proxy is mounted. */
  readonly mount?: string
  /** Called with the app before the proxy is mounted in it. */
  readonly before?: (app: Express) => void
  /** Called with the app after the proxy was mounted in it. */
  readonly after?: (app: Express) => void
  /** Sends upgrades through the app. */
  readonly upgrades?: boolean
  readonly serve?: ServeOptions
}

/** An Express app with a proxy in it, listening. */
export interface App {
  readonly url: string
  readonly port: number
  readonly server: Server
  readonly handler: ProxyHandler
  readonly sockets: number
  /** Exchanges that came to the app, in order. */
  readonly exchanges: readonly Exchange[]
  /** Exchanges that are over, as the channel told it. */
  readonly finished: readonly Exchange[]
  /** Attempts that are over, as the channel told it. */
  readonly settled: readonly SettledAttempt[]
  /** What the leases of this app came to, in the order they were handed out. */
  readonly outcomes: readonly (Outcome | undefined)[]
  /** What was written to the proxy's log. */
  readonly lines: readonly { level: string; fields: object; message: string | undefined }[]
  close(): Promise<void>
}

/** Starts an app: a counting selection, then the proxy. Closed behind the test. */
export async function startApp(options: AppOptions): Promise<App> {
  const lines: App['lines'][number][] = []
  const log = (level: string) => (fields: object, message?: string) => void lines.push({ level, fields, message })
  const logger: Pick<Logger, 'warn' | 'error'> = { warn: log('warn'), error: log('error') }
  const handler = proxy({ log: logger, ...options.proxy })
  const selection = countingSelection(Array.isArray(options.to) ? options.to : [options.to as string])
  const app = express()
  const exchanges: Exchange[] = []
  app.use((req, res, next) => {
    const exchange = exchangeOf(req, res)
    exchange.selection = selection
    exchanges.push(exchange)
    next()
  })
  options.before?.(app)
  if (options.mount === undefined) app.use(handler)
  else app.use(options.mount, handler)
  options.after?.(app)
  return listenWith(app, handler, { ...options, exchanges, lines, from: leases.length })
}

async function listenWith(
  app: Express,
  handler: ProxyHandler,
  options: AppOptions & { exchanges: Exchange[]; lines: App['lines']; from: number },
): Promise<App> {
  const { exchanges, lines, from } = options
  const mine = leases
  const finished: Exchange[] = []
  const settled: SettledAttempt[] = []
  const onFinished = (exchange: Exchange) => exchanges.includes(exchange) && finished.push(exchange)
  const onSettled = (message: SettledAttempt) => exchanges.includes(message.exchange) && settled.push(message)
  exchangeFinished.subscribe(onFinished)
  attemptSettled.subscribe(onSettled)
  const served = await serve(app as unknown as RequestListener, options.serve)
  harden(served.server)
  if (options.upgrades === true) attachUpgrades(served.server, app as never)
  return using({
    url: served.url,
    port: served.port,
    server: served.server,
    handler,
    exchanges,
    finished,
    settled,
    lines,
    get sockets() {
      return served.sockets
    },
    get outcomes() {
      return mine.slice(from).map((lease) => lease.outcomes[0])
    },
    async close() {
      await served.close()
      await handler.close({ graceMs: 1_000 })
      // What holds for every exchange and every attempt: its end was told once.
      const attempts = exchanges.flatMap((exchange) => exchange.attempts)
      await eventually(() => finished.length >= exchanges.length && settled.length >= attempts.length, {
        timeoutMs: 2_000,
      }).catch(() => {})
      exchangeFinished.unsubscribe(onFinished)
      attemptSettled.unsubscribe(onSettled)
      expect([finished.length, new Set(finished).size]).toEqual([exchanges.length, exchanges.length])
      const told = settled.map((message) => message.attempt)
      expect([told.length, new Set(told).size]).toEqual([attempts.length, attempts.length])
      expect(handler.stats).toMatchObject({ active: 0, tunnels: 0 })
    },
  })
}

/** A raw connection that stays open and remembers what came. */
export interface RawClient {
  readonly socket: net.Socket
  /** Everything received so far, as latin1 text. */
  readonly text: string
  readonly bytes: number
  /** The other side has said its last. */
  readonly ended: boolean
  readonly closed: boolean
  readonly reset: boolean
  /** Waits until what came holds the text. */
  has(text: string): Promise<void>
  close(): Promise<void>
}

/** Connects and sends bytes (latin1). Closed behind the test. */
export async function rawClient(port: number, bytes = ''): Promise<RawClient> {
  const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  const chunks: Buffer[] = []
  let ended = false
  let closed = false
  let reset = false
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  socket.on('end', () => {
    ended = true
  })
  socket.on('close', () => {
    closed = true
  })
  socket.on('error', () => {
    reset = true
  })
  socket.write(bytes, 'latin1')
  const client: RawClient = {
    socket,
    get text() {
      return Buffer.concat(chunks).toString('latin1')
    },
    get bytes() {
      return chunks.reduce((sum, chunk) => sum + chunk.length, 0)
    },
    get ended() {
      return ended
    },
    get closed() {
      return closed
    },
    get reset() {
      return reset
    },
    has: (text) => eventually(() => expect(client.text).toContain(text)),
    async close() {
      socket.destroy()
    },
  }
  return using(client)
}

/** A promise and its ends. */
export function gate<Value = void>(): { promise: Promise<Value>; open(value: Value): void; fail(error: Error): void } {
  let resolve!: (value: Value) => void
  let reject!: (error: Error) => void
  const promise = new Promise<Value>((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise, open: resolve, fail: reject }
}

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { type Exchange, exchangeOf, type Failure, failExchange, GatewayError, warnOnce } from '@postern/contracts'
import { faultInjected, type InjectedFault } from '../channels.ts'
import { PROXY_PROBLEMS } from '../problems.ts'
import { DelayedRequest } from './delayed-request.ts'
import { drawFault, type Fault } from './fault.ts'
import { type FaultInjectionOptions, type ResolvedFaultInjectionOptions, resolveOptions } from './options.ts'

type Next = (error?: unknown) => void

/** How many faults were injected. */
export interface FaultInjectionStats {
  readonly delayed: number
  /** Answered with a status. */
  readonly aborted: number
  /** Connections cut. */
  readonly reset: number
  /** Requests that are held back at this moment. */
  readonly waiting: number
}

/** The handler, with its handles. */
export interface FaultInjectionHandler {
  (req: IncomingMessage, res: ServerResponse, next: Next): void
  /** Whether faults are being injected; false in an environment that was not named. */
  readonly enabled: boolean
  readonly stats: FaultInjectionStats
  /** Injects again. Changes nothing in an environment that was not named. */
  enable(): void
  /** Injects nothing until `enable()`; requests that are held back go on at once, without further faults. */
  disable(): void
  /** Disables for good. May be called twice. */
  close(): void
}

/**
 * Makes faults on purpose, for tests and drills: holds requests back, answers them with an error, or cuts their
 * connection, by share, header, route or path. Does nothing under `NODE_ENV=production` unless `environments` names it.
 *
 * ```ts
 * app.use('/products', faultInjection({ delay: { ms: [100, 500], share: 0.1 }, abort: { status: 503, share: 0.01 } }), proxy(url))
 * ```
 *
 * @throws ConfigError when the options cannot be used, with all faults
 */
export function faultInjection(options: FaultInjectionOptions): FaultInjectionHandler {
  const injector = new FaultInjector(resolveOptions(options, process.env.NODE_ENV))

  function faultInjectionHandler(req: IncomingMessage, res: ServerResponse, next: Next): void {
    injector.handle(req, res, next)
  }

  Object.defineProperty(faultInjectionHandler, 'enabled', { get: () => injector.enabled, enumerable: true })
  Object.defineProperty(faultInjectionHandler, 'stats', { get: () => injector.stats, enumerable: true })
  return Object.assign(faultInjectionHandler, {
    enable: (): void => injector.enable(),
    disable: (): void => injector.disable(),
    close: (): void => injector.close(),
  }) as FaultInjectionHandler
}

class FaultInjector {
  enabled: boolean
  readonly #options: ResolvedFaultInjectionOptions
  readonly #waiting = new Set<DelayedRequest>()
  readonly #cause: Error
  #delayed = 0
  #aborted = 0
  #reset = 0
  #closed = false

  constructor(options: ResolvedFaultInjectionOptions) {
    this.#options = options
    this.enabled = options.permitted
    const { name, permitted, environment } = options
    // One for all: a fault of ours needs no stack.
    this.#cause = Object.assign(new Error(`injected by faultInjection() "${name}"`), { stack: '' })
    if (!permitted) {
      const cure = `name it in the option environments if faults are wanted in it`
      warnOnce(
        'POSTERN_FAULTS_OFF',
        `faultInjection() "${name}" does nothing under NODE_ENV=${environment}: ${cure}`,
        name,
      )
    } else if (/^prod(?:uction)?$/i.test(environment)) {
      warnOnce('POSTERN_FAULTS_ON', `faultInjection() "${name}" injects faults under NODE_ENV=${environment}`, name)
    }
  }

  get stats(): FaultInjectionStats {
    return { delayed: this.#delayed, aborted: this.#aborted, reset: this.#reset, waiting: this.#waiting.size }
  }

  enable(): void {
    this.enabled = this.#options.permitted && !this.#closed
  }

  disable(): void {
    this.enabled = false
    for (const request of [...this.#waiting]) request.release()
  }

  close(): void {
    this.#closed = true
    this.disable()
  }

  handle(req: IncomingMessage, res: ServerResponse, next: Next): void {
    if (!this.enabled) {
      next()
      return
    }
    const exchange = exchangeOf(req, res)
    const fault = this.#faultOf(exchange)
    if (fault === undefined) {
      next()
      return
    }
    // Nobody is served by waiting longer than the exchange has left.
    const delayMs = Math.min(fault.delayMs, Math.max(0, exchange.deadline?.remainingMs() ?? fault.delayMs))
    if (delayMs === 0) {
      this.#end(exchange, fault.end, next)
      return
    }
    this.#delayed++
    this.#tell(exchange, 'delay', delayMs)
    new DelayedRequest(this.#waiting, exchange, delayMs, () => {
      this.#end(exchange, this.enabled ? fault.end : undefined, next)
    })
  }

  #faultOf(exchange: Exchange): Fault | undefined {
    const { when, orders, random } = this.#options
    if (when !== undefined && !when(exchange)) return undefined
    return orders?.of(exchange.request) ?? drawFault(this.#options, random)
  }

  #end(exchange: Exchange, end: Fault['end'], next: Next): void {
    const { request, response } = exchange
    // Somebody else has answered meanwhile (a time-out of the app), or nobody is there any more.
    if (exchange.closed || response.headersSent) return
    if (end === undefined) next()
    else if (end === 'reset') {
      this.#reset++
      exchange.failure ??= this.#failureOf(exchange)
      this.#tell(exchange, 'reset')
      cut(exchange)
    } else {
      this.#aborted++
      this.#tell(exchange, 'abort', 0, end)
      failExchange(request, response, this.#errorOf(exchange, end), this.#options.errors, next)
    }
  }

  #errorOf(exchange: Exchange, status: number): GatewayError {
    const { message } = this.#cause
    return new GatewayError(
      'fault_injected',
      { ...PROXY_PROBLEMS.fault_injected, status },
      {
        message: `${message} (status ${status})`,
        failure: this.#failureOf(exchange),
        // RFC 9110 §15.6.4 and RFC 6585 §4: those two say when to come again.
        headers: status === 503 || status === 429 ? { 'retry-after': '1' } : undefined,
      },
    )
  }

  /** RFC 9209 §2.3.30 has this word for errors of an intermediary's own. */
  #failureOf({ receivedAtMs }: Exchange): Failure {
    const totalMs = performance.now() - receivedAtMs
    return { type: 'proxy_internal_error', phase: 'queue', side: 'gateway', totalMs, cause: this.#cause }
  }

  #tell(exchange: Exchange, kind: InjectedFault['kind'], delayMs = 0, status?: number): void {
    if (!faultInjected.hasSubscribers) return
    faultInjected.publish({ exchange, name: this.#options.name, kind, delayMs, status })
  }
}

/** Resets the client's connection; where there is no TCP right under HTTP (TLS, Unix sockets), closes it. */
function cut({ request }: Exchange): void {
  const socket = request.socket as Socket
  try {
    socket.resetAndDestroy()
  } catch {
    socket.destroy()
  }
}

import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  createProxyMiddleware,
  loggerPlugin,
  type Options,
  type Plugin,
  proxyEventsPlugin,
  type RequestHandler,
} from 'http-proxy-middleware'
import type { HpmExchange } from './hpm-exchange.ts'
import { FacadeRequest, readOnlyResponse } from './hpm-facade.ts'
import type { HttpProxyMiddlewareOptions } from './hpm-options.ts'

/** The emitter behind http-proxy-middleware that its plugins are given. */
type Emitter = Parameters<Plugin>[0]

/** Options as http-proxy-middleware has them while it prepares one request. */
export type RequestOptions = Options<IncomingMessage, ServerResponse>

/**
 * One http-proxy-middleware, for all targets of a transport: its `router` is asked at every request and answers with the
 * target that was selected. Its events pass through here on their way to the user's handlers and plugins, so that
 * these see the client's real request and response, and so that nothing they throw, now or later, gets any further.
 */
export class HpmServer {
  readonly options: HttpProxyMiddlewareOptions
  readonly #middleware: RequestHandler
  #emitter!: Emitter

  constructor(options: HttpProxyMiddlewareOptions) {
    this.options = options
    const { on, plugins = [], ejectPlugins = false, logger, headers, auth, localAddress } = options
    const defaults = ejectPlugins ? [] : [proxyEventsPlugin, ...(logger === undefined ? [] : [loggerPlugin])]
    this.#middleware = createProxyMiddleware({
      pathFilter: () => true,
      router: (req, _res, options) => {
        const facade = req as unknown as FacadeRequest
        facade.url = facade.exchange.path
        return facade.exchange.route(options)
      },
      selfHandleResponse: true,
      // Those that we do not want answer errors and listen on the client's response.
      ejectPlugins: true,
      plugins: [(emitter) => this.#adopt(emitter), ...(defaults as Plugin[]), ...plugins],
      ...(on === undefined ? null : { on }),
      ...(logger === undefined ? null : { logger }),
      ...(headers === undefined ? null : { headers }),
      ...(auth === undefined ? null : { auth }),
      ...(localAddress === undefined ? null : { localAddress }),
    })
  }

  /** Has http-proxy-middleware make the request of an exchange. */
  send(exchange: HpmExchange, req: FacadeRequest, res: object): void {
    this.#middleware(req as never, res as never, (error) => exchange.onNotTaken(error)).catch((error: unknown) =>
      exchange.onNotTaken(error),
    )
  }

  /** True when somebody listens for the event. */
  has(event: string): boolean {
    return this.#emitter.listenerCount(event as never) > 0
  }

  /**
   * Calls the handlers of an event.
   *
   * @param onFault told of what a handler throws or rejects with; handlers behind one that throws are not called
   */
  tell(event: string, args: readonly unknown[], onFault: (error: unknown) => void): void {
    const emitter = this.#emitter
    if (emitter.listenerCount(event as never) === 0) return
    try {
      for (const listener of emitter.rawListeners(event as never) as ((...args: unknown[]) => unknown)[]) {
        const result = Reflect.apply(listener, emitter, args)
        if (typeof (result as PromiseLike<unknown> | undefined)?.then === 'function') {
          ;(result as PromiseLike<unknown>).then(undefined, onFault)
        }
      }
    } catch (error) {
      onFault(error)
    }
  }

  /** Notes what a handler threw when there was no attempt left that it could have failed. */
  report(event: string, error: unknown): void {
    this.options.logger?.error(`a handler of "${event}" failed: ${String(error)}`)
  }

  #adopt(emitter: Emitter): void {
    this.#emitter = emitter
    // With a listener there, httpxy reports errors as events and not as rejections as well.
    emitter.on('error', () => {})
    const { emit } = emitter
    emitter.emit = ((event: string, ...args: unknown[]): boolean =>
      this.#emit(event, args) ?? Reflect.apply(emit, emitter, [event, ...args])) as typeof emit
  }

  /** @returns undefined when the event is not about a request of ours */
  #emit(event: string, args: unknown[]): boolean | undefined {
    const facade = args[event === 'start' || event === 'end' ? 0 : 1]
    if (!(facade instanceof FacadeRequest)) return undefined
    const { exchange } = facade
    switch (event) {
      case 'proxyRes':
        exchange.onResponse(args[0] as IncomingMessage)
        return true
      case 'error':
      case 'econnreset': {
        const [error, , , target] = args
        exchange.fail(error as Error)
        this.tell(event, [error, exchange.req, readOnlyResponse(exchange.res), target], (fault) =>
          this.report(event, fault),
        )
        return true
      }
      default:
        exchange.onEvent(event, args)
        return true
    }
  }
}

import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Server as SecureServer } from 'node:https'
import type { BalancerHandler } from '@postern/balancer'
import type { CacheHandler } from '@postern/cache'
import { ConfigError, exchangeOf, type Logger } from '@postern/contracts'
import type { LoadShedderHandler } from '@postern/overload'
import { attachUpgrades, harden, type RequestHandler } from '@postern/proxy'
import type { RouterHandler } from '@postern/router'
import { closeParts, compile } from './compile.ts'
import type { GatewayConfig } from './config.ts'
import { UnderWay } from './under-way.ts'
import type { Upstream as BuiltUpstream, UpstreamParts } from './upstream.ts'

/** The handler, with its handles. */
export interface GatewayHandler<Upstream extends string = string> {
  (req: IncomingMessage, res: ServerResponse, next?: (error?: unknown) => void): void
  /** The balancer of each upstream: live targets, draining, replacing. */
  readonly upstreams: Readonly<Record<Upstream, BalancerHandler>>
  /** All parts of each upstream: circuits to isolate, places to count, what the proxy is doing. */
  readonly parts: Readonly<Record<Upstream, UpstreamParts>>
  /** What is being shed; undefined without `shedding`. */
  readonly shedder: LoadShedderHandler | undefined
  /** The cache of all routes that have one: to purge, and to count; undefined when no route is cached and `cache` is not given. */
  readonly cache: CacheHandler | undefined
  /** Says which routes a request was held against, and why each lost or won. */
  readonly explain: RouterHandler['explain']
  /** The gateway's log, for lines of the app's own; undefined with `logger: false`. */
  readonly log: Logger | undefined
  /**
   * Gives the server its limits, sends its upgrades (WebSockets) through the same app, and puts it into the care of
   * `close()`.
   *
   * @param app what the server calls for requests; found by itself unless the server has several listeners
   * @returns the server
   * @throws ConfigError when it is not clear which app the server serves
   */
  attach<S extends Server | SecureServer>(server: S, app?: RequestHandler): S
  /**
   * Drains: attached servers take no new connections, answers say `Connection: close`, WebSockets are told to go away
   * (1001), what is under way finishes, up to `shutdown.graceMs`; then the rest is cut. Idempotent.
   */
  close(): Promise<void>
}

/**
 * The whole gateway from one configuration, as one handler: logger, router, balancer and proxy in the order that is safe.
 * What no route matches goes on to the app behind it.
 *
 * @throws ConfigError with every fault of the configuration, by path, value and cure
 */
export function gateway<const Upstream extends string>(config: GatewayConfig<Upstream>): GatewayHandler<Upstream> {
  const { logger, shedder, cache, guards, router, upstreams } = compile(config)
  const graceMs = config.shutdown?.graceMs ?? 10_000
  const servers = new Set<Server | SecureServer>()
  const underWay = new UnderWay()
  let closed: Promise<void> | undefined

  function gatewayHandler(req: IncomingMessage, res: ServerResponse, next?: (error?: unknown) => void): void {
    underWay.add(exchangeOf(req, res))
    if (logger === undefined) router(req, res, next)
    else logger(req, res, () => router(req, res, next))
  }

  async function shutDown(): Promise<void> {
    underWay.drain()
    const deadline = performance.now() + graceMs
    const proxies = [...upstreams.values()].map((upstream) => upstream.proxy)
    for (const proxy of proxies) proxy.drain()
    await within(graceMs, Promise.all([...servers].map(stopServer)))
    const left = Math.max(0, deadline - performance.now())
    await Promise.all(proxies.map((proxy) => proxy.close({ graceMs: left })))
    for (const server of servers) server.closeAllConnections()
    for (const upstream of upstreams.values()) closeParts(upstream)
    shedder?.close()
    guards.close()
    await cache?.close()
    await logger?.close()
  }

  return Object.assign(gatewayHandler, {
    upstreams: byName<Upstream, BalancerHandler>(upstreams, ({ balancer }) => balancer),
    parts: byName<Upstream, UpstreamParts>(upstreams, ({ balancer, bulkhead, breaker, proxy }) =>
      Object.freeze({ balancer, bulkhead, breaker, proxy }),
    ),
    shedder,
    cache,
    explain: router.explain,
    log: logger?.log,
    attach<S extends Server | SecureServer>(server: S, app: RequestHandler = appOf(server)): S {
      harden(server, config.server)
      attachUpgrades(server, app)
      servers.add(server)
      server.once('close', () => servers.delete(server))
      return server
    },
    close(): Promise<void> {
      closed ??= shutDown()
      return closed
    },
  })
}

function byName<Name extends string, Part>(
  upstreams: ReadonlyMap<string, BuiltUpstream>,
  part: (upstream: BuiltUpstream) => Part,
): Readonly<Record<Name, Part>> {
  const rows = [...upstreams].map(([name, upstream]) => [name, part(upstream)])
  return Object.freeze(Object.fromEntries(rows)) as Readonly<Record<Name, Part>>
}

/** The one listener of the server's requests: the Express app, or the gateway itself. */
function appOf(server: Server | SecureServer): RequestHandler {
  const listeners = server.listeners('request')
  if (listeners.length === 1) return listeners[0] as RequestHandler
  throw new ConfigError('gateway().attach()', [
    {
      path: 'server',
      message: `has ${listeners.length} request listeners, so its app is not clear`,
      cure: 'name it: attach(server, app)',
    },
  ])
}

/** How often a server that is being stopped looks for connections that have become idle, in milliseconds. */
const IDLE_CHECK_MS = 50

/**
 * Takes no new connections, and resolves when the last one is gone. Node closes those that are idle at that moment; one
 * whose answer had begun by then, or was not ours, becomes idle later and would stay until its keep-alive runs out.
 */
function stopServer(server: Server | SecureServer): Promise<void> {
  return new Promise((resolve) => {
    if (!server.listening) return resolve()
    const timer = setInterval(() => server.closeIdleConnections(), IDLE_CHECK_MS)
    server.close(() => {
      clearInterval(timer)
      resolve()
    })
  })
}

async function within(ms: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const limit = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms)
  })
  await Promise.race([work, limit])
  clearTimeout(timer)
}

import type { IncomingMessage, ServerResponse } from 'node:http'
import { ConfigError, exchangeOf, failExchange, type Target, warnOnce } from '@postern/contracts'
import { areUpgradesAttached } from './attach-upgrades.ts'
import { Forwarding } from './forwarding.ts'
import { isHardened } from './harden.ts'
import type { MirrorStats } from './mirror/mirror.ts'
import { type ProxyOptions, resolveOptions } from './options.ts'
import { closingProblem } from './problems.ts'
import { ProxyState } from './proxy-state.ts'

/** What a proxy is doing at this moment. */
export interface ProxyStats {
  /** Exchanges under way, tunnels included. */
  readonly active: number
  /** WebSockets and other upgraded connections that are open. */
  readonly tunnels: number
  /** Further attempts that were made, those under way among them, and how often the budget allowed none. */
  readonly attempts: {
    readonly retries: number
    readonly hedges: number
    readonly inFlight: number
    readonly overBudget: number
  }
  /** What became of the mirror's copies; undefined without a mirror. */
  readonly mirror: MirrorStats | undefined
  readonly targets: readonly { readonly target: Target; readonly inFlight: number; readonly queued: number }[]
}

/** The handler, with its handles. */
export interface ProxyHandler {
  (req: IncomingMessage, res: ServerResponse, next?: (error?: unknown) => void): void
  /** What is under way, read at the moment of asking. */
  readonly stats: ProxyStats
  /** Tells WebSockets to go away (1001); requests are served as before. */
  drain(): void
  /**
   * Takes no new requests (they get 503), tells WebSockets to go away (1001), lets what is under way finish, and closes
   * the connections to the targets. Idempotent.
   *
   * @param options.graceMs how long to wait for exchanges under way before they are cut, in milliseconds, 0 to
   *   Infinity; default 10,000
   * @throws ConfigError when `graceMs` is no such number
   */
  close(options?: { readonly graceMs?: number }): Promise<void>
}

/**
 * Forwards requests to an upstream and its answers back: streaming both ways, with the header hygiene, framing checks
 * and failure answers that an HTTP intermediary owes both sides. Works in Express 5 and in a bare server:
 * `http.createServer(proxy(url))`.
 *
 * @param options the upstream's URL, or options; without a target it takes the one that `balancer()` has selected
 * @throws ConfigError at once, with every fault of the options
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-7.6
 */
export function proxy(options?: string | URL | ProxyOptions): ProxyHandler {
  const state = new ProxyState(resolveOptions(options))
  let serverChecked = false
  let closed: Promise<void> | undefined

  function proxyHandler(req: IncomingMessage, res: ServerResponse, next?: (error?: unknown) => void): void {
    if (!serverChecked) {
      serverChecked = true
      checkServer(req)
    }
    const exchange = exchangeOf(req, res)
    if (exchange.closed || res.headersSent) return
    if (state.closing) {
      failExchange(req, res, closingProblem(), state.options.errors, next)
      return
    }
    new Forwarding(state, exchange, req, res, next).begin()
  }

  return Object.assign(
    Object.defineProperty(proxyHandler, 'stats', {
      enumerable: true,
      get: (): ProxyStats => ({
        active: state.active,
        tunnels: state.tunnels.size,
        attempts: {
          retries: state.counts.retry,
          hedges: state.counts.hedge,
          inFlight: state.budget.inFlight,
          overBudget: state.budget.refused,
        },
        mirror: state.mirror?.stats,
        targets: state.pools.list(),
      }),
    }) as ProxyHandler,
    {
      drain: (): void => state.tunnels.drain(),
      close(how: { readonly graceMs?: number } = {}): Promise<void> {
        closed ??= shutDown(state, checkedGrace(how.graceMs ?? 10_000))
        return closed
      },
    },
  )
}

function checkedGrace(graceMs: number): number {
  if (typeof graceMs === 'number' && graceMs >= 0) return graceMs
  throw new ConfigError('proxy().close()', [
    { path: 'graceMs', message: 'expected milliseconds', received: graceMs, cure: 'use a number from 0 to Infinity' },
  ])
}

async function shutDown(state: ProxyState, graceMs: number): Promise<void> {
  state.closing = true
  state.tunnels.drain()
  await state.whenIdle(graceMs)
  state.closed = true
  state.tunnels.destroy()
  await Promise.all([state.mirror?.close(), state.pools.close(state.active === 0 ? 'close' : 'destroy')])
}

/** Once a proxy, at its first request: what only a running server shows. */
function checkServer(req: IncomingMessage): void {
  if (!isHardened(req)) {
    warnOnce(
      'POSTERN_SERVER_NOT_HARDENED',
      'The server in front of proxy() has the timeouts of a plain Node server. Call harden(server) from @postern/proxy, or gateway().attach(server).',
    )
  }
  if (req.headers.upgrade !== undefined && !areUpgradesAttached(req)) {
    warnOnce(
      'POSTERN_UPGRADES_NOT_ATTACHED',
      'An upgrade request (WebSocket) reached proxy() as a plain request. Call attachUpgrades(server, app) from @postern/proxy.',
    )
  }
}

import type { Server } from 'node:http'
import type { AuthenticateOptions, ForwardIdentityOptions, PassportStrategy, Rule } from '@postern/auth'
import type { BalancerOptions } from '@postern/balancer'
import type { CacheOptions, CacheOverrides } from '@postern/cache'
import type { CircuitBreakerOptions } from '@postern/circuit-breaker'
import type { ErrorMode, FallbackHandler, PathPolicy } from '@postern/contracts'
import type { LoggerOptions } from '@postern/logger'
import type { BulkheadOptions, LoadShedderOptions, Priority } from '@postern/overload'
import type { HardenOptions, ProxyOptions, RetryOptions } from '@postern/proxy'
import type { Branch, Route } from '@postern/router'

/** Who may call, and what. */
export interface AuthConfig extends Omit<AuthenticateOptions, 'errors' | 'clock' | 'optional'> {
  /** By what callers say who they are; the first that finds its credentials decides. Closed with the gateway. */
  readonly schemes: PassportStrategy | readonly PassportStrategy[]
  /** What every route asks for that has no rule of its own. @default none: such a route is a fault of the configuration */
  readonly rule?: Rule
  /**
   * On routes without a rule, callers who show no credentials pass without an identity; in place of `rule`, not beside it.
   * A route that its rule was forgotten for is then open. @default false
   */
  readonly optional?: boolean
}

/** Who may call one route; what it leaves out is the gateway's. */
export interface RouteAuthConfig {
  /** In place of the gateway's. */
  readonly schemes?: PassportStrategy | readonly PassportStrategy[]
  /** In place of the gateway's: it does not add to it. */
  readonly rule?: Rule
  /**
   * Callers who show no credentials pass without an identity, those who show wrong ones never do. The gateway's rule does not
   * hold here then, since every rule asks for an identity. @default the gateway's
   */
  readonly optional?: boolean
}

/** One service behind the gateway: its targets, how one is chosen, and how requests are carried there. */
export interface UpstreamConfig
  extends Omit<BalancerOptions, 'name' | 'clock' | 'random'>,
    Omit<ProxyOptions, 'target' | 'errors' | 'paths' | 'log' | 'fallthrough' | 'retries'> {
  /** Further tries of requests that failed; `false`: none. @default { attempts: 2 } */
  readonly retries?: RetryOptions | false
  /** A circuit for each target: `true`, or how. @default false */
  readonly breaker?: boolean | Omit<CircuitBreakerOptions, 'name' | 'errors' | 'clock' | 'random'>
  /** Most exchanges in flight to the upstream: a number, or how. @default no limit but that of `connections` */
  readonly bulkhead?: number | Omit<BulkheadOptions, 'name' | 'errors' | 'clock' | 'random'>
  /**
   * How the upstream learns who is calling: headers, a token of the gateway's own, or an exchanged one. No request that goes
   * through the gateway, on whichever route, brings such a header of a client's own. @default it is told nothing
   */
  readonly identity?: Omit<ForwardIdentityOptions, 'errors' | 'name' | 'clock'>
  /**
   * Answers in place of every failure of the gateway's own on the way to this upstream: no target, a circuit that is open, a
   * full queue, a time-out. What the upstream itself answers is passed on, a 500 included. @default none
   */
  readonly fallback?: FallbackHandler
}

/** One way out of a split route: an upstream, or what the router offers itself. */
export interface BranchConfig<Upstream extends string = string> extends Branch {
  /** Name of the upstream that this share of the traffic goes to; after the `handlers`, when there are any. */
  readonly upstream?: Upstream
}

/** One route: the router's conditions and edits, and where the request goes. */
export interface RouteConfig<Upstream extends string = string> extends Omit<Route, 'split'> {
  /** Name of the upstream; after the `handlers`, when there are any. */
  readonly upstream?: Upstream
  /** How important the route is when not everything can be served; needs `shedding`. @default 'normal' */
  readonly priority?: Priority
  /** Who may call it, before anything else is done for it, redirects and fixed answers included. @default the gateway's `auth` */
  readonly auth?: RouteAuthConfig
  /** Anybody may call it, and nobody is asked who he is. @default false */
  readonly public?: true
  /** Answers in place of every failure of the gateway's own on this route, before an upstream's. @default none */
  readonly fallback?: FallbackHandler
  /**
   * Answers are stored and reused as RFC 9111 allows: `true`, or by which rules. Stands behind the route's own `handlers`,
   * authentication among them, and before the upstream. @default false
   */
  readonly cache?: boolean | Omit<CacheOverrides, 'errors' | 'space'>
  readonly split?:
    | readonly BranchConfig<Upstream>[]
    | (Omit<Extract<Route['split'], { branches: unknown }>, 'branches'> & {
        readonly branches: readonly BranchConfig<Upstream>[]
      })
}

/** What {@link gateway} is made of. */
export interface GatewayConfig<Upstream extends string = string> {
  readonly upstreams: Readonly<Record<Upstream, UpstreamConfig>>
  /** Compiled to a table; order only decides between routes that are equally specific. */
  readonly routes: readonly RouteConfig<NoInfer<Upstream>>[]
  /** One line a request. `false`: none. @default true */
  readonly logger?: boolean | LoggerOptions
  /**
   * Refuses what cannot be served in time, the least important routes first; see `priority` of a route.
   * @default nothing is shed
   */
  readonly shedding?: Omit<LoadShedderOptions, 'errors' | 'random' | 'classify' | 'delaySource'>
  /** Who may call the routes; each then needs a rule, its own or this one, or is `public`. @default all routes are open */
  readonly auth?: AuthConfig
  /** The store and the rules of all routes that have `cache`. @default 64 MiB of this process's memory */
  readonly cache?: Omit<CacheOptions, 'errors' | 'space' | 'clock'>
  /** Which odd spellings of a path are let through; for router and proxies alike. */
  readonly paths?: PathPolicy
  /** `'next'` hands errors to the app's own error handler. @default 'respond' */
  readonly errors?: ErrorMode
  /** Limits of the server, set by `attach()`. */
  readonly server?: HardenOptions
  readonly shutdown?: {
    /** Longest time that `close()` waits for what is under way, in milliseconds, 0 to 2^31-1. @default 10_000 */
    readonly graceMs?: number
  }
}

/** A server as `attach()` takes it. */
export type AttachableServer = Server | import('node:https').Server

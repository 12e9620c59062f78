import type { CacheHandler } from '@postern/cache'
import { ConfigError, type ConfigFault, type ErrorMode, nearest } from '@postern/contracts'
import { type LoggerHandler, type LoggerOptions, logger } from '@postern/logger'
import { type LoadShedderHandler, loadShedder } from '@postern/overload'
import { type Route, type RouteHandler, type RouterHandler, router } from '@postern/router'
import { Guards } from './authentication.ts'
import { cachedChain, checkRouteCache, compileCache } from './caching.ts'
import type { BranchConfig, GatewayConfig, RouteConfig, UpstreamConfig } from './config.ts'
import { gather, isObject, refuseUnknownKeys } from './faults.ts'
import { compileUpstream, fallbackTo, type Upstream } from './upstream.ts'

/** The parts of one configuration, built and wired. */
export interface Generation {
  readonly logger: LoggerHandler | undefined
  readonly shedder: LoadShedderHandler | undefined
  readonly cache: CacheHandler | undefined
  readonly guards: Guards
  readonly router: RouterHandler
  readonly upstreams: ReadonlyMap<string, Upstream>
}

const KEYS = ['upstreams', 'routes', 'logger', 'shedding', 'auth', 'cache', 'paths', 'errors', 'server', 'shutdown']

/**
 * Builds every part of a configuration.
 *
 * @throws ConfigError with the faults of all parts, by their path in the configuration
 */
export function compile(config: GatewayConfig): Generation {
  const faults: ConfigFault[] = []
  if (!isObject(config)) {
    throw new ConfigError('gateway()', [
      {
        path: '',
        message: 'not a configuration',
        received: config,
        cure: 'write gateway({ upstreams: {…}, routes: […] })',
      },
    ])
  }
  checkKeys(config, faults)
  const guards = new Guards(config, faults)
  const upstreams = compileUpstreams(config, guards, faults)
  const shedder =
    config.shedding === undefined
      ? undefined
      : gather(faults, 'shedding', () => loadShedder({ ...config.shedding, ...errorsOf(config) }))
  const cache = compileCache(config, faults)
  const built = gather(faults, '', () => compileRouter(config, { upstreams, shedder, cache, guards }, faults))
  const log =
    config.logger === false ? undefined : gather(faults, 'logger', () => logger(loggerOptions(config.logger, guards)))
  if (faults.length > 0 || built === undefined) {
    void log?.close()
    shedder?.close()
    void cache?.close()
    guards.close()
    for (const each of upstreams.values()) closeParts(each)
    throw new ConfigError('gateway()', faults)
  }
  return { logger: log, shedder, cache, guards, router: built, upstreams }
}

/** Ends the timers of an upstream's parts; the proxy has an end of its own. */
export function closeParts({ balancer, bulkhead, breaker }: Upstream): void {
  bulkhead?.close()
  breaker?.close()
  balancer.close()
}

function errorsOf({ errors }: GatewayConfig): { readonly errors?: ErrorMode } {
  return errors === undefined ? {} : { errors }
}

/** Credentials stay out of the log wherever they stand: a name that nobody else would take for a secret's is known here. */
function loggerOptions(given: GatewayConfig['logger'], guards: Guards): LoggerOptions {
  const options = given === undefined || typeof given === 'boolean' ? {} : given
  // What is wrong is left as it is, for the logger to tell.
  if (!isObject(options)) return options
  const { redact = {} } = options
  if (!isObject(redact)) return options
  const { headers = [], query = [] } = redact
  if (!Array.isArray(headers) || !Array.isArray(query)) return options
  const secret = guards.secretNames()
  if (secret.headers.length + secret.query.length === 0) return options
  return {
    ...options,
    redact: { ...redact, headers: [...headers, ...secret.headers], query: [...query, ...secret.query] },
  }
}

function checkKeys(config: GatewayConfig, faults: ConfigFault[]): void {
  refuseUnknownKeys(config, KEYS, '', faults)
  if (!isObject(config.upstreams)) {
    faults.push({ path: 'upstreams', message: 'expected an object of name to upstream', received: config.upstreams })
  }
  if (!Array.isArray(config.routes)) {
    faults.push({ path: 'routes', message: 'expected a list of routes', received: config.routes })
  }
  const grace: unknown = config.shutdown?.graceMs
  if (grace !== undefined && !(Number.isInteger(grace) && Number(grace) >= 0 && Number(grace) < 2 ** 31)) {
    faults.push({ path: 'shutdown.graceMs', message: 'expected a whole number from 0 to 2147483647', received: grace })
  }
  for (const key of Object.keys(config.shutdown ?? {})) {
    if (key !== 'graceMs')
      faults.push({ path: `shutdown.${key}`, message: 'unknown option', cure: 'known here: graceMs' })
  }
}

function compileUpstreams(config: GatewayConfig, guards: Guards, faults: ConfigFault[]): Map<string, Upstream> {
  const upstreams = new Map<string, Upstream>()
  if (!isObject(config.upstreams)) return upstreams
  for (const [name, upstream] of Object.entries(config.upstreams) as [string, UpstreamConfig][]) {
    const built = compileUpstream(name, upstream, config, guards, faults)
    if (built !== undefined) upstreams.set(name, built)
  }
  return upstreams
}

/** What routes are made of. */
interface RouteParts {
  readonly upstreams: ReadonlyMap<string, Upstream>
  readonly shedder: LoadShedderHandler | undefined
  readonly cache: CacheHandler | undefined
  readonly guards: Guards
}

function compileRouter(config: GatewayConfig, parts: RouteParts, faults: ConfigFault[]): RouterHandler | undefined {
  const { upstreams, cache } = parts
  if (!Array.isArray(config.routes)) return undefined
  const known = isObject(config.upstreams) ? Object.keys(config.upstreams) : []
  const resolve = (
    row: RouteConfig | BranchConfig,
    path: string,
    route: RouteConfig,
  ): readonly RouteHandler[] | undefined => {
    if (row.upstream === undefined) return undefined
    if (!known.includes(row.upstream)) {
      const near = nearest(String(row.upstream), known)
      faults.push({
        path: `${path}.upstream`,
        message: 'unknown upstream',
        received: row.upstream,
        cure: near === undefined ? `known: ${known.join(', ')}` : `did you mean "${near}"?`,
      })
    }
    const upstream = upstreams.get(row.upstream)
    // An upstream with faults of its own: the route is still checked for its own.
    return upstream === undefined ? [unreachable] : cachedChain(route, row.upstream, upstream, cache, faults)
  }
  // All of them first: what one route asks for is kept from the upstreams of the others.
  const guarded = config.routes.map((row, i) => parts.guards.of(row, `routes[${i}]`))
  const routes = config.routes.map((row, i) => {
    const path = `routes[${i}]`
    checkRouteCache(row, path, faults)
    return withFront(routeOf(row, path, resolve), [
      ...frontOf(row, path, config, parts, faults),
      parts.guards.shield(row, guarded[i]!),
      ...guarded[i]!.handlers,
    ])
  })
  return router(routes, {
    ...(config.paths === undefined ? null : { paths: config.paths }),
    ...errorsOf(config),
  })
}

/**
 * What comes before whatever a route does, and before it is asked who is calling: its class under load, and what answers
 * when the gateway would fail.
 */
function frontOf(
  row: RouteConfig,
  path: string,
  config: GatewayConfig,
  { shedder }: RouteParts,
  faults: ConfigFault[],
): readonly RouteHandler[] {
  if (!isObject(row)) return []
  const { priority, fallback } = row
  const front: RouteHandler[] = []
  if (priority !== undefined && config.shedding === undefined) {
    faults.push({
      path: `${path}.priority`,
      message: 'decides nothing while nothing is shed',
      received: priority,
      cure: 'give the gateway shedding: { maxInFlight: … }',
    })
  } else if (shedder !== undefined) {
    const shed = priority === undefined ? shedder : gather(faults, `${path}.priority`, () => shedder.as(priority))
    if (shed !== undefined) front.push(shed as RouteHandler)
  }
  if (typeof fallback === 'function') front.push(fallbackTo(fallback, config.errors ?? 'respond'))
  else if (fallback !== undefined) {
    faults.push({ path: `${path}.fallback`, message: 'expected a handler (req, res, next)', received: fallback })
  }
  return front
}

type Resolve = (
  row: RouteConfig | BranchConfig,
  path: string,
  route: RouteConfig,
) => readonly RouteHandler[] | undefined

/** Redirects and fixed answers are guarded like everything else; the route's own `before` comes behind. */
function withFront(route: Route, stages: readonly (RouteHandler | undefined)[]): Route {
  const front = stages.filter((stage) => stage !== undefined)
  if (!isObject(route) || front.length === 0) return route
  const own = [route.before ?? []].flat()
  // What is no list of handlers is left alone, for the router to tell by its own path.
  return own.every((each) => typeof each === 'function') ? { ...route, before: [...front, ...own] } : route
}

function routeOf(row: RouteConfig, path: string, resolve: Resolve): Route {
  if (!isObject(row)) return row
  const {
    upstream: _,
    priority: __,
    fallback: ___,
    cache: ____,
    auth: _____,
    public: ______,
    split,
    ...rest
  } = withHandlers(row, path, row, resolve)
  if (split === undefined) return rest as Route
  const branches = Array.isArray(split) ? split : (split as { branches: readonly BranchConfig[] }).branches
  if (!Array.isArray(branches)) return { ...rest, split } as Route
  const at = Array.isArray(split) ? `${path}.split` : `${path}.split.branches`
  const built = branches.map((branch: BranchConfig, i) => {
    if (!isObject(branch)) return branch
    const { upstream: _, ...plain } = withHandlers(branch, `${at}[${i}]`, row, resolve)
    return plain
  })
  return { ...rest, split: Array.isArray(split) ? built : { ...split, branches: built } } as Route
}

function withHandlers<Row extends RouteConfig | BranchConfig>(
  row: Row,
  path: string,
  route: RouteConfig,
  resolve: Resolve,
): Row {
  const carriers = resolve(row, path, route)
  // A row without an upstream has its own handlers, answers by itself, or has branches that do.
  return carriers === undefined ? row : { ...row, handlers: [...[row.handlers ?? []].flat(), ...carriers] }
}

function unreachable(): void {}

import { type BalancerHandler, balancer } from '@postern/balancer'
import { ConfigError, type ConfigFault, nearest } from '@postern/contracts'
import { type LoggerHandler, type LoggerOptions, logger } from '@postern/logger'
import { type ProxyHandler, type ProxyOptions, proxy } from '@postern/proxy'
import { type Route, type RouteHandler, type RouterHandler, router } from '@postern/router'
import type { BranchConfig, GatewayConfig, RouteConfig, UpstreamConfig } from './config.ts'

/** One upstream, built. */
export interface Upstream {
  readonly balancer: BalancerHandler
  readonly proxy: ProxyHandler
}

/** The parts of one configuration, built and wired. */
export interface Generation {
  readonly logger: LoggerHandler | undefined
  readonly router: RouterHandler
  readonly upstreams: ReadonlyMap<string, Upstream>
}

const KEYS = ['upstreams', 'routes', 'logger', 'paths', 'errors', 'server', 'shutdown']

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
  const upstreams = compileUpstreams(config, faults)
  const built = attempt(faults, '', () => compileRouter(config, upstreams, faults))
  const log =
    config.logger === false ? undefined : attempt(faults, 'logger', () => logger(loggerOptions(config.logger)))
  if (faults.length > 0 || built === undefined) {
    void log?.close()
    throw new ConfigError('gateway()', faults)
  }
  return { logger: log, router: built, upstreams }
}

function loggerOptions(given: GatewayConfig['logger']): LoggerOptions {
  return given === undefined || typeof given === 'boolean' ? {} : given
}

function checkKeys(config: GatewayConfig, faults: ConfigFault[]): void {
  for (const [key, received] of Object.entries(config)) {
    if (KEYS.includes(key)) continue
    const near = nearest(key, KEYS)
    const cure = near === undefined ? `known here: ${KEYS.join(', ')}` : `did you mean "${near}"?`
    faults.push({ path: key, message: 'unknown option', received, cure })
  }
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

function compileUpstreams(config: GatewayConfig, faults: ConfigFault[]): Map<string, Upstream> {
  const upstreams = new Map<string, Upstream>()
  if (!isObject(config.upstreams)) return upstreams
  for (const [name, upstream] of Object.entries(config.upstreams) as [string, UpstreamConfig][]) {
    const path = `upstreams.${name}`
    if (!isObject(upstream)) {
      faults.push({ path, message: 'expected { targets: […], … }', received: upstream })
      continue
    }
    const { targets, strategy, ...rest } = upstream
    const choice = attempt(faults, path, () =>
      balancer({ targets, name, ...(strategy === undefined ? null : { strategy }) }),
    )
    const options: ProxyOptions = {
      ...rest,
      ...(config.paths === undefined ? null : { paths: config.paths }),
      ...(config.errors === undefined ? null : { errors: config.errors }),
    }
    for (const key of ['target', 'paths', 'errors']) {
      if (key in rest)
        faults.push({ path: `${path}.${key}`, message: 'not an option of an upstream', cure: OWN_PLACE[key]! })
    }
    // `paths` and `errors` are checked where they stand: once, at the top.
    const carrier = attempt(
      faults,
      path,
      () => proxy(options),
      (fault) => !/^(?:paths|errors)\b/.test(fault.path),
    )
    if (choice !== undefined && carrier !== undefined) upstreams.set(name, { balancer: choice, proxy: carrier })
  }
  return upstreams
}

const OWN_PLACE: Readonly<Record<string, string>> = {
  target: 'list it in targets',
  paths: 'set it for the whole gateway: paths',
  errors: 'set it for the whole gateway: errors',
}

function compileRouter(
  config: GatewayConfig,
  upstreams: ReadonlyMap<string, Upstream>,
  faults: ConfigFault[],
): RouterHandler | undefined {
  if (!Array.isArray(config.routes)) return undefined
  const known = isObject(config.upstreams) ? Object.keys(config.upstreams) : []
  const resolve = (row: RouteConfig | BranchConfig, path: string): RouteHandler[] | undefined => {
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
    return upstream === undefined ? [unreachable] : [upstream.balancer as RouteHandler, upstream.proxy as RouteHandler]
  }
  const routes = config.routes.map((row, i) => routeOf(row, `routes[${i}]`, resolve))
  return router(routes, {
    ...(config.paths === undefined ? null : { paths: config.paths }),
    ...(config.errors === undefined ? null : { errors: config.errors }),
  })
}

type Resolve = (row: RouteConfig | BranchConfig, path: string) => RouteHandler[] | undefined

function routeOf(row: RouteConfig, path: string, resolve: Resolve): Route {
  if (!isObject(row)) return row
  const { upstream: _, split, ...rest } = withHandlers(row, path, resolve)
  if (split === undefined) return rest as Route
  const branches = Array.isArray(split) ? split : (split as { branches: readonly BranchConfig[] }).branches
  if (!Array.isArray(branches)) return { ...rest, split } as Route
  const at = Array.isArray(split) ? `${path}.split` : `${path}.split.branches`
  const built = branches.map((branch: BranchConfig, i) => {
    if (!isObject(branch)) return branch
    const { upstream: _, ...plain } = withHandlers(branch, `${at}[${i}]`, resolve)
    return plain
  })
  return { ...rest, split: Array.isArray(split) ? built : { ...split, branches: built } } as Route
}

function withHandlers<Row extends RouteConfig | BranchConfig>(row: Row, path: string, resolve: Resolve): Row {
  const carriers = resolve(row, path)
  return carriers === undefined ? row : { ...row, handlers: [...[row.handlers ?? []].flat(), ...carriers] }
}

function unreachable(): void {}

/** Runs one part's own checks and puts the part's place in the configuration in front of each fault. */
function attempt<T>(
  faults: ConfigFault[],
  prefix: string,
  build: () => T,
  keep: (fault: ConfigFault) => boolean = () => true,
): T | undefined {
  try {
    return build()
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    for (const fault of error.faults) {
      if (!keep(fault)) continue
      const path = prefix === '' || fault.path === '' ? prefix + fault.path : `${prefix}.${fault.path}`
      faults.push({ ...fault, path })
    }
    return undefined
  }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

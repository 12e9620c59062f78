import type { IncomingMessage, ServerResponse } from 'node:http'
import { type BalancerHandler, type BalancerOptions, balancer } from '@postern/balancer'
import { type CircuitBreakerHandler, circuitBreaker } from '@postern/circuit-breaker'
import {
  type ConfigFault,
  type ErrorMode,
  exchangeOf,
  type FallbackHandler,
  type FallbackOffer,
  nearest,
  offerFallback,
} from '@postern/contracts'
import { type BulkheadHandler, bulkhead } from '@postern/overload'
import { type DeadlineHandler, deadline, type ProxyHandler, type ProxyOptions, proxy } from '@postern/proxy'
import type { RouteHandler } from '@postern/router'
import type { Guards } from './authentication.ts'
import type { GatewayConfig, UpstreamConfig } from './config.ts'
import { gather, isObject } from './faults.ts'

/** The parts that lead to one upstream, built; what the configuration leaves out is undefined. */
export interface UpstreamParts {
  readonly balancer: BalancerHandler
  readonly bulkhead: BulkheadHandler | undefined
  readonly breaker: CircuitBreakerHandler | undefined
  readonly proxy: ProxyHandler
}

/** One upstream, built, with its handlers in the order that is safe: a cache belongs between the two lists. */
export interface Upstream extends UpstreamParts {
  /** What holds for the whole exchange: its deadline, and what answers when it fails. */
  readonly front: readonly RouteHandler[]
  /** What leads to a target: proof of who is calling, a place, a choice, a circuit, the proxy. */
  readonly back: readonly RouteHandler[]
}

/** The options of an upstream that are the balancer's; what is neither these nor of the gateway's own is the proxy's. */
const BALANCER_KEYS: Readonly<Record<Exclude<keyof BalancerOptions, 'name' | 'clock' | 'random'>, true>> = {
  targets: true,
  refreshMs: true,
  firstTargetsMs: true,
  strategy: true,
  affinity: true,
  health: true,
  outliers: true,
  panicThreshold: true,
  slowStart: true,
}
const OWN_KEYS = ['breaker', 'bulkhead', 'fallback', 'identity'] as const

/** Options of the proxy that belong elsewhere in a gateway. */
const OWN_PLACE: Readonly<Record<string, string>> = {
  target: 'list it in targets',
  paths: 'set it for the whole gateway: paths',
  errors: 'set it for the whole gateway: errors',
}

/** Requests under `gateway()` are tried twice unless the upstream says otherwise. */
const RETRIES = { attempts: 2 }

/** Builds one upstream; undefined when it has faults. */
export function compileUpstream(
  name: string,
  upstream: UpstreamConfig,
  config: GatewayConfig,
  guards: Guards,
  faults: ConfigFault[],
): Upstream | undefined {
  const path = `upstreams.${name}`
  if (!isObject(upstream)) {
    faults.push({ path, message: 'expected { targets: […], … }', received: upstream })
    return undefined
  }
  const { breaker, bulkhead: places, fallback, identity, ...rest } = upstream
  const errors: ErrorMode = config.errors ?? 'respond'
  const [forBalancer, forProxy] = divided(rest)
  const choice = gather(faults, path, () => balancer({ ...forBalancer, name } as BalancerOptions))
  const carrier = compileProxy(path, forProxy, config, faults)
  const circuits =
    breaker === undefined || breaker === false
      ? undefined
      : gather(faults, `${path}.breaker`, () =>
          circuitBreaker({ ...(breaker === true ? null : breaker), name, errors }),
        )
  const bounds =
    places === undefined
      ? undefined
      : gather(faults, `${path}.bulkhead`, () =>
          bulkhead({ ...(typeof places === 'number' ? { maxInFlight: places } : places), name, errors }),
        )
  const teller = guards.forward(identity, name)
  if (fallback !== undefined && typeof fallback !== 'function') {
    faults.push({ path: `${path}.fallback`, message: 'expected a handler (req, res, next)', received: fallback })
  }
  if (choice === undefined || carrier === undefined) return undefined
  const front = [deadlineOf(forProxy), fallback && fallbackTo(fallback, errors)].filter(isPresent) as RouteHandler[]
  const back = [teller, bounds, choice, circuits, carrier].filter(isPresent) as RouteHandler[]
  return { balancer: choice, bulkhead: bounds, breaker: circuits, proxy: carrier, front, back }
}

function isPresent(handler: unknown): boolean {
  return handler !== undefined
}

function divided(rest: object): [Record<string, unknown>, Record<string, unknown>] {
  const forBalancer: Record<string, unknown> = {}
  const forProxy: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(rest)) {
    const part = Object.hasOwn(BALANCER_KEYS, key) ? forBalancer : forProxy
    part[key] = value
  }
  return [forBalancer, forProxy]
}

function compileProxy(
  path: string,
  given: ProxyOptions,
  config: GatewayConfig,
  faults: ConfigFault[],
): ProxyHandler | undefined {
  for (const key of Object.keys(OWN_PLACE)) {
    if (key in given)
      faults.push({ path: `${path}.${key}`, message: 'not an option of an upstream', cure: OWN_PLACE[key]! })
  }
  const options: ProxyOptions = {
    retries: RETRIES,
    ...given,
    ...(config.paths === undefined ? null : { paths: config.paths }),
    ...(config.errors === undefined ? null : { errors: config.errors }),
  }
  const mend = (fault: ConfigFault): ConfigFault | undefined => {
    // `paths` and `errors` are checked where they stand: once, at the top.
    if (/^(?:paths|errors)\b/.test(fault.path)) return undefined
    if (fault.message !== 'unknown option' || fault.path.includes('.')) return fault
    const near = nearest(fault.path, [...Object.keys(BALANCER_KEYS), ...OWN_KEYS])
    return near === undefined ? fault : { ...fault, cure: `did you mean "${near}"?` }
  }
  return gather(faults, path, () => proxy(options), mend)
}

/** The limit of the exchange, set before anything queues. */
function deadlineOf({ timeouts, deadline: header }: ProxyOptions): DeadlineHandler | undefined {
  const ms = timeouts?.totalMs ?? 0
  if (ms === 0 && header?.header === undefined) return undefined
  return deadline({ ...header, ...(ms === 0 ? null : { ms }) })
}

/** A handler that offers another one as the answer to every failure of the gateway's behind it. */
export function fallbackTo(handler: FallbackHandler, errors: ErrorMode): RouteHandler {
  const offer: FallbackOffer = { handler, errors, accepts: () => true }
  return function fallbackHandler(req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void): void {
    offerFallback(exchangeOf(req, res), offer, next)
    next()
  }
}

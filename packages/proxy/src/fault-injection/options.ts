import type { IncomingMessage } from 'node:http'
import { ConfigError, type ConfigFault, type ErrorMode, faultsOf } from '@postern/contracts'
import * as v from 'valibot'
import { callable, headerName, MAX_TIMER_MS, share, whole } from '../schema-parts.ts'
import { type FaultCondition, type FaultPredicate, predicateOf } from './condition.ts'
import { FaultOrders, type FaultShares } from './fault.ts'

/** Holds requests back. */
export interface FaultDelay {
  /** How long, in milliseconds, 0 to 2^31-1; a pair is drawn from evenly. */
  readonly ms: number | readonly [minMs: number, maxMs: number]
  /** Share of the requests, 0 to 1. @default 1 */
  readonly share?: number
}

/** Ends requests: with an answer of the gateway's own, or by cutting the connection of the client. */
export type FaultAbort =
  | {
      /** 400 to 599. */
      readonly status: number
      /** Share of the requests, 0 to 1. @default 1 */
      readonly share?: number
    }
  | { readonly reset: true; readonly share?: number }

/** Lets requests order their own faults. */
export interface FaultByHeader {
  /**
   * What the header `X-Postern-Fault-Secret` must hold, at least 16 characters. Whoever knows it can have the gateway
   * hold, refuse and cut requests of their own, as many as they send: treat it as a password.
   */
  readonly secret: string
  /** Longest delay that can be ordered, in milliseconds, 0 to 2^31-1; longer ones are cut to it. @default 10_000 */
  readonly maxDelayMs?: number
}

/** Options of {@link faultInjection}. */
export interface FaultInjectionOptions {
  readonly delay?: FaultDelay
  /** Drawn apart from `delay`; a request that has both is held back first. */
  readonly abort?: FaultAbort
  /** Which requests may have a fault, ordered ones included. @default all */
  readonly when?: FaultCondition | ((req: IncomingMessage) => boolean)
  /**
   * Takes faults from the header `X-Postern-Fault` (`delay=<ms>`, `abort=<status>` or `reset`; `delay=200,abort=503`), in
   * place of those above. `proxy()` never forwards the two headers. @default off
   */
  readonly byHeader?: FaultByHeader
  /**
   * Values of `NODE_ENV` (absent counts as `development`) in which faults are made. Naming `production` is what it takes
   * to hurt real users. @default every one but `production` and `prod`
   */
  readonly environments?: readonly string[]
  /** Tells several apart in events, warnings and failures, 1 to 128 characters. @default 'faults' */
  readonly name?: string
  /** `'next'` hands aborts to the app's own error handler. @default 'respond' */
  readonly errors?: ErrorMode
  /** Source of chance, uniform in [0, 1); for tests. @default Math.random */
  readonly random?: () => number
}

/** What {@link resolveOptions} makes of the options. Frozen. */
export interface ResolvedFaultInjectionOptions extends FaultShares {
  readonly when: FaultPredicate | undefined
  readonly orders: FaultOrders | undefined
  /** Whether faults are made in this process at all. */
  readonly permitted: boolean
  /** The environment that was asked for that. */
  readonly environment: string
  readonly name: string
  readonly errors: ErrorMode
  readonly random: () => number
}

const DELAY = 'expected milliseconds, or a pair [min, max] of them, from 0 to 2^31-1'
const ABORT = 'expected { status } with a status from 400 to 599, or { reset: true }'
const NAME = 'not a name of 1 to 128 characters'
const SECRET = 'expected a secret of at least 16 characters'

const delayMs = v.custom<FaultDelay['ms']>((value) => {
  const [min, max] = Array.isArray(value) && value.length === 2 ? value : [value, value]
  return isDelay(min) && isDelay(max) && min <= max
}, DELAY)

const delay = v.strictObject({ ms: delayMs, share: share() }, 'expected { ms, share }')
const abort = v.pipe(
  v.strictObject(
    { status: v.optional(v.unknown()), reset: v.optional(v.unknown()), share: share() },
    'expected { status, share } or { reset: true, share }',
  ),
  v.check(
    ({ status, reset }) =>
      (reset === true && status === undefined) ||
      (reset === undefined && Number.isInteger(status) && (status as number) >= 400 && (status as number) <= 599),
    ABORT,
  ),
)
const condition = v.strictObject({
  header: v.optional(
    v.union([headerName, v.record(headerName, v.string())], 'expected a header name, or an object of names to values'),
  ),
  route: v.optional(v.pipe(v.string('expected the id of a route'), v.nonEmpty('expected the id of a route'))),
  path: v.optional(v.pipe(v.string('expected a path'), v.startsWith('/', 'expected a path that starts with "/"'))),
  method: v.optional(v.pipe(v.string('expected a method'), v.regex(/^[A-Z-]+$/, 'expected a method in upper case'))),
})
const byHeader = v.strictObject(
  { secret: v.pipe(v.string(SECRET), v.minLength(16, SECRET)), maxDelayMs: whole(0, MAX_TIMER_MS) },
  'expected { secret, maxDelayMs }',
)

const schema = v.strictObject({
  delay: v.optional(delay),
  abort: v.optional(abort),
  when: v.optional(v.lazy((input) => (typeof input === 'function' ? v.any() : condition))),
  byHeader: v.optional(byHeader),
  environments: v.optional(
    v.array(
      v.pipe(v.string('expected a value of NODE_ENV'), v.nonEmpty('expected a value of NODE_ENV')),
      'expected a list',
    ),
  ),
  name: v.optional(v.pipe(v.string(NAME), v.nonEmpty(NAME), v.maxLength(128, NAME))),
  errors: v.optional(v.picklist(['respond', 'next'], 'expected "respond" or "next"')),
  random: callable<() => number>('a function () => number'),
})

const NESTED: Readonly<Record<string, { readonly entries: object }>> = { delay, abort, when: condition, byHeader }

/**
 * Checks the options and fills the defaults.
 *
 * @param environment `NODE_ENV` of the process
 * @throws ConfigError with all faults
 */
export function resolveOptions(
  options: FaultInjectionOptions,
  environment: string | undefined,
): ResolvedFaultInjectionOptions {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new ConfigError('faultInjection()', [
      {
        path: '',
        message: 'not an options object',
        received: options,
        cure: 'write faultInjection({ delay: { ms: 200 } })',
      },
    ])
  }
  const parsed = v.safeParse(schema, options)
  const faults: ConfigFault[] = parsed.success ? [] : faultsOf(parsed.issues, knownKeys)
  if (options.delay === undefined && options.abort === undefined && options.byHeader === undefined) {
    faults.push({ path: '', message: 'there is no fault to inject', cure: 'give delay, abort or byHeader' })
  }
  if (faults.length > 0) throw new ConfigError('faultInjection()', faults)
  const { delay, abort, byHeader, environments } = options
  const ms = delay?.ms ?? 0
  const [minDelayMs, maxDelayMs] = typeof ms === 'number' ? [ms, ms] : ms
  // A blank behind it, as some shells leave one, makes it no other environment.
  const running = environment?.trim() || 'development'
  return Object.freeze({
    minDelayMs,
    maxDelayMs,
    delayShare: delay === undefined ? 0 : (delay.share ?? 1),
    end: abort === undefined ? undefined : 'reset' in abort ? 'reset' : abort.status,
    endShare: abort === undefined ? 0 : (abort.share ?? 1),
    when: predicateOf(options.when),
    orders: byHeader === undefined ? undefined : new FaultOrders(byHeader.secret, byHeader.maxDelayMs ?? 10_000),
    permitted: environments === undefined ? !/^prod(?:uction)?$/i.test(running) : environments.includes(running),
    environment: running,
    name: options.name ?? 'faults',
    errors: options.errors ?? 'respond',
    random: options.random ?? Math.random,
  })
}

function isDelay(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= MAX_TIMER_MS
}

function knownKeys(path: readonly (string | number)[]): readonly string[] {
  if (path.length === 0) return Object.keys(schema.entries)
  const nested = NESTED[String(path[0])]
  return path.length === 1 && nested !== undefined ? Object.keys(nested.entries) : []
}

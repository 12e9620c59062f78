import { validateHeaderName, validateHeaderValue } from 'node:http'
import { type ConfigFault, faultsOf, isAuthority } from '@postern/contracts'
import * as v from 'valibot'

/** Active probes: what each target is asked from time to time, and what it must answer. */
export interface HealthOptions {
  /** Path and query of the probe, as they go to the target; its base path is not put in front. Starts with `/`. */
  readonly path: string
  /** @default 'GET' */
  readonly method?: 'GET' | 'HEAD'
  /** Header fields of the probe. Those of the connection and of framing are not taken. */
  readonly headers?: Readonly<Record<string, string>>
  /** The probe's `Host`. @default the target's own */
  readonly host?: string
  /** Port to probe on the target's host, 1 to 65,535; not for a Unix socket. @default the target's own */
  readonly port?: number
  /** Statuses, or ranges `[from, to]`, that are healthy, 200 to 599. Redirects are not followed. @default [[200, 299]] */
  readonly expectStatus?: readonly (number | readonly [from: number, to: number])[]
  /** What the body must contain, or match; looked for in its first 64 KiB. @default any body */
  readonly expectBody?: string | RegExp
  /** Time between two probes of a target, in milliseconds, 1 to 2^31-1. @default 5_000 */
  readonly intervalMs?: number
  /** The same while the target is out, or its last probe failed. @default the lesser of `intervalMs` and 1_000 */
  readonly unhealthyIntervalMs?: number
  /**
   * `intervalMs` is longer or shorter by up to this share of it, each time by chance, `unhealthyIntervalMs` shorter; 0 to 1.
   * @default 0.2
   */
  readonly jitter?: number
  /** Longest wait for a whole answer, connecting included, in milliseconds, 1 to 2^31-1. @default 2_000 */
  readonly timeoutMs?: number
  /** Failed probes in a row that make a target unhealthy, 1 to 1,000. @default 2 */
  readonly unhealthyAfter?: number
  /** Good probes in a row that make it healthy again, 1 to 1,000. @default 1 */
  readonly healthyAfter?: number
}

/** Passive health: what attempts come to tells which targets are left out for a while. */
export interface OutlierOptions {
  /**
   * How long a target is left out after a connection to it could not be made: `baseMs`, doubled with each further
   * failure in a row up to `maxMs`, less up to half of it by chance. @default { baseMs: 100, maxMs: 1_000 }
   */
  readonly connectFailure?: { readonly baseMs?: number; readonly maxMs?: number } | false
  /** Failures of the target, or answers of 500 to 599, in a row that eject it, 1 to 1,000,000. @default 5 */
  readonly consecutiveFailures?: number | false
  /**
   * Ejects a target whose share of successes in an interval lies more than `stdevFactor` standard deviations below the
   * mean of the pool. Asked only of targets with `minRequests` answers in the interval, when there are `minTargets` of
   * them; and 5 failures are the least that ejects.
   *
   * @default { stdevFactor: 1.9, minTargets: 5, minRequests: 100, intervalMs: 10_000 }
   */
  readonly successRate?:
    | {
        readonly stdevFactor?: number
        readonly minTargets?: number
        readonly minRequests?: number
        readonly intervalMs?: number
      }
    | false
  /**
   * How long an ejection lasts, in milliseconds: so long the first time, twice as long the second, and so on; the count
   * goes down by one for each `successRate.intervalMs` (10 s when that is off) in good standing. @default 30_000
   */
  readonly baseMs?: number
  /** The longest ejection, in milliseconds. @default 300_000 */
  readonly maxMs?: number
  /** The largest share of the pool that may be ejected at a time, above 0 to 1; one target always may. @default 0.1 */
  readonly maxShare?: number
}

/** How a target that was down, or is new in a running pool, comes to its full weight. */
export interface SlowStartOptions {
  /** Time until it has its full weight, in milliseconds, 1 to 2^31-1. */
  readonly windowMs: number
  /** Above 0 to 100: 1 grows in a straight line, more grows faster at first. @default 1 */
  readonly aggression?: number
  /** Share of its weight that it begins with, above 0 to 1. @default 0.1 */
  readonly minShare?: number
}

export interface ResolvedHealth extends Required<Omit<HealthOptions, 'host' | 'port' | 'expectBody' | 'expectStatus'>> {
  readonly host: string | undefined
  readonly port: number | undefined
  readonly expectBody: string | RegExp | undefined
  readonly expectStatus: readonly (readonly [from: number, to: number])[]
}

export interface ResolvedOutliers {
  readonly connectFailure: ConnectFailure | undefined
  /** Infinity when it is off. */
  readonly consecutiveFailures: number
  readonly successRate: SuccessRate | undefined
  /** Good standing of so long takes one ejection off the count. */
  readonly decayMs: number
  readonly baseMs: number
  readonly maxMs: number
  readonly maxShare: number
}

export interface ConnectFailure {
  readonly baseMs: number
  readonly maxMs: number
}

export interface SuccessRate {
  readonly stdevFactor: number
  readonly minTargets: number
  readonly minRequests: number
  readonly intervalMs: number
}

export type ResolvedSlowStart = Required<SlowStartOptions>

/** Longest delay that Node's timers keep. */
export const MAX_TIMER_MS = 2 ** 31 - 1
/** Fields that belong to the connection or to framing (RFC 9110 §7.6.1), and Host, which has an option of its own. */
const NOT_TAKEN = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** A whole number in this range. */
export function whole(least: number, most: number) {
  const message = `not a whole number from ${least} to ${most}`
  return v.pipe(
    v.number(message),
    v.check((value) => Number.isInteger(value) && value >= least && value <= most, message),
  )
}

function share(message: string, isLeastIn: boolean, most = 1) {
  return v.pipe(
    v.number(message),
    v.check((value) => value <= most && (isLeastIn ? value >= 0 : value > 0), message),
  )
}

const timer = whole(1, MAX_TIMER_MS)
const status = whole(200, 599)
const STATUSES = 'not a list of statuses and of ranges [from, to]'
const aboveZero = share('not a number above 0 and up to 1', false)
const headerName = v.pipe(v.string(), v.check(isHeaderName, 'not a header that a probe can carry'))
const headerValue = v.pipe(v.string('not text'), v.check(isHeaderValue, 'not a header value'))

const health = v.strictObject(
  {
    path: v.pipe(v.string('not text'), v.regex(/^\/[\x21\x22\x24-\x7e]*$/, 'not a path that starts with /')),
    method: v.optional(v.picklist(['GET', 'HEAD'], "neither 'GET' nor 'HEAD'"), 'GET'),
    headers: v.optional(v.record(headerName, headerValue, 'not an object'), {}),
    host: v.optional(v.pipe(v.string('not text'), v.check(isAuthority, 'not a host, or host and port'))),
    port: v.optional(whole(1, 65_535)),
    expectStatus: v.optional(
      v.pipe(
        v.array(
          v.union(
            [
              status,
              v.pipe(
                v.tuple([status, status]),
                v.check(([from, to]) => from <= to),
              ),
            ],
            'neither a status from 200 to 599 nor a range of them',
          ),
          STATUSES,
        ),
        v.nonEmpty(STATUSES),
      ),
      [[200, 299]],
    ),
    expectBody: v.optional(
      v.union([v.pipe(v.string(), v.nonEmpty()), v.instance(RegExp)], 'neither text nor a regular expression'),
    ),
    intervalMs: v.optional(timer, 5_000),
    unhealthyIntervalMs: v.optional(timer),
    jitter: v.optional(share('not a number from 0 to 1', true), 0.2),
    timeoutMs: v.optional(timer, 2_000),
    unhealthyAfter: v.optional(whole(1, 1_000), 2),
    healthyAfter: v.optional(whole(1, 1_000), 1),
  },
  'neither a path nor an object',
)

const connectFailure = v.strictObject(
  { baseMs: v.optional(timer, 100), maxMs: v.optional(timer, 1_000) },
  'neither an object nor false',
)
const successRate = v.strictObject(
  {
    stdevFactor: v.optional(share('not a number from 0 to 100', true, 100), 1.9),
    minTargets: v.optional(whole(2, 1_000_000), 5),
    minRequests: v.optional(whole(1, 1_000_000), 100),
    intervalMs: v.optional(timer, 10_000),
  },
  'neither an object nor false',
)
const outliers = v.strictObject(
  {
    // Each false was made undefined before.
    connectFailure: v.optional(connectFailure, {}),
    consecutiveFailures: v.optional(whole(1, 1_000_000), 5),
    successRate: v.optional(successRate, {}),
    baseMs: v.optional(timer, 30_000),
    maxMs: v.optional(timer, 300_000),
    maxShare: v.optional(aboveZero, 0.1),
  },
  'neither an object nor false',
)
const slowStart = v.strictObject(
  {
    windowMs: timer,
    aggression: v.optional(share('not a number above 0 and up to 100', false, 100), 1),
    minShare: v.optional(aboveZero, 0.1),
  },
  'neither a number of milliseconds nor an object',
)

/** The option `health`; undefined when there are no probes, or they cannot be made (then there are faults). */
export function resolveHealth(input: unknown, faults: ConfigFault[]): ResolvedHealth | undefined {
  if (input === undefined) return undefined
  const given = parse(health, 'health', typeof input === 'string' ? { path: input } : input, faults)
  if (given === undefined) return undefined
  if (given.method === 'HEAD' && given.expectBody !== undefined) {
    const cure = "leave it out, or probe with method: 'GET'"
    faults.push({ path: 'health.expectBody', message: 'an answer to HEAD has no body', cure })
  }
  return Object.freeze({
    ...given,
    host: given.host,
    port: given.port,
    expectBody: given.expectBody,
    expectStatus: given.expectStatus.map((one): [number, number] => (typeof one === 'number' ? [one, one] : one)),
    unhealthyIntervalMs: given.unhealthyIntervalMs ?? Math.min(given.intervalMs, 1_000),
  })
}

/** The option `outliers`; undefined when it is off. */
export function resolveOutliers(input: unknown, faults: ConfigFault[]): ResolvedOutliers | undefined {
  if (input === false) return undefined
  const off = new Set<string>()
  let rest = input === undefined ? {} : input
  if (typeof rest === 'object' && rest !== null && !Array.isArray(rest)) {
    // What is off has nothing to check.
    for (const key of ['connectFailure', 'consecutiveFailures', 'successRate']) {
      if ((rest as Record<string, unknown>)[key] === false) off.add(key)
    }
    rest = Object.fromEntries(Object.entries(rest).filter(([key]) => !off.has(key)))
  }
  const given = parse(outliers, 'outliers', rest, faults)
  if (given === undefined) return undefined
  assertOrder('outliers', given, faults)
  assertOrder('outliers.connectFailure', given.connectFailure, faults)
  return Object.freeze({
    ...given,
    connectFailure: off.has('connectFailure') ? undefined : given.connectFailure,
    consecutiveFailures: off.has('consecutiveFailures') ? Number.POSITIVE_INFINITY : given.consecutiveFailures,
    successRate: off.has('successRate') ? undefined : given.successRate,
    decayMs: given.successRate.intervalMs,
  })
}

/** The option `slowStart`; undefined when it is off. */
export function resolveSlowStart(input: unknown, faults: ConfigFault[]): ResolvedSlowStart | undefined {
  if (input === undefined) return undefined
  const given = parse(slowStart, 'slowStart', typeof input === 'number' ? { windowMs: input } : input, faults)
  return given && Object.freeze(given)
}

function parse<Schema extends v.GenericSchema>(
  schema: Schema,
  name: string,
  input: unknown,
  faults: ConfigFault[],
): v.InferOutput<Schema> | undefined {
  const result = v.safeParse(schema, input)
  if (result.success) return result.output
  const issues = result.issues.map((issue) => ({ ...issue, path: [{ key: name }, ...(issue.path ?? [])] }))
  faults.push(...faultsOf(issues, knownKeys))
  return undefined
}

const SECTIONS: Readonly<Record<string, object>> = {
  health: health.entries,
  outliers: outliers.entries,
  slowStart: slowStart.entries,
  connectFailure: connectFailure.entries,
  successRate: successRate.entries,
}

function knownKeys(path: readonly (string | number)[]): readonly string[] {
  return Object.keys(SECTIONS[String(path.at(-1))] ?? {})
}

function assertOrder(path: string, { baseMs, maxMs }: ConnectFailure, faults: ConfigFault[]): void {
  if (baseMs <= maxMs) return
  faults.push({ path: `${path}.maxMs`, message: 'less than baseMs', received: maxMs, cure: `use ${baseMs} or more` })
}

function isHeaderName(name: string): boolean {
  if (NOT_TAKEN.has(name.toLowerCase())) return false
  try {
    validateHeaderName(name)
  } catch {
    return false
  }
  return true
}

function isHeaderValue(value: string): boolean {
  try {
    validateHeaderValue('x', value)
  } catch {
    return false
  }
  return true
}

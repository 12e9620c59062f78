import {
  type Clock,
  ConfigError,
  type ConfigFault,
  type ErrorMode,
  type FallbackHandler,
  faultsOf,
  type Outcome,
  systemClock,
} from '@postern/contracts'
import * as v from 'valibot'
import type { OpeningPolicy, VerdictPolicy } from './policy.ts'

/** Options of {@link circuitBreaker}. */
export interface CircuitBreakerOptions {
  /**
   * Opens when this share of the calls in the window failed, above 0 to 1; `false`: the share does not count.
   * @default 0.5
   */
  readonly failureRatio?: number | false
  /** Calls that the window must hold before the share counts, 2 to 1,000,000. @default 20 */
  readonly minimumRequests?: number
  /** How far back calls are counted for the share, in milliseconds, 100 to 3,600,000. @default 10_000 */
  readonly windowMs?: number
  /**
   * Opens after so many failures without a success between them, 2 to 1,000,000, however few calls the window holds;
   * 0 or `false`: failures in a row do not count. @default 7
   */
  readonly consecutiveFailures?: number | false
  /**
   * A call whose answer's head takes longer counts as failed, in milliseconds, 1 to 2^31-1. Where no proxy notes when
   * the head came, the whole time counts. @default false
   */
  readonly slowMs?: number | false
  /** How long a circuit stays open the first time, in milliseconds, 1 to 2^31-1. Doubles each time. @default 1_000 */
  readonly openMs?: number
  /** Longest time that a circuit stays open, in milliseconds, `openMs` to 2^31-1. @default 60_000 */
  readonly maxOpenMs?: number
  /**
   * Shortens each open time by a random share of at most this, 0 to 1, so that several gateways do not probe in step.
   * @default 0.5
   */
  readonly jitter?: number
  /**
   * Longest time for the probe of a half-open circuit to get its answer's head, in milliseconds, 1 to 2^31-1. Then the
   * circuit opens again; the request itself goes on. @default 5_000
   */
  readonly probeTimeoutMs?: number
  /**
   * What counts as a failure. Not asked about clients that left and attempts that were given up for a better one: those
   * never count. @default at a target: failures of side `upstream`, and answers of 500 to 599. On a route: the gateway's
   * own failures, too
   */
  readonly isFailure?: (outcome: Outcome) => boolean
  /** Any handler that answers in place of an error. */
  readonly fallback?: FallbackHandler
  /**
   * Which errors the fallback answers: `open`: that a circuit was open; `failure`: every error of 500 to 599 that a
   * stage behind this one answers with. @default 'open'
   */
  readonly fallbackOn?: 'open' | 'failure'
  /** How a request is told that the circuit of its route is open: a problem answer, or `next(error)`. @default 'respond' */
  readonly errors?: ErrorMode
  /**
   * Tells circuit breakers apart in events and warnings, and is the id of a route's circuit; 1 to 128 characters.
   * @default 'circuit-breaker'
   */
  readonly name?: string
  /** Source of time for counts and measures; for tests. Open times are run by Node's timers. @default the process's clocks */
  readonly clock?: Clock
  /** Source of chance, uniform in [0, 1); for tests. @default Math.random */
  readonly random?: () => number
}

/** Options of `wrap()`. */
export interface WrapOptions {
  /** Id of the circuit, 1 to 128 characters. @default the function's name */
  readonly name?: string
  /**
   * What counts as a failure among the errors that the function throws or rejects with; the others count as successes.
   * Not asked about an `AbortError`: a caller that gave up says nothing. @default every error
   */
  readonly isFailure?: (error: unknown) => boolean
  /**
   * Longest time for a call, in milliseconds, 1 to 2^31-1. Then it counts as failed and rejects with a `TimeoutError`;
   * the function itself is not stopped: give it an `AbortSignal.timeout()` for that. @default false
   */
  readonly timeoutMs?: number | false
}

/** What {@link resolveOptions} makes of the options. */
export interface ResolvedCircuitBreakerOptions extends OpeningPolicy, VerdictPolicy {
  readonly windowMs: number
  readonly probeTimeoutMs: number
  readonly fallback: FallbackHandler | undefined
  readonly fallbackOn: 'open' | 'failure'
  readonly errors: ErrorMode
  readonly name: string
  readonly clock: Clock
  readonly random: () => number
}

/** What {@link resolveWrapOptions} makes of the options. */
export interface ResolvedWrapOptions {
  readonly name: string
  readonly isFailure: ((error: unknown) => boolean) | undefined
  /** 0 when there is none. */
  readonly timeoutMs: number
}

/** Longest delay that Node's timers keep. */
const MAX_TIMER_MS = 2 ** 31 - 1
const NAME = 'not a name of 1 to 128 characters'
const name = v.optional(v.pipe(v.string(NAME), v.nonEmpty(NAME), v.maxLength(128, NAME)))

function whole(min: number, max: number) {
  const wanted = `not a whole number from ${min} to ${max}`
  return v.optional(v.pipe(v.number(wanted), v.integer(wanted), v.minValue(min, wanted), v.maxValue(max, wanted)))
}

/** A number, or off. */
function switchable(accepts: (value: number) => boolean, wanted: string) {
  return v.optional(
    v.custom<number | false>((value) => value === false || (typeof value === 'number' && accepts(value)), wanted),
  )
}

function callable<T>() {
  return v.optional(v.custom<T>((value) => typeof value === 'function', 'not a function'))
}

function isWhole(value: number, min: number, max: number): boolean {
  return Number.isInteger(value) && value >= min && value <= max
}

const slow = switchable(
  (value) => isWhole(value, 1, MAX_TIMER_MS),
  `not a whole number from 1 to ${MAX_TIMER_MS}, or false`,
)
const JITTER = 'not a number from 0 to 1'

const schema = v.strictObject({
  failureRatio: switchable((value) => value > 0 && value <= 1, 'not a number above 0 up to 1, or false'),
  minimumRequests: whole(2, 1_000_000),
  windowMs: whole(100, 3_600_000),
  consecutiveFailures: switchable(
    (value) => value === 0 || isWhole(value, 2, 1_000_000),
    'not a whole number from 2 to 1000000, or false',
  ),
  slowMs: slow,
  openMs: whole(1, MAX_TIMER_MS),
  maxOpenMs: whole(1, MAX_TIMER_MS),
  jitter: v.optional(v.pipe(v.number(JITTER), v.minValue(0, JITTER), v.maxValue(1, JITTER))),
  probeTimeoutMs: whole(1, MAX_TIMER_MS),
  isFailure: callable<(outcome: Outcome) => boolean>(),
  fallback: callable<FallbackHandler>(),
  fallbackOn: v.optional(v.picklist(['open', 'failure'], 'not "open" or "failure"')),
  errors: v.optional(v.picklist(['respond', 'next'], 'not "respond" or "next"')),
  name,
  clock: v.optional(v.custom<Clock>(isClock, 'not a clock with now() and wallNow()')),
  random: callable<() => number>(),
})

const wrapSchema = v.strictObject({ name, isFailure: callable<(error: unknown) => boolean>(), timeoutMs: slow })

/**
 * Checks the options and fills the defaults.
 *
 * @throws ConfigError with all faults
 */
export function resolveOptions(input: CircuitBreakerOptions): ResolvedCircuitBreakerOptions {
  assertObject('circuitBreaker()', input, 'circuitBreaker({ failureRatio: 0.5 }), or nothing')
  const result = v.safeParse(schema, input)
  const faults: ConfigFault[] = result.success ? [] : faultsOf(result.issues, () => Object.keys(schema.entries))
  const { failureRatio = 0.5, consecutiveFailures = 7, openMs = 1_000, fallback, fallbackOn } = input
  const maxOpenMs = input.maxOpenMs ?? Math.max(60_000, openMs)
  if (failureRatio === false && (consecutiveFailures === false || consecutiveFailures === 0)) {
    faults.push({
      path: 'failureRatio',
      message: 'off together with consecutiveFailures: no circuit would ever open',
      received: failureRatio,
      cure: 'leave one of them on',
    })
  }
  if (maxOpenMs < openMs) {
    faults.push({ path: 'maxOpenMs', message: 'less than openMs', received: maxOpenMs, cure: `use ${openMs} or more` })
  }
  if (fallbackOn !== undefined && fallback === undefined) {
    faults.push({
      path: 'fallbackOn',
      message: 'says when to use a fallback, and there is none',
      received: fallbackOn,
      cure: 'give a fallback, or leave it out',
    })
  }
  if (faults.length > 0 || !result.success) throw new ConfigError('circuitBreaker()', faults)
  const { output } = result
  return Object.freeze({
    failureRatio: numberOf(failureRatio),
    minimumRequests: output.minimumRequests ?? 20,
    windowMs: output.windowMs ?? 10_000,
    consecutiveFailures: numberOf(consecutiveFailures),
    slowMs: numberOf(output.slowMs),
    openMs,
    maxOpenMs,
    jitter: output.jitter ?? 0.5,
    probeTimeoutMs: output.probeTimeoutMs ?? 5_000,
    isFailure: output.isFailure,
    fallback: output.fallback,
    fallbackOn: output.fallbackOn ?? 'open',
    errors: output.errors ?? 'respond',
    name: output.name ?? 'circuit-breaker',
    clock: output.clock ?? systemClock,
    random: output.random ?? Math.random,
  })
}

/**
 * Checks the options of `wrap()` and fills the defaults.
 *
 * @param fallbackName when neither the options nor the function have a name
 * @throws ConfigError with all faults
 */
export function resolveWrapOptions(fn: unknown, input: WrapOptions, fallbackName: string): ResolvedWrapOptions {
  const subject = 'circuitBreaker().wrap()'
  if (typeof fn !== 'function') {
    const cure = 'write wrap(fetchRates), without calling it'
    throw new ConfigError(subject, [{ path: '', message: 'not a function', received: fn, cure }])
  }
  assertObject(subject, input, 'wrap(fn, { name: … }), or wrap(fn)')
  const result = v.safeParse(wrapSchema, input)
  if (!result.success)
    throw new ConfigError(
      subject,
      faultsOf(result.issues, () => Object.keys(wrapSchema.entries)),
    )
  const { name = fn.name || fallbackName, isFailure, timeoutMs } = result.output
  return Object.freeze({ name, isFailure, timeoutMs: numberOf(timeoutMs) })
}

function assertObject(subject: string, input: unknown, example: string): void {
  if (typeof input === 'object' && input !== null && !Array.isArray(input)) return
  throw new ConfigError(subject, [
    { path: '', message: 'not an options object', received: input, cure: `write ${example}` },
  ])
}

function numberOf(value: number | false | undefined): number {
  return value === false || value === undefined ? 0 : value
}

function isClock(value: unknown): boolean {
  const clock = value as Partial<Clock> | null
  return typeof clock === 'object' && typeof clock?.now === 'function' && typeof clock.wallNow === 'function'
}

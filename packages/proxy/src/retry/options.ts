import type { FailureType } from '@postern/contracts'
import * as v from 'valibot'
import { MAX_TIMER_MS, whole } from '../schema-parts.ts'

/**
 * What another try may follow on:
 * - `connect`: no connection was made, so that nothing was sent; for every method
 * - `reset`: the connection broke before a head had come
 * - `timeout`: no head came in time
 * - `malformed`: the answer was not valid HTTP
 */
export type RetryCondition = 'connect' | 'reset' | 'timeout' | 'malformed'

/** Further tries of a request that failed before any byte of its answer went to the client. */
export interface RetryOptions {
  /** Tries in all, the first one included, 1 to 10. @default 2 */
  readonly attempts?: number
  /** Failures that another try may follow on. @default all */
  readonly on?: readonly RetryCondition[]
  /** Statuses that count as a failed try, 400 to 599; the last try's answer is passed on. @default [502, 503, 504] */
  readonly statuses?: readonly number[]
  /**
   * Methods that may be carried out twice. Adding POST or PATCH here lets an order be placed twice: a time-out does not
   * say that nothing was done. @default GET, HEAD, OPTIONS, TRACE, PUT, DELETE (RFC 9110 §9.2.2)
   */
  readonly methods?: readonly string[]
  /**
   * Whether a request of any method that carries an `Idempotency-Key` may be tried again; the upstream has to honour
   * the key. @default true
   */
  readonly idempotencyKey?: boolean
  /**
   * Longest wait for a head while a further try is allowed, in milliseconds, 0 to 2^31-1; 0: only `timeouts` count. A
   * try that is the last one may take as long as these allow. @default 0
   */
  readonly perTryTimeoutMs?: number
  /**
   * Pause before the n-th further try: a random time up to `baseMs` × 2^(n-1), at most `maxMs`. None before the first where
   * no connection was made. @default 25 and 250
   */
  readonly backoff?: { readonly baseMs?: number; readonly maxMs?: number }
  /**
   * Longest `Retry-After` that is waited for, in milliseconds, 0 to 2^31-1, where no other target is left. A longer one
   * ends the tries. @default 1_000
   */
  readonly maxRetryAfterMs?: number
  /**
   * Most bytes of a request's body that are kept for another try, 0 to 2^30. A body that grows over it is tried once. Only
   * requests that may be tried again are kept at all. @default 65_536
   */
  readonly maxReplayBytes?: number
}

/** How many further attempts a proxy may make; for retries and hedging together. */
export interface RetryBudgetOptions {
  /**
   * Further attempts as a share of the requests, 0 to 10: of those in flight, and of those of the last ten seconds.
   * @default 0.2
   */
  readonly ratio?: number
  /** Further attempts in flight that are always allowed, 0 to 10,000. @default 3 */
  readonly min?: number
  /** Further attempts a second that are always allowed, on the average of ten seconds, 0 to 10,000. @default 1 */
  readonly minPerSecond?: number
}

/** A second attempt at another target while the first is taking long; the first head wins and the other is cancelled. */
export interface HedgingOptions {
  /**
   * How long the first attempt is left alone, in milliseconds, 1 to 2^31-1. @default the p95 of the latest 256 answers,
   * once there are 32
   */
  readonly delayMs?: number
  /** Shortest such time when it is measured, in milliseconds, 1 to 2^31-1. @default 10 */
  readonly minDelayMs?: number
  /** Safe methods that are hedged; requests with a body never are. @default GET, HEAD */
  readonly methods?: readonly ('GET' | 'HEAD' | 'OPTIONS')[]
}

export interface ResolvedRetries {
  readonly attempts: number
  readonly types: ReadonlySet<FailureType>
  /** Another try may follow where nothing was sent, whatever the method. */
  readonly onConnect: boolean
  readonly statuses: ReadonlySet<number>
  readonly methods: ReadonlySet<string>
  readonly idempotencyKey: boolean
  readonly perTryTimeoutMs: number
  readonly baseMs: number
  readonly maxMs: number
  readonly maxRetryAfterMs: number
  readonly maxReplayBytes: number
}

export interface ResolvedHedging {
  /** 0: measured. */
  readonly delayMs: number
  readonly minDelayMs: number
  readonly methods: ReadonlySet<string>
}

const CONDITIONS = ['connect', 'reset', 'timeout', 'malformed'] as const

/** The failures of an attempt that had a connection, by condition. */
const TYPES: Readonly<Record<RetryCondition, readonly FailureType[]>> = {
  connect: [],
  reset: ['connection_terminated'],
  timeout: ['http_response_timeout', 'connection_write_timeout'],
  malformed: ['http_protocol_error', 'http_response_header_section_size', 'http_response_incomplete'],
}

function range(wanted: string, min: number, max: number) {
  return v.optional(v.pipe(v.number(wanted), v.minValue(min, wanted), v.maxValue(max, wanted)))
}

const method = v.pipe(v.string('expected a method'), v.regex(/^[A-Z-]{1,32}$/, 'expected a method, in capitals'))
const status = v.pipe(
  v.number('expected a status'),
  v.integer('expected a status'),
  v.minValue(400, 'expected a status from 400'),
  v.maxValue(599, 'expected a status up to 599'),
)

export const retriesSchema = v.strictObject(
  {
    attempts: whole(1, 10),
    on: v.optional(
      v.array(
        v.picklist(CONDITIONS, 'expected "connect", "reset", "timeout" or "malformed"'),
        'expected a list of conditions',
      ),
    ),
    statuses: v.optional(v.array(status, 'expected a list of statuses')),
    methods: v.optional(v.array(method, 'expected a list of methods')),
    idempotencyKey: v.optional(v.boolean('expected true or false')),
    perTryTimeoutMs: whole(0, MAX_TIMER_MS),
    backoff: v.optional(v.strictObject({ baseMs: whole(0, MAX_TIMER_MS), maxMs: whole(0, MAX_TIMER_MS) })),
    maxRetryAfterMs: whole(0, MAX_TIMER_MS),
    maxReplayBytes: whole(0, 2 ** 30),
  },
  'expected { attempts, … } or false',
)

export const budgetSchema = v.strictObject({
  ratio: range('expected a number from 0 to 10', 0, 10),
  min: whole(0, 10_000),
  minPerSecond: range('expected a number from 0 to 10000', 0, 10_000),
})

export const hedgingSchema = v.strictObject(
  {
    delayMs: whole(1, MAX_TIMER_MS),
    minDelayMs: whole(1, MAX_TIMER_MS),
    methods: v.optional(
      v.array(v.picklist(['GET', 'HEAD', 'OPTIONS'], 'expected a safe method'), 'expected a list of methods'),
    ),
  },
  'expected { delayMs, … }, true or false',
)

const IDEMPOTENT = ['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']

/** Fills in the defaults; undefined when there is one try only. */
export function resolveRetries(options: RetryOptions | false | undefined): ResolvedRetries | undefined {
  if (options === undefined || options === false) return undefined
  const on = options.on ?? CONDITIONS
  const attempts = options.attempts ?? 2
  if (attempts === 1) return undefined
  return Object.freeze({
    attempts,
    types: new Set(on.flatMap((condition) => TYPES[condition])),
    onConnect: on.includes('connect'),
    statuses: new Set(options.statuses ?? [502, 503, 504]),
    methods: new Set(options.methods ?? IDEMPOTENT),
    idempotencyKey: options.idempotencyKey ?? true,
    perTryTimeoutMs: options.perTryTimeoutMs ?? 0,
    baseMs: options.backoff?.baseMs ?? 25,
    maxMs: options.backoff?.maxMs ?? 250,
    maxRetryAfterMs: options.maxRetryAfterMs ?? 1_000,
    maxReplayBytes: options.maxReplayBytes ?? 65_536,
  })
}

/** Fills in the defaults; undefined when nothing is hedged. */
export function resolveHedging(options: HedgingOptions | boolean | undefined): ResolvedHedging | undefined {
  if (options === undefined || options === false) return undefined
  const given = options === true ? {} : options
  return Object.freeze({
    delayMs: given.delayMs ?? 0,
    minDelayMs: given.minDelayMs ?? 10,
    methods: new Set<string>(given.methods ?? ['GET', 'HEAD']),
  })
}

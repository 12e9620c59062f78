import {
  type Clock,
  ConfigError,
  type ConfigFault,
  type ErrorMode,
  type FallbackHandler,
  faultsOf,
  systemClock,
} from '@postern/contracts'
import * as v from 'valibot'
import { clockOption, errorsOption, functionOption, nameOption, randomOption, whole, within } from '../option-parts.ts'

/** How an adaptive limit finds itself. */
export interface AdaptiveOptions {
  /** Never fewer, 1 to 1,000,000; also what the limit is held at while the ideal latency is measured. @default 3 */
  readonly minLimit?: number
  /** Never more, 1 to 1,000,000. @default 1_000 */
  readonly maxLimit?: number
  /** The limit to begin with. @default 20, within the two above */
  readonly initialLimit?: number
  /** Which of the latencies of a window stands for it, 0 to 1: 0.5 the median. @default 0.5 */
  readonly percentile?: number
  /** By how much latency may exceed the ideal before the limit shrinks, 0 to 10 as a share of it. @default 0.25 */
  readonly buffer?: number
  /** Shortest time between two changes of the limit, in milliseconds, 10 to 60,000. @default 250 */
  readonly sampleMs?: number
  /** Time between two measurements of the ideal latency, in milliseconds, 1,000 to 2^31-1. @default 60_000 */
  readonly remeasureMs?: number
  /** Requests that a measurement takes, 5 to 1,000. Slow upstreams get by with fewer. @default 50 */
  readonly measureRequests?: number
}

/** Options of {@link bulkhead}. One of `maxInFlight` and `adaptive` must be given. */
export interface BulkheadOptions {
  /** Exchanges in flight at once, 1 to 1,000,000. */
  readonly maxInFlight?: number
  /** `true`, or how: the limit finds itself from latency. */
  readonly adaptive?: AdaptiveOptions | true
  /**
   * Exchanges that may wait for a place, 0 to 1,000,000; 0: none waits.
   *
   * @default as many as the limit, at least 16
   */
  readonly maxQueued?: number
  /**
   * Longest wait for a place, in milliseconds, 1 to 2^31-1. Keep it well below your clients' patience: an upstream that
   * works for clients that have left is as good as down. @default 400
   */
  readonly queueMs?: number
  /** Answers in place of a refusal; `next()` leaves the refusal as it was. */
  readonly fallback?: FallbackHandler
  /** `'next'` hands refusals to the app's error handler. @default 'respond' */
  readonly errors?: ErrorMode
  /** Tells bulkheads apart in events and errors, 1 to 128 characters. @default 'bulkhead' */
  readonly name?: string
  /** Source of time; for tests. @default the process's clocks */
  readonly clock?: Clock
  /** Source of chance, uniform in [0, 1); for tests. @default Math.random */
  readonly random?: () => number
}

export type ResolvedAdaptiveOptions = Required<AdaptiveOptions>

/** What {@link resolveOptions} makes of the options. */
export interface ResolvedBulkheadOptions {
  /** A fixed limit, or how it finds itself. */
  readonly limit: number | ResolvedAdaptiveOptions
  /** undefined: by the limit. */
  readonly maxQueued: number | undefined
  readonly queueMs: number
  readonly fallback: FallbackHandler | undefined
  readonly errors: ErrorMode
  readonly name: string
  readonly clock: Clock
  readonly random: () => number
}

export const MAX_LIMIT = 1_000_000
const MAX_TIMEOUT_MS = 2 ** 31 - 1
const INITIAL_LIMIT = 20

const adaptive = v.strictObject(
  {
    minLimit: v.optional(whole(1, MAX_LIMIT), 3),
    maxLimit: v.optional(whole(1, MAX_LIMIT), 1_000),
    initialLimit: v.optional(whole(1, MAX_LIMIT)),
    percentile: v.optional(within(0, 1), 0.5),
    buffer: v.optional(within(0, 10), 0.25),
    sampleMs: v.optional(whole(10, 60_000), 250),
    remeasureMs: v.optional(whole(1_000, MAX_TIMEOUT_MS), 60_000),
    measureRequests: v.optional(whole(5, 1_000), 50),
  },
  'not true or an object of options',
)

const schema = v.strictObject({
  maxInFlight: v.optional(whole(1, MAX_LIMIT)),
  adaptive: v.optional(adaptive),
  maxQueued: v.optional(whole(0, MAX_LIMIT)),
  queueMs: v.optional(whole(1, MAX_TIMEOUT_MS), 400),
  fallback: v.optional(functionOption<FallbackHandler>()),
  errors: errorsOption,
  name: nameOption('bulkhead'),
  clock: clockOption,
  random: randomOption,
})

/**
 * Checks the options and fills the defaults.
 *
 * @throws ConfigError with all faults
 */
export function resolveOptions(input: BulkheadOptions): ResolvedBulkheadOptions {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    const cure = 'write bulkhead({ maxInFlight: 20 })'
    throw new ConfigError('bulkhead()', [{ path: '', message: 'not an options object', received: input, cure }])
  }
  const faults: ConfigFault[] = []
  if ((input.maxInFlight === undefined) === (input.adaptive === undefined)) {
    const cure = 'give maxInFlight, or adaptive: true'
    const message = input.adaptive === undefined ? 'has no limit' : 'has two limits'
    faults.push({ path: '', message, received: input, cure })
  }
  const result = v.safeParse(schema, input.adaptive === true ? { ...input, adaptive: {} } : input)
  if (!result.success) {
    faults.push(
      ...faultsOf(result.issues, (path) => Object.keys(path[0] === 'adaptive' ? adaptive.entries : schema.entries)),
    )
    throw new ConfigError('bulkhead()', faults)
  }
  const { maxInFlight, adaptive: found, maxQueued, fallback, clock = systemClock, ...rest } = result.output
  const limit = found === undefined ? maxInFlight : resolveAdaptive(found, faults)
  if (limit === undefined || faults.length > 0) throw new ConfigError('bulkhead()', faults)
  return Object.freeze({ ...rest, limit, maxQueued, fallback, clock })
}

function resolveAdaptive(found: v.InferOutput<typeof adaptive>, faults: ConfigFault[]): ResolvedAdaptiveOptions {
  const { minLimit, maxLimit } = found
  const initialLimit = found.initialLimit ?? Math.max(minLimit, Math.min(maxLimit, INITIAL_LIMIT))
  if (minLimit > maxLimit) {
    const cure = `use at most maxLimit, ${maxLimit}`
    faults.push({ path: 'adaptive.minLimit', message: 'more than maxLimit', received: minLimit, cure })
  } else if (initialLimit < minLimit || initialLimit > maxLimit) {
    const cure = `use a number from ${minLimit} to ${maxLimit}`
    const message = 'not between minLimit and maxLimit'
    faults.push({ path: 'adaptive.initialLimit', message, received: initialLimit, cure })
  }
  return Object.freeze({ ...found, initialLimit })
}

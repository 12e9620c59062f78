import type { IncomingMessage } from 'node:http'
import { ConfigError, type ConfigFault, type ErrorMode, faultsOf } from '@postern/contracts'
import * as v from 'valibot'
import { errorsOption, functionOption, nameOption, randomOption, whole, within } from '../option-parts.ts'
import type { DelaySource } from './event-loop-delay.ts'
import type { Priority } from './priority.ts'
import type { Shares } from './shed-policy.ts'

/** Options of {@link loadShedder}. */
export interface LoadShedderOptions {
  /**
   * Exchanges in flight at once, whatever their class, 1 to 10,000,000. WebSockets and event streams count for as long as
   * they are open. @default no limit
   */
  readonly maxInFlight?: number
  /**
   * The delay of the event loop, in milliseconds, at which even critical requests begin to be shed, 1 to 60,000; `false`
   * does not look at it. @default 100
   */
  readonly eventLoopDelayMs?: number | false
  /**
   * Shares of the two limits at which the classes below `critical` begin to be shed, each 0 to 1 and none above that of
   * the class over it. @default { low: 0.6, normal: 0.8, high: 0.9 }
   */
  readonly shares?: Partial<Record<Exclude<Priority, 'critical'>, number>>
  /** The class of a request that meets the shedder itself and not one of its `as()` handlers. @default 'normal' */
  readonly classify?: (req: IncomingMessage) => Priority
  /** `'next'` hands refusals to the app's error handler. @default 'respond' */
  readonly errors?: ErrorMode
  /** Tells shedders apart in events and errors, 1 to 128 characters. @default 'load-shedder' */
  readonly name?: string
  /** Source of chance, uniform in [0, 1); for tests. @default Math.random */
  readonly random?: () => number
  /** Where the event loop's delay is read; for tests. @default a timer of its own */
  readonly delaySource?: DelaySource
}

/** What {@link resolveOptions} makes of the options. */
export interface ResolvedLoadShedderOptions {
  /** Infinity: no limit. */
  readonly maxInFlight: number
  /** Infinity: no limit. */
  readonly eventLoopDelayMs: number
  readonly shares: Shares
  readonly classify: ((req: IncomingMessage) => Priority) | undefined
  readonly errors: ErrorMode
  readonly name: string
  readonly random: () => number
  /** undefined: one of its own, if the delay is looked at. */
  readonly delaySource: DelaySource | undefined
}

const shares = v.strictObject(
  {
    low: v.optional(within(0, 1), 0.6),
    normal: v.optional(within(0, 1), 0.8),
    high: v.optional(within(0, 1), 0.9),
  },
  'not an object of shares',
)

const schema = v.strictObject({
  maxInFlight: v.optional(whole(1, 10_000_000)),
  eventLoopDelayMs: v.optional(
    v.lazy((value) => (value === false ? v.literal(false) : within(1, 60_000))),
    100,
  ),
  shares: v.optional(shares, {}),
  classify: v.optional(functionOption<(req: IncomingMessage) => Priority>()),
  errors: errorsOption,
  name: nameOption('load-shedder'),
  random: randomOption,
  delaySource: v.optional(
    v.custom<DelaySource>(
      (value) => typeof (value as Partial<DelaySource> | null)?.delayMs === 'function',
      'not an object with delayMs()',
    ),
  ),
})

/**
 * Checks the options and fills the defaults.
 *
 * @throws ConfigError with all faults
 */
export function resolveOptions(input: LoadShedderOptions): ResolvedLoadShedderOptions {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    const cure = 'write loadShedder() or loadShedder({ maxInFlight: 1000 })'
    throw new ConfigError('loadShedder()', [{ path: '', message: 'not an options object', received: input, cure }])
  }
  const faults: ConfigFault[] = []
  if (input.maxInFlight === undefined && input.eventLoopDelayMs === false) {
    faults.push({ path: '', message: 'has no limit', received: input, cure: 'give maxInFlight, or eventLoopDelayMs' })
  }
  const result = v.safeParse(schema, input)
  if (!result.success) {
    faults.push(
      ...faultsOf(result.issues, (path) => Object.keys(path[0] === 'shares' ? shares.entries : schema.entries)),
    )
    throw new ConfigError('loadShedder()', faults)
  }
  const {
    maxInFlight = Number.POSITIVE_INFINITY,
    eventLoopDelayMs,
    shares: given,
    classify,
    delaySource,
    ...rest
  } = result.output
  const { low, normal, high } = given
  if (low > normal || normal > high) {
    const message = 'do not rise with the class: low, normal, high'
    faults.push({
      path: 'shares',
      message,
      received: { low, normal, high },
      cure: 'give a class no less than those below it',
    })
  }
  if (faults.length > 0) throw new ConfigError('loadShedder()', faults)
  return Object.freeze({
    ...rest,
    maxInFlight,
    eventLoopDelayMs: eventLoopDelayMs === false ? Number.POSITIVE_INFINITY : eventLoopDelayMs,
    // The limits are the limits of what matters most.
    shares: Object.freeze({ low, normal, high, critical: 1 }),
    classify,
    delaySource,
  })
}

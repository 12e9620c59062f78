import * as v from 'valibot'
import { MAX_MS, whole } from '../option-parts.ts'

/** How failures to show good credentials slow down who fails. */
export interface FailureLimitOptions {
  /** Failures that bring the first delay, 1 to 10,000. @default 10 */
  readonly afterFailures?: number
  /** The first delay, in milliseconds, 1 to 2^31-1; each further failure doubles it. @default 1_000 */
  readonly delayMs?: number
  /** Longest delay, in milliseconds, `delayMs` to 2^31-1. @default 60_000 */
  readonly maxDelayMs?: number
  /**
   * How long it takes until `afterFailures` failures are forgotten, in milliseconds, 1 to 2^31-1. They are forgotten one by
   * one, evenly over that time, so that many users behind one address who mistype now and then do not add up.
   * @default 900_000, a quarter of an hour
   */
  readonly forgetAfterMs?: number
  /** Most callers that are remembered, 1 to 1,000,000; beyond it the one that was not heard of for the longest is forgotten. @default 100_000 */
  readonly maxEntries?: number
}

/** {@link FailureLimitOptions} with every default filled in. */
export type ResolvedFailureLimit = Required<FailureLimitOptions>

const entries = {
  afterFailures: v.optional(whole(1, 10_000), 10),
  delayMs: v.optional(whole(1, MAX_MS), 1_000),
  maxDelayMs: v.optional(whole(1, MAX_MS), 60_000),
  forgetAfterMs: v.optional(whole(1, MAX_MS), 900_000),
  maxEntries: v.optional(whole(1, 1_000_000), 100_000),
}

/** For "did you mean". */
export const FAILURE_LIMIT_KEYS: readonly string[] = Object.keys(entries)

const limit = v.pipe(
  v.strictObject(entries, 'not false or an object of options'),
  v.forward(
    v.check(({ delayMs, maxDelayMs }) => maxDelayMs >= delayMs, 'shorter than delayMs'),
    ['maxDelayMs'],
  ),
  v.transform((resolved): ResolvedFailureLimit => Object.freeze(resolved)),
)

/** {@link FailureLimitOptions} or `false`, as a part of other options; left out, all defaults. */
export const failureLimitOption: v.GenericSchema<unknown, ResolvedFailureLimit | false> = v.optional(
  v.lazy((value) => (value === false ? v.literal(false) : limit)),
  {},
)

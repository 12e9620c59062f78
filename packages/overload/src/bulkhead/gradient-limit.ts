import type { ConcurrencyLimit } from './concurrency-limit.ts'
import type { ResolvedAdaptiveOptions } from './options.ts'

/** Fewest latencies that say anything. */
const MIN_SAMPLES = 5
/** Most latencies that are kept of one window; beyond them the newest replace the oldest. */
const MAX_SAMPLES = 1_000
/** Longest that the limit is held low for a measurement, as soon as there are {@link MIN_SAMPLES}. */
const MEASURE_MS = 1_000
/**
 * After so long held low it ends with what there is: long streams may have all the few places, or the upstream hangs, and
 * whoever waits shall not pay for it.
 */
const MAX_HOLD_MS = 3_000
/** Share of the interval by which a measurement comes later at most, so that several gateways do not measure at once. */
const JITTER = 0.15
/** Windows in a row in which shrinking did not help, after which the ideal latency is doubted and measured again. */
const DOUBTFUL_WINDOWS = 5
/** Below this we would measure our own event loop. */
const MIN_BUFFER_MS = 1
const MIN_GRADIENT = 0.5
const MAX_GRADIENT = 2

/**
 * A limit that finds itself, after the gradient controller of Envoy: the latency of now is compared with the ideal one,
 * and the limit follows their ratio, `limit × ideal · (1 + buffer) / sample + √limit`. While latency stays near the ideal
 * the square root makes it grow; once requests wait in the upstream it shrinks until few do.
 *
 * The ideal latency is measured now and then with few requests in flight, and when shrinking has not helped for some
 * windows: then it is no overload, but a service that has become slower. Some things differ from Envoy, all to spare an
 * upstream that is well. A limit that is not reached is not held low for the measurement, since what comes then is not
 * slowed by waiting anyway; one that is, is not held low for long. Less than half used, the limit is left as it is, so
 * that it neither grows beyond anything that was tried nor shrinks for reasons that are not ours. And a window counts
 * only what was let in under the limit that it judges.
 *
 * Works on what it is told, without timers: an upstream that answers nothing changes nothing.
 *
 * @see https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/adaptive_concurrency_filter
 */
export class GradientLimit implements ConcurrencyLimit {
  limit: number
  readonly #options: ResolvedAdaptiveOptions
  readonly #random: () => number
  readonly #samples = new Float64Array(MAX_SAMPLES)
  #count = 0
  #windowStartMs: number
  /** Exchanges let in before this belong to another limit than the one that is being judged. */
  #epochMs: number
  /** Most in flight since the window began. */
  #peak = 0
  #idealMs: number | undefined = undefined
  #measuring = true
  /** While held low: the limit to go back to. */
  #heldLimit: number | undefined = undefined
  #measureAtMs = 0
  #doubtfulWindows = 0

  constructor(options: ResolvedAdaptiveOptions, random: () => number, nowMs: number) {
    this.limit = options.initialLimit
    this.#options = options
    this.#random = random
    this.#windowStartMs = nowMs
    this.#epochMs = nowMs
  }

  get settledLimit(): number {
    return this.#heldLimit ?? this.limit
  }

  /** The latency of an upstream that is not busy, as last measured. */
  get idealMs(): number | undefined {
    return this.#idealMs
  }

  set(limit: number, nowMs: number): void {
    if (this.#heldLimit !== undefined) this.#heldLimit = limit
    else {
      this.limit = limit
      this.#startWindow(nowMs, nowMs)
    }
  }

  onAdmitted(inFlight: number, nowMs: number): void {
    if (inFlight > this.#peak) this.#peak = inFlight
    if (!this.#measuring || this.#heldLimit !== undefined || inFlight < this.limit) return
    if (nowMs >= this.#measureAtMs) this.#holdLow(nowMs)
  }

  onBlocked(nowMs: number): void {
    if (this.#heldLimit !== undefined && nowMs - this.#windowStartMs >= MAX_HOLD_MS) this.#endMeasurement(nowMs)
  }

  onAnswered(latencyMs: number, startedAtMs: number, nowMs: number): void {
    if (startedAtMs < this.#epochMs) return
    this.#samples[this.#count++ % MAX_SAMPLES] = latencyMs
    if (this.#count < MIN_SAMPLES) return
    const elapsedMs = nowMs - this.#windowStartMs
    if (this.#measuring) {
      if (this.#count >= this.#options.measureRequests || elapsedMs >= MEASURE_MS) this.#endMeasurement(nowMs)
    } else if (elapsedMs >= this.#options.sampleMs) this.#judge(nowMs)
  }

  /** Ends a window: moves the limit, and starts a measurement when one is due. */
  #judge(nowMs: number): void {
    const { minLimit, maxLimit, buffer } = this.#options
    const before = this.limit
    const wasReached = this.#peak >= before
    if (this.#peak * 2 >= before) {
      const idealMs = this.#idealMs!
      const bearableMs = idealMs + Math.max(idealMs * buffer, MIN_BUFFER_MS)
      const gradient = clamp(bearableMs / this.#quantile(), MIN_GRADIENT, MAX_GRADIENT)
      this.limit = clamp(Math.floor(before * gradient + Math.sqrt(before)), minLimit, maxLimit)
      const isDoubtful = gradient === MIN_GRADIENT || (before === minLimit && this.limit === minLimit)
      this.#doubtfulWindows = isDoubtful ? this.#doubtfulWindows + 1 : 0
    }
    this.#startWindow(nowMs, this.limit === before ? this.#epochMs : nowMs)
    if (nowMs < this.#measureAtMs && this.#doubtfulWindows < DOUBTFUL_WINDOWS) return
    this.#measuring = true
    if (wasReached) this.#holdLow(nowMs)
    else this.#startWindow(nowMs, nowMs)
  }

  #holdLow(nowMs: number): void {
    this.#heldLimit = this.limit
    this.limit = this.#options.minLimit
    this.#startWindow(nowMs, nowMs)
  }

  #endMeasurement(nowMs: number): void {
    if (this.#count > 0) this.#idealMs = this.#quantile()
    // With nothing learnt ever, it goes on without being held low.
    this.#measuring = this.#idealMs === undefined
    this.#doubtfulWindows = 0
    this.limit = this.settledLimit
    this.#heldLimit = undefined
    this.#measureAtMs = nowMs + this.#options.remeasureMs * (1 + JITTER * this.#random())
    this.#startWindow(nowMs, nowMs)
  }

  #startWindow(nowMs: number, epochMs: number): void {
    this.#count = 0
    this.#peak = 0
    this.#windowStartMs = nowMs
    this.#epochMs = epochMs
  }

  #quantile(): number {
    const sorted = this.#samples.subarray(0, Math.min(this.#count, MAX_SAMPLES)).sort()
    const at = Math.min(sorted.length - 1, Math.floor(this.#options.percentile * sorted.length))
    return sorted[at]!
  }
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, value))
}

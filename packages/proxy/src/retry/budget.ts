import type { RetryBudgetOptions } from './options.ts'

/** The span over which further attempts are held against requests, in milliseconds, and the steps it moves in. */
const WINDOW_MS = 10_000
const STEPS = 10
const STEP_MS = WINDOW_MS / STEPS

/**
 * How many further attempts (retries and hedges) may be made, so that a failing upstream gets little more load than a
 * sound one. Two bounds hold at a time, each no less than a minimum for quiet hours:
 *
 * - those in flight, as a share of the requests in flight (Envoy's retry budget): bounds what piles up at a slow upstream
 * - those of the last ten seconds, as a share of its requests (Finagle's): bounds what an upstream that fails fast is sent,
 *   where hardly anything is ever in flight
 *
 * @see https://sre.google/sre-book/handling-overload/ for why a bound a request is not enough
 */
export class RetryBudget {
  readonly #ratio: number
  readonly #min: number
  readonly #minRecent: number
  readonly #requests = new Uint32Array(STEPS)
  readonly #retries = new Uint32Array(STEPS)
  #requestSum = 0
  #retrySum = 0
  #step = 0
  #inFlight = 0
  #refused = 0

  constructor(options: RetryBudgetOptions = {}) {
    this.#ratio = options.ratio ?? 0.2
    this.#min = options.min ?? 3
    this.#minRecent = ((options.minPerSecond ?? 1) * WINDOW_MS) / 1_000
  }

  /** Further attempts in flight. */
  get inFlight(): number {
    return this.#inFlight
  }

  /** How often it refused. */
  get refused(): number {
    return this.#refused
  }

  /** Counts a request. */
  request(nowMs: number): void {
    this.#moveTo(nowMs)
    this.#requests[this.#step % STEPS]!++
    this.#requestSum++
  }

  /**
   * Takes leave for one further attempt; give it back with {@link release}.
   *
   * @param active requests in flight, the one that asks among them
   */
  take(nowMs: number, active: number): boolean {
    this.#moveTo(nowMs)
    const inFlight = this.#inFlight < Math.max(this.#min, Math.floor(this.#ratio * active))
    const recent = this.#retrySum < Math.max(this.#minRecent, Math.floor(this.#ratio * this.#requestSum))
    if (!inFlight || !recent) {
      this.#refused++
      return false
    }
    this.#inFlight++
    this.#retries[this.#step % STEPS]!++
    this.#retrySum++
    return true
  }

  /** The further attempt is over. */
  release(): void {
    this.#inFlight--
  }

  #moveTo(nowMs: number): void {
    const step = Math.floor(nowMs / STEP_MS)
    if (step === this.#step) return
    const steps = Math.min(step - this.#step, STEPS)
    for (let i = 0; i < steps; i++) {
      const slot = (step - i) % STEPS
      this.#requestSum -= this.#requests[slot]!
      this.#retrySum -= this.#retries[slot]!
      this.#requests[slot] = 0
      this.#retries[slot] = 0
    }
    this.#step = step
  }
}

/**
 * A latency that is believed at once when it rises and forgotten slowly when it falls: the peak-sensitive,
 * exponentially weighted moving average of Finagle's and Linkerd's balancers. In milliseconds.
 *
 * @see https://linkerd.io/2016/03/16/beyond-round-robin-load-balancing-for-latency/
 */
export class PeakAverage {
  /** The average and when it was last brought up to date. One array: fields that hold fractions are objects of their own. */
  readonly #state: Float64Array

  constructor(nowMs: number) {
    this.#state = Float64Array.of(0, nowMs)
  }

  /** As it was after the last measurement. */
  get costMs(): number {
    return this.#state[0]!
  }

  /** As it is now: it fades while nothing is measured, so that a target that was slow is tried again. */
  fadedMs(nowMs: number, decayMs: number): number {
    return this.#state[0]! * this.#fading(nowMs, decayMs)
  }

  /** Takes a measurement in: a peak as it is, anything less by the time that has passed since the last one. */
  observe(latencyMs: number, nowMs: number, decayMs: number): void {
    if (latencyMs > this.#state[0]!) this.#state[0]! = latencyMs
    else {
      const fading = this.#fading(nowMs, decayMs)
      this.#state[0]! = this.#state[0]! * fading + latencyMs * (1 - fading)
    }
    this.#state[1]! = nowMs
  }

  /** Takes in that the latency would have been so much or more: may raise the average, and else says nothing. */
  observeAtLeast(latencyMs: number, nowMs: number): void {
    if (latencyMs <= this.#state[0]!) return
    this.#state[0]! = latencyMs
    this.#state[1]! = nowMs
  }

  #fading(nowMs: number, decayMs: number): number {
    return Math.exp(-Math.max(0, nowMs - this.#state[1]!) / decayMs)
  }
}

/**
 * A latency that is believed at once when it rises and forgotten slowly when it falls: the peak-sensitive,
 * exponentially weighted moving average of Finagle's and Linkerd's balancers. In milliseconds.
 *
 * @see https://linkerd.io/2016/03/16/beyond-round-robin-load-balancing-for-latency/
 */
export class PeakAverage {
  #costMs = 0
  #updatedAtMs: number

  constructor(nowMs: number) {
    this.#updatedAtMs = nowMs
  }

  /** As it was after the last measurement. */
  get costMs(): number {
    return this.#costMs
  }

  /** As it is now: it fades while nothing is measured, so that a target that was slow is tried again. */
  fadedMs(nowMs: number, decayMs: number): number {
    return this.#costMs * this.#fading(nowMs, decayMs)
  }

  /** Takes a measurement in: a peak as it is, anything less by the time that has passed since the last one. */
  observe(latencyMs: number, nowMs: number, decayMs: number): void {
    if (latencyMs > this.#costMs) this.#costMs = latencyMs
    else {
      const fading = this.#fading(nowMs, decayMs)
      this.#costMs = this.#costMs * fading + latencyMs * (1 - fading)
    }
    this.#updatedAtMs = nowMs
  }

  /** Takes in that the latency would have been so much or more: may raise the average, and else says nothing. */
  observeAtLeast(latencyMs: number, nowMs: number): void {
    if (latencyMs <= this.#costMs) return
    this.#costMs = latencyMs
    this.#updatedAtMs = nowMs
  }

  #fading(nowMs: number, decayMs: number): number {
    return Math.exp(-Math.max(0, nowMs - this.#updatedAtMs) / decayMs)
  }
}

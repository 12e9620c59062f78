/** How late the event loop is. */
export interface DelaySource {
  /** Milliseconds by which work is late now; 0 while all is well. Asked once a request: answer from memory. */
  delayMs(): number
}

const PERIOD_MS = 20
/** How much the newest sample counts. One pause (a garbage collection) is forgotten soon; overload is pause after pause. */
const WEIGHT = 0.3
/** A process that was stopped and goes on again has not been busy for all that time. */
const MAX_SAMPLE_MS = 2_000

/**
 * The delay of this process's event loop, averaged over the last few turns.
 *
 * Measured with a timer of its own. `perf_hooks.monitorEventLoopDelay()` does not record the first tick after each
 * `reset()`, and a loop that is busy for longer than the time between two readings ticks once between them: just
 * when it matters, its histogram is empty.
 */
export class EventLoopDelay implements DelaySource {
  readonly #timer: NodeJS.Timeout
  #lastMs = performance.now()
  #delayMs = 0

  constructor() {
    this.#timer = setInterval(onTick, PERIOD_MS, this).unref()
  }

  delayMs(): number {
    return this.#delayMs
  }

  /** @internal */
  onTick(): void {
    const nowMs = performance.now()
    this.#delayMs = nextDelay(this.#delayMs, nowMs - this.#lastMs - PERIOD_MS)
    this.#lastMs = nowMs
  }

  close(): void {
    clearInterval(this.#timer)
    this.#delayMs = 0
  }
}

function onTick(source: EventLoopDelay): void {
  source.onTick()
}

/** The average after a timer was late by so much. Pure. */
export function nextDelay(averageMs: number, lateMs: number): number {
  return averageMs + (Math.min(MAX_SAMPLE_MS, Math.max(0, lateMs)) - averageMs) * WEIGHT
}

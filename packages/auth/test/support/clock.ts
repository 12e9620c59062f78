import type { Clock } from '@postern/contracts'

/** A clock that stands still until it is moved. */
export interface ManualClock extends Clock {
  /** Moves both times on. */
  advance(ms: number): void
}

/** @param wallMs where wall time begins; the present, so that tokens of others are of use */
export function manualClock(wallMs: number = Date.now()): ManualClock {
  let passedMs = 0
  return {
    now: () => 1_000 + passedMs,
    wallNow: () => wallMs + passedMs,
    advance(ms) {
      passedMs += ms
    },
  }
}

/**
 * The time source that every package takes, so that tests can move time by hand.
 * Monotonic time orders and measures; wall time goes into headers, cookies and logs.
 */
export interface Clock {
  /** Monotonic time in milliseconds, with fractions. Never runs backwards; its zero means nothing. */
  now(): number
  /** Milliseconds since the Unix epoch. May jump when the machine's clock is set. */
  wallNow(): number
}

/** The process's own clocks. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wallNow: () => Date.now(),
}

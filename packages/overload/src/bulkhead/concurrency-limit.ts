/** How many exchanges may be in flight at once. Pure: time is handed in, in monotonic milliseconds. */
export interface ConcurrencyLimit {
  /** As it is now. */
  readonly limit: number
  /** As it is when it is not held low for a moment; the queue's length goes by this. */
  readonly settledLimit: number
  /** Sets it by hand. */
  set(limit: number, nowMs: number): void
  /** An exchange was let in, and so many are in flight with it. */
  onAdmitted(inFlight: number, nowMs: number): void
  /** An exchange found no place. */
  onBlocked(nowMs: number): void
  /** An exchange that was let in at `startedAtMs` has been answered, and its answer took so long to begin. */
  onAnswered(latencyMs: number, startedAtMs: number, nowMs: number): void
}

/** A limit that only changes by hand. */
export class FixedLimit implements ConcurrencyLimit {
  limit: number

  constructor(limit: number) {
    this.limit = limit
  }

  get settledLimit(): number {
    return this.limit
  }

  set(limit: number): void {
    this.limit = limit
  }

  onAdmitted(): void {}

  onBlocked(): void {}

  onAnswered(): void {}
}

/** What became of the lines of one logger. */
export interface LoggerStats {
  /** Lines that the output took. */
  readonly written: number
  /** Lines that the output refused, or that were dropped because it did not keep up. */
  readonly lost: number
  /** Requests that `sample` left out. */
  readonly sampledOut: number
  /** Requests that `skip` or `levels` left out. */
  readonly skipped: number
  /** Times that a function given as an option threw or returned what it may not. */
  readonly hookErrors: number
}

/** The counters themselves; handed out read-only. */
export class Stats implements LoggerStats {
  written = 0
  lost = 0
  sampledOut = 0
  skipped = 0
  hookErrors = 0
}

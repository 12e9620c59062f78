import type { Logger } from '@postern/contracts'
import type { LogEntry } from '../entry.ts'
import type { LogLevel } from '../level.ts'

/** Where lines go. Nothing in it throws. */
export interface Output {
  /** False when a line of this level would be thrown away: then it need not be made. */
  enabled(level: LogLevel): boolean
  write(entry: LogEntry): void
  /** For the app's own lines. */
  readonly log: Logger
  flush(): Promise<void>
  close(): Promise<void>
}

/** Whoever has lines waiting when the process ends. */
export interface AtExit {
  flushNow(): void
}

/**
 * Writers with lines that wait, of all loggers in this process; one listener serves them all, and only while there is
 * something to write.
 */
const waiting = new Set<AtExit>()

/** Remembers to flush the writer should the process end before its timer comes. */
export function flushAtExit(writer: AtExit): void {
  if (waiting.size === 0) {
    process.on('beforeExit', flushAll)
    process.on('exit', flushAll)
  }
  waiting.add(writer)
}

/** Forgets a writer that has nothing left to write. */
export function noFlushAtExit(writer: AtExit): void {
  if (waiting.delete(writer) && waiting.size === 0) {
    process.off('beforeExit', flushAll)
    process.off('exit', flushAll)
  }
}

function flushAll(): void {
  for (const writer of waiting) writer.flushNow()
}

/**
 * Calls `drain` on the first SIGINT or SIGTERM and ends the process with what comes of it: 0, or 1 when it throws. A
 * second signal ends it at once.
 */
export function onStopSignals(drain: () => Promise<void>): void {
  let firstAtMs: number | undefined
  function onSignal(signal: NodeJS.Signals): void {
    const nowMs = performance.now()
    if (firstAtMs === undefined) {
      firstAtMs = nowMs
      drain().then(
        () => process.exit(0),
        (error: unknown) => {
          console.error(error)
          process.exit(1)
        },
      )
      return
    }
    // A package manager passes on the Ctrl-C that the terminal has sent to all of us: two signals for one key.
    if (nowMs - firstAtMs < ECHO_MS) return
    process.exit(signal === 'SIGINT' ? 130 : 143)
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
}

const ECHO_MS = 250

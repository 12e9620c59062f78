/**
 * Takes over SIGINT and SIGTERM. Until it is told how to drain, a signal ends the process at once; then the first one
 * drains and ends it with 0 (1 when the drain throws), and a second one ends it at once.
 *
 * @returns sets the drain
 */
export function onStopSignals(): (drain: () => Promise<void>) => void {
  let drain: (() => Promise<void>) | undefined
  let firstAtMs: number | undefined

  function onSignal(signal: NodeJS.Signals): void {
    const nowMs = performance.now()
    if (firstAtMs === undefined && drain !== undefined) {
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
    if (firstAtMs !== undefined && nowMs - firstAtMs < ECHO_MS) return
    process.exit(signal === 'SIGINT' ? 130 : 143)
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)

  return (given) => {
    drain = given
  }
}

const ECHO_MS = 250

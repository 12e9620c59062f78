/** How long the shop waits before it starts a service again that ended by itself, in milliseconds. */
const RESTART_MS = 5_000

/** @throws RangeError when the text is no port */
export function portFrom(text: string | undefined, fallback: number): number {
  if (text === undefined || text === '') return fallback
  const port = Number(text)
  if (/^\d+$/.test(text) && port <= 65_535) return port
  throw new RangeError(`PORT must be a number from 0 to 65535, got ${JSON.stringify(text)}`)
}

/**
 * @returns undefined when services that ended are not started again
 * @throws RangeError when the text is neither a time nor `off`
 */
export function restartMsFrom(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return RESTART_MS
  if (text === 'off') return undefined
  const ms = Number(text)
  if (/^\d+$/.test(text) && ms <= 3_600_000) return ms
  throw new RangeError(`RESTART_MS must be "off" or a number from 0 to 3600000, got ${JSON.stringify(text)}`)
}

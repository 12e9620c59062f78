import { randomBytes } from 'node:crypto'

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

/**
 * The key that staff show to change prices.
 *
 * @returns the one that was given; else a new one, so that there is none that everybody knows
 * @throws RangeError when the text cannot be a bearer token, or is easy to guess
 */
export function staffKeyFrom(text: string | undefined): string {
  if (text === undefined || text === '') return randomBytes(12).toString('hex')
  if (/^[A-Za-z0-9._~+/-]{12,128}$/.test(text)) return text
  throw new RangeError('STAFF_KEY must be 12 to 128 characters out of A-Z a-z 0-9 . _ ~ + / -')
}

import { randomBytes } from 'node:crypto'
import { generateApiKey } from '@postern/auth'

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
 * An API key: that of the staff, or of a partner.
 *
 * @param name of the environment variable that the text is of: `STAFF_KEY`
 * @returns the one that was given; else a new one, so that there is none that everybody knows
 * @throws RangeError when the text cannot stand in a header, or is easy to guess
 */
export function keyFrom(text: string | undefined, name: string): string {
  return secretFrom(text, name) ?? generateApiKey({ prefix: 'shop_' }).key
}

/**
 * The password of the customers in a new database. See {@link keyFrom}.
 *
 * @throws RangeError
 */
export function passwordFrom(text: string | undefined): string {
  return secretFrom(text, 'CUSTOMER_PASSWORD') ?? randomBytes(12).toString('hex')
}

function secretFrom(text: string | undefined, name: string): string | undefined {
  if (text === undefined || text === '') return undefined
  if (/^[A-Za-z0-9._~+/-]{12,128}$/.test(text)) return text
  throw new RangeError(`${name} must be 12 to 128 characters out of A-Z a-z 0-9 . _ ~ + / -`)
}

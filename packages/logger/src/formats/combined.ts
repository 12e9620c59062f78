import type { LogEntry } from '../entry.ts'
import { visible } from '../text.ts'
import { apacheTime } from './time.ts'

const timeOf = apacheTime()

/**
 * One entry in Apache's combined format: `client - subject [time] "request" status bytes "referer" "user agent"`.
 * The time is that of the request's arrival, in UTC; `-` stands for what is not known, and for no bytes.
 */
export function combinedLine(entry: LogEntry): string {
  const arrived = timeOf(Date.parse(entry.time) - entry.totalMs)
  const target = entry.query === undefined ? entry.path : `${entry.path}?${entry.query}`
  const request = inQuotes(`${entry.method} ${target} HTTP/${entry.httpVersion}`)
  const bytes = entry.bytesOut === undefined || entry.bytesOut === 0 ? '-' : entry.bytesOut
  return `${word(entry.client)} - ${word(entry.subject)} [${arrived}] ${request} ${entry.status} ${bytes} ${inQuotes(entry.referer)} ${inQuotes(entry.userAgent)}`
}

function inQuotes(text: string | undefined): string {
  return text === undefined || text === '' ? '"-"' : `"${visible(text).replaceAll('"', '\\"')}"`
}

/** A column without quotes: a space in it would begin the next one. */
function word(text: string | undefined): string {
  return text === undefined || text === '' ? '-' : visible(text).replace(/["\s[\]]/g, inHex)
}

function inHex(character: string): string {
  const code = character.charCodeAt(0)
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`
}

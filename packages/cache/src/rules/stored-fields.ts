import type { ResponseDirectives } from './directives.ts'
import { fieldLines, tokenList, withoutFields } from './field-list.ts'
import { formatHttpDate, parseHttpDate } from './http-date.ts'

/**
 * Fields that are not stored: those of the connection (RFC 9110 §7.6.1), those of the proxy in between (RFC 9111 §3.1),
 * cookies, which are for one client (§7.3), and those that the cache writes itself whenever it serves the response.
 */
const NEVER_STORED: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'set-cookie',
  'set-cookie2',
  'age',
  'content-length',
])

/** When a response was generated, and whether its Date field can stay as it is. */
export interface ResponseDate {
  readonly dateMs: number
  readonly asReceived: boolean
}

/**
 * Reads Date. Without one, or with one that is no date, it is when the response was received; of several, the earliest.
 *
 * @see RFC 9110 §6.6.1
 */
export function responseDate(headers: readonly string[], receivedAtMs: number): ResponseDate {
  const lines = fieldLines(headers, 'date')
  let dateMs: number | undefined
  for (const line of lines) {
    const lineMs = parseHttpDate(line, receivedAtMs)
    if (lineMs !== undefined && (dateMs === undefined || lineMs < dateMs)) dateMs = lineMs
  }
  return { dateMs: dateMs ?? receivedAtMs, asReceived: lines.length === 1 && dateMs !== undefined }
}

/**
 * The fields of a response that are stored: all but those that must not be, those that Connection names, and those that
 * a qualified `private` or `no-cache` names (§5.2.2.7, §5.2.2.4). Has exactly one Date. The Content-Range of a partial
 * response is left out too: what is served of it has one of its own.
 *
 * @see RFC 9111 §3.1
 */
export function storedFields(
  headers: readonly string[],
  status: number,
  directives: ResponseDirectives | undefined,
  date: ResponseDate,
): string[] {
  let names = NEVER_STORED
  const further: string[] = []
  for (const line of fieldLines(headers, 'connection')) further.push(...namesIn(line))
  if (directives !== undefined) further.push(...directives.privateFields, ...directives.noCacheFields)
  if (status === 206) further.push('content-range')
  if (!date.asReceived) further.push('date')
  if (further.length > 0) names = new Set([...NEVER_STORED, ...further])
  const kept = withoutFields(headers, names)
  // Taken away because a directive names it, Date comes back as well: a stored response needs one (RFC 9110 §6.6.1).
  if (names.has('date')) kept.push('date', formatHttpDate(date.dateMs))
  return kept
}

/** What is no list of names still may have some in it: each counts. */
function namesIn(line: string): readonly string[] {
  return tokenList(line) ?? line.split(',').flatMap((element) => tokenList(element) ?? [])
}

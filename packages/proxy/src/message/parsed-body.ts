import type { IncomingMessage } from 'node:http'

/** A body that a parser had read, made again. */
export interface RebuiltBody {
  readonly bytes: Buffer
  /** Replaces the client's Content-Type; undefined: it still holds. */
  readonly contentType?: string
  /** True when the bytes are those that the client sent, so that its Content-Encoding still holds. */
  readonly exact: boolean
}

/** The fields that body parsers leave on a request. */
interface ParsedRequest extends IncomingMessage {
  readonly body?: unknown
  /** The bytes as they came, where the app kept them (`express.json({ verify })`). */
  readonly rawBody?: unknown
}

/** True when somebody has begun to read the body before us. */
export function isBodyRead(req: IncomingMessage): boolean {
  return req.readableDidRead || req.readableEnded || (req as ParsedRequest).rawBody !== undefined
}

/**
 * Makes a body again that a parser has read: byte for byte from `req.rawBody` where the app kept it, else from
 * `req.body` by its content type (JSON, urlencoded, text, raw bytes).
 *
 * @returns undefined when it cannot be made again: read in part, multipart with files, or read by code that left nothing
 */
export function rebuildBody(req: IncomingMessage, contentType: string): RebuiltBody | undefined {
  const { rawBody, body } = req as ParsedRequest
  if (Buffer.isBuffer(rawBody)) return { bytes: rawBody, exact: isAsSent(req, rawBody) }
  // Partly read and still coming: what is gone cannot be brought back.
  if (!req.readableEnded || body === undefined) return undefined
  if (Buffer.isBuffer(body)) return { bytes: body, exact: false }
  const type = contentType.split(';', 1)[0]!.trim().toLowerCase()
  if (type === 'application/json' || type.endsWith('+json')) {
    const text = jsonOf(req, body, contentType)
    if (text === undefined) return undefined
    return { bytes: Buffer.from(text), contentType: asUtf8(contentType), exact: false }
  }
  if (typeof body === 'string') return { bytes: Buffer.from(body), contentType: asUtf8(contentType), exact: false }
  if (type === 'application/x-www-form-urlencoded' && typeof body === 'object' && body !== null) {
    return { bytes: Buffer.from(formEncode(body)), contentType: asUtf8(contentType), exact: false }
  }
  return undefined
}

/**
 * `verify` of the body parsers is given the bytes behind their inflating, code that reads the stream itself has them as
 * they came. gzip can be told by its mark; of the others, what has the announced length is what came.
 */
function isAsSent(req: IncomingMessage, bytes: Buffer): boolean {
  const { 'content-encoding': coding, 'content-length': length } = req.headers
  if (coding === undefined || coding.toLowerCase() === 'identity') return true
  if (/^(?:x-)?gzip$/i.test(coding)) return bytes[0] === 0x1f && bytes[1] === 0x8b
  return length !== undefined && bytes.length === Number(length)
}

/**
 * JSON of what a parser left. A string is either the text itself (a text parser's) or what stood between the quotes of a
 * bare JSON string, which is shorter than what came; undefined where the two cannot be told apart.
 */
function jsonOf(req: IncomingMessage, body: unknown, contentType: string): string | undefined {
  if (typeof body !== 'string') return JSON.stringify(body)
  const { 'content-encoding': coding, 'content-length': length } = req.headers
  if (length !== undefined && coding === undefined && !/charset\s*=\s*"?(?!utf-?8)/i.test(contentType)) {
    return Buffer.byteLength(body) === Number(length) ? body : JSON.stringify(body)
  }
  return isJson(body) ? undefined : JSON.stringify(body)
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/** The text was decoded from whatever charset it came in and is written as UTF-8 now. */
function asUtf8(contentType: string): string {
  return contentType.replace(/(charset\s*=\s*)("[^"]*"|[^;\s]+)/i, '$1utf-8')
}

/** `a=1&a=2&b[]=3&c[d]=4`, the form that both of Express's urlencoded parsers read back to the same value. */
function formEncode(value: object): string {
  const parts: string[] = []
  const add = (name: string, item: unknown, depth: number): void => {
    if (depth > 32) throw new RangeError('the parsed form is nested too deep to be written again')
    if (Array.isArray(item)) {
      // A list of one comes from the extended parser alone, and is a list again only with its brackets.
      const own = item.length === 1 ? `${name}[]` : name
      for (const [i, entry] of item.entries()) {
        add(typeof entry === 'object' && entry !== null ? `${name}[${i}]` : own, entry, depth + 1)
      }
    } else if (typeof item === 'object' && item !== null) {
      for (const key of Object.keys(item)) add(`${name}[${key}]`, (item as Record<string, unknown>)[key], depth + 1)
    } else
      parts.push(
        `${encodeURIComponent(name)}=${encodeURIComponent(item === undefined || item === null ? '' : String(item))}`,
      )
  }
  for (const key of Object.keys(value)) add(key, (value as Record<string, unknown>)[key], 0)
  return parts.join('&')
}

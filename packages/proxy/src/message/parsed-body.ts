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
  if (Buffer.isBuffer(rawBody)) return { bytes: rawBody, exact: true }
  // Partly read and still coming: what is gone cannot be brought back.
  if (!req.readableEnded || body === undefined) return undefined
  if (Buffer.isBuffer(body)) return { bytes: body, exact: false }
  const type = contentType.split(';', 1)[0]!.trim().toLowerCase()
  if (type === 'application/json' || type.endsWith('+json')) {
    return { bytes: Buffer.from(JSON.stringify(body)), contentType: asUtf8(contentType), exact: false }
  }
  if (typeof body === 'string') return { bytes: Buffer.from(body), contentType: asUtf8(contentType), exact: false }
  if (type === 'application/x-www-form-urlencoded' && typeof body === 'object' && body !== null) {
    return { bytes: Buffer.from(formEncode(body)), contentType: asUtf8(contentType), exact: false }
  }
  return undefined
}

/** The text was decoded from whatever charset it came in and is written as UTF-8 now. */
function asUtf8(contentType: string): string {
  return contentType.replace(/(charset\s*=\s*)("[^"]*"|[^;\s]+)/i, '$1utf-8')
}

/** `a=1&b[]=2&c[d]=3`, the form that both of Express's urlencoded parsers read back to the same value. */
function formEncode(value: object): string {
  const parts: string[] = []
  const add = (name: string, item: unknown, depth: number): void => {
    if (depth > 32) throw new RangeError('the parsed form is nested too deep to be written again')
    if (Array.isArray(item)) {
      for (const [i, entry] of item.entries()) {
        add(typeof entry === 'object' && entry !== null ? `${name}[${i}]` : name, entry, depth + 1)
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

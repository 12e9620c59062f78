/** How the end of a message body is told, RFC 9112 §6.3. */
export type Framing = 'none' | 'content-length' | 'chunked' | 'close'

/** One HTTP/1.1 message read strictly from raw bytes. */
export interface RawMessage {
  /** The request line or the status line, without its CRLF. */
  readonly startLine: string
  /** Names and values in turn, as they stood on the wire. */
  readonly rawHeaders: readonly string[]
  /** Lower-case names; several values joined with `, `. An object without a prototype. */
  readonly headers: Readonly<Record<string, string>>
  readonly framing: Framing
  /** The body without its framing; what there is of it when it was cut. */
  readonly body: Buffer
  /** Lower-case names; an object without a prototype. */
  readonly trailers: Readonly<Record<string, string>>
  /** True only when the framing was satisfied to its last byte. */
  readonly complete: boolean
}

/** Bytes that are not an HTTP/1.1 message. */
export class RawMessageError extends Error {}

const FIELD = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*(.*?)[ \t]*$/s

/** The head of a message: everything up to the empty line. Undefined while it has not all arrived. */
export function readHead(
  bytes: Buffer,
  at: number,
): { startLine: string; rawHeaders: string[]; end: number } | undefined {
  const blank = bytes.indexOf('\r\n\r\n', at, 'latin1')
  if (blank === -1) return undefined
  const [startLine, ...lines] = bytes.toString('latin1', at, blank).split('\r\n')
  return { startLine: startLine!, rawHeaders: readFields(lines), end: blank + 4 }
}

/**
 * The body behind a head.
 *
 * @param closed whether the connection ended behind the bytes; completes a body that ends with its connection
 * @returns the end of the message within `bytes`, and its parts
 */
export function readBody(
  bytes: Buffer,
  at: number,
  framing: Framing,
  contentLength: number,
  closed: boolean,
): { body: Buffer; trailers: Record<string, string>; complete: boolean; end: number } {
  const trailers = Object.create(null) as Record<string, string>
  switch (framing) {
    case 'none':
      return { body: Buffer.alloc(0), trailers, complete: true, end: at }
    case 'content-length': {
      const end = Math.min(at + contentLength, bytes.length)
      return { body: bytes.subarray(at, end), trailers, complete: end === at + contentLength, end }
    }
    case 'close':
      return { body: bytes.subarray(at), trailers, complete: closed, end: bytes.length }
    case 'chunked':
      return readChunked(bytes, at)
  }
}

/** Lower-case names to values, several joined with `, `. */
export function joinFields(rawHeaders: readonly string[]): Record<string, string> {
  const joined = Object.create(null) as Record<string, string>
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase()
    joined[name] = joined[name] === undefined ? rawHeaders[i + 1]! : `${joined[name]}, ${rawHeaders[i + 1]!}`
  }
  return joined
}

/**
 * The framing that a list of headers states, RFC 9112 §6.3, without the rules that depend on status or method.
 *
 * @throws RawMessageError when it is ambiguous
 */
export function statedFraming(rawHeaders: readonly string[]): { framing: Framing; contentLength: number } {
  const headers = joinFields(rawHeaders)
  const length = headers['content-length']
  const coding = headers['transfer-encoding']
  if (coding !== undefined) {
    if (length !== undefined) throw new RawMessageError('Content-Length together with Transfer-Encoding')
    if (coding.toLowerCase() !== 'chunked') throw new RawMessageError(`Transfer-Encoding: ${coding}`)
    return { framing: 'chunked', contentLength: 0 }
  }
  if (length === undefined) return { framing: 'close', contentLength: 0 }
  if (!/^[0-9]{1,15}$/.test(length)) throw new RawMessageError(`Content-Length: ${length}`)
  return { framing: 'content-length', contentLength: Number(length) }
}

function readChunked(
  bytes: Buffer,
  start: number,
): { body: Buffer; trailers: Record<string, string>; complete: boolean; end: number } {
  const chunks: Buffer[] = []
  const cut = (end: number) => ({
    body: Buffer.concat(chunks),
    trailers: Object.create(null) as Record<string, string>,
    complete: false,
    end,
  })
  let at = start
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at, 'latin1')
    if (lineEnd === -1) return cut(bytes.length)
    const line = bytes.toString('latin1', at, lineEnd)
    const size = /^([0-9A-Fa-f]{1,12})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?$/.exec(line)?.[1]
    if (size === undefined) throw new RawMessageError(`chunk size ${JSON.stringify(line)}`)
    at = lineEnd + 2
    const length = Number.parseInt(size, 16)
    if (length === 0) break
    if (at + length + 2 > bytes.length) {
      chunks.push(bytes.subarray(at, Math.min(at + length, bytes.length)))
      return cut(bytes.length)
    }
    chunks.push(bytes.subarray(at, at + length))
    at += length
    if (bytes.toString('latin1', at, at + 2) !== '\r\n') throw new RawMessageError('no CRLF behind a chunk')
    at += 2
  }
  const lines: string[] = []
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at, 'latin1')
    if (lineEnd === -1) return cut(bytes.length)
    const line = bytes.toString('latin1', at, lineEnd)
    at = lineEnd + 2
    if (line === '') break
    lines.push(line)
  }
  return { body: Buffer.concat(chunks), trailers: joinFields(readFields(lines)), complete: true, end: at }
}

function readFields(lines: readonly string[]): string[] {
  const raw: string[] = []
  for (const line of lines) {
    const match = FIELD.exec(line)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control bytes are what is looked for
    if (match === null || /[\0-\x08\x0a-\x1f\x7f]/.test(match[2]!)) {
      throw new RawMessageError(`header line ${JSON.stringify(line)}`)
    }
    raw.push(match[1]!, match[2]!)
  }
  return raw
}

import { joinFields, type RawMessage, RawMessageError, readBody, readHead, statedFraming } from './messages.ts'

/** One response, 1xx included. */
export interface ParsedResponse extends RawMessage {
  readonly status: number
  readonly reason: string
}

export interface ParsedResponses {
  /** In the order of the wire; the last one may be incomplete. */
  readonly responses: readonly ParsedResponse[]
  /** Bytes that belong to none of them: part of a head, or what could not be read. */
  readonly leftover: Buffer
  /** Why reading stopped before the end; undefined when all that is left is a head that has not all arrived. */
  readonly fault: string | undefined
}

export interface ParseResponsesOptions {
  /** Methods of the requests in order, for HEAD and CONNECT; those not given count as GET. */
  readonly methods?: readonly string[]
  /** Whether the server closed the connection behind the bytes; completes a body without stated framing. @default false */
  readonly closed?: boolean
}

const STATUS_LINE = /^HTTP\/1\.[01] ([0-9]{3})(?: ([\t\x20-\x7e\x80-\xff]*))?$/

/** Reads HTTP/1.1 responses strictly from raw bytes (RFC 9112): no leniency, so that what is wrong is seen. */
export function parseResponses(bytes: Buffer, options: ParseResponsesOptions = {}): ParsedResponses {
  const responses: ParsedResponse[] = []
  let finals = 0
  let at = 0
  try {
    while (at < bytes.length) {
      const head = readHead(bytes, at)
      if (head === undefined) break
      const line = STATUS_LINE.exec(head.startLine)
      if (line === null) throw new RawMessageError(`status line ${JSON.stringify(head.startLine)}`)
      const status = Number(line[1])
      const method = options.methods?.[finals] ?? 'GET'
      const stated = statedFraming(head.rawHeaders)
      const bodyless = status < 200 || status === 204 || status === 304 || method === 'HEAD'
      const framing = bodyless ? 'none' : stated.framing
      const rest = readBody(bytes, head.end, framing, stated.contentLength, options.closed ?? false)
      responses.push({
        startLine: head.startLine,
        status,
        reason: line[2] ?? '',
        rawHeaders: head.rawHeaders,
        headers: joinFields(head.rawHeaders),
        framing,
        body: rest.body,
        trailers: rest.trailers,
        complete: rest.complete,
      })
      at = rest.end
      if (status >= 200) finals++
      // Behind a 101 the bytes are no longer HTTP.
      if (status === 101) break
    }
  } catch (error) {
    if (!(error instanceof RawMessageError)) throw error
    return { responses, leftover: bytes.subarray(at), fault: error.message }
  }
  return { responses, leftover: bytes.subarray(at), fault: undefined }
}

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { HeaderEdit } from '@postern/contracts'
import type { Respond } from '../route.ts'
import { editAnswer } from './edits.ts'

/** A fixed answer, its body as bytes. */
export interface FixedAnswer {
  readonly status: number
  readonly headers: readonly (readonly [name: string, value: string | readonly string[]])[]
  readonly contentType: string | undefined
  /** Undefined: none was given. */
  readonly body: Buffer | undefined
}

/** Reads a fixed answer. @throws TypeError when the body has no JSON */
export function fixedAnswer(respond: Respond): FixedAnswer {
  const { body } = respond
  let bytes: Buffer | undefined
  let contentType: string | undefined
  if (typeof body === 'string') {
    bytes = Buffer.from(body)
    contentType = 'text/plain; charset=utf-8'
  } else if (body instanceof Uint8Array) {
    // A copy: the caller's bytes may change later.
    bytes = Buffer.from(body)
    contentType = 'application/octet-stream'
  } else if (body !== undefined) {
    const json = JSON.stringify(body) as string | undefined
    if (json === undefined) throw new TypeError('a value that JSON does not have')
    bytes = Buffer.from(json)
    contentType = 'application/json'
  }
  return {
    status: respond.status,
    headers: Object.entries(respond.headers ?? {}),
    contentType: respond.contentType ?? contentType,
    body: bytes,
  }
}

/** Sends a fixed answer, edited. HEAD gets the same head without the body. */
export function sendFixed(
  req: IncomingMessage,
  res: ServerResponse,
  answer: FixedAnswer,
  edits: readonly HeaderEdit[] | undefined,
): void {
  res.statusCode = answer.status
  if (answer.contentType !== undefined) res.setHeader('content-type', answer.contentType)
  for (const [name, value] of answer.headers) res.setHeader(name, value)
  editAnswer(res, edits)
  // RFC 9110 §8.6: no length with 204; 304 would tell that of another answer.
  if (answer.status !== 204 && answer.status !== 304) res.setHeader('content-length', answer.body?.length ?? 0)
  res.end(req.method === 'HEAD' ? undefined : answer.body)
}

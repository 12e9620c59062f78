import type { IncomingMessage } from 'node:http'
import { isBodyRead, rebuildBody } from './message/parsed-body.ts'
import type { RequestHead } from './message/request-head.ts'
import type { ProxyProblem } from './problems.ts'

/** What is to be sent as the request's body. */
export interface BodyPlan {
  readonly hasBody: boolean
  /** The whole body, where a parser had read it; undefined: the client's stream. */
  readonly bytes: Buffer | undefined
  readonly contentLength: number | undefined
}

export interface RefusedBody {
  readonly problem: ProxyProblem
  readonly detail?: string
  /** For the operator. */
  readonly message?: string
}

/**
 * Decides where the request's body comes from: the client's stream, or, when a body parser mounted before the proxy has
 * read it, the bytes made again, with the headers brought in line.
 *
 * @param head its `headers` are edited in place when the body had to be made again
 */
export function planBody(req: IncomingMessage, head: RequestHead, maxBytes: number): BodyPlan | RefusedBody {
  const { contentLength } = head
  if (!head.chunked && (contentLength === undefined || contentLength === 0)) {
    return { hasBody: false, bytes: undefined, contentLength }
  }
  if (contentLength !== undefined && contentLength > maxBytes) return { problem: 'body_too_large' }
  if (!isBodyRead(req)) return { hasBody: true, bytes: undefined, contentLength }
  return planRebuilt(req, head, maxBytes)
}

function planRebuilt(req: IncomingMessage, head: RequestHead, maxBytes: number): BodyPlan | RefusedBody {
  const { headers } = head
  let contentType = -1
  for (let i = 0; i < headers.length; i += 2) if (headers[i]!.toLowerCase() === 'content-type') contentType = i
  const type = contentType === -1 ? '' : headers[contentType + 1]!
  let rebuilt: ReturnType<typeof rebuildBody>
  try {
    rebuilt = rebuildBody(req, type)
  } catch (error) {
    return { problem: 'body_already_read', message: `the parsed body cannot be written again: ${String(error)}` }
  }
  if (rebuilt === undefined) {
    return {
      problem: 'body_already_read',
      message:
        `the body (${type === '' ? 'no content type' : type}) was read before proxy() and cannot be made again: mount the ` +
        'body parser behind the proxy, or keep the bytes: express.json({ verify: (req, _res, bytes) => { req.rawBody = bytes } })',
    }
  }
  if (rebuilt.bytes.length > maxBytes) return { problem: 'body_too_large' }
  if (rebuilt.contentType !== undefined && contentType !== -1) headers[contentType + 1] = rebuilt.contentType
  if (!rebuilt.exact) {
    // The parser has inflated it.
    for (let i = headers.length - 2; i >= 0; i -= 2) {
      if (headers[i]!.toLowerCase() === 'content-encoding') headers.splice(i, 2)
    }
  }
  return { hasBody: true, bytes: rebuilt.bytes, contentLength: rebuilt.bytes.length }
}

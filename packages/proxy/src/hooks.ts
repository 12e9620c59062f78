import type { Transform } from 'node:stream'
import type { Exchange, Target } from '@postern/contracts'
import { goesBy } from './message/header-names.ts'
import type { ResponseHeaders } from './transport/transport.ts'

/** The upstream request that is about to be made. Assign to its fields to change it. */
export interface OutgoingRequest {
  method: string
  /** Origin-form, with the query; without the target's base path. */
  path: string
  /** Name, value, name, value, … as they will be written; framing headers are not among them. */
  readonly headers: string[]
  /** Sets a header, replacing every line of the name, in any case and with `_` for `-`. */
  setHeader(name: string, value: string): void
  /** First value of a header; undefined when it is not there. */
  getHeader(name: string): string | undefined
  removeHeader(name: string): void
}

/** The upstream's response head, before it goes to the client. Assign to its fields to change it. */
export interface IncomingResponse {
  status: number
  /** Lower-case names; several lines of one name are an array. */
  readonly headers: ResponseHeaders
  readonly target: Target
}

/**
 * Sees each request before a target is chosen. It may answer on `exchange.response` itself (then nothing is sent
 * upstream) or throw: a `GatewayError` is answered as it is, anything else as `hook_failed`.
 */
export type RequestHook = (exchange: Exchange, request: OutgoingRequest) => void | Promise<void>

/** Sees each response head before it goes to the client. What it throws is answered like a request hook's. */
export type ResponseHook = (exchange: Exchange, response: IncomingResponse) => void | Promise<void>

/**
 * Makes the stream that a body goes through, or undefined to leave this body alone. Called once a message with a body.
 * The stream sees the body as it is on the wire: a compressed one is compressed.
 */
export type BodyTransform<Message> = (exchange: Exchange, message: Message) => Transform | undefined

/** Streams that change bodies on their way. */
export interface BodyTransforms {
  readonly request?: BodyTransform<OutgoingRequest>
  readonly response?: BodyTransform<IncomingResponse>
  /** Most bytes that come out of a transform, 1 to 2^53-1; more cuts the exchange. @default 10_485_760 */
  readonly maxBytes?: number
}

/** The outgoing request as hooks see it. */
export class OutgoingRequestHead implements OutgoingRequest {
  method: string
  path: string
  readonly headers: string[]

  constructor(method: string, path: string, headers: string[]) {
    this.method = method
    this.path = path
    this.headers = headers
  }

  getHeader(name: string): string | undefined {
    const lower = name.toLowerCase()
    for (let i = 0; i < this.headers.length; i += 2) {
      if (this.headers[i]!.toLowerCase() === lower) return this.headers[i + 1]
    }
    return undefined
  }

  setHeader(name: string, value: string): void {
    this.removeHeader(name)
    this.headers.push(name, value)
  }

  removeHeader(name: string): void {
    const lower = name.toLowerCase()
    for (let i = this.headers.length - 2; i >= 0; i -= 2) {
      if (goesBy(this.headers[i]!, lower)) this.headers.splice(i, 2)
    }
  }
}

import type { Duplex } from 'node:stream'
import type { Exchange, FailureType, Target } from '@postern/contracts'
import type { RequestBody } from '../message/request-body.ts'

/** Response headers: lower-case names; several lines of one name are an array, in order. */
export type ResponseHeaders = Record<string, string | string[]>

/** One request as it goes to one target: complete, and the same for every transport. */
export interface UpstreamRequest {
  readonly exchange: Exchange
  readonly method: string
  /** Origin-form, with the query; the target's base path is in front already. */
  readonly path: string
  /** Name, value, name, value, …; without framing and connection headers, which the transport writes. */
  readonly headers: string[]
  /** The `Host` to send; undefined: the target's. */
  readonly host: string | undefined
  readonly body: RequestBody | Buffer | undefined
  /** Length of the body in bytes; undefined: unknown, sent chunked. */
  readonly contentLength: number | undefined
  /** Token of the protocol to upgrade to; undefined for a plain request. */
  readonly upgrade: string | undefined
  /** True: use a connection that no request went over before. */
  readonly fresh: boolean
}

/** The proxy's hold on a request that a transport is carrying out. */
export interface Flow {
  /** Ends the request at once and gives up its connection. Idempotent. */
  abort(): void
  /** Stops delivering the response's body until {@link resume}. */
  pause(): void
  resume(): void
}

/**
 * What a transport reports, in this order: `onSent`, any number of `onInformational`, `onHead`, any number of `onData`,
 * `onEnd`. Or `onUpgrade` in place of the last three. Or `onError` at any time, once, and nothing after it.
 */
export interface ResponseSink {
  /**
   * A connection is there and the request's head is being written.
   *
   * @param reused the connection had served a request before
   * @param connectMs time that this connection took to be made; 0 when reused
   */
  onSent(flow: Flow, reused: boolean, connectMs: number): void
  /** The request was written to its last byte. */
  onBodySent(): void
  /** The first byte of a response has come; optional news: it keeps a request from being sent again. */
  onFirstByte(): void
  onInformational(status: number, headers: ResponseHeaders): void
  onHead(status: number, headers: ResponseHeaders, statusText: string): void
  onData(chunk: Buffer): void
  onEnd(trailers: ResponseHeaders): void
  onUpgrade(headers: ResponseHeaders, socket: Duplex, head: Buffer): void
  /** @param cause the error as it came; {@link FailureType} is derived from it, the phase and what was sent */
  onError(cause: Error, type?: FailureType): void
}

/** The connections to one target. */
export interface Upstream {
  /** Carries out one request. Never throws for what the request holds: that comes as `onError`. */
  dispatch(request: UpstreamRequest, sink: ResponseSink): void
  /** Closes idle connections now and the others when their request is over. */
  close(): Promise<void>
  /** Closes every connection now; what runs on them fails. */
  destroy(): Promise<void>
}

/** What connections need to know; the same for all targets of a proxy. */
export interface ConnectionSettings {
  /** Most connections to one target. */
  readonly maxConnections: number
  /** Longest wait for TCP and TLS, in milliseconds; 0: no limit. */
  readonly connectMs: number
  /** How long an idle connection is kept, in milliseconds. */
  readonly keepAliveMs: number
  /** Largest response head, in bytes. */
  readonly maxResponseHeaderBytes: number
  readonly http2: boolean
}

/** Carries requests to targets. Two are built in: undici's and http-proxy-middleware's. */
export interface Transport {
  readonly name: string
  /** Of the things that only some transports can do, those that this one does; the others are refused at start. */
  readonly features: { readonly http2: boolean; readonly upgrades: boolean; readonly informational: boolean }
  connect(target: Target, settings: ConnectionSettings): Upstream
}

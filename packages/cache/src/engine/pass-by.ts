import type { CacheForwardReason, Exchange, Fallback, GatewayError } from '@postern/contracts'
import { uriOf } from '../request-facts.ts'
import { isSafeMethod } from '../rules/invalidation.ts'
import type { CacheParts } from './cache-parts.ts'
import { invalidate } from './invalidate.ts'
import { ResponseTap, type TapOwner } from './response-tap.ts'
import { clientFields } from './stored-answer.ts'
import { forwarded, note, tell } from './verdict.ts'

/** A request that goes past the cache: its answer is told so, and what an unsafe one has changed is invalidated. */
export class PassBy implements TapOwner, Fallback {
  readonly #parts: CacheParts
  readonly #exchange: Exchange
  readonly #fwd: CacheForwardReason
  readonly #detail: string | undefined
  /** The URI that an unsafe request is about; undefined for a safe one. */
  readonly #unsafeUri: string | undefined
  readonly #tap: ResponseTap
  readonly #outerFallback: Fallback | undefined
  #isGatewaysOwn = false

  private constructor(parts: CacheParts, exchange: Exchange, fwd: CacheForwardReason, detail: string | undefined) {
    this.#parts = parts
    this.#exchange = exchange
    this.#fwd = fwd
    this.#detail = detail
    const { method = 'GET', headers } = exchange.request
    this.#unsafeUri = isSafeMethod(method) ? undefined : uriOf(exchange.request, headers.host ?? '', parts.options)
    this.#outerFallback = exchange.fallback
    exchange.fallback = this
    this.#tap = new ResponseTap(exchange.response, this)
  }

  /** Has the answer to a request watched. */
  static watch(parts: CacheParts, exchange: Exchange, fwd: CacheForwardReason, detail: string | undefined): void {
    if (parts.state.pass(exchange)) new PassBy(parts, exchange, fwd, detail)
  }

  onHead(status: number, statusText: string | undefined, headers: string[]): void {
    const { options } = this.#parts
    if (this.#unsafeUri !== undefined && !this.#isGatewaysOwn) {
      const method = this.#exchange.request.method ?? ''
      invalidate(this.#parts, { method, uri: this.#unsafeUri }, status, headers)
    }
    const fields = clientFields(headers, options)
    const verdict = forwarded(this.#fwd, this.#detail)
    // What the gateway answers itself says nothing of a cache (RFC 9211 §2).
    if (!this.#isGatewaysOwn) tell(this.#exchange, verdict, fields, options)
    else note(this.#exchange, verdict)
    this.#tap.head(status, statusText, fields)
    this.#tap.leave()
  }

  /** An error of the gateway's own; asked before it is answered. */
  takeOver(error: GatewayError): boolean {
    this.#isGatewaysOwn = true
    return this.#outerFallback?.takeOver(error) ?? false
  }

  onData(): boolean {
    return true
  }

  onEnd(): void {}

  onCut(): void {
    this.#tap.cut()
  }
}

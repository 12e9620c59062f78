import type { CacheVerdict, Exchange, ExchangeObserver, Fallback } from '@postern/contracts'
import { evaluate, notModifiedFields } from '../rules/conditional.ts'
import type { StoredResponse } from '../stored-response.ts'
import type { LogReader } from './body-log.ts'
import { ResponseTap, type TapOwner } from './response-tap.ts'
import { clientFields } from './stored-answer.ts'
import type { StoringBody } from './storing-body.ts'
import type { Turn } from './turn.ts'
import { note, tell } from './verdict.ts'

/**
 * The client whose request a fill is: what it gets, and how far it has come. The stages behind the cache work on a fork of
 * its exchange and write to its response through a tap.
 */
export class FillClient {
  readonly tap: ResponseTap
  readonly fork: Exchange
  /** What would answer in place of the gateway's errors if the fill did not. */
  readonly outerFallback: Fallback | undefined
  /** Its response is over: it has its answer, or has left. */
  isGone = false
  /** It has its answer (a 304) while the content is still coming, for the store and for others. */
  isServed = false
  readonly #turn: Turn
  readonly #exchange: Exchange
  #reader: LogReader | undefined = undefined
  /** Its connection is being closed, in this turn of the event loop. */
  #isClosing = false

  constructor(turn: Turn, fill: TapOwner & ExchangeObserver & Fallback) {
    const { exchange, state, req, res } = turn
    this.#turn = turn
    this.#exchange = exchange
    exchange.observe(fill)
    this.fork = exchange.fork(state)
    this.outerFallback = this.fork.fallback
    this.fork.fallback = fill
    req.gateway = this.fork
    this.tap = new ResponseTap(res, fill)
  }

  /** No proxy works on the answer: it comes from a handler of the app's own. */
  get isLocal(): boolean {
    return this.fork.attempts.length === 0
  }

  /**
   * Gives it the answer as it is, and all that follows.
   *
   * @param isOwn the gateway answers itself: that says nothing of a cache (RFC 9211 §2)
   * @throws what Node throws for a head that cannot be sent; then nothing was
   */
  pass(
    status: number,
    statusText: string | undefined,
    headers: readonly string[],
    verdict: CacheVerdict,
    isOwn: boolean,
  ): void {
    const fields = clientFields(headers, this.#turn.options)
    if (isOwn) note(this.#exchange, verdict)
    else tell(this.#exchange, verdict, fields, this.#turn.options)
    this.tap.head(status, statusText, fields)
    this.tap.leave()
  }

  /**
   * Has it read an answer that is being stored, or tells it that it has that already.
   *
   * @param tookConditions its conditions were taken away when the request was sent on
   * @throws what Node throws for a head that cannot be sent; then nothing was
   */
  read(
    status: number,
    statusText: string | undefined,
    headers: readonly string[],
    verdict: CacheVerdict,
    body: StoringBody,
    tookConditions: boolean,
  ): void {
    const { options, facts } = this.#turn
    const fields = clientFields(headers, options)
    if (tookConditions && evaluate(facts, body.head) === 'not-modified') {
      this.isServed = true
      this.tap.holdEnd()
      const kept = notModifiedFields(fields)
      tell(this.#exchange, { ...verdict, fwdStatus: status }, kept, options)
      this.tap.head(304, undefined, kept)
      this.tap.end()
      return
    }
    tell(this.#exchange, verdict, fields, options)
    this.tap.head(status, statusText, fields)
    this.#reader = body.readFirst(this.tap)
  }

  /** Gives it a stored response in place of what comes. */
  answerWith(response: StoredResponse, verdict: CacheVerdict, nowMs: number): void {
    this.tap.forgetHeaders()
    if (!this.isGone) this.#turn.answerWith(this.tap, response, verdict, nowMs)
  }

  /** With nothing to store and nobody else to read, the rest goes straight to it. @returns false while it is behind */
  readAlone(): boolean {
    if (this.#reader?.isBlocked === true) return false
    this.#reader?.leave()
    this.#reader = undefined
    if (!this.isGone) this.tap.leave()
    return true
  }

  /** Notes that its response is over. @param hasPassed all went straight to it */
  close(hasPassed: boolean): void {
    const exchange = this.#exchange
    this.isGone = true
    this.#isClosing = !exchange.response.writableFinished
    if (this.#isClosing) {
      setImmediate(() => {
        this.#isClosing = false
      })
    }
    exchange.join(this.fork)
    if (this.#reader !== undefined) {
      exchange.responseBodyBytes = this.#reader.position
      this.#reader.leave()
    } else if (hasPassed) exchange.responseBodyBytes = this.fork.responseBodyBytes
  }

  /** Tells the stages behind the cache that the exchange is over. */
  release(): void {
    this.tap.releaseEnd()
    this.fork.close()
    const { req } = this.#turn
    if (req.gateway === this.fork) req.gateway = this.#exchange
  }

  /**
   * True when a handler may just have ended the answer because the client has gone: half a body would pass for the whole.
   * The proxy tells a cut from an end by itself.
   */
  mayHaveCut(): boolean {
    if (this.#exchange.background || !this.isLocal) return false
    return this.#isClosing || (!this.isGone && this.#turn.req.socket.destroyed)
  }
}

import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  type CacheForwardReason,
  type CacheVerdict,
  type Exchange,
  type ExchangeObserver,
  failExchange,
  type GatewayError,
} from '@postern/contracts'
import { cacheHit, cacheMissed } from '../channels.ts'
import type { ResolvedCacheOptions } from '../options.ts'
import { problem } from '../problems.ts'
import type { RequestFacts } from '../request-facts.ts'
import { ttlOf } from '../rules/freshness.ts'
import { mayServeOnError, reuseOf } from '../rules/reuse.ts'
import { matchesVary, missReason, selectStored } from '../rules/vary.ts'
import type { Soon } from '../store/cache-store.ts'
import type { StoredResponse } from '../stored-response.ts'
import type { LogReader } from './body-log.ts'
import type { CacheParts, Next } from './cache-parts.ts'
import type { CacheState } from './cache-state.ts'
import { ClientSide } from './client-side.ts'
import { Fill } from './fill.ts'
import { whenThere } from './guarded-store.ts'
import { refresh } from './refresh.ts'
import { type AnswerPlan, needsBody, planAnswer, sendStored } from './stored-answer.ts'
import { forwarded, hitVerdict, note } from './verdict.ts'

const NOTHING: readonly StoredResponse[] = []

/** One request's turn at the cache: looked up, and then answered from the store, sent on, or made to wait for one like it. */
export class Turn implements ExchangeObserver {
  readonly parts: CacheParts
  readonly exchange: Exchange
  readonly facts: RequestFacts
  readonly next: Next | undefined
  fwd: CacheForwardReason = 'miss'
  #stored: readonly StoredResponse[] = NOTHING
  #waitsFor: Fill | undefined = undefined
  #reader: LogReader | undefined = undefined
  #isObserving = false

  constructor(parts: CacheParts, exchange: Exchange, facts: RequestFacts, next: Next | undefined) {
    this.parts = parts
    this.exchange = exchange
    this.facts = facts
    this.next = next
  }

  get options(): ResolvedCacheOptions {
    return this.parts.options
  }

  get state(): CacheState {
    return this.parts.state
  }

  get req(): IncomingMessage {
    return this.exchange.request
  }

  get res(): ServerResponse {
    return this.exchange.response
  }

  begin(): void {
    const { invalidating, store } = this.state
    if (invalidating.size > 0 && invalidating.has(this.facts.uri)) {
      this.#decide(NOTHING)
      return
    }
    const soon = store.get(this.facts.key)
    if (!(soon instanceof Promise)) this.#decide(soon ?? NOTHING)
    else soon.then((stored) => this.#decide(stored ?? NOTHING)).catch((error: unknown) => this.#onThrown(error))
  }

  /** Sends a request on that is never answered from the store. */
  sendOn(fwd: CacheForwardReason): void {
    this.fwd = fwd
    new Fill(this, { fwd, stored: NOTHING, selected: undefined, isShared: false }).begin()
  }

  /** Lets the stages behind the cache have the request. */
  goOn(): void {
    const { behind } = this.parts
    const next = this.next ?? ((error?: unknown): void => this.#onNobodyElse(error))
    if (behind === undefined) next()
    else behind(this.req, this.res, next)
  }

  /** In a bare server, and in the background, nobody comes after the handlers behind the cache. */
  #onNobodyElse(error: unknown): void {
    const { exchange, res } = this
    if (exchange.background || res.headersSent) res.destroy()
    else {
      res.statusCode = error === undefined ? 404 : 500
      res.end()
    }
  }

  // Decisions

  #decide(stored: readonly StoredResponse[]): void {
    if (this.exchange.closed) return
    this.#stored = stored
    const { facts } = this
    const selected = selectStored(stored, facts)
    if (selected === undefined) {
      this.fwd = stored.some(
        (head) => head.parts !== undefined && head.partition === facts.partition && matchesVary(head, facts),
      )
        ? 'partial'
        : missReason(stored, facts)
      this.#miss(undefined)
      return
    }
    const plan = planAnswer(facts, selected)
    if (plan === 'origin') {
      this.fwd = 'partial'
      this.#miss(undefined)
      return
    }
    const nowMs = this.options.clock.wallNow()
    switch (reuseOf(selected, facts, nowMs)) {
      case 'fresh':
        this.#hit(selected, plan, nowMs, undefined)
        break
      case 'stale-allowed':
        this.#hit(selected, plan, nowMs, 'max-stale')
        break
      case 'stale-while-revalidate':
        if (this.#refresh(selected)) this.#hit(selected, plan, nowMs, 'stale-while-revalidate')
        else this.#validate(selected, 'stale')
        break
      case 'validate':
        this.#validate(selected, 'stale')
        break
      case 'validate-for-client':
        this.#validate(selected, 'request')
    }
  }

  #hit(selected: StoredResponse, plan: AnswerPlan, nowMs: number, detail: string | undefined): void {
    if (selected.body !== undefined || !needsBody(this.facts, selected, plan)) {
      this.#send(selected, selected.body ?? NO_BODY, plan, nowMs, detail)
      return
    }
    whenThere(
      this.#bodyOf(selected),
      (body) => {
        if (body === undefined) this.#lost(selected)
        else this.#send(selected, body, plan, nowMs, detail)
      },
      (error) => this.#onThrown(error),
    )
  }

  #send(
    selected: StoredResponse,
    body: readonly Uint8Array[],
    plan: AnswerPlan,
    nowMs: number,
    detail: string | undefined,
  ): void {
    const { exchange, facts, options, res, state } = this
    if (exchange.closed) return
    const verdict = hitVerdict(ttlOf(selected, nowMs), detail)
    try {
      sendStored(new ClientSide(res), exchange, facts, selected, body, plan, verdict, nowMs, options)
    } catch {
      // A head that cannot be sent: what came out of the store is not what went in.
      if (res.headersSent) res.destroy()
      else this.#lost(selected)
      return
    }
    state.counts.hits++
    if (cacheHit.hasSubscribers) cacheHit.publish({ cache: options.name, exchange })
  }

  #bodyOf(stored: StoredResponse): Soon<readonly Uint8Array[] | undefined> {
    return this.state.store.readBody(this.facts.key, stored.id, stored.bodyBytes)
  }

  /** A stored response that cannot be given out after all. */
  #lost(stored: StoredResponse): void {
    if (this.exchange.closed) return
    this.state.store.remove(this.facts.key, stored.id)
    this.#stored = this.#stored.filter((each) => each !== stored)
    this.fwd = 'miss'
    this.#miss(undefined)
  }

  /**
   * Answers with a stored response out of turn: it was validated, or the origin failed. Its content is at hand.
   *
   * @throws when its head cannot be sent; then nothing was
   */
  answerWith(client: ClientSide, stored: StoredResponse, verdict: CacheVerdict, nowMs: number): void {
    const { exchange, facts, options } = this
    const plan = planAnswer(facts, stored)
    sendStored(
      client,
      exchange,
      facts,
      stored,
      stored.body ?? NO_BODY,
      plan === 'origin' ? 'whole' : plan,
      verdict,
      nowMs,
      options,
    )
  }

  /** Whatever the origin says, the content must be at hand then. */
  #validate(selected: StoredResponse, fwd: CacheForwardReason): void {
    this.fwd = fwd
    if (selected.body !== undefined || selected.bodyBytes === 0) {
      this.#miss(selected)
      return
    }
    whenThere(
      this.#bodyOf(selected),
      (body) => {
        if (body === undefined) {
          this.#lost(selected)
          return
        }
        const whole = { ...selected, body }
        this.#stored = this.#stored.map((each) => (each === selected ? whole : each))
        if (!this.exchange.closed) this.#miss(whole)
      },
      (error) => this.#onThrown(error),
    )
  }

  /** What a handler behind the cache throws late, Express does not see. */
  #onThrown(error: unknown): void {
    if (this.res.headersSent || this.next === undefined) this.res.destroy()
    else this.next(error)
  }

  #miss(selected: StoredResponse | undefined): void {
    const { facts, state } = this
    if (facts.directives?.onlyIfCached === true) {
      this.#refuse()
      return
    }
    const isShared = this.#mayShare()
    const fill = isShared ? state.findFill(facts) : undefined
    if (fill !== undefined) this.#wait(fill)
    else {
      const isAwaited = isShared && facts.method === 'GET'
      new Fill(this, { fwd: this.fwd, stored: this.#stored, selected, isShared: isAwaited }).begin()
    }
  }

  /** RFC 9111 §5.2.1.7 */
  #refuse(): void {
    const { exchange, req, res, options, next } = this
    note(exchange, { ...forwarded(this.fwd, 'only-if-cached'), fwd: undefined })
    failExchange(req, res, problem('not_in_cache'), options.errors, next)
  }

  /** Whether this request may wait for another one, and others for it. */
  #mayShare(): boolean {
    const { facts, options, state, exchange } = this
    const { directives, range } = facts
    return (
      options.maxWaitMs > 0 &&
      !exchange.background &&
      range === undefined &&
      // Clients that want the origin asked for themselves, and those whose answer must not be kept.
      (directives === undefined || (!directives.noStore && !directives.noCache && directives.maxAgeS !== 0)) &&
      state.hintOf(facts) !== 'unshared'
    )
  }

  /** Has a stale response validated while it is being served. @returns false when there is no way to */
  #refresh(selected: StoredResponse): boolean {
    return this.state.isRevalidating(this.facts.key, selected.id) || refresh(this, selected, this.#stored)
  }

  // Waiting

  #wait(fill: Fill): void {
    this.#waitsFor = fill
    this.state.counts.collapsed++
    if (!this.#isObserving) {
      this.#isObserving = true
      this.exchange.observe(this)
      // An abort that comes earlier than the answer ends the wait.
      this.exchange.deadline?.signal.addEventListener('abort', () => this.#onDeadline(), { once: true })
    }
    fill.join(this)
  }

  onExchangeClosed(): void {
    if (this.#reader !== undefined) {
      this.exchange.responseBodyBytes = this.#reader.position
      this.#reader.leave()
    }
    const fill = this.#waitsFor
    this.#waitsFor = undefined
    fill?.onWaiterLeft(this)
  }

  #onDeadline(): void {
    if (this.#waitsFor === undefined || this.#reader !== undefined || this.res.headersSent) return
    const leftMs = this.exchange.deadline!.remainingMs()
    if (leftMs > 0) {
      // A timer may be early by a fraction, and the request would be sent once more.
      setTimeout(() => this.#onDeadline(), Math.ceil(leftMs))
      return
    }
    this.#waitsFor.onWaiterLeft(this)
    // The proxy tells of a deadline that is over.
    this.goAlone()
  }

  /** The request has its answer from elsewhere than the store. */
  missed(): void {
    this.state.counts.misses++
    if (cacheMissed.hasSubscribers) cacheMissed.publish({ cache: this.options.name, exchange: this.exchange })
  }

  /** How long its client waits for an answer, from the beginning, in milliseconds. */
  get patienceMs(): number {
    const { deadline, receivedAtMs } = this.exchange
    return deadline === undefined ? Number.POSITIVE_INFINITY : deadline.atMs - receivedAtMs
  }

  /** The answer is being given out as it comes. */
  reads(reader: LogReader): void {
    this.#reader = reader
  }

  /** The answer that this request waited for is not for it: everything from the start. */
  again(): void {
    this.#waitsFor = undefined
    if (!this.exchange.closed) this.begin()
  }

  /** The same, but nothing that is on its way would do. */
  goAlone(): void {
    this.#waitsFor = undefined
    if (this.exchange.closed) return
    new Fill(this, { fwd: this.fwd, stored: this.#stored, selected: this.#selected(), isShared: false }).begin()
  }

  /** The gateway's own failure, which all who wait share. */
  fail(error: GatewayError): void {
    this.#waitsFor = undefined
    const { exchange, req, res, options, next } = this
    if (exchange.closed) return
    note(exchange, { ...forwarded(this.fwd, 'gateway-error'), collapsed: true })
    this.missed()
    failExchange(req, res, error, options.errors, next)
  }

  /** What this request waited for has been validated. */
  afterRevalidation(stored: StoredResponse): void {
    this.#waitsFor = undefined
    if (this.exchange.closed) return
    const nowMs = this.options.clock.wallNow()
    const { facts, state } = this
    if (matchesVary(stored, facts) && reuseOf(stored, facts, nowMs) === 'fresh') {
      const verdict: CacheVerdict = {
        ...forwarded(this.fwd, undefined),
        fwdStatus: 304,
        ttlS: ttlOf(stored, nowMs),
        collapsed: true,
      }
      this.answerWith(new ClientSide(this.res), stored, verdict, nowMs)
      this.missed()
      return
    }
    // Every request has to be validated for itself.
    state.learn(facts, 'unshared')
    this.goAlone()
  }

  /** The origin failed, and another client got a stale response. */
  afterFailure(stored: StoredResponse, verdict: CacheVerdict, error: GatewayError | undefined): void {
    this.#waitsFor = undefined
    if (this.exchange.closed) return
    const nowMs = this.options.clock.wallNow()
    if (matchesVary(stored, this.facts) && mayServeOnError(stored, this.facts, nowMs)) {
      this.answerWith(new ClientSide(this.res), stored, { ...verdict, collapsed: true }, nowMs)
      this.missed()
    } else if (error !== undefined) this.fail(error)
    else this.goAlone()
  }

  #selected(): StoredResponse | undefined {
    const selected = selectStored(this.#stored, this.facts)
    return selected !== undefined && planAnswer(this.facts, selected) !== 'origin' ? selected : undefined
  }
}

const NO_BODY: readonly Uint8Array[] = []

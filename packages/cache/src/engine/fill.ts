import {
  type CacheVerdict,
  type ExchangeObserver,
  type Fallback,
  failExchange,
  type GatewayError,
} from '@postern/contracts'
import { problem } from '../problems.ts'
import type { RequestFacts } from '../request-facts.ts'
import { ttlOf } from '../rules/freshness.ts'
import { mayServeOnError } from '../rules/reuse.ts'
import { assess, type ReceivedResponse } from '../rules/storing.ts'
import { matchesVary } from '../rules/vary.ts'
import type { StoredHead, StoredResponse } from '../stored-response.ts'
import type { Place, PurgeScope } from './cache-state.ts'
import { type FillPlan, takeConditions } from './conditions.ts'
import { ExpectedVariant } from './expected-variant.ts'
import { FillClient } from './fill-client.ts'
import { invalidate } from './invalidate.ts'
import { PurgeNotes } from './purge-notes.ts'
import { newId } from './response-id.ts'
import type { TapOwner } from './response-tap.ts'
import { freshen, freshenByHead } from './revalidated.ts'
import { StoringBody } from './storing-body.ts'
import { replacesStored, storingLimit } from './storing-limits.ts'
import { taggedHead } from './tagged-head.ts'
import type { Turn } from './turn.ts'
import { forwarded, note } from './verdict.ts'
import { Waiters } from './waiters.ts'
import { Watchdog, type Watched } from './watchdog.ts'

/**
 * Where a fill stands: `asked` (no head yet), `storing` (the content goes into the log, and from there to all who read
 * it), `passing` (the response is for this client alone), `answered` (the client has another answer, and what comes is
 * dropped).
 */
type Phase = 'asked' | 'storing' | 'passing' | 'answered'

/**
 * One request on its way through the stages behind the cache, and what becomes of its answer: it is stored, brings stored
 * ones up to date, is passed on, or is replaced by a stale one. Outlives its client while others wait for the answer.
 */
export class Fill implements TapOwner, ExchangeObserver, Fallback, Watched {
  readonly facts: RequestFacts
  /** The `id` of the stored response that is being revalidated. */
  readonly validates: string | undefined
  readonly #turn: Turn
  readonly #plan: FillPlan
  readonly #waiters: Waiters
  readonly #expected: ExpectedVariant
  readonly #purges: PurgeNotes
  #place!: Place
  #client!: FillClient
  #phase: Phase = 'asked'
  #requestedAtMs = 0
  /** Conditions of the client's own were taken away, for the answer to be whole. */
  #tookConditions = false
  #error: GatewayError | undefined = undefined
  #head: StoredHead | undefined = undefined
  #body: StoringBody | undefined = undefined
  #downstreamEnded = false
  #isOver = false
  #watchdog: Watchdog | undefined = undefined

  constructor(turn: Turn, plan: FillPlan) {
    this.#turn = turn
    this.#plan = plan
    this.facts = turn.facts
    this.validates = plan.selected?.id
    this.#waiters = new Waiters(turn.options.maxWaitMs, () => this.#onWaitedTooLong())
    const hint = plan.isShared ? turn.state.hintOf(turn.facts) : undefined
    const names = typeof hint === 'object' ? hint : (plan.selected?.vary ?? plan.stored[0]?.vary ?? [])
    this.#expected = new ExpectedVariant(plan.isShared ? names : [], turn.facts)
    this.#purges = new PurgeNotes(turn.facts.uri)
  }

  /** Sends the request on. */
  begin(): void {
    const { state } = this.#turn
    this.#place = state.enter(this)
    if (this.#plan.isShared) state.list(this)
    this.#client = new FillClient(this.#turn, this)
    this.#tookConditions = takeConditions(this.#turn, this.#plan)
    this.#requestedAtMs = this.#nowMs()
    this.#turn.goOn()
  }

  // Who waits

  /** True when the answer will do for a request, or may turn out to. */
  mayServe(facts: RequestFacts): boolean {
    if (facts.partition !== this.facts.partition) return false
    if (this.#phase === 'storing') return this.#body!.mayServe(facts, this.#nowMs())
    return this.#phase === 'asked' && this.#expected.matches(facts)
  }

  /** Lets a request wait for the answer, or begin to read it. */
  join(turn: Turn): void {
    this.#client.tap.holdEnd()
    if (this.#phase === 'asked') {
      this.#waiters.add(turn)
      return
    }
    this.#body!.serve(turn)
    // Whoever was slow before, this one is not: the origin may go on.
    if (this.#body!.wantsMore) this.#onSpace()
  }

  /** One who waited, or read, has left. */
  onWaiterLeft(turn: Turn): void {
    this.#waiters.remove(turn)
    if (this.#client.isGone && !this.#isWanted) this.#abandon()
  }

  get #isWanted(): boolean {
    if (this.#client.isServed && this.#body?.isStoring === true) return true
    return this.#waiters.size > 0 || (this.#body?.readers ?? 0) > 0
  }

  #onWaitedTooLong(): void {
    for (const turn of this.#waiters.take()) turn.goAlone()
  }

  /** @returns true when the purge is, or may be, about the answer */
  outdate(scope: PurgeScope): boolean {
    return this.#purges.add(scope, this.#head)
  }

  // What the stages behind the cache tell

  onHead(status: number, statusText: string | undefined, headers: string[]): void {
    if (this.#phase !== 'asked') return
    if (this.#error !== undefined || this.#client.fork.failure !== undefined) {
      this.#passOn(status, statusText, headers, 'gateway-error')
      return
    }
    const receivedAtMs = this.#nowMs()
    const requestedAtMs = this.#requestedAtMs
    const received = { status, statusText: statusText ?? '', headers, requestedAtMs, receivedAtMs }
    if (status === 304 && this.#plan.stored.length > 0 && !this.#isClientsCondition()) this.#onNotModified(received)
    else if (isServerError(status) && this.#mayServeStale(receivedAtMs)) this.#serveStale(status)
    else this.#onResponse(received, statusText)
  }

  onData(chunk: Uint8Array): boolean {
    if (this.#phase === 'storing') {
      const goesOn = this.#body!.append(chunk)
      this.#leaveIfAlone()
      return goesOn
    }
    return this.#phase !== 'passing' || this.#client.isGone || this.#client.tap.write(chunk)
  }

  onEnd(chunk: Uint8Array | undefined): void {
    if (this.#phase === 'storing') {
      const body = this.#body!
      if ((!body.hasLength && this.#client.mayHaveCut()) || !body.end(chunk)) {
        this.onCut()
        return
      }
      this.#over()
      body.commit(this.#purges, () => this.#turn.state.leave(this.#place))
    } else if (this.#phase === 'passing' && !this.#client.isGone) this.#client.tap.end(chunk)
    this.#onDownstreamEnded()
  }

  onCut(): void {
    if (this.#phase === 'storing') this.#body!.cut()
    else if (this.#phase === 'asked') {
      if (!this.#client.isGone) this.#client.tap.cut()
      this.#releaseWaiters()
    }
    if (this.#phase !== 'answered') this.#phase = 'passing'
    this.#over()
    this.#onDownstreamEnded()
  }

  /** An error of the gateway's own; asked before it is answered. */
  takeOver(error: GatewayError): boolean {
    this.#error = error
    if (error.status >= 500 && this.#phase === 'asked' && this.#mayServeStale(this.#nowMs())) {
      this.#serveStale(error.status)
      this.#onDownstreamEnded()
      return true
    }
    return this.#client.outerFallback?.takeOver(error) ?? false
  }

  onExchangeClosed(): void {
    this.#client.close(this.#phase === 'passing')
    if (this.#downstreamEnded || !this.#isWanted) this.#abandon()
    else {
      this.#client.tap.pretendOpen()
      this.#watchdog = new Watchdog(this, this.#turn.options.maxWaitMs)
    }
  }

  // Deciding

  #onResponse(received: ReceivedResponse, statusText: string | undefined): void {
    const { options, facts, req } = this.#turn
    const { status, headers } = received
    if (facts.method === 'POST') invalidate(this.#turn.parts, facts, status, headers, this)
    else if (facts.method === 'HEAD') {
      freshenByHead(this.#turn, this.#plan.stored, received, this.#purges)
    }
    const limit = storingLimit(this.#turn.parts, facts, this.#turn.exchange, this.#client.fork)
    const assessment = limit ?? assess(facts, received, options, newId())
    if (!assessment.storable) {
      this.#passOn(status, statusText, headers, assessment.reason)
      return
    }
    const head = taggedHead({ ...assessment.head, bodyBytes: 0 }, req, facts, options)
    const body = head && new StoringBody(this.#turn, this.#plan.stored, head, received, () => this.#onSpace())
    if (body === undefined || body.isTooLarge) {
      this.#passOn(status, statusText, headers, body === undefined ? 'option-failed' : 'too-large')
      return
    }
    const verdict: CacheVerdict = {
      ...forwarded(this.#plan.fwd, undefined),
      ttlS: ttlOf(body.head, received.receivedAtMs),
      stored: true,
    }
    this.#client.read(status, statusText, headers, verdict, body, this.#tookConditions)
    this.#head = body.head
    this.#body = body
    this.#phase = 'storing'
    this.#shareOut(body, received.receivedAtMs)
  }

  /** Gives the response to those who wait for it; those whom it is not for find their own. */
  #shareOut(body: StoringBody, nowMs: number): void {
    const { state, facts } = this.#turn
    if (!this.#plan.isShared) return
    // Never fresh, it must be validated for every request: whoever waited for it would wait in vain.
    const isReusable = body.mayServe(facts, nowMs)
    if (isReusable) state.learn(facts, body.head.vary.length === 0 ? undefined : body.head.vary)
    else if (this.#waiters.size > 0) state.learn(facts, 'unshared')
    for (const turn of this.#waiters.take()) {
      if (body.mayServe(turn.facts, nowMs)) body.serve(turn)
      else if (isReusable || !matchesVary(body.head, turn.facts)) turn.again()
      else turn.goAlone()
    }
  }

  /** Gives the answer to the client whose request it is, and to nobody else. */
  #passOn(status: number, statusText: string | undefined, headers: readonly string[], reason: string): void {
    const { state, facts } = this.#turn
    const isOwn = reason === 'gateway-error'
    this.#client.pass(status, statusText, headers, forwarded(this.#plan.fwd, reason), isOwn)
    this.#phase = 'passing'
    const { selected, isShared } = this.#plan
    const isFailure = isOwn || isServerError(status)
    // It has taken the place of what was stored, and nobody else may have it.
    if (selected !== undefined && replacesStored(status, facts, reason)) state.store.remove(facts.key, selected.id)
    // Where nobody waited there is nothing to learn: who comes alone need not wait for anybody.
    if (isShared && !isFailure && this.#waiters.size > 0) state.learn(facts, 'unshared')
    this.#releaseWaiters()
    this.#over()
  }

  /** Those who wait get the gateway's own error as well; what the origin said to this client is not for them. */
  #releaseWaiters(): void {
    const error = this.#error
    const failure = error?.failure
    const isShared = error !== undefined && error.status >= 500 && failure?.side !== 'client'
    for (const turn of this.#waiters.take()) {
      // This client had less patience than others. Those who have no more do not make the upstream work again.
      if (failure?.type === 'deadline_exceeded' && turn.patienceMs > this.#turn.patienceMs) turn.again()
      else if (isShared) turn.fail(error)
      else turn.goAlone()
    }
  }

  #onNotModified(received: ReceivedResponse): void {
    const { stored, selected, fwd } = this.#plan
    const response = freshen(this.#turn, stored, selected, received, this.#purges)
    if (response === undefined) {
      this.#onBadRevalidation()
      return
    }
    const ttlS = ttlOf(response, received.receivedAtMs)
    const verdict = { ...forwarded(fwd, undefined), fwdStatus: 304, ttlS, stored: true }
    this.#answerFromStore(response, verdict, received.receivedAtMs)
    for (const turn of this.#waiters.take()) turn.afterRevalidation(response)
    this.#over()
  }

  /** Nothing that is stored is what the origin speaks of. */
  #onBadRevalidation(): void {
    const { state, facts, options, req, res, next } = this.#turn
    for (const stored of this.#plan.stored) state.store.remove(facts.key, stored.id)
    this.#phase = 'passing'
    this.#client.tap.forgetHeaders()
    this.#client.tap.leave()
    note(this.#turn.exchange, { ...forwarded(this.#plan.fwd, 'bad-revalidation'), fwdStatus: 304 })
    for (const turn of this.#waiters.take()) turn.again()
    this.#over()
    failExchange(req, res, problem('bad_revalidation'), options.errors, next)
  }

  #mayServeStale(nowMs: number): boolean {
    const { selected } = this.#plan
    return selected !== undefined && !this.#client.isGone && mayServeOnError(selected, this.facts, nowMs)
  }

  #serveStale(status: number): void {
    const selected = this.#plan.selected!
    const nowMs = this.#nowMs()
    const ttlS = ttlOf(selected, nowMs)
    const verdict = { ...forwarded(this.#plan.fwd, 'stale-if-error'), fwdStatus: status, ttlS }
    this.#answerFromStore(selected, verdict, nowMs)
    for (const turn of this.#waiters.take()) turn.afterFailure(selected, verdict, this.#error)
    this.#over()
  }

  #answerFromStore(response: StoredResponse, verdict: CacheVerdict, nowMs: number): void {
    this.#phase = 'answered'
    this.#turn.state.unlist(this)
    this.#client.answerWith(response, verdict, nowMs)
  }

  /** A 304 answers the client's own condition, and not one of the cache's. */
  #isClientsCondition(): boolean {
    const { ifNoneMatch, ifModifiedSince } = this.facts
    return !this.#tookConditions && (ifNoneMatch !== undefined || ifModifiedSince !== undefined)
  }

  // Ends

  #onDownstreamEnded(): void {
    if (this.#downstreamEnded) return
    this.#downstreamEnded = true
    this.#watchdog?.stop()
    this.#client.tap.releaseEnd()
    // Whoever has just written the last byte has still to note that he is done.
    if (this.#client.isGone) setImmediate(() => this.#abandon())
  }

  /** Nobody wants the answer any more: the stages behind the cache are told that the exchange is over. */
  #abandon(): void {
    this.#watchdog?.stop()
    this.#client.release()
    if (this.#downstreamEnded) return
    this.#downstreamEnded = true
    if (this.#phase === 'storing') this.#body!.cut()
    if (this.#phase !== 'answered') this.#phase = 'passing'
    this.#over()
  }

  // What is watched when the client has gone

  get bytesSoFar(): number | undefined {
    return this.#phase === 'asked' ? undefined : (this.#body?.bytes ?? 0)
  }

  get isHeldBack(): boolean {
    return this.#phase !== 'storing' || !this.#body!.wantsMore
  }

  get isLocal(): boolean {
    return this.#client.isLocal
  }

  onSilent(): void {
    this.#onWaitedTooLong()
    this.#abandon()
  }

  onStalled(): void {
    this.onCut()
  }

  /** Once there is nothing to store and nobody else reads, the answer goes straight to the client. */
  #leaveIfAlone(): void {
    const body = this.#body!
    if (body.isStoring || body.readers > 0 || !this.#client.readAlone()) return
    this.#phase = 'passing'
    this.#over()
  }

  #onSpace(): void {
    if (!this.#downstreamEnded) this.#client.tap.wake()
  }

  #over(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#waiters.close()
    if (this.#phase !== 'storing') this.#turn.state.leave(this.#place)
    this.#turn.missed()
  }

  #nowMs(): number {
    return this.#turn.options.clock.wallNow()
  }
}

/** 500, 502, 503 and 504: what stale-if-error is for (RFC 5861 §4). */
function isServerError(status: number): boolean {
  return status === 500 || status === 502 || status === 503 || status === 504
}

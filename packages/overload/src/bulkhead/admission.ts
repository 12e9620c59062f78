import { AsyncResource } from 'node:async_hooks'
import { type Exchange, type ExchangeObserver, type Failure, failExchange, offerFallback } from '@postern/contracts'
import { bulkheadRejected } from '../channels.ts'
import { problem } from '../problems.ts'
import { retryAfterSeconds } from '../retry-after.ts'
import type { BulkheadState } from './bulkhead-state.ts'
import { latencySample } from './latency-sample.ts'
import type { RefusalReason, Waiter } from './limiter.ts'

type Next = (error?: unknown) => void

/** Where an exchange stands with a bulkhead. */
type Stage = 'arrived' | 'waiting' | 'inside' | 'gone'

/** One exchange on its way through one bulkhead: it is let in, waits or is refused, and gives its place back once. */
export class Admission implements ExchangeObserver, Waiter {
  previousQueued: Waiter | undefined = undefined
  nextQueued: Waiter | undefined = undefined
  isQueued = false
  expiresAtMs = 0
  readonly #state: BulkheadState
  readonly #exchange: Exchange
  readonly #next: Next
  #stage: Stage = 'arrived'
  /** When it began to wait; once inside, when it was let in. */
  #sinceMs = 0
  /** Whoever lets it in later is another request: what was going on for this one (AsyncLocalStorage) is kept here. */
  #scope: AsyncResource | undefined = undefined
  #hasOwnDeadline = false
  #deadlineTimer: NodeJS.Timeout | undefined = undefined

  constructor(state: BulkheadState, exchange: Exchange, next: Next) {
    this.#state = state
    this.#exchange = exchange
    this.#next = next
  }

  begin(): void {
    const { limiter, options } = this.#state
    if (this.#exchange.closed) {
      limiter.skip()
      return
    }
    const nowMs = options.clock.now()
    this.#sinceMs = nowMs
    if (limiter.tryEnter(nowMs)) {
      this.#stage = 'inside'
      this.#state.enter(this.#exchange, this)
      this.#next()
    } else this.#wait(nowMs)
  }

  onGranted(): void {
    this.#endWait()
    this.#stage = 'inside'
    this.#sinceMs = this.#state.options.clock.now()
    // On a later tick: an app that throws then fails like any other, and not whoever gave the place back.
    this.#scope!.runInAsyncScope(process.nextTick, undefined, goOn, this)
  }

  onRefused(reason: 'timeout' | 'closed'): void {
    this.#endWait()
    this.#scope!.runInAsyncScope(this.#refuse, this, reason)
  }

  onExchangeClosed(exchange: Exchange): void {
    const { limiter, options } = this.#state
    const stage = this.#stage
    this.#stage = 'gone'
    if (stage === 'gone') return
    this.#state.leave(exchange)
    const nowMs = options.clock.now()
    const sinceMs = this.#sinceMs
    if (stage === 'inside') {
      const sampleMs = latencySample(exchange, nowMs - sinceMs)
      if (sampleMs !== undefined) limiter.answered(sampleMs, sinceMs, nowMs)
      limiter.release(nowMs)
      this.#state.noteLimit()
    } else {
      this.#endWait()
      limiter.leave(this)
      exchange.failure ??= { type: 'client_aborted', phase: 'queue', side: 'client', totalMs: nowMs - sinceMs }
    }
  }

  /** Goes on to the handlers behind, unless the client has left since it was let in. @internal */
  goOn(): void {
    if (this.#stage === 'inside') this.#next()
  }

  /** @internal */
  onDeadline(): void {
    this.#state.limiter.expireOne(this)
  }

  #wait(nowMs: number): void {
    const { limiter, options } = this.#state
    const remainingMs = this.#exchange.deadline?.remainingMs() ?? Number.POSITIVE_INFINITY
    this.#hasOwnDeadline = remainingMs < options.queueMs
    this.expiresAtMs = nowMs + Math.min(remainingMs, options.queueMs)
    const refused = limiter.wait(this, nowMs)
    if (refused !== undefined) {
      this.#refuse(refused)
      return
    }
    this.#stage = 'waiting'
    this.#scope = new AsyncResource('PosternBulkheadWait')
    // The queue's own timer follows the order of arrival.
    if (this.#hasOwnDeadline) this.#deadlineTimer = setTimeout(onDeadline, Math.max(1, remainingMs), this).unref()
    this.#state.enter(this.#exchange, this)
    this.#state.watchQueue()
  }

  #endWait(): void {
    clearTimeout(this.#deadlineTimer)
    this.#deadlineTimer = undefined
  }

  #refuse(cause: 'full' | 'timeout' | 'closed'): void {
    const { options, offer } = this.#state
    const exchange = this.#exchange
    const { name, clock, errors, random } = options
    if (this.#stage === 'waiting') this.#state.leave(exchange)
    this.#stage = 'gone'
    this.#state.noteLimit()
    const reason: RefusalReason = cause === 'timeout' && this.#hasOwnDeadline ? 'deadline' : cause
    const waitedMs = clock.now() - this.#sinceMs
    if (bulkheadRejected.hasSubscribers) bulkheadRejected.publish({ bulkhead: name, exchange, reason, waitedMs })
    const error = problem(reason === 'deadline' ? 'upstream_timeout' : 'upstream_busy', {
      message: `${name}: ${REASON[reason]}`,
      failure: { type: FAILURE_TYPE[reason], phase: 'queue', side: 'gateway', totalMs: waitedMs },
      headers: reason === 'deadline' ? undefined : { 'retry-after': String(retryAfterSeconds(random)) },
    })
    if (offer !== undefined) offerFallback(exchange, offer, this.#next)
    failExchange(exchange.request, exchange.response, error, errors, this.#next)
  }
}

const REASON: Record<RefusalReason, string> = {
  full: 'all places are taken, and the queue is full',
  timeout: 'no place came free within the queue time',
  deadline: 'the deadline of the exchange ran out in the queue',
  closed: 'closed, nobody waits any more',
}

const FAILURE_TYPE: Record<RefusalReason, Failure['type']> = {
  full: 'connection_limit_reached',
  timeout: 'queue_timeout',
  deadline: 'deadline_exceeded',
  closed: 'connection_limit_reached',
}

function goOn(admission: Admission): void {
  admission.goOn()
}

function onDeadline(admission: Admission): void {
  admission.onDeadline()
}

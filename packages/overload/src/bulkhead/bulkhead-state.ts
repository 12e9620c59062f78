import type { Exchange, ExchangeObserver, FallbackOffer } from '@postern/contracts'
import { limitChanged } from '../channels.ts'
import { FixedLimit } from './concurrency-limit.ts'
import { GradientLimit } from './gradient-limit.ts'
import { Limiter } from './limiter.ts'
import type { ResolvedBulkheadOptions } from './options.ts'

/** What all exchanges of one bulkhead share: the limiter, its one timer, and who is here. */
export class BulkheadState {
  readonly options: ResolvedBulkheadOptions
  readonly limiter: Limiter
  readonly offer: FallbackOffer | undefined
  /** Those that wait or are inside; an exchange that comes again is let pass. */
  readonly #present = new Set<Exchange>()
  #lastLimit: number
  #queueTimer: NodeJS.Timeout | undefined = undefined

  constructor(options: ResolvedBulkheadOptions) {
    const { limit, maxQueued, clock, random, fallback, errors } = options
    this.options = options
    this.limiter = new Limiter(
      typeof limit === 'number' ? new FixedLimit(limit) : new GradientLimit(limit, random, clock.now()),
      maxQueued,
    )
    this.offer = fallback === undefined ? undefined : { handler: fallback, accepts: () => true, errors }
    this.#lastLimit = this.limiter.limit
  }

  has(exchange: Exchange): boolean {
    return this.#present.has(exchange)
  }

  enter(exchange: Exchange, observer: ExchangeObserver): void {
    this.#present.add(exchange)
    exchange.observe(observer)
    this.noteLimit()
  }

  leave(exchange: Exchange): void {
    this.#present.delete(exchange)
  }

  /** Tells those who want to know when the limit is another than it was. */
  noteLimit(): void {
    const { limit } = this.limiter
    const previousLimit = this.#lastLimit
    if (limit === previousLimit) return
    this.#lastLimit = limit
    if (limitChanged.hasSubscribers) limitChanged.publish({ bulkhead: this.options.name, limit, previousLimit })
  }

  /** One timer for the whole queue: who came first has waited longest. */
  watchQueue(): void {
    const nextExpiryMs = this.limiter.nextExpiryMs
    if (this.#queueTimer !== undefined || nextExpiryMs === undefined) return
    const waitMs = Math.max(1, Math.ceil(nextExpiryMs - this.options.clock.now()))
    this.#queueTimer = setTimeout(onQueueTimer, waitMs, this).unref()
  }

  /** @internal */
  onQueueTimer(): void {
    this.#queueTimer = undefined
    this.limiter.expire(this.options.clock.now())
    this.watchQueue()
  }

  close(): void {
    clearTimeout(this.#queueTimer)
    this.#queueTimer = undefined
    this.limiter.close()
  }
}

function onQueueTimer(state: BulkheadState): void {
  state.onQueueTimer()
}

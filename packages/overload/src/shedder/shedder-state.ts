import type { IncomingMessage } from 'node:http'
import { inspect } from 'node:util'
import { type Exchange, type ExchangeObserver, failExchange, type GatewayError, warnOnce } from '@postern/contracts'
import { requestShed } from '../channels.ts'
import { problem } from '../problems.ts'
import { MAX_RETRY_AFTER_S, retryAfterSeconds } from '../retry-after.ts'
import { type DelaySource, EventLoopDelay } from './event-loop-delay.ts'
import type { ResolvedLoadShedderOptions } from './options.ts'
import { isPriority, type Priority } from './priority.ts'
import { ShedPolicy } from './shed-policy.ts'

/** What came of the requests of one class. */
export interface PriorityStats {
  readonly admitted: number
  readonly shed: number
}

const NO_DELAY: DelaySource = { delayMs: () => 0 }

/** What all requests of one shedder share. It observes every exchange itself, so that a request costs no object. */
export class ShedderState implements ExchangeObserver {
  readonly #options: ResolvedLoadShedderOptions
  readonly #policy: ShedPolicy
  readonly #inFlight = new Set<Exchange>()
  readonly #counts: Record<Priority, { admitted: number; shed: number }> = {
    critical: { admitted: 0, shed: 0 },
    high: { admitted: 0, shed: 0 },
    normal: { admitted: 0, shed: 0 },
    low: { admitted: 0, shed: 0 },
  }
  /** By Retry-After, made once: under overload even the stack of an error is too much work. */
  readonly #errors: readonly GatewayError[]
  readonly #ownDelay: EventLoopDelay | undefined
  #delay: DelaySource

  constructor(options: ResolvedLoadShedderOptions) {
    const { maxInFlight, eventLoopDelayMs, shares, random, delaySource, name } = options
    this.#options = options
    this.#policy = new ShedPolicy(maxInFlight, eventLoopDelayMs, shares, random)
    const isMeasured = eventLoopDelayMs !== Number.POSITIVE_INFINITY
    this.#ownDelay = isMeasured && delaySource === undefined ? new EventLoopDelay() : undefined
    this.#delay = (isMeasured ? delaySource : undefined) ?? this.#ownDelay ?? NO_DELAY
    this.#errors = Array.from({ length: MAX_RETRY_AFTER_S }, (_, i) => overloaded(name, i + 1))
  }

  get inFlight(): number {
    return this.#inFlight.size
  }
  get delayMs(): number {
    return this.#delay.delayMs()
  }
  get stats(): Record<Priority, PriorityStats> {
    const { critical, high, normal, low } = this.#counts
    return { critical: { ...critical }, high: { ...high }, normal: { ...normal }, low: { ...low } }
  }

  has(exchange: Exchange): boolean {
    return this.#inFlight.has(exchange)
  }

  /** Counts an exchange in, or answers it. */
  admit(exchange: Exchange, priority: Priority, next: (error?: unknown) => void): boolean {
    const cause = this.#policy.judge(priority, this.#inFlight.size, this.#delay.delayMs())
    if (cause !== undefined) {
      this.#counts[priority].shed++
      this.#shed(exchange, priority, cause, next)
      return false
    }
    this.#counts[priority].admitted++
    this.#inFlight.add(exchange)
    exchange.observe(this)
    return true
  }

  onExchangeClosed(exchange: Exchange): void {
    this.#inFlight.delete(exchange)
  }

  /** The class of a request by the app's own rule. A rule that fails makes it a normal one. */
  classify(req: IncomingMessage): Priority {
    const { classify, name } = this.#options
    if (classify === undefined) return 'normal'
    let fault: string
    try {
      const priority: unknown = classify(req)
      if (isPriority(priority)) return priority
      fault = `returned ${inspect(priority)}, which is no class`
    } catch (error) {
      fault = `threw: ${inspect(error)}`
    }
    warnOnce('POSTERN_CLASSIFY_FAILED', `classify of ${name} ${fault}; the request counts as normal`, name)
    return 'normal'
  }

  close(): void {
    this.#ownDelay?.close()
    this.#delay = NO_DELAY
  }

  #shed(
    exchange: Exchange,
    priority: Priority,
    cause: 'in_flight' | 'event_loop_delay',
    next: (error?: unknown) => void,
  ): void {
    const { name, errors, random } = this.#options
    if (requestShed.hasSubscribers) requestShed.publish({ shedder: name, exchange, priority, cause })
    const seconds = retryAfterSeconds(random)
    // The app's error handler may write on what it is given.
    const error = errors === 'next' ? overloaded(name, seconds) : this.#errors[seconds - 1]!
    failExchange(exchange.request, exchange.response, error, errors, next)
  }
}

function overloaded(name: string, retryAfterS: number): GatewayError {
  return problem('overloaded', {
    message: `${name}: shed, the gateway is overloaded`,
    headers: { 'retry-after': String(retryAfterS) },
  })
}

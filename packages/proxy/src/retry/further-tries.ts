import type { Exchange, Failure, Selection } from '@postern/contracts'
import type { AttemptRun } from '../attempt.ts'
import type { ProxyState } from '../proxy-state.ts'
import type { ResponseHeaders } from '../transport/transport.ts'
import type { ResolvedRetries } from './options.ts'
import { backoffMs, isRepeatable, mayFollow, retryAfterMs, wasNeverSent } from './policy.ts'

/** What the tries of one exchange are about. */
export interface TriedRequest {
  readonly method: string
  readonly headers: readonly string[]
  readonly upgrade: string | undefined
  /** True while a further attempt would have the body from its first byte. */
  readonly isBodyWhole: boolean
}

/**
 * Whether an exchange may have a further attempt, and when: options, method, body, deadline and budget taken together.
 * Made only for proxies that retry or hedge.
 */
export class FurtherTries {
  /** Tries that were made; one over a fresh connection in place of a stale one is the same try. */
  made = 1
  readonly #state: ProxyState
  readonly #exchange: Exchange
  readonly #request: TriedRequest
  readonly #retries: ResolvedRetries | undefined
  readonly #repeatable: boolean
  /** Leave that the budget has given and no attempt has used yet. */
  #granted = false

  constructor(state: ProxyState, exchange: Exchange, request: TriedRequest) {
    this.#state = state
    this.#exchange = exchange
    this.#request = request
    this.#retries = state.options.retries
    // A handshake that got somewhere may have opened something.
    this.#repeatable =
      this.#retries !== undefined &&
      request.upgrade === undefined &&
      isRepeatable(request.method, request.headers, this.#retries)
    state.budget.request(performance.now())
  }

  /** Longest wait for a head in the next attempt, in milliseconds; 0: as long as the timeouts allow. */
  get perTryMs(): number {
    const retries = this.#retries
    return retries !== undefined && this.made < retries.attempts ? retries.perTryTimeoutMs : 0
  }

  /** Milliseconds until the try that follows on a failure; undefined: none does. Counts it. */
  afterFailure(failure: Failure): number | undefined {
    const retries = this.#retries
    if (retries === undefined || !this.#isAnotherLeft(retries) || !mayFollow(failure, retries, this.#repeatable)) {
      return undefined
    }
    // What was never sent has put no load on anyone: the next target is asked at once, and only the number of tries bounds it.
    const neverSent = wasNeverSent(failure)
    const delayMs = neverSent && this.made === 1 ? 0 : backoffMs(this.made, retries, Math.random)
    if (this.#isTooLate(delayMs) || !(neverSent || this.take())) return undefined
    this.made++
    return delayMs
  }

  /** True when the status is one that another try may follow on. */
  isFailedTry(status: number): boolean {
    return this.#repeatable && this.#retries!.statuses.has(status)
  }

  /** Milliseconds until the try that follows on an answer of such a status; undefined: none does. Counts it. */
  afterAnswer(headers: ResponseHeaders, selection: Selection): number | undefined {
    const retries = this.#retries!
    const { size } = selection
    if (size === 0 || !this.#isAnotherLeft(retries)) return undefined
    let delayMs = backoffMs(this.made, retries, Math.random)
    if (size <= new Set(this.#exchange.attempts.map((attempt) => attempt.target)).size) {
      // Nobody else is left, and this one says when it may be asked again.
      const askedMs = retryAfterMs(headers, Date.now())
      if (askedMs > retries.maxRetryAfterMs) return undefined
      delayMs = Math.max(delayMs, askedMs)
    }
    if (this.#isTooLate(delayMs) || !this.take()) return undefined
    this.made++
    return delayMs
  }

  /** Whether an attempt whose head is overdue is given up, since another may follow. */
  mayGiveUp(attempt: AttemptRun): boolean {
    const retries = this.#retries
    if (retries === undefined || !this.#isAnotherLeft(retries)) return false
    // A try without a connection has sent nothing.
    if (attempt.phase !== 'headers') return retries.onConnect
    return this.#repeatable && retries.types.has('http_response_timeout') && this.take()
  }

  /** Takes leave of the budget for one further attempt, unless it is given already. */
  take(): boolean {
    this.#granted ||= this.#state.budget.take(performance.now(), this.#state.active)
    return this.#granted
  }

  /** @returns whether the attempt that is about to be made has to give leave back at its end */
  useLeave(): boolean {
    const granted = this.#granted
    this.#granted = false
    return granted
  }

  /** Gives back what no attempt has used. */
  giveBack(): void {
    if (this.useLeave()) this.#state.budget.release()
  }

  #isAnotherLeft(retries: ResolvedRetries): boolean {
    return this.made < retries.attempts && !this.#exchange.closed && !this.#state.closed && this.#request.isBodyWhole
  }

  #isTooLate(delayMs: number): boolean {
    const { deadline } = this.#exchange
    return deadline !== undefined && deadline.remainingMs() <= delayMs
  }
}

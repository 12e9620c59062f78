import { EventEmitter } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  createTarget,
  Exchange,
  type Failure,
  isRefusal,
  type Lease,
  type Outcome,
  type Refusal,
  type Selection,
  type Target,
} from '@postern/contracts'
import { afterEach } from 'vitest'
import {
  type CircuitBreakerHandler,
  type CircuitBreakerOptions,
  type CircuitChange,
  circuitBreaker,
  circuitClosed,
  circuitHalfOpened,
  circuitIsolated,
  circuitOpened,
} from '../src/index.ts'

export const OK: Outcome = { status: 200, headersMs: 1, totalMs: 2 }
export const BROKEN: Outcome = { status: 500, headersMs: 1, totalMs: 2 }
export const NOT_FOUND: Outcome = { status: 404, headersMs: 1, totalMs: 2 }
export const REFUSED_CONNECTION = failure('connection_refused', 'upstream')
export const CLIENT_LEFT = failure('client_aborted', 'client')
export const SUPERSEDED = failure('superseded', 'gateway')
export const QUEUED_TOO_LONG = failure('queue_timeout', 'gateway')

export function failure(type: Failure['type'], side: Failure['side']): Failure {
  return { type, phase: 'headers', side, totalMs: 1 }
}

/** An exchange with no connection behind it. */
export function bareExchange(): Exchange {
  const request = { rawHeaders: [], headers: {} } as unknown as IncomingMessage
  const exchange = new Exchange(request, new EventEmitter() as ServerResponse)
  request.gateway = exchange
  return exchange
}

/** Targets named a, b, c, … */
export function targetsOf(count: number): Target[] {
  return Array.from({ length: count }, (_, i) =>
    createTarget({ url: `http://target-${i}:80`, id: String.fromCharCode(97 + i) }),
  )
}

/** The smallest selection that keeps the contract: the first accepted target, in order. Counts what it is told. */
export class FirstOf implements Selection {
  readonly targets: readonly Target[]
  readonly settled: [id: string, outcome: Outcome][] = []
  leased = 0
  /** Refuses with this, after having asked about every target. */
  refuseAs: Refusal['reason'] | undefined

  constructor(targets: readonly Target[]) {
    this.targets = targets
  }
  get size(): number {
    return this.targets.length
  }
  acquire(accept: (target: Target) => boolean = () => true): Lease | Refusal {
    // A strategy may ask about many and choose one.
    const target = this.targets.filter(accept)[0]
    if (this.refuseAs !== undefined) return { reason: this.refuseAs }
    if (target === undefined) return { reason: 'no_targets' }
    this.leased++
    return { target, settle: (outcome) => void this.settled.push([target.id, outcome]) }
  }
}

/** A circuit breaker that is closed behind the test. */
export function breakerOf(options?: CircuitBreakerOptions): CircuitBreakerHandler {
  const breaker = circuitBreaker(options)
  cleanUps.push(() => breaker.close())
  return breaker
}

/** What a proxy behind the breaker would find on the exchange of a new request. */
export function narrowed(breaker: CircuitBreakerHandler, inner: Selection, exchange = bareExchange()): Selection {
  exchange.selection = inner
  let passed = false
  breaker(exchange.request, exchange.response, () => {
    passed = true
  })
  if (!passed) throw new Error('the breaker did not call next()')
  return exchange.selection
}

/** One attempt of a new request: the id of its target, or why it was refused. */
export function attempt(breaker: CircuitBreakerHandler, inner: Selection, outcome: Outcome = OK): string {
  const result = narrowed(breaker, inner).acquire()
  if (isRefusal(result)) return result.reason
  result.settle(outcome)
  return result.target.id
}

export function leaseOf(result: Lease | Refusal): Lease {
  if (isRefusal(result)) throw new Error(`refused: ${result.reason}`)
  return result
}

export function refusalOf(result: Lease | Refusal): Refusal {
  if (isRefusal(result)) return result
  throw new Error(`leased: ${result.target.id}`)
}

const CHANNELS = [
  ['opened', circuitOpened],
  ['half-opened', circuitHalfOpened],
  ['closed', circuitClosed],
  ['isolated', circuitIsolated],
] as const

export type Change = CircuitChange & { readonly event: (typeof CHANNELS)[number][0] }

/** What is told about circuits from now to the end of the test. */
export function changes(): Change[] {
  const seen: Change[] = []
  for (const [event, channel] of CHANNELS) {
    const listener = (change: CircuitChange): void => void seen.push({ ...change, event })
    channel.subscribe(listener)
    cleanUps.push(() => channel.unsubscribe(listener))
  }
  return seen
}

const cleanUps: (() => void)[] = []
afterEach(() => {
  for (const cleanUp of cleanUps.splice(0)) cleanUp()
})

import { EventEmitter } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  type Clock,
  createTarget,
  Exchange,
  type Failure,
  isRefusal,
  type Lease,
  type Selection,
  systemClock,
  type Target,
} from '@postern/contracts'
import {
  type BalancerHandler,
  type BalancerOptions,
  balancer,
  type Candidate,
  type ChoiceContext,
} from '../src/index.ts'

/** A random source that gives the same numbers in every run (xorshift, 32 bits). */
export function seeded(seed: number): () => number {
  let state = (seed ^ 0x9e3779b9) | 0 || 1
  const next = () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
  // Small seeds begin with small numbers.
  for (let i = 0; i < 20; i++) next()
  return next
}

/** A random source that gives these numbers, and fails when they are used up. */
export function scripted(...values: number[]): () => number {
  const left = [...values]
  return () => {
    const value = left.shift()
    if (value === undefined) throw new Error('no random number left')
    return value
  }
}

/** An exchange with no connection behind it, for cores that only pass it on. */
export function bareExchange(): Exchange {
  return new Exchange(
    { rawHeaders: [], headers: {}, socket: {} } as unknown as IncomingMessage,
    new EventEmitter() as ServerResponse,
  )
}

/** An exchange of a request with these fields (headers, url, …). */
export function exchangeWith(request: object): Exchange {
  const exchange = bareExchange()
  Object.assign(exchange.request, request)
  exchange.request.gateway = exchange
  return exchange
}

export interface FakeCandidate extends Candidate {
  inFlight: number
  effectiveWeight: number
}

/** Candidates named a, b, c, … with these weights. */
export function candidates(...weights: number[]): FakeCandidate[] {
  return weights.map((effectiveWeight, i) => ({
    target: createTarget({ url: `http://target-${i}:80`, id: letter(i) }),
    inFlight: 0,
    effectiveWeight,
    slot: undefined,
  }))
}

export function letter(index: number): string {
  return index < 26 ? String.fromCharCode(97 + index) : `t${index}`
}

export function choiceContext(options: Partial<ChoiceContext> = {}): ChoiceContext {
  return {
    exchange: bareExchange(),
    clock: systemClock,
    random: seeded(1),
    accepts: () => true,
    narrowed: false,
    ...options,
  }
}

/** The selection that a balancer makes for one request. */
export function selectionOf(handler: BalancerHandler): Selection {
  const { request, response } = bareExchange()
  let selection: Selection | undefined
  handler(request, response, () => {
    selection = request.gateway?.selection
  })
  if (selection === undefined) throw new Error('no selection')
  return selection
}

/** Leases a target for a new request, or fails. */
export function lease(handler: BalancerHandler, accept?: (target: Target) => boolean): Lease {
  const result = selectionOf(handler).acquire(accept)
  if (isRefusal(result)) throw new Error(`refused: ${result.reason}`)
  return result
}

/** A balancer of targets a, b, c, … with these weights. */
export function balancerOf(
  weights: readonly number[],
  options: Omit<BalancerOptions, 'targets'> = {},
): BalancerHandler {
  const targets = weights.map((weight, i) => ({ url: `http://target-${i}:80`, id: letter(i), weight }))
  return balancer({ targets, random: seeded(1), ...options })
}

export const OK = { status: 200, headersMs: 1, totalMs: 2 } as const
export const REFUSED: Failure = { type: 'connection_refused', phase: 'connect', side: 'upstream', totalMs: 1 }
export const CLIENT_LEFT: Failure = { type: 'client_aborted', phase: 'body', side: 'client', totalMs: 1 }

/** Pearson's statistic of observed counts against shares in proportion to the weights. */
export function chiSquared(counts: readonly number[], weights: readonly number[]): number {
  const total = counts.reduce((a, b) => a + b, 0)
  const sum = weights.reduce((a, b) => a + b, 0)
  return counts.reduce((statistic, count, i) => {
    const expected = (total * weights[i]!) / sum
    return statistic + (count - expected) ** 2 / expected
  }, 0)
}

/** The value that chi-squared exceeds by chance about once in a billion (Wilson and Hilferty's approximation, z = 6). */
export function criticalChiSquared(degrees: number): number {
  const spread = 2 / (9 * degrees)
  return degrees * (1 - spread + 6 * Math.sqrt(spread)) ** 3
}

export interface ManualClock extends Clock {
  /** Moves both times on. */
  advance(ms: number): void
}

/** A clock that stands still until it is moved. */
export function manualClock(nowMs = 1_000): ManualClock {
  let now = nowMs
  return {
    now: () => now,
    wallNow: () => 1_700_000_000_000 + now,
    advance: (ms) => {
      now += ms
    },
  }
}

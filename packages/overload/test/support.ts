import { EventEmitter } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { ConfigError, type ConfigFault, Exchange } from '@postern/contracts'

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

/** An exchange with no connection behind it. */
export function bareExchange(response: Partial<ServerResponse> = {}): Exchange {
  return new Exchange(
    { rawHeaders: [], headers: {} } as unknown as IncomingMessage,
    Object.assign(new EventEmitter(), response) as unknown as ServerResponse,
  )
}

/** The faults that a call throws; none when it does not. */
export function faultsOf(call: () => unknown): readonly ConfigFault[] {
  try {
    call()
  } catch (error) {
    if (error instanceof ConfigError) return error.faults
    throw error
  }
  return []
}

export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN
}

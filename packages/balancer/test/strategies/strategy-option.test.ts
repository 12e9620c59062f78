import { ConfigError } from '@postern/contracts'
import { describe, expect, it } from 'vitest'
import { balancer, type StrategyOption } from '../../src/index.ts'
import { exchangeWith } from '../support.ts'

const TARGETS = ['http://127.0.0.1:3001', 'http://127.0.0.1:3002']

function pathsOf(strategy: unknown): string[] {
  try {
    balancer({ targets: TARGETS, strategy: strategy as StrategyOption })
  } catch (error) {
    if (error instanceof ConfigError) return error.faults.map(({ path, cure }) => (cure ? `${path}: ${cure}` : path))
    throw error
  }
  return []
}

describe('the options of a strategy', () => {
  it.each<StrategyOption>([
    'peak-ewma',
    { name: 'peak-ewma' },
    { name: 'peak-ewma', decayMs: 1_000, failurePenaltyMs: 0 },
    'hash',
    { name: 'hash' },
    { name: 'hash', key: { header: 'X-Tenant' }, boundedLoad: 1.1 },
    { name: 'hash', key: 'path', boundedLoad: false },
    { name: 'hash', key: (exchange) => exchange.identity?.subject },
    'first',
    { name: 'first' },
  ])('may be %j', (strategy) => {
    expect(pathsOf(strategy)).toEqual([])
  })

  it.each([
    [{ name: 'peak-ewma', decayMs: 0 }, ['strategy.decayMs']],
    [{ name: 'peak-ewma', decayMs: '10s', failurePenaltyMs: -1 }, ['strategy.decayMs', 'strategy.failurePenaltyMs']],
    [{ name: 'peak-ewma', decayMS: 5 }, ['strategy.decayMS: did you mean "decayMs"?']],
    [{ name: 'hash', key: 'cookie' }, ['strategy.key']],
    [{ name: 'hash', key: { header: 'a b' } }, ['strategy.key.header']],
    [{ name: 'hash', boundedLoad: 1 }, ['strategy.boundedLoad']],
    [{ name: 'hash', boundedLoad: true }, ['strategy.boundedLoad']],
    [{ name: 'hash', boundedLoad: Number.NaN, key: {} }, ['strategy.key', 'strategy.boundedLoad']],
    [{ name: 'first', key: 'client' }, ['strategy.key: known here: name']],
    ['peak-emwa', ['strategy: did you mean "peak-ewma"?']],
  ])('may not be %j', (strategy, paths) => {
    expect(pathsOf(strategy)).toEqual(paths)
  })

  it('are as they were when the balancer was made, whatever becomes of the object', () => {
    const strategy = { name: 'hash' as const, key: { header: 'x-tenant' }, boundedLoad: false as const }
    // The second tier makes its strategy later.
    const targets = [0, 1, 2, 3].map((i) => ({ url: `http://127.0.0.1:${3001 + i}`, id: `${i}`, tier: i > 1 ? 1 : 0 }))
    const handler = balancer({ targets, strategy })
    strategy.key.header = 'x-other'
    const ids = Array.from({ length: 20 }, (_, i) => {
      const exchange = exchangeWith({ headers: { 'x-tenant': 'acme', 'x-other': `${i}` } })
      handler(exchange.request, exchange.response, () => {})
      const lease = exchange.selection?.acquire((target) => target.tier === 1)
      return lease !== undefined && 'target' in lease ? lease.target.id : lease?.reason
    })
    expect(new Set(ids).size).toBe(1)
  })
})

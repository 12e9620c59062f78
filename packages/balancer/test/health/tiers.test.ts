import { isRefusal } from '@postern/contracts'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Verdict } from '../../src/health/member-health.ts'
import { arrange } from '../../src/health/tiers.ts'
import {
  type BalancerOptions,
  balancer,
  type PoolPanic,
  poolPanicked,
  type TargetChange,
  targetChanged,
} from '../../src/index.ts'
import { lease, manualClock, OK, REFUSED, selectionOf } from '../support.ts'

const FAILED = { status: 503, headersMs: 1, totalMs: 2 } as const
const member = fc.record({
  tier: fc.nat(3),
  verdict: fc.constantFrom<Verdict>('up', 'out', 'unreachable'),
})
type Given = { tier: number; verdict: Verdict }

function arranged(members: readonly Given[], threshold: number) {
  return arrange(
    members.map((one) => [one, one.verdict] as const),
    threshold,
  )
}

describe('who may be chosen', () => {
  it('is never one that is unreachable, and one that is out only in a panic', () => {
    fc.assert(
      fc.property(fc.array(member), fc.double({ min: 0, max: 1, noNaN: true }), (members, threshold) => {
        const { tiers, panic } = arranged(members, threshold)
        const all = tiers.flat()
        expect(all.filter(({ verdict }) => verdict === 'unreachable')).toEqual([])
        expect(all.some(({ verdict }) => verdict === 'out')).toBe(panic)
        // Whoever is up is always among them, and each tier is whole.
        for (const one of members) if (one.verdict === 'up') expect(all).toContain(one)
        for (const tier of tiers) expect(new Set(tier.map((one) => one.tier)).size).toBe(1)
        expect(tiers.every((tier) => tier.length > 0)).toBe(true)
      }),
    )
  })

  it('is a panic exactly when no tier has the threshold up, and someone is out who can be reached', () => {
    fc.assert(
      fc.property(fc.array(member), fc.double({ min: 0, max: 1, noNaN: true }), (members, threshold) => {
        const byTier = Map.groupBy(members, ({ tier }) => tier)
        const isShort = [...byTier.values()].every(
          (tier) => tier.filter(({ verdict }) => verdict === 'up').length / tier.length < threshold,
        )
        const isOut = members.some(({ verdict }) => verdict === 'out')
        expect(arranged(members, threshold).panic).toBe(isShort && isOut)
      }),
    )
  })

  it('comes first from the lowest tier that is whole enough, then from the others', () => {
    const tier = (number: number, ...verdicts: Verdict[]) => verdicts.map((verdict) => ({ tier: number, verdict }))
    const order = (members: Given[], threshold = 0.5) =>
      arranged(members, threshold).tiers.map((one) => `${one[0]?.tier}:${one.length}`)
    expect(order([...tier(1, 'up'), ...tier(0, 'up', 'out')])).toEqual(['0:1', '1:1'])
    expect(order([...tier(0, 'up', 'out', 'out'), ...tier(1, 'up'), ...tier(2, 'up')])).toEqual(['1:1', '2:1', '0:1'])
    expect(order([...tier(0, 'up', 'out', 'out'), ...tier(1, 'up')], 0)).toEqual(['0:1', '1:1'])
    expect(order([...tier(0, 'out'), ...tier(1, 'up', 'out', 'out')])).toEqual(['1:3', '0:1'])
    expect(order([...tier(0, 'out', 'unreachable'), ...tier(1, 'unreachable')])).toEqual(['0:1'])
  })
})

function tiered(tiers: readonly number[], options: Omit<BalancerOptions, 'targets'> = {}) {
  return balancer({
    targets: tiers.map((tier, i) => ({ url: `http://target-${i}:80`, id: `t${i}`, tier })),
    random: () => 0.5,
    ...options,
  })
}

/** Takes a target out by failed answers. */
function eject(handler: ReturnType<typeof tiered>, id: string): void {
  for (let i = 0; i < 5; i++) lease(handler, (target) => target.id === id).settle(FAILED)
}

describe('priority tiers of a pool', () => {
  it('keep the backups idle while the first tier is whole enough, and use them when it is not', () => {
    const clock = manualClock()
    const handler = tiered([0, 0, 1], { clock, strategy: 'round-robin', outliers: { maxShare: 1 } })
    const used = () => new Set(Array.from({ length: 6 }, () => lease(handler).target.id))
    expect(used()).toEqual(new Set(['t0', 't1']))
    eject(handler, 't0')
    expect(used()).toEqual(new Set(['t1']))
    eject(handler, 't1')
    expect(used()).toEqual(new Set(['t2']))
    clock.advance(30_000)
    expect(used()).toEqual(new Set(['t0', 't1']))
  })

  it('give an attempt a backup when the first tier has none left for it', () => {
    const handler = tiered([1, 0])
    expect(lease(handler, ({ id }) => id !== 't1').target.id).toBe('t0')
  })

  it('can be changed by a new list, which keeps target and state', () => {
    const handler = tiered([0, 1])
    const one = lease(handler)
    const seen: string[] = []
    const listener = ({ change, target }: TargetChange) => void seen.push(`${change}:${target.id}`)
    targetChanged.subscribe(listener)
    handler.replace([0, 1].map((i) => ({ url: `http://target-${i}:80`, id: `t${i}`, tier: 1 - i })))
    targetChanged.unsubscribe(listener)
    expect(seen).toEqual(['tier:t0', 'tier:t1'])
    expect(handler.targets[0]).toMatchObject({ tier: 1, inFlight: 1, target: one.target })
    expect(lease(handler).target.id).toBe('t1')
  })
})

describe('panic', () => {
  it('uses all targets when too few are left, and says so', () => {
    const seen: PoolPanic[] = []
    const listener = (message: PoolPanic) => void seen.push(message)
    poolPanicked.subscribe(listener)
    const clock = manualClock()
    const handler = tiered([0, 0, 0], { clock, name: 'orders', outliers: { maxShare: 1 } })
    eject(handler, 't0')
    expect(handler.targets.map(({ eligible }) => eligible)).toEqual([false, true, true])
    expect(seen).toEqual([])
    eject(handler, 't1')
    expect(handler.targets.map(({ eligible }) => eligible)).toEqual([true, true, true])
    clock.advance(30_000)
    lease(handler).settle(OK)
    expect(seen).toEqual([
      { balancer: 'orders', panicking: true, eligible: 3, targets: 3 },
      { balancer: 'orders', panicking: false, eligible: 3, targets: 3 },
    ])
    poolPanicked.unsubscribe(listener)
  })

  it('never refuses a request for the answers of the only target', () => {
    const handler = tiered([0])
    for (let i = 0; i < 20; i++) lease(handler).settle(FAILED)
    expect(handler.targets[0]).toMatchObject({ health: 'unhealthy', eligible: true })
  })

  it('does not happen with a threshold of 0: then all are unhealthy, and it is told when one comes back', () => {
    const handler = tiered([0], { panicThreshold: 0, clock: manualClock() })
    for (let i = 0; i < 5; i++) lease(handler).settle(FAILED)
    expect(selectionOf(handler).acquire()).toEqual({ reason: 'all_unhealthy', retryAfterMs: 28_500 })
  })

  it('uses no target that drains, has no weight or cannot be reached', async () => {
    const handler = tiered([0, 0, 0, 0], { clock: manualClock(), outliers: { maxShare: 1 } })
    await handler.drain('t0')
    handler.setWeight('t1', 0)
    lease(handler, ({ id }) => id === 't2').settle(REFUSED)
    eject(handler, 't3')
    expect(handler.targets.filter(({ eligible }) => eligible).map(({ id }) => id)).toEqual(['t3'])
    lease(handler).settle(REFUSED)
    const refusal = selectionOf(handler).acquire()
    expect(isRefusal(refusal) && refusal.reason).toBe('all_unhealthy')
  })
})

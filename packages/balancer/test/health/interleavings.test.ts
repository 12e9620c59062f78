import { type Failure, isRefusal, type Lease, type Outcome } from '@postern/contracts'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ProbeResult } from '../../src/health/probe.ts'
import type { Member } from '../../src/member.ts'
import { resolveOptions } from '../../src/options.ts'
import { Pool } from '../../src/pool.ts'
import { BalancerSelection } from '../../src/selection.ts'
import { bareExchange, CLIENT_LEFT, letter, manualClock, OK, REFUSED, seeded } from '../support.ts'

const TARGETS = 6
const MAX_SHARE = 0.34
const FAILED = { status: 503, headersMs: 1, totalMs: 2 } as const
const NOT_FOUND = { status: 404, headersMs: 1, totalMs: 2 } as const
const CUT: Failure = { type: 'connection_terminated', phase: 'headers', side: 'upstream', totalMs: 1 }
const LOST: Failure = { type: 'superseded', phase: 'headers', side: 'gateway', totalMs: 1 }
const index = fc.nat(TARGETS - 1)

type Step =
  | { do: 'acquire' }
  | { do: 'settle'; at: number; outcome: Outcome }
  | { do: 'settle again'; at: number }
  | { do: 'break'; index: number }
  | { do: 'probe'; index: number; result: 'good' | 'bad' | 'refused' }
  | { do: 'time'; ms: number }
  | { do: 'drain' | 'undrain'; index: number }
  | { do: 'replace'; targets: { index: number; weight: number; tier: number }[] }

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('acquire' as const) }) },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('settle' as const),
      at: fc.nat(50),
      outcome: fc.constantFrom<Outcome>(OK, FAILED, FAILED, CUT, REFUSED, CLIENT_LEFT, LOST, NOT_FOUND),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('settle again' as const), at: fc.nat(50) }) },
  // Failures enough for an ejection.
  { weight: 3, arbitrary: fc.record({ do: fc.constant('break' as const), index }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('probe' as const),
      index,
      result: fc.constantFrom('good' as const, 'bad' as const, 'refused' as const),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('time' as const), ms: fc.constantFrom(1, 60, 500, 5_000, 40_000) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constantFrom('drain' as const, 'undrain' as const), index }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('replace' as const),
      targets: fc.uniqueArray(fc.record({ index, weight: fc.constantFrom(0, 1, 3), tier: fc.constantFrom(0, 0, 1) }), {
        selector: (one) => one.index,
      }),
    }),
  },
)

const input = (one: { index: number; weight: number; tier: number }) => ({
  url: `http://target-${one.index}:80`,
  id: letter(one.index),
  weight: one.weight,
  tier: one.tier,
})

const probeResult = (result: 'good' | 'bad' | 'refused'): ProbeResult => ({
  healthy: result === 'good',
  answered: result !== 'refused',
  connected: result !== 'refused',
  status: result === 'refused' ? undefined : result === 'good' ? 200 : 503,
  fault: undefined,
  atMs: 0,
  durationMs: 1,
})

describe('health, whatever happens in whatever order', () => {
  it('keeps every promise about who may be chosen', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 150 }),
        fc.integer(),
        fc.constantFrom(0, 0.5, 1),
        (steps, seed, panicThreshold) => {
          const clock = manualClock()
          const targets = Array.from({ length: TARGETS }, (_, i) =>
            input({ index: i, weight: 1 + (i % 2), tier: +(i > 3) }),
          )
          const options = { targets, random: seeded(seed), clock, panicThreshold, slowStart: 2_000 }
          const pool = new Pool(
            resolveOptions({ ...options, outliers: { maxShare: MAX_SHARE, consecutiveFailures: 2 }, health: '/' }),
          )
          const members = () => pool.views.map(({ id }) => pool.memberOf(id)!)
          const open: { lease: Lease; member: Member }[] = []
          const closed: Lease[] = []
          const acquire = (accept?: (id: string) => boolean): boolean => {
            const eligible = members().filter((member) => member.view.eligible && (accept?.(member.target.id) ?? true))
            const result = new BalancerSelection(pool, bareExchange()).acquire(accept && (({ id }) => accept(id)))
            if (isRefusal(result)) {
              expect(eligible).toEqual([])
              if (result.reason === 'all_unhealthy') expect(result.retryAfterMs).toBeGreaterThan(0)
              return false
            }
            const member = eligible.find(({ target }) => target === result.target)
            expect(member).toBeDefined()
            open.push({ lease: result, member: member! })
            return true
          }
          const settle = (at: number, outcome: Outcome): Member => {
            const [one] = open.splice(at, 1)
            one!.lease.settle(outcome)
            closed.push(one!.lease)
            return one!.member
          }
          for (const one of steps) {
            const before = new Map(members().map((member) => [member, member.view.effectiveWeight]))
            const wasPanicking = pool.panicking
            const healthBefore = new Map(members().map((member) => [member, JSON.stringify(member.view)]))
            if (one.do === 'acquire') acquire()
            else if (one.do === 'settle' && open.length > 0) {
              const member = settle(one.at % open.length, one.outcome)
              if (one.outcome === CLIENT_LEFT || one.outcome === LOST) {
                // Nothing but the count of what is in flight is another.
                const view = JSON.parse(healthBefore.get(member) ?? '{}')
                if (healthBefore.has(member) && !member.leaving) {
                  expect(JSON.parse(JSON.stringify(member.view))).toEqual({ ...view, inFlight: view.inFlight - 1 })
                }
              }
            } else if (one.do === 'break') {
              for (let i = 0; i < 2; i++) if (acquire((id) => id === letter(one.index))) settle(open.length - 1, FAILED)
            } else if (one.do === 'settle again') closed[one.at % Math.max(1, closed.length)]?.settle(FAILED)
            else if (one.do === 'probe') {
              const member = pool.memberOf(letter(one.index))
              if (member !== undefined) pool.probed(member, probeResult(one.result))
            } else if (one.do === 'time') {
              clock.advance(one.ms)
              // Time alone makes nobody lighter who was in, and not for want of others.
              for (const [member, weight] of before) {
                const { eligible, effectiveWeight } = member.view
                if (eligible && !wasPanicking) expect(effectiveWeight).toBeGreaterThanOrEqual(weight)
              }
            } else if (one.do === 'drain' || one.do === 'undrain') {
              if (pool.memberOf(letter(one.index)) === undefined) continue
              if (one.do === 'drain') void pool.drain(letter(one.index), undefined)
              else pool.undrain(letter(one.index))
            } else if (one.do === 'replace') pool.replace(resolveOptions({ targets: one.targets.map(input) }).targets)
            check()
          }

          function check(): void {
            const all = members()
            const { tiers, candidates } = pool
            expect(tiers).toBe(pool.tiers)
            expect(tiers.flat()).toEqual(candidates)
            expect(new Set(candidates)).toEqual(new Set(all.filter((member) => member.view.eligible)))
            const ejected = all.filter(({ health }) => health.ejected)
            expect(ejected.length).toBeLessThanOrEqual(Math.max(1, Math.floor(all.length * MAX_SHARE)))
            for (const member of all) {
              const inFlight = open.filter((one) => one.member === member).length
              expect(member.inFlight).toBe(inFlight)
              const { eligible, effectiveWeight, weight } = member.view
              expect(effectiveWeight > 0).toBe(eligible)
              expect(effectiveWeight).toBeLessThanOrEqual(weight)
              if (eligible) {
                expect(member.leaving || weight === 0).toBe(false)
                expect(effectiveWeight).toBeGreaterThanOrEqual(0.1 * weight)
                const verdict = member.health.verdictAt(clock.now())
                expect(verdict).not.toBe('unreachable')
                if (!pool.panicking) expect(verdict).toBe('up')
              } else if (!member.leaving && weight > 0) {
                expect(member.health.verdictAt(clock.now())).not.toBe('up')
              }
            }
          }
        },
      ),
      { numRuns: 150 },
    )
  })
})

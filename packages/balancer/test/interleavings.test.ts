import { isRefusal, type Lease, type Target } from '@postern/contracts'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { balancer } from '../src/index.ts'
import { STRATEGY_NAMES } from '../src/strategies/built-in.ts'
import { CLIENT_LEFT, letter, OK, REFUSED, seeded, selectionOf } from './support.ts'

const POOL = 5
const index = fc.nat(POOL - 1)
const weight = fc.constantFrom(0, 1, 2, 5, Math.PI)

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('acquire'), mask: fc.nat(2 ** POOL - 1) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('settle'),
      at: fc.nat(50),
      outcome: fc.constantFrom(OK, REFUSED, CLIENT_LEFT),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('settle again'), at: fc.nat(50) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('drain'), index }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('undrain'), index }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('set weight'), index, weight }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('replace'),
      targets: fc.uniqueArray(fc.record({ index, weight, port: fc.constantFrom(1, 2) }), {
        selector: (one) => one.index,
      }),
    }),
  },
) as fc.Arbitrary<Step>

type Step =
  | { do: 'acquire'; mask: number }
  | { do: 'settle'; at: number; outcome: typeof OK | typeof REFUSED }
  | { do: 'settle again'; at: number }
  | { do: 'drain' | 'undrain'; index: number }
  | { do: 'set weight'; index: number; weight: number }
  | { do: 'replace'; targets: { index: number; weight: number; port: number }[] }

const input = (one: { index: number; weight: number; port: number }) => ({
  url: `http://target-${one.index}:${one.port}`,
  id: letter(one.index),
  weight: one.weight,
})

describe.each(STRATEGY_NAMES)('%s, whatever happens in whatever order', (strategy) => {
  it('keeps true counts, and leases only targets that are in, not draining, of some weight and accepted', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), fc.integer(), (steps, seed) => {
        const handler = balancer({
          targets: Array.from({ length: POOL }, (_, i) => input({ index: i, weight: 1 + (i % 3), port: 1 })),
          strategy,
          // Health has a test of its own (health/interleavings.test.ts).
          outliers: false,
          random: seeded(seed),
        })
        // What must be true, kept apart from the balancer.
        const model = new Map(
          Array.from({ length: POOL }, (_, i) => [letter(i), { weight: 1 + (i % 3), port: 1, draining: false }]),
        )
        const open: Lease[] = []
        const closed: Lease[] = []
        for (const one of steps) {
          if (one.do === 'acquire') {
            const accept = (target: Target) => (one.mask & (1 << (target.id.charCodeAt(0) - 97))) !== 0
            const may = [...model].filter(
              ([id, { weight, draining }]) => weight > 0 && !draining && accept({ id } as Target),
            )
            const result = selectionOf(handler).acquire(accept)
            if (isRefusal(result)) {
              expect(result.reason).toBe('no_targets')
              expect(may).toEqual([])
            } else {
              expect(may.map(([id]) => id)).toContain(result.target.id)
              open.push(result)
            }
          } else if (one.do === 'settle' && open.length > 0) {
            const [lease] = open.splice(one.at % open.length, 1)
            lease!.settle(one.outcome)
            closed.push(lease!)
          } else if (one.do === 'settle again' && closed.length > 0) {
            closed[one.at % closed.length]!.settle(REFUSED)
          } else if (one.do === 'drain' || one.do === 'undrain') {
            const known = model.get(letter(one.index))
            if (known === undefined) continue
            known.draining = one.do === 'drain'
            void handler[one.do](letter(one.index))
          } else if (one.do === 'set weight') {
            const known = model.get(letter(one.index))
            if (known === undefined) continue
            known.weight = one.weight
            handler.setWeight(letter(one.index), one.weight)
          } else if (one.do === 'replace') {
            handler.replace(one.targets.map(input))
            const before = new Map(model)
            model.clear()
            for (const { index, weight, port } of one.targets) {
              const known = before.get(letter(index))
              model.set(letter(index), { weight, port, draining: known?.port === port && known.draining })
            }
          }
          expect(handler.targets.map(({ id }) => id).sort()).toEqual([...model.keys()].sort())
          for (const target of handler.targets) {
            const { weight, draining } = model.get(target.id)!
            const inFlight = open.filter((lease) => lease.target === target.target).length
            expect(target).toMatchObject({ inFlight, weight, eligible: weight > 0 && !draining })
            expect(target.state).toBe(draining ? (inFlight === 0 ? 'drained' : 'draining') : 'active')
          }
        }
      }),
      { numRuns: 60 },
    )
  })
})

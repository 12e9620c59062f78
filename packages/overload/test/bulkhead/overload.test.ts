import { describe, expect, it } from 'vitest'
import { type ConcurrencyLimit, FixedLimit } from '../../src/bulkhead/concurrency-limit.ts'
import { quantile, seeded } from '../support.ts'
import { goodput, type SimulationOptions, simulate, type Try } from './simulation.ts'
import { adaptiveLimit } from './support.ts'

const OVERLOAD_FROM = 10_000
const OVERLOAD_UNTIL = 25_000

/** Half of what the service can do, then twice of it, then half again, by clients that give up after three seconds. */
function overload(limit: ConcurrencyLimit, workers: number, serviceMs: number, more: Partial<SimulationOptions> = {}) {
  const capacity = (workers / serviceMs) * 1000
  const { tries } = simulate({
    limit,
    service: { workers, serviceMs },
    rate: (nowMs) => (nowMs >= OVERLOAD_FROM && nowMs < OVERLOAD_UNTIL ? 2 : 0.5) * capacity,
    endMs: 35_000,
    patienceMs: 3_000,
    random: seeded(7),
    ...more,
  })
  return { tries, capacity }
}

function tookMs(tries: readonly Try[], isAnswered: boolean): number[] {
  return tries
    .filter(
      ({ arrivedMs, outcome }) =>
        arrivedMs >= OVERLOAD_FROM && arrivedMs < OVERLOAD_UNTIL && (outcome === 'answered') === isAnswered,
    )
    .map((each) => each.tookMs)
}

const services = [
  { name: 'two workers of 15 ms', workers: 2, serviceMs: 2_000 / 135 },
  { name: 'one worker of 7 ms', workers: 1, serviceMs: 1_000 / 135 },
  { name: 'twenty workers of 150 ms', workers: 20, serviceMs: 20_000 / 135 },
]
const kinds = [
  { kind: 'a fixed limit', limitFor: (workers: number) => new FixedLimit(workers) },
  { kind: 'an adaptive limit', limitFor: () => adaptiveLimit() },
]
const clients = [
  { who: 'clients that ask once', retries: 0 },
  { who: 'clients that retry twice', retries: 2 },
]
const cases = services.flatMap((service) =>
  kinds.flatMap((kind) => clients.map((client) => ({ ...service, ...kind, ...client }))),
)

describe('twice the load that an upstream can carry', () => {
  it.each(cases)('$name, $kind, $who: full goodput, short waits, and well again at once', (one) => {
    const { tries, capacity } = overload(one.limitFor(one.workers), one.workers, one.serviceMs, {
      retries: one.retries,
    })
    // The first second of it is counted, too.
    expect(goodput(tries, OVERLOAD_FROM, OVERLOAD_UNTIL)).toBeGreaterThanOrEqual(0.9 * capacity)
    expect(quantile(tookMs(tries, true), 0.99)).toBeLessThan(1_000)
    const refused = tookMs(tries, false)
    expect(refused.length).toBeGreaterThan(500)
    expect(Math.max(...refused)).toBeLessThanOrEqual(500)
    const lostLater = tries.filter(({ bornMs, outcome }) => bornMs >= OVERLOAD_UNTIL + 2_000 && outcome !== 'answered')
    expect(lostLater).toEqual([])
  })

  it('without a limit the service works for clients that have left, and does not come back by itself', () => {
    const { tries, capacity } = overload(new FixedLimit(100_000), 2, 2_000 / 135, { retries: 2 })
    expect(goodput(tries, OVERLOAD_FROM + 2_000, OVERLOAD_UNTIL)).toBeLessThan(0.2 * capacity)
    const lostLater = tries.filter(({ bornMs, outcome }) => bornMs >= OVERLOAD_UNTIL + 2_000 && outcome !== 'answered')
    expect(lostLater.length).toBeGreaterThan(100)
  })

  it('an adaptive limit keeps goodput while it measures under overload, minute after minute', () => {
    const capacity = 135
    const { tries } = simulate({
      limit: adaptiveLimit(),
      service: { workers: 20, serviceMs: 20_000 / capacity },
      rate: () => 2 * capacity,
      endMs: 200_000,
      random: seeded(2),
    })
    expect(goodput(tries, 5_000, 200_000)).toBeGreaterThanOrEqual(0.9 * capacity)
  })
})

import { describeOutcomes, dueWithin, latencyOf, lost, percentile, sharePerSecond } from '../lib/accounting.ts'
import { atLeast, below, type Figure, time } from '../lib/figure.ts'
import type { Behaviour, Setting } from '../lib/protocol.ts'
import { NORMAL } from '../lib/upstreams.ts'
import type { Row } from './row.ts'

const WORKERS = 2
const UPSTREAMS = 3
/** Requests a second that all upstreams together can carry. */
const CAPACITY = 135
const BUSY: Behaviour = { ...NORMAL, latencyMs: (1_000 * WORKERS * UPSTREAMS) / CAPACITY, workers: WORKERS }

const OVERLOAD_MS = 7_000
const OVERLOAD_RATE = 2 * CAPACITY
/** Afterwards two thirds of the capacity are asked for. */
const AFTER_MS = 6_000
const AFTER_RATE = (2 * CAPACITY) / 3
/** An answer is of use for so long. */
const USEFUL_MS = 1_000
/** Then the client gives up. */
const PATIENCE_MS = 3_000

/** @param limited whether the setting is meant to hold out: without a limit the figures are told, not judged */
function row(name: string, does: string, setting: Setting, retries: number): Row {
  const limited = setting !== 'default'
  const label = `2x overload${limited ? `, ${setting}` : ''}${retries > 0 ? ', clients retry twice' : ''}`
  return {
    name,
    does,
    setting,
    behaviours: Array.from({ length: UPSTREAMS }, () => BUSY),
    async run(rig) {
      await rig.warmUp(CAPACITY / 3, 1_000)
      const { records, startAtMs } = await rig.drive({
        phases: [
          { perSecond: OVERLOAD_RATE, ms: OVERLOAD_MS },
          { perSecond: AFTER_RATE, ms: AFTER_MS },
        ],
        timeoutMs: PATIENCE_MS,
        retries,
      })
      const endAtMs = startAtMs + OVERLOAD_MS
      const during = dueWithin(records, startAtMs, endAtMs)
      const admitted = during.filter((each) => each.outcome === 'ok').map(latencyOf)
      const refused = during.filter((each) => each.outcome === '503')
      const goodput = admitted.filter((latencyMs) => latencyMs <= USEFUL_MS).length / ((CAPACITY * OVERLOAD_MS) / 1_000)
      const figures: Figure[] = [
        {
          row: '10',
          what: `${label}: answers within 1 s as share of the capacity`,
          value: goodput,
          text: goodput.toFixed(2),
          worse: 'less',
          ...(limited && retries === 0 ? { asked: atLeast(0.9) } : {}),
        },
        {
          row: '10',
          what: `${label}: other outcomes of ${during.length}`,
          value: lost(during).length,
          text: describeOutcomes(lost(during)),
        },
      ]
      // A client that retries has its latencies from its first try; what the gateway took is not told by them.
      if (retries === 0) {
        const judged = limited ? below(1_000, '< 1 s') : undefined
        figures.push(time('10', `${label}: p99 of the admitted`, percentile(admitted, 0.99), judged))
        if (refused.length > 0) {
          const asked = limited ? below(500, '< 500 ms') : undefined
          figures.push(time('10', `${label}: p99 of the 503`, percentile(refused.map(latencyOf), 0.99), asked))
        }
      }
      const shares = sharePerSecond(records, endAtMs, AFTER_MS / 1_000, USEFUL_MS)
      // Whole service means that every later second is whole, too.
      const wholeAfter = shares.findLastIndex((share) => share < 1) + 1
      figures.push(
        {
          row: '11',
          what: `${label}: share ok within 1 s in each second after the end`,
          value: -shares.reduce((sum, share) => sum + share, 0),
          text: shares.map((share) => share.toFixed(2)).join(' '),
        },
        {
          row: '11',
          what: `${label}: whole service after`,
          value: wholeAfter,
          text: wholeAfter === shares.length ? `> ${wholeAfter} s` : `${wholeAfter} s`,
          ...(limited ? { asked: { text: '<= 2 s', holds: (value: number) => value <= 2 } } : {}),
        },
      )
      return figures
    },
  }
}

const WHAT =
  `The upstreams work on ${WORKERS} requests each at a time and carry ${CAPACITY} a second together; for 7 s ` +
  `${OVERLOAD_RATE} a second come, then for 6 s ${AFTER_RATE}. Clients give up after 3 s; an upstream drops what it has ` +
  'not begun when its client has left.'

export const overloads: readonly Row[] = [
  row('overload', `${WHAT} Without any limit, for comparison.`, 'default', 0),
  row('overload-limit', 'The same with a limit of what is in flight and a queue of 400 ms.', 'limit', 0),
  row('overload-limit-retries', 'The same, and each client asks again twice, 100 ms after a failure.', 'limit', 2),
  row('overload-adaptive', 'The overload with a limit that the gateway finds by itself.', 'adaptive', 0),
  row('overload-adaptive-retries', 'The same with clients that ask again twice.', 'adaptive', 2),
]

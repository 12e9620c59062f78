import { describeOutcomes, dueWithin, latencyOf, lost, percentile } from '../lib/accounting.ts'
import { atLeast, below, count, type Figure, time } from '../lib/figure.ts'
import { RATE } from '../lib/rig.ts'
import type { Row } from './row.ts'

const KILL_AT_MS = 2_000
/** What is judged begins when there was time to notice. */
const SETTLED_AT_MS = 3_000
const RESTART_AT_MS = 6_000
const ALL = [0, 1, 2]

export const outage: Row = {
  name: 'outage',
  does:
    'All upstreams are killed with -9 after 2 s of 12 and started again after 6: what clients are told from the second ' +
    'second of the outage on, and how soon they are served again, counted from the first health path that answers; errors ' +
    'after the return are those of requests due after the last one answers.',
  async run(rig) {
    await rig.warmUp()
    let healthyAtMs: readonly number[] = []
    const { records, startAtMs } = await rig.drive({
      phases: [{ perSecond: RATE, ms: 12_000 }],
      events: [
        [KILL_AT_MS, () => Promise.all(ALL.map((index) => rig.upstreams.end(index, 'SIGKILL')))],
        [
          RESTART_AT_MS,
          async () => {
            healthyAtMs = await Promise.all(ALL.map((index) => rig.upstreams.restart(index)))
          },
        ],
      ],
    })
    const first = dueWithin(records, startAtMs + KILL_AT_MS, startAtMs + SETTLED_AT_MS)
    const down = dueWithin(records, startAtMs + SETTLED_AT_MS, startAtMs + RESTART_AT_MS)
    const latencies = down.map(latencyOf)
    const polite = down.filter((each) => each.outcome === '503' && each.retryAfter).length / down.length
    const shareTold: Figure = {
      row: '8',
      what: 'all down: share answered 503 with Retry-After',
      value: polite,
      text: polite.toFixed(3),
      asked: atLeast(1, '1'),
      worse: 'less',
    }
    const told = { row: '8', value: 0 }
    const returnedAtMs = Math.min(...healthyAtMs)
    const served = records.filter((each) => each.outcome === 'ok' && each.doneAtMs >= returnedAtMs)
    const firstServedMs = Math.min(...served.map((each) => each.doneAtMs)) - returnedAtMs
    const after = lost(dueWithin(records, Math.max(...healthyAtMs), Number.POSITIVE_INFINITY))
    return [
      { ...told, what: 'all down: outcomes in the first second', text: describeOutcomes(first) },
      { ...told, what: 'all down: outcomes after it', text: describeOutcomes(down) },
      shareTold,
      time('8', 'all down: p50 of errors', percentile(latencies, 0.5)),
      time('8', 'all down: p99 of errors', percentile(latencies, 0.99), below(20, '< 20 ms')),
      time('9', 'all back: first success after', firstServedMs, below(1_000, '< 1 s')),
      count('9', 'all back: errors', after.length, below(200, '< 200'), describeOutcomes(after)),
    ]
  },
}

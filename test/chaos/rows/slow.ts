import { latencyOf, percentile } from '../lib/accounting.ts'
import { below, count, type Figure, time } from '../lib/figure.ts'
import { RATE } from '../lib/rig.ts'
import { NORMAL } from '../lib/upstreams.ts'
import type { Row } from './row.ts'

const SLOW = 2

export const slow: Row = {
  name: 'slow',
  does:
    'One of three upstreams takes 1 s from the first request of the gateway’s life on: 2,000 requests in 10 s, those by ' +
    'which the gateway finds out among them.',
  behaviours: [NORMAL, NORMAL, { ...NORMAL, latencyMs: 1_000 }],
  async run(rig) {
    const { records, executions } = await rig.drive({ phases: [{ perSecond: RATE, ms: 10_000 }] })
    const share = executions.filter((each) => each.upstream === SLOW).length / executions.length
    const ofAll: Figure = {
      row: '7',
      what: 'one slow: its share of the requests',
      value: share,
      text: `${(share * 100).toFixed(1)} %`,
      asked: below(0.05, '< 5 %'),
    }
    const failed = records.filter((each) => each.outcome !== 'ok')
    return [
      time('7', 'one slow: p99', percentile(records.map(latencyOf), 0.99), below(50, '< 50 ms')),
      ofAll,
      count('7', 'one slow: lost of 2,000', failed.length),
    ]
  },
}

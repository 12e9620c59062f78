import { describeOutcomes, latencyOf, lost, percentile } from '../lib/accounting.ts'
import { type Asked, count, NONE, time } from '../lib/figure.ts'
import { RATE } from '../lib/rig.ts'
import type { Row } from './row.ts'

/** How much slower than nginx the slowest hundredth may be. */
const WITHIN_MS = 5

const nearNginx: Asked = {
  text: `within ${WITHIN_MS} ms of nginx`,
  needsNginx: true,
  holds: (value, nginx = Number.NaN) => value <= nginx + WITHIN_MS,
}

export const steady: Row = {
  name: 'steady',
  does: '5 s in which nothing goes wrong, after 3 s to warm up: 1,000 requests.',
  async run(rig) {
    await rig.warmUp(RATE, 3_000)
    const { records } = await rig.drive({ phases: [{ perSecond: RATE, ms: 5_000 }] })
    const failed = lost(records)
    const latencies = records.map(latencyOf)
    return [
      count('1', 'steady: lost of 1,000', failed.length, NONE, describeOutcomes(failed)),
      time('1', 'steady: p50', percentile(latencies, 0.5)),
      time('1', 'steady: p99', percentile(latencies, 0.99), nearNginx),
    ]
  },
}

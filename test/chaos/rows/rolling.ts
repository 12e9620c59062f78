import { describeOutcomes, executedTwice, lost } from '../lib/accounting.ts'
import { count, NONE } from '../lib/figure.ts'
import { RATE, type Rig } from '../lib/rig.ts'
import type { Row } from './row.ts'

export const rolling: Row = {
  name: 'rolling',
  does:
    'All three upstreams are restarted one after the other, at 2, 5 and 8 s of 12: 2,400 requests. On SIGTERM an upstream ' +
    'takes no new connection, answers what comes over open ones with `Connection: close` for 300 ms, and ends; it is ' +
    'started again at once.',
  async run(rig) {
    await rig.warmUp()
    const { records, executions } = await rig.drive({
      phases: [{ perSecond: RATE, ms: 12_000 }],
      events: [
        [2_000, () => replace(rig, 0)],
        [5_000, () => replace(rig, 1)],
        [8_000, () => replace(rig, 2)],
      ],
    })
    const failed = lost(records)
    return [
      count('5', 'rolling restart: lost of 2,400', failed.length, NONE, describeOutcomes(failed)),
      count('5', 'rolling restart: POST executed twice', executedTwice(records, executions, 'POST').length, NONE),
    ]
  },
}

async function replace(rig: Rig, index: number): Promise<void> {
  await rig.upstreams.end(index, 'SIGTERM')
  await rig.upstreams.restart(index)
}

import { describeOutcomes, lost } from '../lib/accounting.ts'
import { count, NONE } from '../lib/figure.ts'
import type { RequestRecord } from '../lib/protocol.ts'
import { NORMAL } from '../lib/upstreams.ts'
import type { Row } from './row.ts'

const TIMES = 5
const ONE_GET = [{ perSecond: 1, ms: 1_000 }]

export const stale: Row = {
  name: 'stale',
  does:
    'A single upstream resets an open connection at its next request, as one does whose idle time ran out at that very ' +
    'moment; five times, each after a request that went well.',
  behaviours: [NORMAL],
  async run(rig) {
    const records: RequestRecord[] = []
    for (let time = 0; time < TIMES; time += 1) {
      await rig.upstreams.behave(0, { stale: false })
      await rig.warmUp(5, 1_000)
      await rig.upstreams.behave(0, { stale: true })
      records.push(...(await rig.drive({ phases: ONE_GET })).records)
    }
    const failed = lost(records)
    return [count('19', 'stale keep-alive: GET failed of 5', failed.length, NONE, describeOutcomes(failed))]
  },
}

import { executedTwice } from '../lib/accounting.ts'
import { atMost, count, type Figure, NONE } from '../lib/figure.ts'
import { RATE } from '../lib/rig.ts'
import { NORMAL } from '../lib/upstreams.ts'
import type { Row } from './row.ts'

const FAILING = { ...NORMAL, status: 503 }

export const failing: Row = {
  name: 'failing',
  does:
    'All upstreams answer every request with 503, their health path excepted, for 5 s: 1,000 requests. What they get to ' +
    'execute is what retries make of it.',
  // From the first request on: a budget for retries may live on requests that went well before.
  behaviours: [FAILING, FAILING, FAILING],
  async run(rig) {
    const { records, executions } = await rig.drive({ phases: [{ perSecond: RATE, ms: 5_000 }] })
    const times = executions.length / records.length
    const load: Figure = {
      row: '–',
      what: 'all failing: executions a request',
      value: times,
      text: times.toFixed(2),
      asked: atMost(1.2),
    }
    const twice = executedTwice(records, executions, 'POST').length
    return [load, count('–', 'all failing: POST executed twice', twice, NONE)]
  },
}

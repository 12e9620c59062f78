import { describeOutcomes, dueWithin, executedTwice, latencyOf, lost } from '../lib/accounting.ts'
import { atMost, count, NONE } from '../lib/figure.ts'
import { RATE } from '../lib/rig.ts'
import type { Row } from './row.ts'

const STOP_AT_MS = 3_000
const CONTINUE_AT_MS = 7_000
/** An answer after this long is no good service. */
const SLOW_MS = 1_000

export const hang: Row = {
  name: 'hang',
  does:
    'One upstream is stopped with SIGSTOP from 3 to 7 s of 11 (its kernel takes connections and requests, nobody answers), ' +
    'then goes on, and executes what had been sent to it: 2,200 requests, 800 of them sent meanwhile.',
  async run(rig) {
    await rig.warmUp()
    const { records, executions, startAtMs } = await rig.drive({
      phases: [{ perSecond: RATE, ms: 11_000 }],
      events: [
        [STOP_AT_MS, () => rig.upstreams.signal(1, 'SIGSTOP')],
        [CONTINUE_AT_MS, () => rig.upstreams.signal(1, 'SIGCONT')],
      ],
    })
    const gets = lost(records, 'GET')
    const posts = lost(records, 'POST')
    const meanwhile = dueWithin(records, startAtMs + STOP_AT_MS, startAtMs + CONTINUE_AT_MS)
    const slow = meanwhile.filter((each) => latencyOf(each) > SLOW_MS)
    return [
      count('6', 'hang: GET lost of 1,760', gets.length, NONE, describeOutcomes(gets)),
      count('6', 'hang: POST lost of 440', posts.length, undefined, describeOutcomes(posts)),
      count('6', 'hang: POST executed twice', executedTwice(records, executions, 'POST').length, NONE),
      count('6', 'hang: GET executed twice', executedTwice(records, executions, 'GET').length),
      count('6', 'hang: over 1 s of the 800 sent meanwhile', slow.length, atMost(40)),
    ]
  },
}

import { describeOutcomes, executedTwice, lost } from '../lib/accounting.ts'
import { below, count, NONE, time } from '../lib/figure.ts'
import { RATE } from '../lib/rig.ts'
import { wallMs } from '../lib/wall-clock.ts'
import type { Row } from './row.ts'

const KILL_AT_MS = 3_000
const RESTART_AT_MS = 6_000
const VICTIM = 0

export const kill: Row = {
  name: 'kill',
  does:
    'One upstream is killed with -9 after 3 s of 11, and started again on its port after 6 s: 2,200 requests. A POST that ' +
    'was under way when its upstream died may be lost, as nobody can know whether it took effect. It is back in rotation ' +
    'with the first request that it executes, counted from when it answers its health path.',
  async run(rig) {
    await rig.warmUp()
    let deadAtMs = Number.NaN
    let healthyAtMs = Number.NaN
    const { records, executions } = await rig.drive({
      phases: [{ perSecond: RATE, ms: 11_000 }],
      events: [
        [
          KILL_AT_MS,
          async () => {
            await rig.upstreams.end(VICTIM, 'SIGKILL')
            deadAtMs = wallMs()
          },
        ],
        [
          RESTART_AT_MS,
          async () => {
            healthyAtMs = await rig.upstreams.restart(VICTIM)
          },
        ],
      ],
    })
    const gets = lost(records, 'GET')
    const posts = lost(records, 'POST')
    const returned = executions.filter((each) => each.upstream === VICTIM && each.incarnation > 1)
    const firstAtMs = returned.reduce((first, each) => Math.min(first, each.atMs), Number.POSITIVE_INFINITY)
    return [
      count('2', 'kill -9: GET lost of 1,760', gets.length, NONE, describeOutcomes(gets)),
      count('2', 'kill -9: POST lost of 440', posts.length, undefined, describeOutcomes(posts)),
      count(
        '2',
        'kill -9: POST lost of those sent after its death',
        posts.filter((each) => each.sentAtMs > deadAtMs).length,
        NONE,
      ),
      count('3', 'kill -9: POST executed twice', executedTwice(records, executions, 'POST').length, NONE),
      count('3', 'kill -9: GET executed twice', executedTwice(records, executions, 'GET').length),
      time('4', 'kill -9: back in rotation after', Math.max(0, firstAtMs - healthyAtMs), below(1_000, '< 1 s')),
    ]
  },
}

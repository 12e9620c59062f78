import { afterEach, describe, expect, it } from 'vitest'
import { describeOutcomes, dueWithin, executedTwice, lost } from './lib/accounting.ts'
import { GATEWAYS } from './lib/gateways.ts'
import { Rig, removeFolders } from './lib/rig.ts'

// The fault run in short, for what must hold on any machine however busy: nothing lost, nothing done twice. Its latencies
// are measured by the command.

const postern = GATEWAYS.find(({ name }) => name === 'postern')!
const PER_SECOND = 100
const LATE = { maxLagMs: Number.POSITIVE_INFINITY } as const

let rig: Rig | undefined
afterEach(async () => {
  await rig?.stop()
  rig = undefined
  removeFolders()
})

async function start(): Promise<Rig> {
  rig = await Rig.start(postern, 'default')
  await rig.warmUp(PER_SECOND, 500)
  return rig
}

describe('three upstreams behind a gateway', () => {
  it('one killed with -9 and brought back: no GET is lost, no POST is done twice, and it serves again', async () => {
    const { upstreams } = await start()
    let deadAtMs = Number.NaN
    const { records, executions } = await rig!.drive({
      ...LATE,
      phases: [{ perSecond: PER_SECOND, ms: 4_500 }],
      events: [
        [
          1_000,
          async () => {
            await upstreams.end(0, 'SIGKILL')
            deadAtMs = Date.now()
          },
        ],
        [2_000, () => upstreams.restart(0)],
      ],
    })
    expect(describeOutcomes(lost(records, 'GET'))).toBe('none')
    // One that was under way on the dead upstream may be lost: nobody can know whether it took effect.
    expect(describeOutcomes(lost(records, 'POST').filter(({ sentAtMs }) => sentAtMs > deadAtMs))).toBe('none')
    expect(executedTwice(records, executions, 'POST')).toEqual([])
    expect(executions.some(({ upstream, incarnation }) => upstream === 0 && incarnation === 2)).toBe(true)
  })

  it('one stopped with SIGSTOP that goes on later: no GET is lost, no POST is done twice', async () => {
    const { upstreams } = await start()
    const { records, executions } = await rig!.drive({
      ...LATE,
      phases: [{ perSecond: PER_SECOND, ms: 4_500 }],
      events: [
        [1_000, () => upstreams.signal(1, 'SIGSTOP')],
        [3_000, () => upstreams.signal(1, 'SIGCONT')],
      ],
    })
    expect(describeOutcomes(lost(records, 'GET'))).toBe('none')
    expect(executedTwice(records, executions, 'POST')).toEqual([])
  })

  it('all restarted one after the other: nothing is lost', async () => {
    const { upstreams } = await start()
    const restart = (index: number) => async (): Promise<void> => {
      await upstreams.end(index, 'SIGTERM')
      await upstreams.restart(index)
    }
    const { records, executions } = await rig!.drive({
      ...LATE,
      phases: [{ perSecond: PER_SECOND, ms: 6_000 }],
      events: [
        [500, restart(0)],
        [2_300, restart(1)],
        [4_100, restart(2)],
      ],
    })
    expect(describeOutcomes(lost(records))).toBe('none')
    expect(executedTwice(records, executions, 'POST')).toEqual([])
  })

  it('all down: 503 with Retry-After, and service again once they are back', async () => {
    const { upstreams } = await start()
    let backAtMs = Number.NaN
    const { records, startAtMs } = await rig!.drive({
      ...LATE,
      phases: [{ perSecond: PER_SECOND, ms: 6_000 }],
      events: [
        [500, () => Promise.all([0, 1, 2].map((index) => upstreams.end(index, 'SIGKILL')))],
        [
          2_500,
          async () => {
            await Promise.all([0, 1, 2].map((index) => upstreams.restart(index)))
            backAtMs = Date.now()
          },
        ],
      ],
    })
    const down = dueWithin(records, startAtMs + 1_000, startAtMs + 2_400)
    expect(describeOutcomes(down)).toBe(`503 × ${down.length}`)
    expect(down.every(({ retryAfter }) => retryAfter)).toBe(true)
    const after = dueWithin(records, backAtMs + 1_500, Number.POSITIVE_INFINITY)
    expect(after.length).toBeGreaterThan(0)
    expect(describeOutcomes(lost(after))).toBe('none')
  })

  it('the gateway asked to go while requests are under way: they are finished', async () => {
    const { upstreams } = await start()
    await Promise.all([0, 1, 2].map((index) => upstreams.behave(index, { latencyMs: 800 })))
    const { records } = await rig!.drive({
      ...LATE,
      phases: [{ perSecond: 40, ms: 500 }],
      events: [[600, () => rig!.process.signal('SIGTERM')]],
    })
    expect(describeOutcomes(lost(records))).toBe('none')
    await rig!.process.ended
  })
})

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Gate } from '../../src/basic/gate.ts'

interface Task {
  readonly running: Promise<number> | undefined
  readonly finish: () => void
  readonly fail: () => void
}

function held(gate: Gate, log: number[], id: number): Task {
  let finish: () => void = () => {}
  let fail: () => void = () => {}
  const done = new Promise<number>((resolve, reject) => {
    finish = () => resolve(id)
    fail = () => reject(new Error(`task ${id}`))
  })
  const running = gate.run(() => {
    log.push(id)
    return done
  })
  running?.catch(() => {})
  done.catch(() => {})
  return { running, finish, fail }
}

describe('Gate', () => {
  test('runs so many at once, has so many wait in their order, and turns away the rest', async () => {
    const begun: number[] = []
    const gate = new Gate(2, 2)
    const tasks = [0, 1, 2, 3, 4].map((id) => held(gate, begun, id))
    expect(begun).toEqual([0, 1])
    expect(tasks[4]?.running).toBeUndefined()
    tasks[1]?.finish()
    expect(await tasks[1]?.running).toBe(1)
    expect(begun).toEqual([0, 1, 2])
    tasks[0]?.finish()
    await tasks[0]?.running
    expect(begun).toEqual([0, 1, 2, 3])
  })

  test('has room again behind a task that fails or throws', async () => {
    const gate = new Gate(1, 1)
    const thrown = gate.run(() => {
      throw new Error('at once')
    })
    const behind = gate.run(async () => 'ran')
    await expect(thrown).rejects.toThrow('at once')
    expect(await behind).toBe('ran')
    await expect(gate.run(() => Promise.reject(new Error('later')))).rejects.toThrow('later')
    expect(await gate.run(async () => 'ran')).toBe('ran')
  })

  test('never runs more than it may, and runs all that it took', async () => {
    const run = fc.record({
      running: fc.integer({ min: 1, max: 4 }),
      waiting: fc.nat(4),
      tasks: fc.array(fc.boolean(), { maxLength: 20 }),
    })
    await fc.assert(
      fc.asyncProperty(run, async ({ running, waiting, tasks }) => {
        const gate = new Gate(running, waiting)
        let now = 0
        let most = 0
        const taken = tasks.map((isGood) =>
          gate.run(async () => {
            most = Math.max(most, ++now)
            await Promise.resolve()
            now -= 1
            if (!isGood) throw new Error('bad')
            return true
          }),
        )
        expect(taken.filter((each) => each !== undefined)).toHaveLength(Math.min(tasks.length, running + waiting))
        const settled = await Promise.allSettled(taken.filter((each) => each !== undefined))
        expect(settled.map((each) => each.status === 'fulfilled')).toEqual(tasks.slice(0, settled.length))
        expect(most).toBeLessThanOrEqual(running)
        expect(now).toBe(0)
      }),
    )
  })
})

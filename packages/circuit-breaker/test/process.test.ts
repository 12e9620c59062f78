import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'

const fixture = fileURLToPath(new URL('fixtures/server.ts', import.meta.url))

describe('a process', () => {
  it.each([
    ['open', 'open'],
    ['probing', 'half-open closed'],
  ])('with a circuit that is %s ends by itself once its server is closed, without close()', async (what, states) => {
    const run = promisify(execFile)
    // A minute is what the circuit's own timers would take; a child that is killed here rejects.
    const { stdout } = await run(process.execPath, ['--conditions=@postern/source', fixture, what], { timeout: 20_000 })
    expect(stdout.trim()).toBe(states)
  })
})

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, it, onTestFinished } from 'vitest'

it('closing a gateway lets the process end, whatever its schemes are waiting for', async () => {
  const path = fileURLToPath(new URL('fixtures/auth-ends.ts', import.meta.url))
  const child = spawn(process.execPath, ['--conditions=@postern/source', path], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  let errors = ''
  child.stderr!.on('data', (chunk) => {
    errors += String(chunk)
  })
  // Each of the three that are waited for may take a minute, longer than this test may.
  const ended = once(child, 'exit')
  const [report] = (await once(child, 'message')) as [{ statuses: number[]; cut: number[] }]
  expect(report.statuses).toEqual([200, 401, 200, 401])
  // What waited for somebody else was cut, or refused at the last moment.
  for (const status of report.cut) expect(status).toBeOneOf([0, 503])
  expect(await ended).toEqual([0, null])
  expect(errors).not.toMatch(/Unhandled|Uncaught|Error/)
})

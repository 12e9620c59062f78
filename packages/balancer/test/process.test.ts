import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'

describe('a process with probes under way and sources that are asked', () => {
  it.each(['plain', 'tls'])('ends when it has nothing else to do (%s)', async (kind) => {
    const path = fileURLToPath(new URL('fixtures/idle.ts', import.meta.url))
    const child = spawn(process.execPath, ['--conditions=@postern/source', path, kind], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    onTestFinished(() => {
      child.kill('SIGKILL')
    })
    let output = ''
    child.stdout.on('data', (chunk) => {
      output += String(chunk)
    })
    const startedAtMs = performance.now()
    expect(await once(child, 'exit')).toEqual([0, null])
    expect(performance.now() - startedAtMs).toBeLessThan(10_000)
    expect(output).toContain('probed')
  })
})

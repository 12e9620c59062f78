import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, openSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'

interface Report {
  readonly answered: number
  readonly stats: { written: number; lost: number }
}

function run(fixture: string, stdout: 'pipe' | number, ...args: string[]): ChildProcess {
  const path = fileURLToPath(new URL(`fixtures/${fixture}.ts`, import.meta.url))
  const child = spawn(process.execPath, ['--conditions=@postern/source', path, ...args], {
    stdio: ['ignore', stdout, 'pipe', 'ipc'],
  })
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  return child
}

/** Has the child make requests to itself, and tell what became of them. */
async function requests(child: ChildProcess, count: number): Promise<Report> {
  child.send({ requests: count })
  const [report] = await once(child, 'message')
  return report as Report
}

async function textOf(stream: NodeJS.ReadableStream): Promise<string> {
  let text = ''
  for await (const chunk of stream) text += String(chunk)
  return text
}

describe('a process whose reader is gone (EPIPE)', () => {
  it('answers all requests, counts the lines that are lost, and says so once', async () => {
    const child = run('server', 'pipe')
    const warnings = textOf(child.stderr!)
    await once(child, 'message')
    expect(await requests(child, 5)).toMatchObject({ answered: 5, stats: { written: 5, lost: 0 } })
    child.stdout!.destroy()
    await once(child.stdout!, 'close')
    const { answered, stats } = await requests(child, 50)
    expect(answered).toBe(50)
    expect(stats.written + stats.lost).toBe(55)
    expect(stats.lost).toBeGreaterThan(40)
    child.send({ exit: true })
    expect(await once(child, 'exit')).toEqual([0, null])
    expect((await warnings).match(/POSTERN_LOGGER_OUTPUT_FAILED/g)).toHaveLength(1)
  })
})

describe('a process whose reader has stopped reading', () => {
  it('answers all requests in bounded memory, and still ends', async () => {
    const child = run('server', 'pipe')
    await once(child, 'message')
    child.stdout!.pause()
    // More than the pipe and the buffer of 16 kB together can hold.
    const { answered, stats } = await requests(child, 300)
    expect(answered).toBe(300)
    expect(stats.lost).toBeGreaterThan(50)
    expect(stats.written).toBeGreaterThan(0)
    child.send({ exit: true })
    expect(await once(child, 'exit')).toEqual([0, null])
  })
})

describe('a process whose disk is full (ENOSPC)', () => {
  it.runIf(existsSync('/dev/full'))('answers all requests, and counts the lines that are lost', async () => {
    const child = run('server', openSync('/dev/full', 'w'))
    await once(child, 'message')
    expect(await requests(child, 20)).toMatchObject({ answered: 20, stats: { written: 0, lost: 20 } })
    expect(await requests(child, 5)).toMatchObject({ answered: 5, stats: { lost: 25 } })
  })
})

describe('a process that ends', () => {
  it.each(['naturally', 'exit', 'throw', 'close'])('has written its lines, in order (%s)', async (way) => {
    const child = run('ends', 'pipe', way)
    const lines = (await textOf(child.stdout!)).split('\n').slice(0, -1)
    expect(lines.map((line) => JSON.parse(line).i)).toEqual(Array.from({ length: 100 }, (_, i) => i))
  })
})

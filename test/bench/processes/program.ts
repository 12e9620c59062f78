/**
 * Keeps a program that is not Node's (`programs/`) beside the gateways: starts it, so that it inherits the core that this
 * process is pinned to, says its port and its processes once it answers, and ends it when the benchmark lets go.
 */
import { spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { get } from 'node:http'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { processTree } from '../lib/proc.ts'
import { findProgram, type Program } from '../lib/programs.ts'
import type { GatewayReady, ProgramSetup } from '../lib/protocol.ts'

/** Varnish compiles its configuration with a C compiler first. */
const START_MS = 30_000
const END_MS = 3_000

const setup = JSON.parse(process.argv[2] ?? '') as ProgramSetup
const { prepare } = (await import(`../programs/${setup.program}.ts`)) as Program
const executable = findProgram(setup.program) ?? setup.program
const port = await freePort()
const log = join(setup.folder, 'program.log')
const output = openSync(log, 'w')
const upstream = new URL(setup.context.upstreams[0]!).host
const place = { folder: setup.folder, port, upstream, params: setup.context.params }
const program = spawn(executable, prepare(place), {
  stdio: ['ignore', output, output],
  cwd: setup.folder,
})
closeSync(output)
const ended = new Promise((resolve) => program.once('exit', resolve))
program.once('error', (error) => process.send?.({ error: error.message }))

process.once('disconnect', async () => {
  const pids = program.pid === undefined ? [] : processTree(program.pid)
  program.kill('SIGTERM')
  await Promise.race([ended, sleep(END_MS)])
  for (const pid of pids) kill(pid)
  process.exit()
})

const fault = await started()
process.send?.(
  fault === undefined ? ({ port, pids: processTree(program.pid!) } satisfies GatewayReady) : { error: fault },
)

/** Asks until the first answer, since Varnish listens before the process that answers is there. */
async function started(): Promise<string | undefined> {
  const deadline = performance.now() + START_MS
  while (performance.now() < deadline) {
    if (program.exitCode !== null || program.signalCode !== null) {
      return `${setup.program} ended: ${readFileSync(log, 'utf8').trim().slice(-500)}`
    }
    if (await answers()) return undefined
    await sleep(50)
  }
  return `${setup.program} did not answer within ${START_MS} ms: ${readFileSync(log, 'utf8').trim().slice(-500)}`
}

function answers(): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = get({ port, host: '127.0.0.1', path: '/started', agent: false, timeout: 2_000 }, (response) => {
      response.resume().on('end', () => resolve(response.statusCode === 200))
    })
    asked.on('timeout', () => asked.destroy(new Error('no answer')))
    asked.on('error', () => resolve(false))
  })
}

/** The program cannot say which port the kernel chose for it: so one is chosen before it, and given up at once. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve((address as { port: number }).port))
    })
  })
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It ended by itself.
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

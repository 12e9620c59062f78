import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const BENCH = join(dirname(fileURLToPath(import.meta.url)), '..')

/** Patience with a process that has been let go of. */
const END_MS = 5_000

export interface ChildOptions {
  /** Core to run on. */
  readonly core: number
  readonly args?: readonly string[]
  readonly nodeOptions?: readonly string[]
  /** File that standard output goes to. @default the benchmark's standard error */
  readonly stdout?: string
}

/** A benchmark process pinned to one core; questions are put one at a time. */
export class Child {
  readonly pid: number
  readonly #name: string
  readonly #process: ChildProcess

  constructor(file: string, options: ChildOptions) {
    const args = [...(options.nodeOptions ?? []), join(BENCH, 'processes', `${file}.ts`), ...(options.args ?? [])]
    const out = options.stdout === undefined ? 2 : openSync(options.stdout, 'w')
    this.#name = file
    this.#process = spawn('taskset', ['-c', String(options.core), process.execPath, ...args], {
      stdio: ['ignore', out, 'inherit', 'ipc'],
      cwd: BENCH,
      // Production settings, and nothing of the caller's that would change how the process under test runs.
      env: { ...process.env, NODE_ENV: 'production', NODE_OPTIONS: '' },
    })
    if (options.stdout !== undefined) closeSync(out)
    this.pid = this.#process.pid ?? 0
  }

  /** Sends `message`, if any, and resolves with the next message of the process. */
  ask<Reply>(message?: object, timeoutMs = 60_000): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const child = this.#process
      const timer = setTimeout(() => done(`no answer within ${timeoutMs} ms`), timeoutMs)
      const onMessage = (reply: unknown): void => {
        const { error } = reply as { error?: string }
        done(error)
        resolve(reply as Reply)
      }
      const onExit = (code: number | null, signal: string | null): void => done(`ended (${code ?? signal})`)
      const onError = (error: Error): void => done(error.message)
      const done = (fault?: string): void => {
        clearTimeout(timer)
        child.off('message', onMessage)
        child.off('exit', onExit)
        child.off('error', onError)
        if (fault !== undefined) reject(new Error(`the ${this.#name} process: ${fault}`))
      }
      child.on('message', onMessage)
      child.on('exit', onExit)
      child.on('error', onError)
      if (message !== undefined) child.send(message)
    })
  }

  /** Lets go of the process, upon which it ends itself and what it has started; kills it when it does not. */
  async stop(): Promise<void> {
    const child = this.#process
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise((resolve) => child.once('exit', resolve))
    if (child.connected) child.disconnect()
    const timer = setTimeout(() => child.kill('SIGKILL'), END_MS)
    await ended
    clearTimeout(timer)
  }
}

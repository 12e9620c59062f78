import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const CHAOS = join(dirname(fileURLToPath(import.meta.url)), '..')

/** Every process that this run has started and that has not ended. */
const alive = new Set<ChildProcess>()

/** A process of the fault run, in a process group of its own; questions are put to it one at a time. */
export class Child {
  readonly pid: number
  readonly name: string
  /** Whether `ask()` can be used: it is a process of ours. */
  readonly answers: boolean
  /** Resolves when the process has ended, with how: an exit code or a signal. */
  readonly ended: Promise<number | string>
  readonly #process: ChildProcess
  #end: number | string | undefined

  private constructor(name: string, command: string, args: readonly string[], ipc: boolean) {
    this.name = name
    this.answers = ipc
    const child = spawn(command, args, {
      stdio: ['ignore', 2, 2, ...(ipc ? ['ipc' as const] : [])],
      cwd: CHAOS,
      // A group of its own, so that the workers of nginx and haproxy are reached with their parent.
      detached: true,
      env: { ...process.env, NODE_ENV: 'production', NODE_OPTIONS: '' },
    })
    this.#process = child
    this.pid = child.pid ?? 0
    alive.add(child)
    this.ended = new Promise((resolve) => {
      child.once('error', (error) => this.#over(error.message, resolve))
      child.once('exit', (code, signal) => this.#over(code ?? signal ?? 'unknown', resolve))
    })
  }

  /** Starts a file of `processes/` with this Node, on the sources of the packages. */
  static node(file: string, setup?: object): Child {
    const script = join(CHAOS, 'processes', `${file}.ts`)
    const args = ['--conditions=@postern/source', '--expose-gc', script, JSON.stringify(setup ?? {})]
    return new Child(file, process.execPath, args, true)
  }

  static command(command: string, args: readonly string[]): Child {
    return new Child(command, command, args, false)
  }

  /** How the process ended; undefined while it runs. */
  get end(): number | string | undefined {
    return this.#end
  }

  /** Sends `message`, if any, and resolves with the next message of the process. */
  ask<Reply>(message?: object, timeoutMs = 10_000): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const child = this.#process
      const timer = setTimeout(() => done(`no answer within ${timeoutMs} ms`), timeoutMs)
      const onMessage = (reply: unknown): void => {
        done((reply as { error?: string }).error)
        resolve(reply as Reply)
      }
      const onExit = (code: number | null, signal: string | null): void => done(`ended (${code ?? signal})`)
      const done = (fault?: string): void => {
        clearTimeout(timer)
        child.off('message', onMessage)
        child.off('exit', onExit)
        if (fault !== undefined) reject(new Error(`the ${this.name} process: ${fault}`))
      }
      if (this.#end !== undefined) return done(`ended (${this.#end})`)
      child.on('message', onMessage)
      child.on('exit', onExit)
      if (message !== undefined) child.send(message, (error) => error !== null && done(error.message))
    })
  }

  signal(signal: NodeJS.Signals): void {
    if (this.#end === undefined) process.kill(this.pid, signal)
  }

  /** Resident memory of the process and of those that it has started, in bytes. */
  rssBytes(): number {
    return groupOf(this.pid).reduce((sum, pid) => sum + rssOf(pid), 0)
  }

  async kill(): Promise<void> {
    killGroup(this.#process)
    if (this.#end === undefined) await this.ended
  }

  #over(how: number | string, resolve: (how: number | string) => void): void {
    if (this.#end !== undefined) return
    this.#end = how
    // A parent that ended may have left workers behind.
    killGroup(this.#process)
    alive.delete(this.#process)
    resolve(how)
  }
}

/** Kills whatever is left, at once; safe to call from an exit handler. */
export function killAll(): void {
  for (const child of alive) killGroup(child)
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // The group is gone already.
  }
}

function groupOf(group: number): readonly number[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return []
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1')
      // The name in parentheses may hold spaces; the process group is the third field after it.
      return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2]) === group ? [Number(name)] : []
    } catch {
      return []
    }
  })
}

function rssOf(pid: number): number {
  try {
    return 1_024 * Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0)
  } catch {
    return 0
  }
}

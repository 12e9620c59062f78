import { readdirSync, readFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { type Execution, parseExecutions } from './accounting.ts'
import { Child } from './child.ts'
import { freePort } from './ports.ts'
import type { Behaviour, UpstreamSetup, UpstreamState } from './protocol.ts'
import { sleep, wallMs } from './wall-clock.ts'

export const NORMAL: Behaviour = Object.freeze({ latencyMs: 5, workers: 0, status: 200, stale: false })

/** Longest wait for a process to answer its health path. */
const START_MS = 10_000

/** The upstreams of one run: processes that are killed, stopped and started again on the same ports. */
export class Upstreams {
  readonly ports: readonly number[]
  readonly #folder: string
  readonly #children: Child[] = []
  readonly #behaviours: Behaviour[]
  readonly #incarnations: number[]

  private constructor(ports: readonly number[], folder: string, behaviours: readonly Behaviour[]) {
    this.ports = ports
    this.#folder = folder
    this.#behaviours = [...behaviours]
    this.#incarnations = ports.map(() => 0)
  }

  /** Starts one upstream for each behaviour; logs of executions go to `folder`. */
  static async start(folder: string, behaviours: readonly Behaviour[]): Promise<Upstreams> {
    const ports: number[] = []
    for (const _ of behaviours) ports.push(await freePort())
    const upstreams = new Upstreams(ports, folder, behaviours)
    try {
      await Promise.all(ports.map((_, index) => upstreams.restart(index)))
    } catch (error) {
      await upstreams.stop()
      throw error
    }
    return upstreams
  }

  get urls(): readonly string[] {
    return this.ports.map((port) => `http://127.0.0.1:${port}`)
  }

  signal(index: number, signal: NodeJS.Signals): void {
    this.#children[index]!.signal(signal)
  }

  /** Sends a signal that ends the process and waits until it has. */
  async end(index: number, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    this.signal(index, signal)
    await this.#children[index]!.ended
  }

  /** Starts the upstream (again) on its port. Resolves with the moment at which it first answered its health path. */
  async restart(index: number): Promise<number> {
    this.#incarnations[index]! += 1
    const setup: UpstreamSetup = {
      port: this.ports[index]!,
      logFile: join(this.#folder, `executions-${index}-${this.#incarnations[index]}`),
      behaviour: this.#behaviours[index]!,
    }
    const child = Child.node('upstream', setup)
    this.#children[index] = child
    const deadline = wallMs() + START_MS
    while (child.end === undefined && wallMs() < deadline) {
      if (await isHealthy(setup.port)) return wallMs()
      await sleep(5)
    }
    throw new Error(`upstream ${index} did not start${child.end === undefined ? '' : `: ended (${child.end})`}`)
  }

  async behave(index: number, change: Partial<Behaviour>): Promise<void> {
    this.#behaviours[index] = { ...this.#behaviours[index]!, ...change }
    await this.#children[index]!.ask({ behave: this.#behaviours[index]! })
  }

  /** Connections and unanswered requests of all upstreams that run. */
  async state(): Promise<UpstreamState> {
    const running = this.#children.filter((child) => child.end === undefined)
    const states = await Promise.all(running.map((child) => child.ask<UpstreamState>({ ask: 'state' })))
    return {
      connections: states.reduce((sum, each) => sum + each.connections, 0),
      pending: states.reduce((sum, each) => sum + each.pending, 0),
    }
  }

  /** Waits until nothing is being worked on, so that the log of executions is whole. */
  async quiet(timeoutMs = 20_000): Promise<void> {
    const deadline = wallMs() + timeoutMs
    while ((await this.state()).pending > 0) {
      if (wallMs() > deadline) throw new Error('the upstreams are still working on requests')
      await sleep(50)
    }
  }

  /** Everything that was executed so far, those of killed processes too. */
  executions(): readonly Execution[] {
    return readdirSync(this.#folder).flatMap((name) => {
      const match = /^executions-(\d+)-(\d+)$/.exec(name)
      if (match === null) return []
      return parseExecutions(readFileSync(join(this.#folder, name), 'latin1'), Number(match[1]), Number(match[2]))
    })
  }

  async stop(): Promise<void> {
    await Promise.all(this.#children.map((child) => child.kill()))
  }
}

/** Asks once, over a connection of its own. */
export function isHealthy(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const req = request({ host: '127.0.0.1', port, path: '/healthz', agent: false, timeout: 1_000 })
    req.on('response', (res) => {
      res.resume()
      res.on('error', () => resolve(false))
      res.on('end', () => resolve(res.statusCode === 200))
    })
    req.on('timeout', () => req.destroy())
    req.on('error', () => resolve(false))
    req.end()
  })
}

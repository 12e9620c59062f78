import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkAccounts, type Execution, lost } from './accounting.ts'
import { Child } from './child.ts'
import type { Gateway } from './gateways.ts'
import { freePort } from './ports.ts'
import type { Behaviour, LoadOrder, Phase, RequestRecord, Setting } from './protocol.ts'
import { isHealthy, NORMAL, Upstreams } from './upstreams.ts'
import { sleep, sleepUntil, wallMs } from './wall-clock.ts'

/** Requests a second, in every row but those about overload. */
export const RATE = 200
/** The client's patience, in milliseconds. */
export const PATIENCE_MS = 10_000

/** The warm-up's requests are numbered from here, beyond those of any load. */
const WARM_UP_NUMBERS = 1_000_000
/** Time between the order and the first request. */
const LEAD_MS = 200
/** A generator that sends later than this, in its 99th percentile, has measured itself. */
const MAX_LAG_MS = 100
const GATEWAY_START_MS = 10_000

/** Folders of rigs that are up. */
const folders = new Set<string>()

/** Removes what rigs have written and nobody has stopped; safe to call from an exit handler. */
export function removeFolders(): void {
  for (const folder of folders) removeFolder(folder)
}

function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true })
  folders.delete(folder)
}

/** What happens, and when, in milliseconds from the first request. */
export type Event = readonly [atMs: number, happen: () => unknown]

export interface Drive {
  readonly phases: readonly Phase[]
  readonly events?: readonly Event[]
  readonly timeoutMs?: number
  readonly retries?: number
  /** How late the generator may be, in its 99th percentile, in milliseconds. @default 100; beyond it latencies are its own */
  readonly maxLagMs?: number
}

export interface Driven {
  readonly records: readonly RequestRecord[]
  readonly executions: readonly Execution[]
  /** When the first request was due. */
  readonly startAtMs: number
}

/** Upstreams, a gateway before them, and a load generator before that; all of them fresh processes. */
export class Rig {
  readonly gateway: Gateway
  readonly port: number
  readonly upstreams: Upstreams
  readonly process: Child
  readonly #load: Child
  readonly #folder: string
  #nextNumber = 1

  private constructor(gateway: Gateway, port: number, upstreams: Upstreams, child: Child, load: Child, folder: string) {
    this.gateway = gateway
    this.port = port
    this.upstreams = upstreams
    this.process = child
    this.#load = load
    this.#folder = folder
  }

  static async start(
    gateway: Gateway,
    setting: Setting,
    behaviours: readonly Behaviour[] = [NORMAL, NORMAL, NORMAL],
  ): Promise<Rig> {
    const folder = mkdtempSync(join(tmpdir(), 'postern-chaos-'))
    folders.add(folder)
    const logs = join(folder, 'executions')
    mkdirSync(logs)
    const started: { stop(): Promise<void> }[] = []
    try {
      const upstreams = await Upstreams.start(logs, behaviours)
      started.push(upstreams)
      const load = Child.node('load')
      started.push({ stop: () => load.kill() })
      await load.ask()
      const port = await freePort()
      const child = gateway.start({ port, upstreams: upstreams.urls, setting, folder })
      started.push({ stop: () => child.kill() })
      const rig = new Rig(gateway, port, upstreams, child, load, folder)
      await rig.#answering()
      return rig
    } catch (error) {
      for (const each of started) await each.stop()
      removeFolder(folder)
      throw error
    }
  }

  /** Sends a little at the usual rate, so that connections are open and code is compiled; all of it must succeed. */
  async warmUp(perSecond = RATE, ms = 1_000): Promise<void> {
    const records = await this.#order({ phases: [{ perSecond, ms }] }, WARM_UP_NUMBERS, wallMs() + LEAD_MS)
    const failed = lost(records)
    if (failed.length > 0) throw new Error(`${failed.length} requests of the warm-up failed: ${failed[0]!.outcome}`)
  }

  /** Sends the load, lets the events happen meanwhile, and accounts for every request. */
  async drive(drive: Drive): Promise<Driven> {
    const startAtMs = wallMs() + LEAD_MS
    const events = (drive.events ?? []).map(async ([atMs, happen]) => {
      await sleepUntil(startAtMs + atMs)
      await happen()
    })
    const firstNumber = this.#nextNumber
    const [records] = await Promise.all([this.#order(drive, firstNumber, startAtMs), ...events])
    await this.upstreams.quiet()
    const expected = drive.phases.reduce((sum, { perSecond, ms }) => sum + Math.round((perSecond * ms) / 1_000), 0)
    this.#nextNumber += expected
    const last = firstNumber + expected
    const executions = this.upstreams.executions().filter(({ number }) => number >= firstNumber && number < last)
    checkAccounts(records, executions, expected, drive.maxLagMs ?? MAX_LAG_MS)
    return { records, executions, startAtMs }
  }

  /** Makes a Node gateway collect its garbage; others have none. */
  async collectGarbage(): Promise<void> {
    if (this.process.answers) await this.process.ask({ collect: true })
  }

  async stop(): Promise<void> {
    await Promise.all([this.process.kill(), this.#load.kill(), this.upstreams.stop()])
    removeFolder(this.#folder)
  }

  async #order(drive: Drive, firstNumber: number, startAtMs: number): Promise<readonly RequestRecord[]> {
    const order: LoadOrder = {
      port: this.port,
      startAtMs,
      phases: drive.phases,
      firstNumber,
      timeoutMs: drive.timeoutMs ?? PATIENCE_MS,
      retries: drive.retries ?? 0,
      retryPauseMs: 100,
    }
    const lastsMs = drive.phases.reduce((sum, { ms }) => sum + ms, 0)
    const longestMs = lastsMs + (order.retries + 1) * (order.timeoutMs + order.retryPauseMs) + 5_000
    const { records } = await this.#load.ask<{ records: readonly RequestRecord[] }>(order, longestMs)
    return records
  }

  async #answering(): Promise<void> {
    const deadline = wallMs() + GATEWAY_START_MS
    while (!(await isHealthy(this.port))) {
      if (this.process.end !== undefined) throw new Error(`${this.gateway.name} ended (${this.process.end})`)
      if (wallMs() > deadline) throw new Error(`${this.gateway.name} does not answer`)
      await sleep(20)
    }
  }
}

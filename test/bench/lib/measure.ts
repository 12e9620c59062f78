import { createReadStream, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { credentialsOf } from './auth-credentials.ts'
import { Child } from './child.ts'
import { statusBytes } from './proc.ts'
import type {
  GatewayReady,
  LoadOrder,
  LoadResult,
  UpstreamCounts,
  UpstreamReady,
  UpstreamSetup,
  VerifyResult,
} from './protocol.ts'
import { type Contender, pathsOf, type Scenario } from './scenarios.ts'
import { checkLoad, checkPairs } from './upstream-counts.ts'

/** The gateway under test has this core to itself; everything else shares the other. */
export const GATEWAY_CORE = 0
export const LOAD_CORE = 1

/** Longest wait for lines that the logger has yet to write. */
const LINES_MS = 3_000
const NEW_LINE = 10

export interface Timing {
  readonly rounds: number
  readonly warmupMs: number
  /** Least number of requests before the window opens; a thousand targets need some before each has its connections. */
  readonly warmupRequests: number
  readonly measureMs: number
  /** Short measured windows of each mount, where several are compared within one process. */
  readonly slices: number
}

/** One measured window of one contender. */
export interface Sample {
  readonly round: number
  readonly requestsPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Absent for `direct`, which has no gateway. */
  readonly cpuMicrosPerRequest?: number
  /** Share of the gateway's core that it used; well below 1 means that the load was the limit. */
  readonly busy?: number
  readonly peakBytes?: number
  /** Names of the header fields of its answers, in alphabetical order. */
  readonly fields: readonly string[]
}

export interface ScenarioResult {
  readonly scenario: Scenario
  readonly samples: ReadonlyMap<string, readonly Sample[]>
  /** Contenders that failed, with the reason; they have no samples. */
  readonly failures: ReadonlyMap<string, string>
}

/** Runs every contender of a scenario `rounds` times, interleaved, each time in a fresh process. */
export async function measureScenario(
  scenario: Scenario,
  timing: Timing,
  print: (line: string) => void,
): Promise<ScenarioResult> {
  const { bodyBytes, addresses, cacheControl } = scenario
  const setup: UpstreamSetup = { bodyBytes, addresses, ...(cacheControl === undefined ? {} : { cacheControl }) }
  const upstream = new Child('upstream', { core: LOAD_CORE, args: [JSON.stringify(setup)] })
  const load = new Child('load', { core: LOAD_CORE })
  const samples = new Map<string, Sample[]>()
  const failures = new Map<string, string>()
  try {
    const [{ urls }] = await Promise.all([upstream.ask<UpstreamReady>(), load.ask()])
    for (let round = 0; round < timing.rounds; round += 1) {
      for (const contender of rotated(scenario.contenders, round)) {
        if (failures.has(contender.name)) continue
        const label = `${scenario.name} ${round + 1}/${timing.rounds} ${contender.name}`
        try {
          const sample = { round, ...(await measureOnce(scenario, contender, { upstream, urls, load }, timing)) }
          samples.set(contender.name, [...(samples.get(contender.name) ?? []), sample])
          print(`${label}: ${describe(sample)}`)
        } catch (error) {
          failures.set(contender.name, (error as Error).message)
          samples.delete(contender.name)
          print(`${label}: FAILED: ${(error as Error).message}`)
        }
      }
    }
  } finally {
    await Promise.all([upstream.stop(), load.stop()])
  }
  return { scenario, samples, failures }
}

/** The processes on the other core. */
interface OtherSide {
  readonly upstream: Child
  readonly urls: readonly string[]
  readonly load: Child
}

async function measureOnce(
  scenario: Scenario,
  contender: Contender,
  other: OtherSide,
  timing: Timing,
): Promise<Omit<Sample, 'round'>> {
  const order = {
    paths: pathsOf(contender),
    numbered: contender.numbered ?? false,
    headers: contender.credentials === undefined ? {} : credentialsOf(contender.credentials).headers,
    guarded: contender.guarded ?? false,
    connections: scenario.connections,
    bodyBytes: scenario.bodyBytes,
    status: contender.status ?? 200,
    warmupMs: timing.warmupMs,
    warmupRequests: timing.warmupRequests,
    measureMs: timing.measureMs,
  }
  if (contender.file === undefined && contender.program === undefined) {
    const { hostname, port } = new URL(other.urls[0]!)
    return summarise(await drive(contender, other, { ...order, host: hostname, port: Number(port), pids: [] }))
  }
  const folder = mkdtempSync(join(tmpdir(), 'postern-bench-'))
  const gateway = startGateway(contender, other.urls, folder)
  try {
    const { port, pids = [gateway.pid] } = await gateway.ask<GatewayReady>()
    const driven = await drive(contender, other, { ...order, host: '127.0.0.1', port, pids })
    const peakBytes = pids.reduce((sum, pid) => sum + statusBytes(pid, 'VmHWM'), 0)
    if (contender.logs) await expectLines(join(folder, 'stdout'), driven.result.answered)
    return summarise(driven, peakBytes)
  } finally {
    await gateway.stop()
    rmSync(folder, { recursive: true })
  }
}

function startGateway(contender: Contender, upstreams: readonly string[], folder: string): Child {
  const { credentials, guarded, params } = contender
  const checkedWith = guarded && credentials !== undefined ? credentialsOf(credentials).params : {}
  const context = { upstreams, params: { ...params, ...checkedWith } }
  const [host, setup] =
    contender.program === undefined
      ? ['gateway', { file: contender.file, context }]
      : ['program', { program: contender.program, folder, context }]
  return new Child(host, { core: GATEWAY_CORE, args: [JSON.stringify(setup)], stdout: join(folder, 'stdout') })
}

interface Driven {
  readonly fields: readonly string[]
  readonly result: LoadResult
}

async function drive(
  contender: Contender,
  { upstream, load }: OtherSide,
  order: Omit<LoadOrder, 'phase'>,
): Promise<Driven> {
  const atFirst = await upstream.ask<UpstreamCounts>({})
  const verified = await load.ask<{ result: VerifyResult }>({ ...order, phase: 'verify' })
  const between = await upstream.ask<UpstreamCounts>({})
  const { resources, fields } = verified.result
  if (contender.cached !== undefined) checkPairs(contender.cached, difference(atFirst, between), resources)

  const patienceMs = order.warmupMs + order.measureMs + 90_000
  const { result } = await load.ask<{ result: LoadResult }>({ ...order, phase: 'measure' }, patienceMs)
  if (result.errors > 0) throw new Error(`${result.errors} errors, the first: ${result.firstError}`)
  if (result.completed === 0) throw new Error('no request was answered')
  const seen = difference(between, await upstream.ask<UpstreamCounts>({}))
  if (contender.cached !== undefined) checkLoad(contender.cached, seen, result.answered, order.paths.length)
  return { fields, result }
}

function difference(before: UpstreamCounts, after: UpstreamCounts): UpstreamCounts {
  return { requests: after.requests - before.requests, notModified: after.notModified - before.notModified }
}

/** A logger that drops lines under load would look cheaper than it is. */
async function expectLines(file: string, atLeast: number): Promise<void> {
  const deadline = performance.now() + LINES_MS
  let lines = 0
  while (true) {
    lines = 0
    for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) {
      const bytes = chunk as Buffer
      for (let at = bytes.indexOf(NEW_LINE); at !== -1; at = bytes.indexOf(NEW_LINE, at + 1)) lines += 1
    }
    if (lines >= atLeast) return
    if (performance.now() > deadline) throw new Error(`${lines} log lines for ${atLeast} answers`)
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}

function summarise({ fields, result }: Driven, peakBytes?: number): Omit<Sample, 'round'> {
  return {
    fields,
    requestsPerSecond: (result.completed / result.elapsedMs) * 1_000,
    p50Ms: result.p50Ms,
    p99Ms: result.p99Ms,
    ...(result.cpuMicros === undefined
      ? {}
      : {
          cpuMicrosPerRequest: result.cpuMicros / result.completed,
          busy: result.cpuMicros / (result.elapsedMs * 1_000),
        }),
    ...(peakBytes === undefined ? {} : { peakBytes }),
  }
}

/** Each round begins with another contender, so that none always runs after the same one. */
export function rotated<Item>(items: readonly Item[], by: number): readonly Item[] {
  const at = by % items.length
  return [...items.slice(at), ...items.slice(0, at)]
}

function describe(sample: Sample): string {
  const cpu = sample.cpuMicrosPerRequest === undefined ? '' : `${sample.cpuMicrosPerRequest.toFixed(1)} us/request, `
  return `${cpu}${Math.round(sample.requestsPerSecond)} requests/s, p99 ${sample.p99Ms.toFixed(1)} ms`
}

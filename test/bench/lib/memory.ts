import { Child } from './child.ts'
import { GATEWAY_CORE, LOAD_CORE } from './measure.ts'
import { abortOne, download, PAUSE_MS, repeat, upload, webSocketOne } from './memory-clients.ts'
import type { GatewayReady, UpstreamReady } from './protocol.ts'
import { seeded } from './seeded.ts'
import type { State } from './state.ts'
import type { Verdict } from './verdict.ts'

const MIB = 1024 * 1024
export const LONG_BODY_BYTES = 1024 * MIB
const WARM_BODY_BYTES = 64 * MIB
const MAX_PEAK_GROWTH_MIB = 64
/** What a warm heap may differ by between two forced collections without that being a leak. */
export const MAX_HEAP_GROWTH_MIB = 4
const ABORTS = 20_000
const WEB_SOCKETS = 5_000
/** Longest wait for idle pooled connections to be given up. */
const SETTLE_MS = 30_000

export interface Bench {
  /** Name that its rows have in the report. */
  readonly scenario: string
  readonly gateway: Child
  readonly upstream: Child
  readonly port: number
  readonly print: (line: string) => void
}

/** Runs the memory and leak checks of `proxy(url)` with upgrades attached. */
export async function checkMemory(print: (line: string) => void): Promise<readonly Verdict[]> {
  const verdicts: Verdict[] = []
  const checks = [
    (bench: Bench) => longBody(bench, 'upload', upload),
    (bench: Bench) => longBody(bench, 'download', download),
    (bench: Bench) => leftovers(bench, 'aborted exchanges', ABORTS, 64, abortOne),
    (bench: Bench) => leftovers(bench, 'closed WebSockets', WEB_SOCKETS, 50, webSocketOne),
  ]
  // A fresh process for each: what one leaves behind is not counted against the next.
  for (const check of checks) verdicts.push(...(await withGateway('postern-memory', 'memory', print, check)))
  return verdicts
}

/** Starts the gateway of that file, and the upstream of the memory checks behind it, for one check. */
export async function withGateway(
  file: string,
  scenario: string,
  print: (line: string) => void,
  check: (bench: Bench) => Promise<readonly Verdict[]>,
): Promise<readonly Verdict[]> {
  const upstream = new Child('memory-upstream', { core: LOAD_CORE })
  let gateway: Child | undefined
  try {
    const { urls } = await upstream.ask<UpstreamReady>()
    gateway = new Child('gateway', {
      core: GATEWAY_CORE,
      args: [JSON.stringify({ file, context: { upstreams: urls, params: {} } })],
      nodeOptions: ['--expose-gc'],
    })
    const { port } = await gateway.ask<GatewayReady>()
    return await check({ scenario, gateway, upstream, port, print })
  } finally {
    await Promise.all([upstream.stop(), gateway?.stop()])
  }
}

export async function longBody(
  { scenario, gateway, port, print }: Bench,
  name: string,
  transfer: (port: number, bytes: number) => Promise<void>,
): Promise<readonly Verdict[]> {
  await transfer(port, WARM_BODY_BYTES)
  const before = await gateway.ask<State>({ ask: 'state' })
  const startedAt = performance.now()
  await transfer(port, LONG_BODY_BYTES)
  const seconds = (performance.now() - startedAt - PAUSE_MS) / 1_000
  const after = await gateway.ask<State>({ ask: 'state' })
  const growth = (after.peakRss - before.rss) / MIB
  print(`${scenario} ${name}: peak ${mib(before.rss)} -> ${mib(after.peakRss)}, ${(1024 / seconds).toFixed(0)} MiB/s`)
  return [
    {
      scenario,
      what: `1 GiB ${name}: growth of peak memory`,
      asked: `<= ${MAX_PEAK_GROWTH_MIB} MiB`,
      measured: `${growth.toFixed(1)} MiB`,
      ok: growth <= MAX_PEAK_GROWTH_MIB,
    },
  ]
}

async function leftovers(
  bench: Bench,
  name: string,
  count: number,
  width: number,
  task: (port: number, random: () => number) => Promise<void>,
): Promise<readonly Verdict[]> {
  const random = seeded(0x2f6e2b1)
  await repeat(count / 4, width, () => task(bench.port, random))
  const before = await settled(bench)
  const startedAt = performance.now()
  await repeat(count, width, () => task(bench.port, random))
  const seconds = (performance.now() - startedAt) / 1_000
  const after = await settled(bench)
  const heapGrowth = (after.heapBytes - before.heapBytes) / MIB
  bench.print(
    `memory ${count} ${name} in ${seconds.toFixed(1)} s: heap ${mib(before.heapBytes)} -> ${mib(after.heapBytes)}, ` +
      `memory ${mib(before.rss)} -> ${mib(after.rss)}`,
  )
  const row = (what: string, asked: string, measured: string, ok: boolean): Verdict => ({
    scenario: bench.scenario,
    what: `${count} ${name}: ${what}`,
    asked,
    measured,
    ok,
  })
  const left = after.clientSockets + after.sockets
  return [
    row('client sockets left', '0', String(left), left === 0),
    row('upstream sockets left', '0', String(after.upstreamSockets), after.upstreamSockets === 0),
    row(
      'growth of listeners',
      '0, no warning',
      `${after.listeners - before.listeners}, ${after.leakWarnings} warnings`,
      after.listeners <= before.listeners && after.leakWarnings === 0,
    ),
    row(
      'growth of the heap',
      `<= ${MAX_HEAP_GROWTH_MIB} MiB`,
      `${heapGrowth.toFixed(1)} MiB`,
      heapGrowth <= MAX_HEAP_GROWTH_MIB,
    ),
  ]
}

/** The state once every connection is closed, or as it is when patience ends. */
async function settled(bench: Bench): Promise<State & { upstreamSockets: number }> {
  const deadline = performance.now() + SETTLE_MS
  while (true) {
    const state = await bench.gateway.ask<State>({ ask: 'state' })
    const { connections } = await bench.upstream.ask<{ connections: number }>({ ask: 'state' })
    const idle = state.clientSockets === 0 && state.sockets === 0 && connections === 0
    if (idle || performance.now() > deadline) return { ...state, upstreamSockets: connections }
    await new Promise((resolve) => setTimeout(resolve, 500))
  }
}

function mib(bytes: number): string {
  return `${(bytes / MIB).toFixed(1)} MiB`
}

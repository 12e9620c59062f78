import { credentialsOf } from './auth-credentials.ts'
import { Child } from './child.ts'
import { GATEWAY_CORE, LOAD_CORE, rotated, type Timing } from './measure.ts'
import { ONE_PATH } from './paths.ts'
import type {
  AddedSetup,
  AddedStage,
  CpuTime,
  GatewayReady,
  LoadOrder,
  SliceResult,
  UpstreamReady,
  UpstreamSetup,
} from './protocol.ts'
import { median, medianInterval } from './stats.ts'
import type { Verdict } from './verdict.ts'

/** What may be added to a proxied request: by a token that is remembered, by one that is verified anew, by an API key. */
export const MAX_REMEMBERED_MICROS = 2
export const MAX_FIRST_MICROS = 60
export const MAX_KEY_MICROS = 3

const BODY_BYTES = 1024
const CONNECTIONS = 64
/** Short, so that what slows the machine down meets all mounts alike; long beside the turns in which load starts and ends. */
const SLICE_MS = 300

interface Mount {
  readonly what: string
  readonly stage: AddedStage
  /** What it may add to the CPU time of a request. @default it is shown, not judged */
  readonly maxMicros?: number
}

const BASE: Mount = { what: 'proxy alone', stage: 'nothing' }
const MOUNTS: readonly Mount[] = [
  BASE,
  { what: 'a layer of Express that does nothing', stage: 'layer' },
  { what: 'an RS256 token that is remembered', stage: 'jwt', maxMicros: MAX_REMEMBERED_MICROS },
  { what: 'the same where the connection does not remember it', stage: 'jwt-hashed' },
  { what: 'an RS256 token that is verified anew', stage: 'jwt-first', maxMicros: MAX_FIRST_MICROS },
  { what: 'an API key, one of a thousand', stage: 'api-key', maxMicros: MAX_KEY_MICROS },
  { what: 'a key where the connection does not remember it', stage: 'api-key-hashed' },
]

/** What `authenticate()` adds to a proxied request: several mounts in one process, measured in short slices by turns. */
export async function measureAdded(print: (line: string) => void, timing: Timing): Promise<readonly Verdict[]> {
  const [token, key] = [credentialsOf('jwt'), credentialsOf('api-key')]
  const upstreamSetup: UpstreamSetup = { bodyBytes: BODY_BYTES, addresses: 1 }
  const upstream = new Child('upstream', { core: LOAD_CORE, args: [JSON.stringify(upstreamSetup)] })
  const load = new Child('load', { core: LOAD_CORE })
  let server: Child | undefined
  try {
    const [{ urls }] = await Promise.all([upstream.ask<UpstreamReady>(), load.ask()])
    const stages = MOUNTS.map(({ stage }) => stage)
    const setup: AddedSetup = { upstream: urls[0]!, stages, jwt: token.params, apiKey: key.params }
    server = new Child('auth-added', { core: GATEWAY_CORE, args: [JSON.stringify(setup)] })
    const { port } = await server.ask<GatewayReady>()
    // All show the same, whoever looks at it: so the bytes on the way are the same.
    const headers = { ...token.headers, ...key.headers }
    const orders = new Map(MOUNTS.map((mount, index) => [mount, orderOf(mount, index, port, headers)]))
    for (const order of orders.values()) await load.ask({ ...order, phase: 'verify' } satisfies LoadOrder)
    const taken = await takeSlices(server, load, orders, timing)
    return MOUNTS.map((mount) => judge(mount, taken.get(mount)!, taken.get(BASE)!, print))
  } finally {
    await Promise.all([server?.stop(), load.stop(), upstream.stop()])
  }
}

function orderOf(mount: Mount, index: number, port: number, headers: LoadOrder['headers']): LoadOrder {
  return {
    phase: 'slice',
    host: '127.0.0.1',
    port,
    paths: [`/${index}${ONE_PATH}`],
    numbered: false,
    headers,
    guarded: mount.stage !== 'nothing' && mount.stage !== 'layer',
    connections: CONNECTIONS,
    bodyBytes: BODY_BYTES,
    status: 200,
    warmupMs: 0,
    warmupRequests: 0,
    measureMs: SLICE_MS,
    pids: [],
  }
}

/** CPU of a request, in microseconds, of each mount in each round. */
async function takeSlices(
  server: Child,
  load: Child,
  orders: ReadonlyMap<Mount, LoadOrder>,
  { slices, warmupMs }: Timing,
): Promise<ReadonlyMap<Mount, readonly number[]>> {
  const taken = new Map<Mount, number[]>(MOUNTS.map((mount) => [mount, []]))
  const warmupRounds = Math.ceil(warmupMs / SLICE_MS)
  for (let round = -warmupRounds; round < slices; round += 1) {
    const order = rotated(MOUNTS, round + warmupRounds)
    // Every other round backwards, so that none always runs behind the same one and finds its garbage.
    for (const mount of round % 2 === 0 ? order : order.toReversed()) {
      const before = await server.ask<CpuTime>({})
      const { result } = await load.ask<{ result: SliceResult }>(orders.get(mount)!)
      const after = await server.ask<CpuTime>({})
      if (round >= 0) taken.get(mount)!.push((after.cpuMicros - before.cpuMicros) / result.completed)
    }
  }
  return taken
}

function judge(
  { what, stage, maxMicros }: Mount,
  of: readonly number[],
  base: readonly number[],
  print: (line: string) => void,
): Verdict {
  const total = `${median(of)!.toFixed(2)} µs in all, ${of.length} slices`
  // Of the two in the same round, which ran within two seconds of each other.
  const differences = of.map((micros, round) => micros - base[round]!)
  const more = median(differences)!
  const [least, most] = medianInterval(differences)
  const measured =
    stage === BASE.stage
      ? total
      : `${signed(more)} µs, with 95 % certainty ${signed(least)} to ${signed(most)} (${total})`
  print(`auth-added ${what}: ${measured}`)
  return {
    scenario: 'auth-added',
    what: `CPU per request${stage === BASE.stage ? '' : ' beyond proxy alone'}: ${what}`,
    asked: maxMicros === undefined ? 'shown' : `<= +${maxMicros} µs`,
    measured,
    ok: maxMicros === undefined || more <= maxMicros,
  }
}

function signed(micros: number): string {
  return `${micros < 0 ? '−' : '+'}${Math.abs(micros).toFixed(2)}`
}

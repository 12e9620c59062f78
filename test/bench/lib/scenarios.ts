import type { CredentialKind } from './auth-credentials.ts'
import { AUTH_SCENARIOS } from './auth-scenarios.ts'
import { CACHE_SCENARIOS } from './cache-scenarios.ts'
import { ONE_PATH, pathsUnder } from './paths.ts'
import { absence, findProgram, type ProgramName } from './programs.ts'
import type { CacheOutcome } from './upstream-counts.ts'

/** One gateway in one configuration. */
export interface Contender {
  readonly name: string
  /** Its file in `gateways/`; this and `program` absent: the load goes straight to the upstream. */
  readonly file?: string
  /** Its file in `programs/`, when it is no Node process. Left out on a machine that does not have it. */
  readonly program?: ProgramName
  readonly params?: Readonly<Record<string, string | number>>
  readonly paths?: readonly string[]
  /** Puts a number behind the path, another one in every request. @default false */
  readonly numbered?: boolean
  /** What its cache makes of the requests; a run in which the upstream sees anything else does not count. @default it has none */
  readonly cached?: CacheOutcome
  /** It writes a line for every request to standard output; a run in which lines are missing does not count. */
  readonly logs?: true
  /** Every request shows such credentials. @default none */
  readonly credentials?: CredentialKind
  /** It is told how they are checked; a run in which it lets a request without them, or with wrong ones, pass does not count. */
  readonly guarded?: true
  /** It answers every request with this status, whose body is its own. @default 200, with the upstream's body */
  readonly status?: number
}

/** What the CPU time per request of one contender must be, as a multiple of another's in the same run. */
export interface Goal {
  readonly contender: string
  readonly against: string
  readonly ratio: number
  /** What it may cost beyond that, in microseconds. @default 0 */
  readonly plusMicros?: number
  /** `below`: strictly less. */
  readonly relation: 'at most' | 'below'
  /** Compares only if both answer with header fields of the same names. @default false */
  readonly sameFields?: boolean
}

export interface Scenario {
  readonly name: string
  readonly title: string
  readonly bodyBytes: number
  readonly addresses: number
  /** `Cache-Control` of the upstream's answers. @default `public, max-age=60` */
  readonly cacheControl?: string
  readonly connections: number
  /** The contender that ratios are taken to. */
  readonly baseline: string
  readonly contenders: readonly Contender[]
  readonly goals: readonly Goal[]
}

const DIRECT: Contender = { name: 'direct' }
const HPM: Contender = { name: 'http-proxy-middleware 4 in Express', file: 'http-proxy-middleware' }
const FAST: Contender = { name: 'fast-gateway 3.4.7', file: 'fast-gateway' }
const FASTIFY: Contender = { name: '@fastify/http-proxy 11', file: 'fastify-http-proxy' }
const PROXY: Contender = { name: 'postern proxy in Express', file: 'postern-proxy' }
const BARE: Contender = { name: 'postern proxy, bare server', file: 'postern-bare' }
const FULL: Contender = { name: 'postern logger+router+balancer+proxy', file: 'postern-full', logs: true }
const GATEWAY: Contender = { name: 'postern gateway(config)', file: 'postern-gateway', logs: true }

function resilient(parts: string): Contender {
  return { name: `postern ${parts}+proxy`, file: 'postern-resilient', params: { parts } }
}
const QUIET = resilient('balancer+breaker+retries')

const STRATEGIES = [
  { strategy: 'round-robin', judged: true },
  { strategy: 'random', judged: true },
  { strategy: 'power-of-two-choices', judged: true },
  // It looks at every target, by its definition: shown, not judged.
  { strategy: 'least-requests', judged: false },
]

function routes(count: number): Contender {
  return { name: `${count} routes`, file: 'postern-router', params: { routes: count }, paths: pathsUnder(count) }
}

function targets(count: number, strategy: string): Contender {
  return { name: `${count} targets`, file: 'postern-balancer', params: { targets: count, strategy } }
}

export const SCENARIOS: readonly Scenario[] = [
  {
    name: '1kb-64c',
    title: '1 KB answers, 64 connections',
    bodyBytes: 1024,
    addresses: 3,
    connections: 64,
    baseline: HPM.name,
    contenders: [
      DIRECT,
      { name: 'express-hello', file: 'express-hello' },
      HPM,
      FAST,
      FASTIFY,
      PROXY,
      BARE,
      FULL,
      GATEWAY,
    ],
    goals: [
      { contender: PROXY.name, against: HPM.name, ratio: 0.55, relation: 'at most' },
      { contender: PROXY.name, against: FAST.name, ratio: 1, relation: 'below' },
      { contender: PROXY.name, against: FASTIFY.name, ratio: 1, relation: 'below' },
      { contender: FULL.name, against: HPM.name, ratio: 0.85, relation: 'at most' },
    ],
  },
  {
    name: '64kb-64c',
    title: '64 KB answers, 64 connections',
    bodyBytes: 65_536,
    addresses: 1,
    connections: 64,
    baseline: FASTIFY.name,
    contenders: [DIRECT, HPM, FAST, FASTIFY, PROXY, BARE],
    goals: [{ contender: PROXY.name, against: FASTIFY.name, ratio: 1, relation: 'at most' }],
  },
  {
    name: 'resilience',
    title: 'What the parts for failing upstreams cost while nothing fails, 1 KB answers, 64 connections',
    bodyBytes: 1024,
    addresses: 3,
    connections: 64,
    baseline: PROXY.name,
    contenders: [
      PROXY,
      resilient('balancer'),
      resilient('balancer+breaker'),
      QUIET,
      resilient('shedder+bulkhead+balancer+breaker+retries'),
    ],
    goals: [{ contender: QUIET.name, against: PROXY.name, ratio: 1, plusMicros: 6, relation: 'at most' }],
  },
  {
    name: 'shedding',
    title: 'What a request costs that is shed, 64 connections',
    bodyBytes: 1024,
    addresses: 1,
    connections: 64,
    baseline: 'express-hello',
    contenders: [
      { name: 'express-hello', file: 'express-hello' },
      { name: 'postern loadShedder, all shed', file: 'postern-shedding', status: 503 },
    ],
    goals: [{ contender: 'postern loadShedder, all shed', against: 'express-hello', ratio: 1.25, relation: 'at most' }],
  },
  {
    name: 'routes',
    title: 'Ten routes and ten thousand, 1 KB answers, 64 connections',
    bodyBytes: 1024,
    addresses: 1,
    connections: 64,
    baseline: '10 routes',
    contenders: [routes(10), routes(10_000)],
    goals: [{ contender: '10000 routes', against: '10 routes', ratio: 1.1, relation: 'at most' }],
  },
  ...STRATEGIES.map(
    ({ strategy, judged }): Scenario => ({
      name: `targets-${strategy}`,
      title: `Three targets and a thousand, ${strategy}, 1 KB answers, 64 connections`,
      bodyBytes: 1024,
      addresses: 1_000,
      connections: 64,
      baseline: '3 targets',
      contenders: [targets(3, strategy), targets(1_000, strategy)],
      goals: judged
        ? [{ contender: '1000 targets', against: '3 targets', ratio: 1.1, relation: 'at most' } as const]
        : [],
    }),
  ),
  ...CACHE_SCENARIOS,
  ...AUTH_SCENARIOS,
]

export function pathsOf(contender: Contender): readonly string[] {
  return contender.paths ?? [ONE_PATH]
}

/** The scenarios, and in them the contenders, that `only` leaves. */
export function selectScenarios(only: RegExp): readonly Scenario[] {
  return SCENARIOS.map((scenario) => ({
    ...scenario,
    contenders: scenario.contenders.filter((contender) => only.test(`${scenario.name}/${contender.name}`)),
  })).filter((scenario) => scenario.contenders.length > 0)
}

/** Leaves out the programs that this machine does not have; says so for each. */
export function withoutAbsent(scenario: Scenario, print: (line: string) => void): Scenario {
  const contenders = scenario.contenders.filter(({ name, program }) => {
    const absent = program !== undefined && findProgram(program) === undefined
    if (absent) print(`${scenario.name}/${name} is left out: ${absence(program)}`)
    return !absent
  })
  return { ...scenario, contenders }
}

import type { Contender, Scenario } from './scenarios.ts'

/** What may be added to a proxied request: by a token that is remembered, by one that is verified anew, by an API key. */
export const MAX_REMEMBERED_MICROS = 2
export const MAX_FIRST_MICROS = 60
export const MAX_KEY_MICROS = 3

const HPM: Contender = { name: 'http-proxy-middleware 4 in Express', file: 'http-proxy-middleware' }
const PROXY: Contender = { name: 'postern proxy in Express', file: 'postern-proxy' }
const REMEMBERED = guarded('postern authenticate(jwt)+proxy', 'jwt')
const FIRST: Contender = {
  ...guarded('postern authenticate(jwt), nothing remembered,+proxy', 'jwt'),
  params: { rememberBytes: 0 },
}
const KEY = guarded('postern authenticate(apiKey)+proxy', 'api-key')
const CHAIN: Contender = {
  ...guarded('postern logger+jwt+balancer+breaker+retries+proxy', 'jwt'),
  file: 'postern-auth-chain',
  logs: true,
}
const GATEWAY: Contender = {
  ...guarded('postern gateway(config), auth, breaker, retries', 'jwt'),
  file: 'postern-auth-gateway',
  logs: true,
}

function guarded(name: string, credentials: 'jwt' | 'api-key'): Contender {
  return { name, file: 'postern-auth', credentials, guarded: true }
}

/** The baseline carries the same credentials and checks nothing, so that the bytes on the way are the same. */
const TOKEN_PROXY: Contender = { ...PROXY, credentials: 'jwt' }
const KEY_PROXY: Contender = { ...PROXY, credentials: 'api-key' }
const TOKEN_HPM: Contender = { ...HPM, credentials: 'jwt' }

const COMMON = { bodyBytes: 1024, addresses: 1, connections: 64, baseline: PROXY.name } as const

export const AUTH_SCENARIOS: readonly Scenario[] = [
  {
    ...COMMON,
    name: 'auth-jwt',
    title: 'What an RS256 token costs that is remembered, 1 KB answers, 64 connections',
    contenders: [TOKEN_PROXY, REMEMBERED],
    goals: [addsAtMost(REMEMBERED, MAX_REMEMBERED_MICROS)],
  },
  {
    ...COMMON,
    name: 'auth-jwt-first',
    title: 'What an RS256 token costs that is seen for the first time, 1 KB answers, 64 connections',
    contenders: [TOKEN_PROXY, FIRST],
    goals: [addsAtMost(FIRST, MAX_FIRST_MICROS)],
  },
  {
    ...COMMON,
    name: 'auth-key',
    title: 'What an API key costs, one of a thousand, 1 KB answers, 64 connections',
    contenders: [KEY_PROXY, KEY],
    goals: [addsAtMost(KEY, MAX_KEY_MICROS)],
  },
  {
    ...COMMON,
    name: 'auth-chain',
    title: 'Log, token, balancer, breaker and retries, beside a bare proxy, 1 KB answers, 64 connections',
    addresses: 3,
    baseline: HPM.name,
    contenders: [TOKEN_HPM, TOKEN_PROXY, CHAIN, GATEWAY],
    goals: [
      { contender: CHAIN.name, against: HPM.name, ratio: 1, relation: 'below' },
      { contender: GATEWAY.name, against: HPM.name, ratio: 1, relation: 'below' },
    ],
  },
]

function addsAtMost(contender: Contender, plusMicros: number): Scenario['goals'][number] {
  return { contender: contender.name, against: PROXY.name, ratio: 1, plusMicros, relation: 'at most' }
}

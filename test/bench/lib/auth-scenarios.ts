import type { Contender, Scenario } from './scenarios.ts'

const HPM: Contender = { name: 'http-proxy-middleware 4 in Express', file: 'http-proxy-middleware' }
const PROXY: Contender = { name: 'postern proxy in Express', file: 'postern-proxy' }
const CHAIN: Contender = {
  name: 'postern logger+jwt+balancer+breaker+retries+proxy',
  file: 'postern-auth-chain',
  credentials: 'jwt',
  guarded: true,
  logs: true,
}
const GATEWAY: Contender = {
  name: 'postern gateway(config), auth, breaker, retries',
  file: 'postern-auth-gateway',
  credentials: 'jwt',
  guarded: true,
  logs: true,
}

/** What one scheme adds to a request is too little for processes beside each other: the check `auth-added` measures it. */
export const AUTH_SCENARIOS: readonly Scenario[] = [
  {
    name: 'auth-chain',
    title: 'Log, token, balancer, breaker and retries, beside a bare proxy, 1 KB answers, 64 connections',
    bodyBytes: 1024,
    addresses: 3,
    connections: 64,
    baseline: HPM.name,
    // Those that check nothing get the same token, so that the bytes on the way are the same.
    contenders: [{ ...HPM, credentials: 'jwt' }, { ...PROXY, credentials: 'jwt' }, CHAIN, GATEWAY],
    goals: [
      { contender: CHAIN.name, against: HPM.name, ratio: 1, relation: 'below' },
      { contender: GATEWAY.name, against: HPM.name, ratio: 1, relation: 'below' },
    ],
  },
]

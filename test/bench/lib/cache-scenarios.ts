import { pathsBeside } from './paths.ts'
import type { Contender, Scenario } from './scenarios.ts'

/** What a miss may add to a proxied request. */
const MAX_MISS_MICROS = 5
/** Resources that are revalidated in turn: many more than connections, so that no two requests meet at one. */
const REVALIDATED = 1_000

const EXPRESS: Contender = { name: 'express, the same answer from memory', file: 'express-answer' }
const CACHE: Contender = { name: 'postern cache+proxy', file: 'postern-cache', cached: 'hit' }
const GATEWAY: Contender = {
  name: 'postern gateway(config), cache: true',
  file: 'postern-gateway-cache',
  cached: 'hit',
  logs: true,
}
const NGINX: Contender = { name: 'nginx proxy_cache', program: 'nginx', cached: 'hit' }
const NGINX_SMALL: Contender = {
  ...NGINX,
  name: 'nginx proxy_cache, tuned for small files',
  params: { files: 'small' },
}
const VARNISH: Contender = { name: 'varnish', program: 'varnish', cached: 'hit' }
const PROXY: Contender = { name: 'postern proxy in Express', file: 'postern-proxy' }

const COMMON = { bodyBytes: 1024, addresses: 1, connections: 64, baseline: PROXY.name } as const

export const CACHE_SCENARIOS: readonly Scenario[] = [
  {
    ...COMMON,
    name: 'cache-hit',
    title: 'A hit in a cache, 1 KB answers, 64 connections',
    cacheControl: 'public, max-age=3600',
    baseline: EXPRESS.name,
    contenders: [EXPRESS, CACHE, GATEWAY, NGINX, NGINX_SMALL, VARNISH],
    goals: [
      { contender: CACHE.name, against: EXPRESS.name, ratio: 1.25, relation: 'at most', sameFields: true },
      { contender: CACHE.name, against: NGINX.name, ratio: 1.2, relation: 'at most' },
      { contender: CACHE.name, against: VARNISH.name, ratio: 1.2, relation: 'at most' },
    ],
  },
  {
    ...COMMON,
    name: 'cache-miss',
    title: 'What a cache adds to a miss that is stored, 1 KB answers, 64 connections',
    cacheControl: 'public, max-age=3600',
    contenders: [
      { ...PROXY, numbered: true },
      { ...CACHE, numbered: true, cached: 'miss' },
    ],
    goals: [missGoal()],
  },
  {
    ...COMMON,
    name: 'cache-miss-no-store',
    title: 'What a cache adds to a response that it may not store, 1 KB answers, 64 connections',
    cacheControl: 'no-store',
    contenders: [
      { ...PROXY, numbered: true },
      { ...CACHE, numbered: true, cached: 'uncacheable' },
    ],
    goals: [missGoal()],
  },
  {
    ...COMMON,
    name: 'cache-revalidation',
    title: 'A hit that the upstream confirms with 304, beside the whole response, 1 KB answers, 64 connections',
    cacheControl: 'no-cache',
    contenders: [
      { ...PROXY, paths: pathsBeside(REVALIDATED) },
      { ...CACHE, paths: pathsBeside(REVALIDATED), cached: 'revalidated' },
    ],
    goals: [],
  },
]

function missGoal(): Scenario['goals'][number] {
  return { contender: CACHE.name, against: PROXY.name, ratio: 1, plusMicros: MAX_MISS_MICROS, relation: 'at most' }
}

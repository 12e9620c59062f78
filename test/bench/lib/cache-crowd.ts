import { expectedBody } from './body.ts'
import { type Answer, Connection } from './connection.ts'
import type { Bench } from './memory.ts'
import type { MemoryUpstreamState } from './protocol.ts'
import { requestBytes } from './request-bytes.ts'
import { median } from './stats.ts'
import type { Verdict } from './verdict.ts'

const CROWD = 1_000
/** No listener's queue overflows. */
const OPENED_AT_ONCE = 100
const UPSTREAM_MS = 200
/** One for the request that went first, one for all others at once, and the work of a thousand requests on one core. */
const MAX_UPSTREAM_TIMES = 3
const WARM_UP = 2
const ROUNDS = 5
const PATIENCE_MS = UPSTREAM_MS * CROWD + 30_000
const BODY = expectedBody(1024)

interface Arrivals {
  /** Until all were answered, the median of the rounds. */
  readonly ms: number
  /** Of one round, the most and the least. */
  readonly most: number
  readonly least: number
}

/** A thousand requests at once: for one cold URL, and for one whose answer may not be stored. */
export async function crowds(bench: Bench): Promise<readonly Verdict[]> {
  const cold = await arrivals(bench, 'max-age=3600')
  const uncacheable = await arrivals(bench, 'no-store')
  // Of the same URLs: what a cache may remember of them.
  const again = await arrivals(bench, 'no-store')
  const maxMs = MAX_UPSTREAM_TIMES * UPSTREAM_MS
  const row = (what: string, asked: string, measured: string, ok: boolean): Verdict => ({
    scenario: bench.scenario,
    what: `${CROWD} requests at once for ${what}`,
    asked,
    measured,
    ok,
  })
  return [
    row(
      'one cold URL: requests that the upstream saw',
      '1',
      `${cold.most}, in ${cold.ms.toFixed(0)} ms`,
      cold.most === 1,
    ),
    row(
      `one that may not be stored, the upstream takes ${UPSTREAM_MS} ms: until all are answered`,
      `<= ${maxMs} ms`,
      `${uncacheable.ms.toFixed(0)} ms, ${again.ms.toFixed(0)} ms the next time`,
      uncacheable.ms <= maxMs && uncacheable.least === CROWD,
    ),
  ]
}

/** The same with `proxy()` alone, to compare with. */
export async function crowdOfProxy(bench: Bench): Promise<readonly Verdict[]> {
  const { ms } = await arrivals(bench, 'no-store')
  return [
    {
      scenario: bench.scenario,
      what: `${CROWD} requests at once for the latter, proxy() alone: until all are answered`,
      asked: 'shown',
      measured: `${ms.toFixed(0)} ms`,
      ok: true,
    },
  ]
}

/** Several crowds one after the other, each for a URL of its own; the first ones only warm. */
async function arrivals(bench: Bench, cacheControl: string): Promise<Arrivals> {
  const seen: { ms: number; upstreamRequests: number }[] = []
  for (let number = 0; number < WARM_UP + ROUNDS; number += 1) seen.push(await arrive(bench, cacheControl, number))
  const rounds = seen.slice(WARM_UP)
  const requests = rounds.map(({ upstreamRequests }) => upstreamRequests)
  return { ms: median(rounds.map(({ ms }) => ms))!, most: Math.max(...requests), least: Math.min(...requests) }
}

async function arrive(
  { upstream, port, print, scenario }: Bench,
  cacheControl: string,
  number: number,
): Promise<{ ms: number; upstreamRequests: number }> {
  const path = `/slow?ms=${UPSTREAM_MS}&cache-control=${cacheControl}&n=${number}`
  const request = requestBytes('127.0.0.1', port, path)
  const before = await upstream.ask<MemoryUpstreamState>({})
  const connections: Connection[] = []
  while (connections.length < CROWD) {
    const more = Array.from({ length: OPENED_AT_ONCE }, () => new Connection('127.0.0.1', port, true))
    await Promise.all(more.map((connection) => connection.opened()))
    connections.push(...more)
  }
  const startedAt = performance.now()
  const answers = await Promise.all(connections.map((connection) => answerOf(connection, request)))
  const ms = performance.now() - startedAt
  for (const connection of connections) connection.close()
  for (const { status, body } of answers) {
    if (status !== 200 || body?.equals(BODY) !== true)
      throw new Error(`GET ${path} was answered ${status}, or other bytes`)
  }
  const after = await upstream.ask<MemoryUpstreamState>({})
  const upstreamRequests = after.requests - before.requests
  print(`${scenario} ${CROWD} at once, ${cacheControl}: ${ms.toFixed(0)} ms, ${upstreamRequests} upstream requests`)
  return { ms, upstreamRequests }
}

function answerOf(connection: Connection, request: Buffer): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no answer within ${PATIENCE_MS} ms`)), PATIENCE_MS)
    connection.onAnswer = (answer) => {
      clearTimeout(timer)
      resolve(answer)
    }
    connection.onError = (message) => reject(new Error(message))
    connection.send(request)
  })
}

/**
 * The load generator: a number of keep-alive connections, each sending its next request as soon as the last one was
 * answered (a closed loop). One process serves all orders of a scenario, so that it is warm for every gateway alike.
 */
import { expectedBody } from '../lib/body.ts'
import { type Answer, Connection } from '../lib/connection.ts'
import { cpuMicrosOf } from '../lib/proc.ts'
import type { LoadOrder, LoadResult, SliceResult, VerifyResult } from '../lib/protocol.ts'
import { type Headers, NumberedRequest, numberedPath, requestBytes } from '../lib/request-bytes.ts'
import { SliceLoad } from '../lib/slices.ts'

/** Highest rate that the table of latencies has room for. */
const MAX_PER_SECOND = 250_000

/** Longest time that a warm-up is drawn out to get its number of requests. */
const MAX_WARMUP_MS = 60_000

/** Patience with the first answer. */
const VERIFY_MS = 10_000

/** Whole answers, byte by byte, before anything is measured; each path is asked for twice, for what a cache makes of it. */
async function verify(order: LoadOrder): Promise<VerifyResult> {
  let head = ''
  const paths = new Set([order.paths[0]!, order.paths.at(-1)!])
  for (const path of paths) {
    const asked = order.numbered ? numberedPath(path, 0) : path
    for (let time = 0; time < 2; time += 1) head = await verifyOne(order, asked)
  }
  if (order.guarded) await verifyGuard(order)
  const lines = head.split('\r\n').slice(1)
  return { resources: paths.size, fields: lines.map((line) => line.slice(0, line.indexOf(':')).toLowerCase()).sort() }
}

async function verifyOne(order: LoadOrder, path: string): Promise<string> {
  const answer = await askOnce(order, path, order.headers)
  if (answer.status !== order.status) {
    throw new Error(`GET ${path} was answered ${answer.status}, not ${order.status}`)
  }
  if (order.status === 200 && answer.body?.equals(expectedBody(order.bodyBytes)) !== true) {
    throw new Error(`GET ${path}: the body is not the upstream's (${answer.body?.length} bytes)`)
  }
  return answer.head ?? ''
}

/** A gateway that lets everybody pass would be measured at other work than it is said to do. */
async function verifyGuard(order: LoadOrder): Promise<void> {
  const path = order.paths[0]!
  const wrong = Object.entries(order.headers).map(([name, value]) => [name, altered(value)])
  for (const headers of [{}, Object.fromEntries(wrong)] as readonly Headers[]) {
    const { status } = await askOnce(order, path, headers)
    if (status !== 401) {
      const which = Object.keys(headers).length === 0 ? 'without' : 'with wrong'
      throw new Error(`GET ${path} ${which} credentials was answered ${status}, not 401`)
    }
  }
}

/** The same with another character in the middle. */
function altered(value: string): string {
  const at = value.length >> 1
  return `${value.slice(0, at)}${value[at] === 'A' ? 'B' : 'A'}${value.slice(at + 1)}`
}

async function askOnce(order: LoadOrder, path: string, headers: Headers): Promise<Answer> {
  const connection = new Connection(order.host, order.port, true)
  await connection.opened()
  return await new Promise<Answer>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`GET ${path} was not answered`)), VERIFY_MS)
    connection.onAnswer = (whole) => {
      clearTimeout(timer)
      resolve(whole)
    }
    connection.onError = (message) => reject(new Error(`GET ${path}: ${message}`))
    connection.send(requestBytes(order.host, order.port, path, headers))
  }).finally(() => connection.close())
}

async function run(order: LoadOrder): Promise<LoadResult> {
  const requests = order.numbered
    ? []
    : order.paths.map((path) => requestBytes(order.host, order.port, path, order.headers))
  const latencies = new Float32Array(Math.ceil((order.measureMs / 1_000) * MAX_PER_SECOND))
  let next = 0
  let answered = 0
  let completed = 0
  let measuring = false
  let errors = 0
  let firstError: string | undefined
  function note(message: string): void {
    errors += 1
    firstError ??= message
  }

  const connections = Array.from({ length: order.connections }, () => new Connection(order.host, order.port))
  await Promise.all(connections.map((connection) => connection.opened()))
  for (const connection of connections) {
    const numbered = order.numbered
      ? new NumberedRequest(order.host, order.port, order.paths[0]!, order.headers)
      : undefined
    let sentAt = 0
    const send = (): void => {
      // Number 0 has been asked for already.
      const request = numbered?.write(next + 1) ?? requests[next]!
      next = next + 1 === requests.length ? 0 : next + 1
      sentAt = performance.now()
      connection.send(request)
    }
    connection.onAnswer = (answer) => {
      answered += 1
      if (answer.status !== order.status || (order.status === 200 && answer.bodyBytes !== order.bodyBytes)) {
        note(`status ${answer.status} with ${answer.bodyBytes} bytes`)
      } else if (measuring) {
        latencies[completed] = performance.now() - sentAt
        completed += 1
      }
      send()
    }
    connection.onError = note
    send()
  }

  await sleep(order.warmupMs)
  const deadline = performance.now() + MAX_WARMUP_MS
  while (answered < order.warmupRequests && errors === 0 && performance.now() < deadline) await sleep(50)
  const cpuBefore = cpuMicrosOf(order.pids)
  const startedAt = performance.now()
  measuring = true
  await sleep(order.measureMs)
  measuring = false
  const elapsedMs = performance.now() - startedAt
  const cpu = order.pids.length === 0 ? {} : { cpuMicros: cpuMicrosOf(order.pids) - cpuBefore }
  for (const connection of connections) connection.close()

  const sorted = latencies.subarray(0, Math.min(completed, latencies.length)).sort()
  return {
    answered,
    completed,
    elapsedMs,
    ...cpu,
    p50Ms: sorted[Math.floor(sorted.length * 0.5)] ?? 0,
    p99Ms: sorted[Math.floor(sorted.length * 0.99)] ?? 0,
    maxMs: sorted.at(-1) ?? 0,
    errors,
    ...(firstError === undefined ? {} : { firstError }),
  }
}

let slices: SliceLoad | undefined

/** Over connections that are opened for the first one. */
async function slice(order: LoadOrder): Promise<SliceResult> {
  slices ??= await SliceLoad.open(order)
  return await slices.run(order)
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

const PHASES = { verify, measure: run, slice }

process.on('message', (order: LoadOrder) => {
  const work: Promise<VerifyResult | LoadResult | SliceResult> = PHASES[order.phase](order)
  work.then(
    (result) => process.send?.({ result }),
    (error: Error) => process.send?.({ error: error.message }),
  )
})
process.once('disconnect', () => process.exit())
process.send?.({ ready: true })

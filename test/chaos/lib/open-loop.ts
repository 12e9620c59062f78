import { Agent, type IncomingMessage, request } from 'node:http'
import type { LoadOrder, Method, RequestRecord } from './protocol.ts'
import { sleep, sleepUntil, wallMs } from './wall-clock.ts'

/** One request in so many is a POST. */
export const POST_EVERY = 5

/** One request as the order makes it due. */
export interface Due {
  readonly number: number
  readonly method: Method
  readonly dueAtMs: number
}

/** Every request of an order with the moment at which it is due. */
export function schedule(order: LoadOrder): readonly Due[] {
  const due: Due[] = []
  let phaseAtMs = order.startAtMs
  for (const { perSecond, ms } of order.phases) {
    const count = Math.round((perSecond * ms) / 1_000)
    for (let index = 0; index < count; index += 1) {
      const method = due.length % POST_EVERY === POST_EVERY - 1 ? 'POST' : 'GET'
      due.push({ number: order.firstNumber + due.length, method, dueAtMs: phaseAtMs + (index * 1_000) / perSecond })
    }
    phaseAtMs += ms
  }
  return due
}

/**
 * Sends each request when it is due, whatever became of those before it (an open loop), and tells the fate of every one.
 * Connections are kept alive and made whenever none is free. Nothing is sent twice unless the order says so.
 */
export async function runLoad(order: LoadOrder): Promise<readonly RequestRecord[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY, maxFreeSockets: 4_096 })
  const records: Promise<RequestRecord>[] = []
  for (const due of schedule(order)) {
    // Again and again: a timer may fire a moment early, and nothing is sent before it is due.
    while (wallMs() < due.dueAtMs) await sleepUntil(due.dueAtMs)
    records.push(send(order, due, agent))
  }
  const settled = await Promise.all(records)
  agent.destroy()
  return settled
}

interface Fate {
  readonly outcome: string
  readonly retryAfter: boolean
}

async function send(order: LoadOrder, due: Due, agent: Agent): Promise<RequestRecord> {
  const sentAtMs = wallMs()
  let tries = 1
  let fate = await attempt(order, due, agent)
  while (fate.outcome !== 'ok' && tries <= order.retries) {
    await sleep(order.retryPauseMs)
    tries += 1
    fate = await attempt(order, due, agent)
  }
  return { ...due, sentAtMs, doneAtMs: wallMs(), ...fate, tries }
}

function attempt(order: LoadOrder, { number, method }: Due, agent: Agent): Promise<Fate> {
  return new Promise((resolve) => {
    const body = method === 'POST' ? JSON.stringify({ number }) : ''
    const headers = method === 'POST' ? { 'content-type': 'application/json', 'content-length': body.length } : {}
    const path = `/orders/${number}`
    const req = request({ host: '127.0.0.1', port: order.port, method, path, headers, agent })
    const timer = setTimeout(() => done('timeout'), order.timeoutMs)
    // The first word counts: what a destroyed request says afterwards is no news.
    const done = (outcome: string, retryAfter = false): void => {
      clearTimeout(timer)
      if (outcome === 'timeout') req.destroy()
      resolve({ outcome, retryAfter })
    }
    req.on('response', (res) => read(res, number, done))
    req.on('error', (error: NodeJS.ErrnoException) => done(error.code ?? error.message))
    req.end(body)
  })
}

function read(res: IncomingMessage, number: number, done: (outcome: string, retryAfter?: boolean) => void): void {
  let text = ''
  res.setEncoding('utf8')
  res.on('data', (chunk: string) => {
    text += chunk
  })
  res.on('error', () => done('cut'))
  res.on('end', () => {
    if (res.statusCode !== 200) done(String(res.statusCode), res.headers['retry-after'] !== undefined)
    else done(text === JSON.stringify({ number }) ? 'ok' : 'wrong body')
  })
}

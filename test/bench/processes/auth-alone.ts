/** Runs `authenticate()` in a loop over requests as Node's parser hands them over, without any I/O, and says what one takes. */
import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { authenticate } from '@postern/auth'
import { exchangeOf } from '@postern/contracts'
import { type CredentialKind, credentialsOf } from '../lib/auth-credentials.ts'
import { strategyOf } from '../lib/auth-strategies.ts'
import { ONE_PATH } from '../lib/paths.ts'
import type { AloneOrder, AloneResult } from '../lib/protocol.ts'

/** Requests that are made ahead, out of what is measured. */
const BATCH = 500
const WARMUP_BATCHES = 20
const BATCHES = 100
/** Of those that are verified anew, which take fifty times as long. */
const SLOW_BATCHES = 20

type Handler = (req: IncomingMessage, res: ServerResponse, next: () => void) => void

const handlers = new Map<string, Handler>()
const socket = new Socket()

/** What every handler does first. */
const nothing: Handler = (req, res, next) => {
  exchangeOf(req, res)
  next()
}

function handlerOf({ credentials, rememberBytes }: AloneOrder): Handler {
  if (credentials === 'none') return nothing
  const name = `${credentials} ${rememberBytes}`
  let handler = handlers.get(name)
  if (handler === undefined) {
    const { params } = credentialsOf(credentials)
    handler = authenticate(strategyOf(rememberBytes === undefined ? params : { ...params, rememberBytes }))
    handlers.set(name, handler)
  }
  return handler
}

/** The text as one that was just read from a socket: flat, and not hashed yet. */
function read(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1')
}

function requestWith(credentials: CredentialKind): IncomingMessage {
  const req = new IncomingMessage(socket)
  req.method = 'GET'
  req.url = read(ONE_PATH)
  req.httpVersion = '1.1'
  req.rawHeaders = ['Host', '127.0.0.1:8080', 'User-Agent', 'postern-bench', 'Accept', 'application/json']
  req.rawHeaders.push('Accept-Encoding', 'identity', 'Connection', 'keep-alive')
  for (const [name, value] of Object.entries(credentialsOf(credentials).headers)) req.rawHeaders.push(name, read(value))
  return req
}

function run(order: AloneOrder, batches: number): number {
  const handler = handlerOf(order)
  // Those who are not asked show the same as others.
  const shown = order.credentials === 'none' ? 'jwt' : order.credentials
  let passed = 0
  const next = (): void => {
    passed += 1
  }
  let micros = 0
  for (let batch = 0; batch < batches; batch += 1) {
    const requests = Array.from({ length: BATCH }, () => requestWith(shown))
    const responses = requests.map((req) => new ServerResponse(req))
    const before = process.threadCpuUsage()
    for (let i = 0; i < BATCH; i += 1) handler(requests[i]!, responses[i]!, next)
    const { user, system } = process.threadCpuUsage(before)
    micros += user + system
  }
  if (passed !== batches * BATCH) throw new Error(`${passed} of ${batches * BATCH} requests passed`)
  return (micros * 1_000) / passed
}

process.on('message', (order: AloneOrder) => {
  try {
    run(order, WARMUP_BATCHES)
    const nanos = run(order, order.rememberBytes === 0 ? SLOW_BATCHES : BATCHES)
    process.send?.({ nanos } satisfies AloneResult)
  } catch (error) {
    process.send?.({ error: (error as Error).message })
  }
})
process.once('disconnect', () => process.exit())
process.send?.({ ready: true })

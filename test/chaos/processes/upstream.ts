/**
 * One upstream. `/healthz` answers at once; every other path ends in the number of its request, which is written to the
 * log of executions when the work on it begins, and sent back when it is done.
 *
 * SIGTERM drains: no new connection is taken, what still comes over open ones is answered with `Connection: close`, and
 * after a moment the idle ones are closed and the process ends.
 */
import { openSync, writeSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { Server } from 'node:net'
import type { UpstreamOrder, UpstreamSetup, UpstreamState } from '../lib/protocol.ts'
import { wallMs } from '../lib/wall-clock.ts'
import { Work } from '../lib/work.ts'

/** How long a draining upstream waits for requests over connections that it could not announce its leaving on. */
const LINGER_MS = 300

const setup = JSON.parse(process.argv[2] ?? '') as UpstreamSetup
const log = openSync(setup.logFile, 'a')
const work = new Work(setup.behaviour.latencyMs, setup.behaviour.workers)
let { stale, status } = setup.behaviour
let draining = false
let pending = 0
const used = new WeakSet<object>()

const server = createServer((req, res) => {
  if (draining) res.setHeader('connection', 'close')
  if (req.url === '/healthz') {
    req.resume()
    res.statusCode = draining ? 503 : 200
    res.end('{"healthy":true}')
    return
  }
  if (stale && used.has(req.socket)) {
    req.socket.resetAndDestroy()
    return
  }
  used.add(req.socket)
  req.on('error', () => {})
  req.on('end', () => begin(req, res))
  req.resume()
})

function begin(req: IncomingMessage, res: ServerResponse): void {
  const number = Number(req.url?.slice(req.url.lastIndexOf('/') + 1))
  pending += 1
  work.add({
    abandoned: () => {
      if (!req.socket.destroyed) return false
      pending -= 1
      return true
    },
    started: () => {
      writeSync(log, `${number} ${req.method} ${wallMs().toFixed(2)}\n`)
    },
    finished: () => {
      pending -= 1
      if (draining && !res.headersSent) res.setHeader('connection', 'close')
      res.statusCode = status
      res.setHeader('content-type', 'application/json')
      res.end(JSON.stringify({ number }))
    },
  })
}

process.on('message', (order: UpstreamOrder) => {
  if ('behave' in order) {
    work.latencyMs = order.behave.latencyMs
    work.workers = order.behave.workers
    stale = order.behave.stale
    status = order.behave.status
    process.send?.({ done: true })
    return
  }
  server.getConnections((_error, connections) => {
    process.send?.({ connections, pending } satisfies UpstreamState)
  })
})

process.once('SIGTERM', () => {
  draining = true
  // net.Server's own close(), since that of http.Server cuts idle connections in the same moment.
  Server.prototype.close.call(server, () => process.exit())
  setTimeout(() => server.closeIdleConnections(), LINGER_MS)
})
process.once('disconnect', () => process.exit())

// Longer than any gateway here keeps an idle connection: which side closes is not what is tested, but in `stale`.
server.keepAliveTimeout = 90_000
server.listen({ port: setup.port, host: '127.0.0.1', backlog: 1_024 })

/**
 * One Express app in which several mounts lead to one `proxy(url)`, each with another stage before it. Requests for `/0…` go
 * to the first, for `/1…` to the second: by a switch, so that none passes through the layers of the others. Any message is
 * answered with the CPU time of the process so far.
 */
import { createServer, type IncomingMessage } from 'node:http'
import { authenticate } from '@postern/auth'
import { harden, proxy } from '@postern/proxy'
import express, { type RequestHandler } from 'express'
import { strategyOf } from '../lib/auth-strategies.ts'
import type { AddedSetup, AddedStage, CpuTime, GatewayReady } from '../lib/protocol.ts'

const ZERO = 0x30

const { upstream, stages, jwt, apiKey } = JSON.parse(process.argv[2] ?? '') as AddedSetup

const STAGES: Readonly<Record<AddedStage, () => RequestHandler | undefined>> = {
  nothing: () => undefined,
  layer: () => (_req, _res, next) => next(),
  jwt: () => authenticate(strategyOf(jwt)),
  'jwt-first': () => authenticate(strategyOf({ ...jwt, rememberBytes: 0 })),
  'jwt-hashed': () => authenticate(strategyOf(jwt, (req) => fieldOf(req, 'authorization')?.slice('Bearer '.length))),
  'api-key': () => authenticate(strategyOf(apiKey)),
  'api-key-hashed': () => authenticate(strategyOf(apiKey, (req) => fieldOf(req, 'x-api-key'))),
}

function fieldOf({ rawHeaders }: IncomingMessage, name: string): string | undefined {
  for (let i = 0; i < rawHeaders.length; i += 2) if (rawHeaders[i]!.toLowerCase() === name) return rawHeaders[i + 1]
  return undefined
}

const forward = proxy(upstream)
const mounts = stages.map((stage) => {
  const mount = express.Router()
  const before = STAGES[stage]()
  if (before !== undefined) mount.use(before)
  return mount.use(forward)
})

const app = express()
app.use((req, res, next) => {
  const mount = mounts[req.url.charCodeAt(1) - ZERO]
  if (mount === undefined) next()
  else mount(req, res, next)
})
const server = createServer(app)
harden(server)
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('not a TCP address')
  process.send?.({ port: address.port } satisfies GatewayReady)
})
process.on('message', () => {
  const { user, system } = process.cpuUsage()
  process.send?.({ cpuMicros: user + system } satisfies CpuTime)
})
process.once('disconnect', () => process.exit())

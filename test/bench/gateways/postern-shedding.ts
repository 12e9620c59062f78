import { createServer as createHttpServer, type Server } from 'node:http'
import { loadShedder } from '@postern/overload'
import { harden } from '@postern/proxy'
import express from 'express'

/** `loadShedder()` at a time when nothing may pass: what a refusal costs. */
export function createServer(): Server {
  const app = express()
  app.use(loadShedder({ eventLoopDelayMs: 100, delaySource: { delayMs: () => 10_000 } }))
  const server = createHttpServer(app)
  harden(server)
  return server
}

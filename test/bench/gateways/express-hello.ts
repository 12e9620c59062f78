import { createServer as createHttpServer, type Server } from 'node:http'
import express from 'express'
import { expectedBody } from '../lib/body.ts'

/** Express that answers by itself: what the host alone costs. */
export function createServer(): Server {
  const body = expectedBody(1024).toString('latin1')
  const app = express()
  app.use((_request, response) => {
    response.type('json').send(body)
  })
  return createHttpServer(app)
}

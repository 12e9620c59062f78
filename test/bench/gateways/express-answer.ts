import { createServer as createHttpServer, type Server } from 'node:http'
import express from 'express'
import { expectedBody } from '../lib/body.ts'

/**
 * The least that a handler in Express can do: the bytes that a hit answers, under the same header fields, all of them made
 * before. The benchmark compares the names of the fields.
 */
export function createServer(): Server {
  const body = expectedBody(1024)
  const headers = [
    ['date', new Date().toUTCString()],
    ['content-type', 'application/json; charset=utf-8'],
    ['content-length', String(body.length)],
    ['etag', 'W/"400-5f2c1d9e8b7a6"'],
    ['cache-control', 'public, max-age=3600'],
    ['age', '4'],
    ['cache-status', 'Postern; hit; ttl=3596'],
  ].flat()
  const app = express()
  app.disable('x-powered-by')
  app.use((_request, response) => {
    response.writeHead(200, headers)
    response.end(body)
  })
  return createHttpServer(app)
}

import { createServer, type IncomingHttpHeaders, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:net'
import { onTestFinished } from 'vitest'
import type { RouteHandler } from '../src/index.ts'

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface Question {
  readonly method?: string
  readonly headers?: Record<string, string | string[]>
}

/** Starts a server for one test. */
export async function serve(listener: (req: IncomingMessage, res: ServerResponse) => void): Promise<number> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(
    () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  )
  return (server.address() as AddressInfo).port
}

/** Asks with the path exactly as given. */
export function ask(port: number, path: string, { method = 'GET', headers = {} }: Question = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const req = request({ host: '127.0.0.1', port, path, method, headers, agent: false }, (res) => {
      let body = ''
      res.setEncoding('utf8')
      res.on('data', (chunk: string) => {
        body += chunk
      })
      res.on('end', () => resolve({ status: res.statusCode ?? 0, headers: res.headers, body }))
      res.on('error', reject)
    })
    req.on('error', reject)
    req.end()
  })
}

/** Sends bytes as they are and reads the whole answer; the request must ask to close the connection. */
export function send(port: number, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes, 'latin1'))
    let text = ''
    socket.setEncoding('latin1')
    socket.on('data', (chunk: string) => {
      text += chunk
    })
    socket.on('end', () => resolve(text))
    socket.on('error', reject)
  })
}

/** Answers with a name and what the router has put on the request. */
export function say(name: string): RouteHandler {
  return (req, res) => {
    const exchange = req.gateway!
    res.setHeader('content-type', 'application/json')
    res.end(
      JSON.stringify({
        name,
        url: req.url,
        route: exchange.route,
        params: (req as { params?: unknown }).params,
        path: exchange.outgoing.path,
        query: exchange.outgoing.query,
        requestHeaders: exchange.outgoing.requestHeaders,
        responseHeaders: exchange.outgoing.responseHeaders,
      }),
    )
  }
}

/** What `say()` said. */
export interface Said {
  readonly name: string
  readonly url: string
  readonly route?: { id: string; pattern: string; params: Record<string, unknown> }
  readonly params?: Record<string, unknown>
  readonly path?: string
  readonly query?: unknown[]
  readonly requestHeaders?: unknown[]
  readonly responseHeaders?: unknown[]
}

/** Asks and reads what `say()` said. */
export async function hear(port: number, path: string, question?: Question): Promise<Said> {
  const answer = await ask(port, path, question)
  if (answer.headers['content-type'] !== 'application/json') throw new Error(`${answer.status} ${answer.body}`)
  return JSON.parse(answer.body) as Said
}

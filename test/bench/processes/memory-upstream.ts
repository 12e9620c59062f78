/**
 * The upstream of the memory checks. `POST /upload` counts a body, `GET /download?bytes=` streams one, with
 * `&chunked=1` without saying its length; `GET /slow?ms=` answers after that time; both send `&cache-control=` as the field. `GET
 * /silent` never answers, an upgrade opens a WebSocket that echoes. Any message is answered with the open connections and the
 * number of requests so far.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { WebSocketServer } from 'ws'
import { expectedBody } from '../lib/body.ts'
import { PAUSE_AT_BYTES, PAUSE_MS } from '../lib/memory-clients.ts'
import type { MemoryUpstreamState, UpstreamReady } from '../lib/protocol.ts'

const CHUNK = Buffer.alloc(64 * 1024, 'postern ')
const ANSWER = expectedBody(1024)

let requests = 0

function upload(request: IncomingMessage, response: ServerResponse): void {
  let bytes = 0
  let paused = false
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (paused || bytes < PAUSE_AT_BYTES) return
    // Stops reading for a while: whoever is in the middle has to hold the sender back.
    paused = true
    request.pause()
    setTimeout(() => request.resume(), PAUSE_MS)
  })
  request.on('end', () => response.end(String(bytes)))
  request.on('error', () => response.destroy())
}

function slow(response: ServerResponse, query: URLSearchParams): void {
  setTimeout(
    () => {
      response.writeHead(200, { ...cacheControlOf(query), 'content-length': ANSWER.length })
      response.end(ANSWER)
    },
    Number(query.get('ms')),
  )
}

function cacheControlOf(query: URLSearchParams): Record<string, string> {
  const value = query.get('cache-control')
  return value === null ? {} : { 'cache-control': value }
}

function download(response: ServerResponse, query: URLSearchParams): void {
  const bytes = Number(query.get('bytes'))
  let left = bytes
  response.writeHead(200, {
    'content-type': 'application/octet-stream',
    ...cacheControlOf(query),
    ...(query.has('chunked') ? {} : { 'content-length': bytes }),
  })
  const write = (): void => {
    while (left > 0 && !response.destroyed) {
      const part = left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK
      left -= part.length
      if (!response.write(part)) return
    }
    if (left === 0) response.end()
  }
  response.on('drain', write)
  write()
}

const server = createServer((request, response) => {
  const url = new URL(request.url ?? '/', 'http://upstream')
  requests += 1
  response.on('error', () => response.destroy())
  if (url.pathname === '/upload') upload(request, response)
  else if (url.pathname === '/download') download(response, url.searchParams)
  else if (url.pathname === '/slow') slow(response, url.searchParams)
  else if (url.pathname !== '/silent') response.writeHead(404).end()
})
// A gateway keeps connections as long as it wants to: who closes first is not what is measured.
server.keepAliveTimeout = 0

const sockets = new WebSocketServer({ server })
sockets.on('connection', (socket) => {
  socket.on('error', () => socket.terminate())
  socket.on('message', (message) => {
    const text = String(message)
    if (text === 'close') socket.close(1000)
    else if (text === 'terminate') socket.terminate()
    else socket.send(text)
  })
})

server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('not a TCP address')
  process.send?.({ urls: [`http://127.0.0.1:${address.port}`] } satisfies UpstreamReady)
})
process.on('message', () => {
  server.getConnections((error, connections) => {
    process.send?.(
      error === null ? ({ connections, requests } satisfies MemoryUpstreamState) : { error: error.message },
    )
  })
})
process.once('disconnect', () => process.exit())

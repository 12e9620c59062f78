/**
 * The upstream: a keep-alive HTTP/1.1 server on bare sockets, so that it takes as little as possible of the core that it
 * shares with the load generator. It reads request heads properly, but takes GET without a body only; anything else is
 * answered 400 and closed, which the load generator counts as an error. A request with `If-None-Match` is answered 304, for
 * there is only one representation. Any message is answered with what it has answered so far.
 */
import { createServer, type Socket } from 'node:net'
import { expectedBody } from '../lib/body.ts'
import type { UpstreamCounts, UpstreamReady, UpstreamSetup } from '../lib/protocol.ts'

const setup = JSON.parse(process.argv[2] ?? '') as UpstreamSetup
const body = expectedBody(setup.bodyBytes)
const BAD = Buffer.from('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
const WITH_BODY = /\r\n(?:content-length: *[1-9]|transfer-encoding:)/i
const CONDITIONAL = /\r\nif-none-match:/i
const END = '\r\n\r\n'

let requests = 0
let notModified = 0
let answer: Buffer
let answer304: Buffer
function renew(): void {
  const about = [
    `Date: ${new Date().toUTCString()}`,
    'ETag: W/"400-5f2c1d9e8b7a6"',
    `Cache-Control: ${setup.cacheControl ?? 'public, max-age=60'}`,
    'Connection: keep-alive',
    'Keep-Alive: timeout=65',
  ]
  const head = ['HTTP/1.1 200 OK', 'Content-Type: application/json; charset=utf-8', `Content-Length: ${body.length}`]
  answer = Buffer.concat([Buffer.from([...head, ...about].join('\r\n') + END, 'latin1'), body])
  answer304 = Buffer.from(['HTTP/1.1 304 Not Modified', ...about].join('\r\n') + END, 'latin1')
}
renew()
setInterval(renew, 1_000).unref()

function serve(socket: Socket): void {
  let rest: Buffer | undefined
  socket.setNoDelay(true)
  socket.on('error', () => socket.destroy())
  socket.on('data', (chunk) => {
    let input = chunk as Buffer
    if (rest !== undefined) {
      input = Buffer.concat([rest, input])
      rest = undefined
    }
    let from = 0
    while (from < input.length) {
      const end = input.indexOf(END, from, 'latin1')
      if (end === -1) break
      const head = input.toString('latin1', from, end + 2)
      if (!head.startsWith('GET /') || WITH_BODY.test(head)) {
        socket.end(BAD)
        return
      }
      requests += 1
      if (CONDITIONAL.test(head)) {
        notModified += 1
        socket.write(answer304)
      } else {
        socket.write(answer)
      }
      from = end + END.length
    }
    if (from < input.length) rest = input.subarray(from)
  })
}

function addressOf(index: number): string {
  return setup.addresses <= 3 ? '127.0.0.1' : `127.0.${1 + Math.floor(index / 250)}.${1 + (index % 250)}`
}

const urls = await Promise.all(
  Array.from({ length: setup.addresses }, async (_, index) => {
    const server = createServer(serve)
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(0, addressOf(index), resolve)
    })
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('not a TCP address')
    return `http://${address.address}:${address.port}`
  }),
)
process.send?.({ urls } satisfies UpstreamReady)
process.on('message', () => process.send?.({ requests, notModified } satisfies UpstreamCounts))
process.once('disconnect', () => process.exit())

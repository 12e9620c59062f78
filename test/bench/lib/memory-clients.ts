import { request } from 'node:http'
import { connect } from 'node:net'
import { WebSocket } from 'ws'

/** Where in a long body the receiver stops reading for a while, and for how long. */
export const PAUSE_AT_BYTES = 16 * 1024 * 1024
export const PAUSE_MS = 1_000

const CHUNK = Buffer.alloc(64 * 1024, 'postern ')

/** Sends `bytes` and checks that the upstream counted as many. The upstream pauses once on the way. */
export function upload(port: number, bytes: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const client = request({ port, host: '127.0.0.1', path: '/upload', method: 'POST', agent: false })
    client.setHeader('content-length', bytes)
    client.on('error', reject)
    client.on('response', (response) => {
      let text = ''
      response.setEncoding('latin1').on('data', (part: string) => {
        text += part
      })
      response.on('error', reject)
      response.on('end', () => {
        if (response.statusCode === 200 && text === String(bytes)) resolve()
        else reject(new Error(`upload: ${response.statusCode}, the upstream counted ${text.slice(0, 80)} bytes`))
      })
    })
    let left = bytes
    const write = (): void => {
      while (left > 0) {
        const part = left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK
        left -= part.length
        if (!client.write(part)) return
      }
      client.end()
    }
    client.on('drain', write)
    write()
  })
}

/**
 * Receives `bytes`, pausing once on the way, and checks that they are all there.
 *
 * @param query further parameters for the upstream: `cache-control=` and `chunked=1`
 */
export function download(port: number, bytes: number, query = ''): Promise<void> {
  return new Promise((resolve, reject) => {
    const path = `/download?bytes=${bytes}${query}`
    const client = request({ port, host: '127.0.0.1', path, agent: false }, (response) => {
      let received = 0
      let paused = false
      response.on('data', (chunk: Buffer) => {
        received += chunk.length
        if (paused || received < PAUSE_AT_BYTES) return
        paused = true
        response.pause()
        setTimeout(() => response.resume(), PAUSE_MS)
      })
      response.on('error', reject)
      response.on('end', () => {
        if (response.statusCode === 200 && received === bytes) resolve()
        else reject(new Error(`download: ${response.statusCode}, ${received} of ${bytes} bytes`))
      })
    })
    client.on('error', reject)
    client.end()
  })
}

const HOST = 'Host: 127.0.0.1\r\n'
const ABORTS = [
  { bytes: `GET /silent HTTP/1.1\r\n${HOST}\r\n`, body: undefined, untilAnswer: false },
  { bytes: `GET /silent HTTP/1.1\r\n${HOST}X-Half: `, body: undefined, untilAnswer: false },
  { bytes: `POST /upload HTTP/1.1\r\n${HOST}Content-Length: 1048576\r\n\r\n`, body: CHUNK, untilAnswer: false },
  { bytes: `GET /download?bytes=4194304 HTTP/1.1\r\n${HOST}\r\n`, body: undefined, untilAnswer: true },
]

/**
 * Starts an exchange and leaves it: with the answer not begun, within the request head, within the request body, or
 * within the answer's body; by an orderly end or by a reset.
 */
export function abortOne(port: number, random: () => number): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = ABORTS[Math.floor(random() * ABORTS.length)]!
    const afterMs = random() * 4
    const reset = random() < 0.5
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    const leave = (): void => {
      if (reset) socket.resetAndDestroy()
      else socket.destroy()
    }
    socket.on('connect', () => {
      socket.write(abort.bytes)
      if (abort.body !== undefined) socket.write(abort.body)
      if (!abort.untilAnswer) setTimeout(leave, afterMs)
    })
    socket.on('data', (chunk: Buffer) => {
      if (abort.untilAnswer && chunk.length > 0) leave()
    })
    socket.on('error', reject)
    socket.on('close', () => resolve())
  })
}

/** Opens a WebSocket, has one message echoed, and ends it: by either side, by a close frame or without one. */
export function webSocketOne(port: number, random: () => number): Promise<void> {
  return new Promise((resolve, reject) => {
    const how = Math.floor(random() * 4)
    const socket = new WebSocket(`ws://127.0.0.1:${port}/events`, { perMessageDeflate: false })
    let echoed = false
    socket.on('open', () => socket.send('hello'))
    socket.on('message', (message) => {
      echoed = String(message) === 'hello'
      if (how === 0) socket.close(1000)
      else if (how === 1) socket.terminate()
      else socket.send(how === 2 ? 'close' : 'terminate')
    })
    socket.on('error', reject)
    socket.on('close', () => (echoed ? resolve() : reject(new Error('a WebSocket closed before its echo'))))
  })
}

/** Runs `task` `count` times, `width` at a time. */
export async function repeat(count: number, width: number, task: () => Promise<void>): Promise<void> {
  let started = 0
  await Promise.all(
    Array.from({ length: width }, async () => {
      while (started < count) {
        started += 1
        await task()
      }
    }),
  )
}

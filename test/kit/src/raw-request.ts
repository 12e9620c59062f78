import net from 'node:net'
import tls from 'node:tls'
import { type ParsedResponse, type ParsedResponses, parseResponses } from './parse-responses.ts'

export interface RawRequestOptions {
  /** Stops waiting after so many milliseconds. @default 2_000 */
  readonly timeoutMs?: number
  /** Ends our sending side behind the bytes. @default false */
  readonly halfClose?: boolean
  /** Stops as soon as so many final responses have arrived whole. @default until the server closes */
  readonly responses?: number
  /** Methods of the requests in order, for the reading of HEAD's answers. */
  readonly methods?: readonly string[]
  /** Waits so long before each part when `bytes` is a list, in milliseconds. @default 20 */
  readonly gapMs?: number
  /** @default '127.0.0.1' */
  readonly host?: string
  /** Speaks TLS with these options. */
  readonly tls?: tls.ConnectionOptions
}

/** What came back over a raw connection. */
export interface RawAnswer {
  /** Everything that was received. */
  readonly bytes: Buffer
  /** The same as latin1 text. */
  readonly text: string
  /** Who ended it: the server (`end`, `reset`), the time (`timeout`), or that all expected responses were there. */
  readonly endedBy: 'end' | 'reset' | 'timeout' | 'responses'
  readonly parsed: ParsedResponses
  /** The first final response. @throws when there is none */
  readonly response: ParsedResponse
}

/**
 * Sends bytes over a raw connection and returns everything that came back, until the server closes, the expected
 * responses are there, or time is up.
 *
 * @param bytes text is sent as latin1, one byte a character; a list is sent in parts with a gap between them
 */
export async function rawRequest(
  port: number,
  bytes: string | Uint8Array | readonly (string | Uint8Array)[],
  options: RawRequestOptions = {},
): Promise<RawAnswer> {
  const parts = (Array.isArray(bytes) ? bytes : [bytes]) as readonly (string | Uint8Array)[]
  const host = options.host ?? '127.0.0.1'
  const socket =
    options.tls === undefined
      ? net.connect({ port, host, allowHalfOpen: true })
      : tls.connect({ port, host, ...options.tls })
  const methods = options.methods ?? []
  const chunks: Buffer[] = []
  let gap: NodeJS.Timeout | undefined
  let next = 0
  const sendNext = () => {
    const part = parts[next++]
    if (part === undefined || socket.destroyed) {
      if (options.halfClose === true) socket.end()
      return
    }
    socket.write(typeof part === 'string' ? Buffer.from(part, 'latin1') : part)
    if (next < parts.length) gap = setTimeout(sendNext, options.gapMs ?? 20)
    else sendNext()
  }
  const endedBy = await new Promise<RawAnswer['endedBy']>((resolve, reject) => {
    let connected = false
    const timer = setTimeout(() => resolve('timeout'), options.timeoutMs ?? 2_000)
    const done = (how: RawAnswer['endedBy']) => {
      clearTimeout(timer)
      resolve(how)
    }
    socket.once(options.tls === undefined ? 'connect' : 'secureConnect', () => {
      connected = true
      sendNext()
    })
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      if (options.responses === undefined) return
      const { responses } = parseResponses(Buffer.concat(chunks), { methods })
      if (responses.filter((each) => each.complete && each.status >= 200).length >= options.responses) done('responses')
    })
    socket.once('end', () => done('end'))
    socket.once('close', () => done('end'))
    socket.on('error', (error) => {
      clearTimeout(timer)
      if (connected) resolve('reset')
      else reject(error)
    })
  })
  clearTimeout(gap)
  socket.destroy()
  const received = Buffer.concat(chunks)
  const text = received.toString('latin1')
  const parsed = parseResponses(received, { methods, closed: endedBy === 'end' })
  return {
    bytes: received,
    text,
    endedBy,
    parsed,
    get response() {
      const final = parsed.responses.find((each) => each.status >= 200 || each.status === 101)
      if (final === undefined) {
        throw new Error(`no final response (${endedBy}, ${parsed.fault ?? 'no fault'}) in ${JSON.stringify(text)}`)
      }
      return final
    },
  }
}

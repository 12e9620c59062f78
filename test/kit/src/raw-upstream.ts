import net from 'node:net'
import { RawMessageError, readBody, readHead, statedFraming } from './messages.ts'
import { closeServer, listen, trackSockets } from './sockets.ts'

/** One connection to a raw upstream, as its script sees it. */
export interface RawConnection {
  readonly socket: net.Socket
  /** 0 for the first connection of the upstream. */
  readonly index: number
  /** Everything that the other side has sent so far. */
  readonly received: Buffer
  /** True once the other side has ended or the connection is gone. */
  readonly ended: boolean
  /** Waits for one more whole request and returns its bytes; undefined when the connection ends before. */
  nextRequest(): Promise<Buffer | undefined>
  /** Waits until so many bytes in all have arrived; false when the connection ends before. */
  receivedBytes(count: number): Promise<boolean>
}

/** What a raw upstream does with a connection. */
export type RawScript = (connection: RawConnection) => void | Promise<void>

/** A server below HTTP: it records raw bytes and answers raw bytes. */
export interface RawUpstream {
  /** `http://127.0.0.1:port` */
  readonly url: string
  readonly port: number
  /** All connections ever accepted, in order. */
  readonly connections: readonly RawConnection[]
  /** Sockets that are open now. */
  readonly sockets: number
  /** All bytes of all connections, as latin1 text. */
  readonly received: string
  close(): Promise<void>
}

/**
 * Starts a raw upstream on 127.0.0.1.
 *
 * @param script what to do with each connection; a list gives each connection its own, the last one serves the rest
 */
export async function startRawUpstream(script: RawScript | readonly RawScript[]): Promise<RawUpstream> {
  const scripts = typeof script === 'function' ? [script] : script
  const connections: RawConnection[] = []
  const server = net.createServer({ noDelay: true }, (socket) => {
    const connection = rawConnection(socket, connections.length)
    connections.push(connection)
    const chosen = scripts[Math.min(connection.index, scripts.length - 1)]
    if (chosen !== undefined) void chosen(connection)
  })
  const sockets = trackSockets(server)
  const port = await listen(server)
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    connections,
    get sockets() {
      return sockets.open
    },
    get received() {
      return connections.map((each) => each.received.toString('latin1')).join('')
    },
    close: () => closeServer(server, sockets),
  }
}

function rawConnection(socket: net.Socket, index: number): RawConnection {
  let received = Buffer.alloc(0)
  let ended = false
  let read = 0
  const waiting = new Set<() => void>()
  const wake = () => {
    for (const check of [...waiting]) check()
  }
  const over = () => {
    ended = true
    wake()
  }
  socket.on('data', (chunk) => {
    received = Buffer.concat([received, chunk])
    wake()
  })
  socket.once('end', over)
  socket.once('close', over)
  socket.on('error', over)
  /** Resolves with the first defined answer, or with undefined when the connection ends. */
  const until = <Value>(ask: () => Value | undefined): Promise<Value | undefined> =>
    new Promise((resolve) => {
      const check = () => {
        const value = ask()
        if (value === undefined && !ended) return
        waiting.delete(check)
        resolve(value)
      }
      waiting.add(check)
      check()
    })
  return {
    socket,
    index,
    get received() {
      return received
    },
    get ended() {
      return ended
    },
    nextRequest: () =>
      until(() => {
        const end = requestEnd(received, read)
        if (end === undefined) return undefined
        const request = received.subarray(read, end)
        read = end
        return request
      }),
    receivedBytes: async (count) => (await until(() => (received.length >= count ? true : undefined))) === true,
  }
}

/** Where the request that starts at `at` ends; undefined while it has not all arrived. */
function requestEnd(bytes: Buffer, at: number): number | undefined {
  const head = readHead(bytes, at)
  if (head === undefined) return undefined
  let stated: ReturnType<typeof statedFraming>
  try {
    stated = statedFraming(head.rawHeaders)
  } catch (error) {
    // Ambiguous framing has no end that we could know: the head alone counts, the bytes stay for the test to see.
    if (error instanceof RawMessageError) return head.end
    throw error
  }
  // A request without stated framing has no body, RFC 9112 §6.3 #7.
  if (stated.framing === 'close') return head.end
  const rest = readBody(bytes, head.end, stated.framing, stated.contentLength, false)
  return rest.complete ? rest.end : undefined
}

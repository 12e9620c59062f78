import type { Server, Socket } from 'node:net'

/** The sockets of a server, counted, so that a test can see leaks and a close can cut what is still open. */
export interface SocketTable {
  /** Sockets that are open now. */
  readonly open: number
  /** Sockets ever accepted. */
  readonly total: number
  /** Destroys every open socket. */
  destroyAll(): void
}

/** Counts the connections of a server from now on. */
export function trackSockets(server: Server): SocketTable {
  const sockets = new Set<Socket>()
  let total = 0
  server.on('connection', (socket: Socket) => {
    total++
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    // A peer that resets is part of the test, never a crash of the kit.
    socket.on('error', () => {})
  })
  return {
    get open() {
      return sockets.size
    },
    get total() {
      return total
    },
    destroyAll() {
      for (const socket of sockets) socket.destroy()
    },
  }
}

/**
 * Listens on 127.0.0.1 at a free port, or on a Unix socket.
 *
 * @returns the port; 0 for a Unix socket
 */
export async function listen(server: Server, socketPath?: string | undefined): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    const done = () => {
      server.off('error', reject)
      resolve()
    }
    if (socketPath === undefined) server.listen(0, '127.0.0.1', done)
    else server.listen(socketPath, done)
  })
  const address = server.address()
  return address !== null && typeof address === 'object' ? address.port : 0
}

/** Stops listening and cuts every open connection; resolves when the server is gone. Harmless when called again. */
export async function closeServer(server: Server, sockets: SocketTable): Promise<void> {
  if (!server.listening) {
    sockets.destroyAll()
    return
  }
  await new Promise<void>((resolve) => {
    server.close(() => resolve())
    sockets.destroyAll()
  })
}

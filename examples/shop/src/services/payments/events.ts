import type { Server } from 'node:http'
import { WebSocket, WebSocketServer } from 'ws'
import type { OrderEvent } from './checkout.ts'

export interface OrderEvents {
  attach(server: Server): void
  broadcast(event: OrderEvent): void
  /** Closes every WebSocket with 1001 (going away). */
  close(): void
}

const PING_MS = 30_000
const MAX_WAITING_BYTES = 1_048_576

/** Order events for whoever listens on the WebSocket `/events`: one JSON text a message. */
export function createOrderEvents(): OrderEvents {
  let listeners: WebSocketServer | undefined
  const alive = new WeakSet<WebSocket>()

  // A listener whose machine went away without a word is found by its silence.
  const ping = setInterval(() => {
    for (const socket of listeners?.clients ?? []) {
      if (!alive.delete(socket)) socket.terminate()
      else socket.ping()
    }
  }, PING_MS).unref()

  return {
    attach(server) {
      listeners = new WebSocketServer({ server, path: '/events', maxPayload: 1_024 })
      listeners.on('connection', (socket) => {
        alive.add(socket)
        socket.on('pong', () => alive.add(socket))
        // `ws` closes the connection after an error by itself; without a listener it would end the process.
        socket.on('error', () => {})
      })
    },
    broadcast(event) {
      const text = JSON.stringify(event)
      for (const socket of listeners?.clients ?? []) {
        if (socket.readyState !== WebSocket.OPEN) continue
        if (socket.bufferedAmount > MAX_WAITING_BYTES) socket.terminate()
        else socket.send(text)
      }
    },
    close() {
      clearInterval(ping)
      for (const socket of listeners?.clients ?? []) socket.close(1001, 'the shop is closing')
    },
  }
}

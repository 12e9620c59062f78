import type { IncomingMessage, Server } from 'node:http'
import { WebSocket, WebSocketServer } from 'ws'
import type { Caller, VerifyCaller } from '../caller.ts'
import { ServiceError } from '../http.ts'
import type { OrderEvent } from './checkout.ts'

export interface OrderEvents {
  attach(server: Server): void
  broadcast(event: OrderEvent): void
  /** Closes every WebSocket with 1001 (going away). */
  close(): void
}

const PING_MS = 30_000
const MAX_WAITING_BYTES = 1_048_576
/** A customer is signed in for so long; nobody asks again who he is while a WebSocket is open. */
const MAX_AGE_MS = 15 * 60_000

/**
 * Order events for whoever listens on the WebSocket `/events`: one JSON text a message. Customers hear of their own orders,
 * staff of all, and of what runs low.
 */
export function createOrderEvents(verify: VerifyCaller): OrderEvents {
  const callers = new WeakMap<IncomingMessage, Caller>()
  const open = new Map<WebSocket, { readonly caller: Caller; readonly sinceMs: number; isAlive: boolean }>()

  // A listener whose machine went away without a word is found by its silence.
  const ping = setInterval(() => {
    for (const [socket, listener] of open) {
      if (!listener.isAlive) socket.terminate()
      else if (performance.now() - listener.sinceMs > MAX_AGE_MS) socket.close(1008, 'sign in again')
      else socket.ping()
      listener.isAlive = false
    }
  }, PING_MS).unref()

  function verifyClient({ req }: { req: IncomingMessage }, answer: (isIn: boolean, status?: number) => void): void {
    verify(req.headers.authorization).then(
      (caller) => {
        callers.set(req, caller)
        answer(true)
      },
      (error: unknown) => answer(false, error instanceof ServiceError ? error.status : 500),
    )
  }

  return {
    attach(server) {
      const listeners = new WebSocketServer({ server, path: '/events', maxPayload: 1_024, verifyClient })
      listeners.on('connection', (socket, req) => {
        const listener = { caller: callers.get(req)!, sinceMs: performance.now(), isAlive: true }
        open.set(socket, listener)
        socket.on('pong', () => {
          listener.isAlive = true
        })
        socket.on('close', () => open.delete(socket))
        // `ws` closes the connection after an error by itself; without a listener it would end the process.
        socket.on('error', () => {})
      })
    },
    broadcast(event) {
      const text = JSON.stringify(event)
      for (const [socket, { caller }] of open) {
        if (socket.readyState !== WebSocket.OPEN || !concerns(event, caller)) continue
        if (socket.bufferedAmount > MAX_WAITING_BYTES) socket.terminate()
        else socket.send(text)
      }
    },
    close() {
      clearInterval(ping)
      for (const socket of open.keys()) socket.close(1001, 'the shop is closing')
    },
  }
}

function concerns(event: OrderEvent, { subject, roles }: Caller): boolean {
  return roles.includes('staff') || (event.type === 'order.paid' && event.payment.customer === subject)
}

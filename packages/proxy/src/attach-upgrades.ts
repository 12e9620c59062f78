import { type IncomingMessage, type Server, ServerResponse } from 'node:http'
import type { Server as SecureServer } from 'node:https'
import type { Duplex } from 'node:stream'
import { ConfigError, exchangeOf, type UpgradeRequest } from '@postern/contracts'
import { isRefusedProtocol } from './upgrade-request.ts'

/** An Express app, or any handler of a plain server. */
export type RequestHandler = (req: IncomingMessage, res: ServerResponse) => unknown

const OWNER = Symbol.for('postern.upgrades')

/** Who has a server's upgrades, and how to let go of them. */
interface Ownership {
  readonly app: RequestHandler
  readonly detach: () => void
}

type OwnedServer = (Server | SecureServer) & {
  [OWNER]?: Ownership
  shouldUpgradeCallback?: (req: IncomingMessage) => boolean
}

/**
 * Sends the server's upgrade requests (WebSockets and others) through the same app as every other request: what is
 * mounted in front (logging, limits, authentication) applies to them, a refusal is a proper HTTP answer, and the
 * `proxy()` at the end opens the tunnel. What no handler takes is answered as the app answers unknown paths.
 *
 * @returns a function that lets go of the server again
 * @throws ConfigError when another app owns the upgrades of this server
 */
export function attachUpgrades(server: Server | SecureServer, app: RequestHandler): () => void {
  const owned = server as OwnedServer
  const before = owned[OWNER]
  if (before !== undefined && before.app !== app) {
    throw new ConfigError('attachUpgrades()', [
      {
        path: 'server',
        message: 'its upgrades belong to another app already',
        cure: 'attach one app a server; mount the other inside it',
      },
    ])
  }
  if (before !== undefined) return before.detach
  const onUpgrade = (req: IncomingMessage, socket: Duplex, head: Buffer): void => dispatch(app, req, socket, head)
  server.on('upgrade', onUpgrade)
  // Newer Node versions ask first: what we never upgrade goes on as the plain request that it also is (RFC 9110 §7.8).
  const asked = 'shouldUpgradeCallback' in owned ? owned.shouldUpgradeCallback : undefined
  if ('shouldUpgradeCallback' in owned) owned.shouldUpgradeCallback = (req) => !isRefusedProtocol(protocolOf(req))
  const ownership: Ownership = {
    app,
    detach: () => {
      if (owned[OWNER] !== ownership) return
      delete owned[OWNER]
      server.off('upgrade', onUpgrade)
      if (asked !== undefined) owned.shouldUpgradeCallback = asked
    },
  }
  owned[OWNER] = ownership
  return ownership.detach
}

/** True when `attachUpgrades()` was called for the server of this request. */
export function areUpgradesAttached(req: IncomingMessage): boolean {
  const { server } = req.socket as { server?: OwnedServer }
  return server?.[OWNER] !== undefined
}

function dispatch(app: RequestHandler, req: IncomingMessage, socket: Duplex, head: Buffer): void {
  const res = new ServerResponse(req)
  res.shouldKeepAlive = false
  res.assignSocket(socket as never)
  // Node takes its own listener off a socket that it hands over; an answer longer than the buffer waits for this news.
  socket.on('drain', () => {
    if (res.writableNeedDrain) res.emit('drain')
  })
  // Behind any answer but 101 the bytes of the client are not ours to guess at.
  res.once('finish', () => (socket as unknown as { destroySoon(): void }).destroySoon())
  req.push(null)
  const exchange = exchangeOf(req, res)
  exchange.upgrade = new PendingUpgrade(protocolOf(req), socket, head)
  app(req, res)
}

function protocolOf(req: IncomingMessage): string {
  return (req.headers.upgrade ?? '').split(',', 1)[0]!.trim().toLowerCase()
}

/** Bytes that a client may send ahead of the 101 before it is held back. */
const MAX_EARLY_BYTES = 65_536

/** Reads the connection while the app decides, so that a client that leaves is noticed. */
class PendingUpgrade implements UpgradeRequest {
  readonly protocol: string
  readonly socket: Duplex
  readonly #early: Buffer[] = []
  #bytes = 0

  constructor(protocol: string, socket: Duplex, head: Buffer) {
    this.protocol = protocol
    this.socket = socket
    if (head.length > 0) this.#onData(head)
    socket.on('data', this.#onData)
    socket.on('end', this.#onGone)
    socket.on('error', this.#onGone)
  }

  take(): Buffer {
    this.socket.pause()
    this.socket.off('data', this.#onData)
    this.socket.off('end', this.#onGone)
    return Buffer.concat(this.#early)
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#early.push(chunk)
    this.#bytes += chunk.length
    if (this.#bytes > MAX_EARLY_BYTES) this.socket.pause()
  }

  // Nobody upgrades a connection to close it: a client that ends it now has left.
  readonly #onGone = (): void => {
    this.socket.destroy()
  }
}

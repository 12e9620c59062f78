import type { Duplex } from 'node:stream'
import type { Exchange, FailureType, UpgradeRequest } from '@postern/contracts'
import { isHopByHopResponse } from './message/header-names.ts'
import { mergeWithEarlier } from './message/response-head.ts'
import type { ResponseHeaders } from './transport/transport.ts'
import { FrameTracker, GOING_AWAY_FROM_CLIENT, GOING_AWAY_FROM_SERVER } from './websocket-frames.ts'

/** The tunnels that are open through one proxy. */
export class Tunnels {
  readonly #open = new Set<Tunnel>()

  get size(): number {
    return this.#open.size
  }

  add(tunnel: Tunnel): void {
    this.#open.add(tunnel)
  }

  delete(tunnel: Tunnel): void {
    this.#open.delete(tunnel)
  }

  /** Tells both ends of every WebSocket that the gateway is going away (1001). */
  drain(): void {
    for (const tunnel of this.#open) tunnel.drain()
  }

  /** Cuts what is still open. */
  destroy(): void {
    for (const tunnel of this.#open) tunnel.destroy()
  }
}

/**
 * Answers 101 and connects client and upstream, byte for byte.
 *
 * @param headers the upstream's, without hop-by-hop fields
 * @param head bytes that the upstream sent behind its 101
 * @param onClosed called once when both ends are closed, with the failure type when the tunnel broke
 */
export function openTunnel(
  tunnels: Tunnels,
  exchange: Exchange,
  upgrade: UpgradeRequest,
  headers: ResponseHeaders,
  upstream: Duplex,
  head: Buffer,
  onClosed: (type: FailureType | undefined) => void,
): void {
  const { response } = exchange
  const client = upgrade.socket
  const early = upgrade.take()
  // The head is written here; the response object would end the connection behind it.
  const lines = [`HTTP/1.1 101 Switching Protocols`, 'connection: Upgrade', `upgrade: ${upgrade.protocol}`]
  mergeWithEarlier(response, headers)
  for (const [name, value] of Object.entries({ ...response.getHeaders(), ...headers })) {
    if (isHopByHopResponse(name) || name === 'content-length') continue
    for (const line of [value].flat()) if (isFieldValue(String(line))) lines.push(`${name}: ${line}`)
  }
  response.detachSocket(client as never)
  // For those who ask the response what became of it: nothing more is ever written to it.
  response.statusCode = 101
  const tunnel = new Tunnel(exchange, client, upstream, upgrade.protocol === 'websocket', (type) => {
    tunnels.delete(tunnel)
    onClosed(type)
  })
  tunnels.add(tunnel)
  client.write(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
  tunnel.start(early, head)
}

/** Longest wait for the other end once one end is closed or told to close, in milliseconds. */
const LINGER_MS = 10_000

class Tunnel {
  readonly #exchange: Exchange
  readonly #client: Duplex
  readonly #upstream: Duplex
  readonly #onClosed: (type: FailureType | undefined) => void
  readonly #isWebSocket: boolean
  readonly #down: Direction
  readonly #up: Direction
  #failure: FailureType | undefined = undefined
  #open = 2
  #linger: NodeJS.Timeout | undefined = undefined

  constructor(
    exchange: Exchange,
    client: Duplex,
    upstream: Duplex,
    isWebSocket: boolean,
    onClosed: (type: FailureType | undefined) => void,
  ) {
    this.#exchange = exchange
    this.#client = client
    this.#upstream = upstream
    this.#onClosed = onClosed
    this.#isWebSocket = isWebSocket
    this.#down = new Direction(client, isWebSocket ? GOING_AWAY_FROM_SERVER : undefined)
    this.#up = new Direction(upstream, isWebSocket ? GOING_AWAY_FROM_CLIENT : undefined)
  }

  start(early: Buffer, head: Buffer): void {
    this.#connect(this.#client, this.#upstream, this.#up, 'client_aborted')
    this.#connect(this.#upstream, this.#client, this.#down, 'connection_terminated')
    if (early.length > 0) this.#pass(early, this.#client, this.#up)
    if (head.length > 0) this.#pass(head, this.#upstream, this.#down)
    this.#client.resume()
    this.#upstream.resume()
  }

  drain(): void {
    // Other protocols have no word for it: they go on until they end or are cut.
    if (!this.#isWebSocket) return
    this.#down.close()
    this.#up.close()
    this.#startLinger()
  }

  destroy(): void {
    this.#client.destroy()
    this.#upstream.destroy()
  }

  #connect(from: Duplex, to: Duplex, direction: Direction, broken: FailureType): void {
    from.on('data', (chunk: Buffer) => this.#pass(chunk, from, direction))
    to.on('drain', () => from.resume())
    // Half-close: one end may have said all and still listen.
    from.on('end', () => to.end())
    from.on('error', () => {
      this.#failure ??= broken
    })
    from.on('close', () => this.#closed(to))
  }

  #pass(chunk: Buffer, from: Duplex, direction: Direction): void {
    const ready = direction.write(chunk)
    if (direction === this.#down) this.#exchange.responseBodyBytes += chunk.length
    else this.#exchange.requestBodyBytes += chunk.length
    if (!ready) from.pause()
  }

  #closed(other: Duplex): void {
    this.#open--
    if (this.#open > 0) {
      // What is under way to the other end is still delivered; after that there is nobody to talk to.
      if (this.#failure !== undefined) other.destroy()
      else if (!other.writableEnded) other.end()
      this.#startLinger()
      return
    }
    clearTimeout(this.#linger)
    this.#onClosed(this.#failure)
  }

  #startLinger(): void {
    this.#linger ??= setTimeout(() => this.destroy(), LINGER_MS).unref()
  }
}

/** Bytes on their way to one end, with the place where a Close frame may go. */
class Direction {
  readonly #to: Duplex
  readonly #closeFrame: Buffer | undefined
  readonly #frames: FrameTracker | undefined
  #closing = false
  #closed = false

  constructor(to: Duplex, closeFrame: Buffer | undefined) {
    this.#to = to
    this.#closeFrame = closeFrame
    this.#frames = closeFrame === undefined ? undefined : new FrameTracker()
  }

  /** @returns false when the other end does not keep up */
  write(chunk: Buffer): boolean {
    if (this.#closed || this.#to.writableEnded) return true
    if (this.#frames === undefined) return this.#to.write(chunk)
    const followed = this.#frames.follow(chunk, this.#closing)
    const ready = this.#to.write(followed === chunk.length ? chunk : chunk.subarray(0, followed))
    if (this.#closing && this.#frames.atBoundary) this.#sendClose()
    return ready
  }

  /** Sends Close at the next frame boundary; what would come after it is dropped, as §5.5.1 has it. */
  close(): void {
    if (this.#closing || this.#frames === undefined) return
    this.#closing = true
    if (this.#frames.atBoundary) this.#sendClose()
  }

  #sendClose(): void {
    this.#closed = true
    if (!this.#to.writableEnded) this.#to.end(this.#closeFrame)
  }
}

function isFieldValue(value: string): boolean {
  for (let i = 0; i < value.length; i++) {
    const c = value.charCodeAt(i)
    if ((c < 0x20 && c !== 0x09) || c === 0x7f || c > 0xff) return false
  }
  return true
}

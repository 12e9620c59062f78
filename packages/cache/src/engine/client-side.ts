import { type ServerResponse, STATUS_CODES } from 'node:http'

/** The way to one client: writes an answer with whatever headers earlier stages have set, and cuts it where it cannot be finished. */
export class ClientSide {
  readonly res: ServerResponse
  #hasLength = false

  constructor(res: ServerResponse) {
    this.res = res
  }

  /**
   * Writes the head.
   *
   * @param headers name, value, …; they replace what earlier stages have set, but for Vary and Set-Cookie, where both count
   * @throws what Node throws for a head that cannot be sent; then nothing was
   */
  head(status: number, statusText: string | undefined, headers: string[]): void {
    mergeEarlier(this.res, headers)
    this.#hasLength = isNamed(headers, 'content-length')
    this.writeHead(status, statusText || STATUS_CODES[status] || '', headers)
  }

  /** @returns false when the client is slow: the next piece should wait for `drain` */
  write(chunk: Uint8Array): boolean {
    return this.res.write(chunk)
  }

  end(chunk?: Uint8Array): void {
    if (chunk === undefined) this.res.end()
    else this.res.end(chunk)
  }

  /** Ends the connection so that the client sees that the answer is not whole. */
  cut(): void {
    const { res } = this
    const { socket } = res
    // A body that ends with the connection would look whole behind a plain close: only a reset tells.
    if (socket !== null && !res.chunkedEncoding && !this.#hasLength && 'resetAndDestroy' in socket)
      socket.resetAndDestroy()
    this.destroy()
  }

  protected writeHead(status: number, statusText: string, headers: string[]): void {
    this.res.writeHead(status, statusText, headers)
  }

  protected destroy(): void {
    this.res.destroy()
  }
}

/** True when the list has a field of that name. */
export function isNamed(headers: readonly string[], name: string): boolean {
  for (let i = 0; i < headers.length; i += 2) if (headers[i] === name) return true
  return false
}

function hasLine(headers: readonly string[], cookie: string): boolean {
  for (let i = 0; i < headers.length; i += 2) if (headers[i] === 'set-cookie' && headers[i + 1] === cookie) return true
  return false
}

function mergeEarlier(res: ServerResponse, headers: string[]): void {
  const cookies = res.getHeader('set-cookie')
  if (cookies !== undefined && isNamed(headers, 'set-cookie')) {
    for (const cookie of [cookies].flat())
      if (!hasLine(headers, String(cookie))) headers.push('set-cookie', String(cookie))
  }
  const vary = res.getHeader('vary')
  if (vary === undefined) return
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] !== 'vary') continue
    headers[i + 1] = `${[vary].flat().join(', ')}, ${headers[i + 1]}`
    return
  }
}

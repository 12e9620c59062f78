import { ServerResponse, STATUS_CODES } from 'node:http'

/** The way to one client: writes an answer with whatever headers earlier stages have set, and cuts it where it cannot be finished. */
export class ClientSide {
  readonly res: ServerResponse
  /** What the head was written with. */
  #headers: readonly string[] = []

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
    this.#headers = headers
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
    const hasLength = isNamed(this.#headers, 'content-length')
    if (socket !== null && !res.chunkedEncoding && !hasLength && 'resetAndDestroy' in socket) socket.resetAndDestroy()
    this.destroy()
  }

  protected writeHead(status: number, statusText: string, headers: string[]): void {
    const { res } = this
    res.writeHead(status, statusText, isNodesOwn(res.writeHead) ? headers : asObject(headers))
  }

  protected destroy(): void {
    this.res.destroy()
  }
}

function isFirst(names: readonly string[], name: string, at: number): boolean {
  return names.findIndex((each) => each.toLowerCase() === name.toLowerCase()) === at
}

/** True for Node's own `writeHead()`, which no stage has replaced. */
export function isNodesOwn(writeHead: unknown): boolean {
  return writeHead === ServerResponse.prototype.writeHead
}

/** Some stages that replace writeHead() do not know a flat list. */
export function asObject(headers: readonly string[]): Record<string, string | string[]> {
  const object: Record<string, string | string[]> = Object.create(null)
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!
    const value = headers[i + 1]!
    const before = object[name]
    if (before === undefined) object[name] = value
    else if (typeof before === 'string') object[name] = [before, value]
    else before.push(value)
  }
  return object
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
    const names = `${[vary].flat().join(', ')}, ${headers[i + 1]}`.split(',').map((name) => name.trim())
    headers[i + 1] = names.filter((name, at) => isFirst(names, name, at)).join(', ')
    return
  }
}

/** Header fields of a request beside the usual ones, by their names. */
export type Headers = Readonly<Record<string, string>>

/** The bytes of one GET, with the headers that a browser's fetch or an HTTP client usually sends, and others behind them. */
export function requestBytes(host: string, port: number, path: string, headers: Headers = {}): Buffer {
  const others = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.from(
    `GET ${path} HTTP/1.1\r\nHost: ${host}:${port}\r\nUser-Agent: postern-bench\r\nAccept: application/json\r\n` +
      `Accept-Encoding: identity\r\nConnection: keep-alive\r\n${others.join('')}\r\n`,
    'latin1',
  )
}

const DIGITS = 10
const ZERO = 0x30

/** `path` with a number behind it, always as long. */
export function numberedPath(path: string, number: number): string {
  return `${path}&n=${String(number).padStart(DIGITS, '0')}`
}

/**
 * A request whose number is written into its bytes each time, which costs the load generator next to nothing. It belongs
 * to one connection: that has one request in flight, so nobody reads the bytes any more when the next number is written.
 */
export class NumberedRequest {
  readonly bytes: Buffer
  /** Behind the last digit. */
  readonly #end: number

  constructor(host: string, port: number, path: string, headers: Headers) {
    const numbered = numberedPath(path, 0)
    this.bytes = requestBytes(host, port, numbered, headers)
    this.#end = 'GET '.length + numbered.length
  }

  write(number: number): Buffer {
    let rest = number
    for (let at = this.#end - 1; at >= this.#end - DIGITS; at -= 1) {
      this.bytes[at] = ZERO + (rest % 10)
      rest = Math.floor(rest / 10)
    }
    return this.bytes
  }
}

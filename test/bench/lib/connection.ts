import { connect, type Socket } from 'node:net'

const END = '\r\n\r\n'
const READ_BYTES = 64 * 1024

/** What a connection tells its owner. `head` and `body` are set only on connections that were told to keep answers. */
export interface Answer {
  readonly status: number
  readonly bodyBytes: number
  /** Status line and header fields, without the empty line. */
  readonly head?: string
  readonly body?: Buffer
}

/**
 * One keep-alive HTTP/1.1 client connection with one request in flight at a time. It parses no more of a response than
 * its framing asks for (status, Content-Length or chunked) and reads into one buffer that it never gives away, because
 * the load generator shares its core with the upstream.
 */
export class Connection {
  onAnswer: (answer: Answer) => void = () => {}
  onError: (message: string) => void = () => {}
  readonly #socket: Socket
  readonly #keepAnswer: boolean
  #head = ''
  #kept: Buffer[] = []
  /** Bytes of an unfinished response head or chunk-size line. */
  #rest: Buffer | undefined
  #phase: 'idle' | 'head' | 'body' | 'chunk-size' | 'chunk' | 'trailer' | 'closed' = 'idle'
  #status = 0
  #missing = 0
  #bodyBytes = 0

  constructor(host: string, port: number, keepAnswer = false) {
    this.#keepAnswer = keepAnswer
    this.#socket = connect({
      host,
      port,
      noDelay: true,
      onread: {
        buffer: Buffer.allocUnsafeSlow(READ_BYTES),
        callback: (length, buffer) => {
          this.#read((buffer as Buffer).subarray(0, length))
          return true
        },
      },
    })
    this.#socket.on('error', (error) => this.#fail(error.message))
    this.#socket.on('close', () => this.#fail('connection closed'))
  }

  /** Resolves once connected. */
  opened(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.once('connect', resolve)
      this.#socket.once('error', reject)
    })
  }

  send(request: Buffer): void {
    this.#phase = 'head'
    this.#bodyBytes = 0
    this.#kept = []
    this.#socket.write(request)
  }

  close(): void {
    this.#phase = 'closed'
    this.#socket.destroy()
  }

  #fail(message: string): void {
    if (this.#phase === 'closed') return
    this.close()
    this.onError(message)
  }

  #read(chunk: Buffer): void {
    let input = chunk
    if (this.#rest !== undefined) {
      input = Buffer.concat([this.#rest, chunk])
      this.#rest = undefined
    }
    let at = 0
    while (at < input.length) {
      switch (this.#phase) {
        case 'head': {
          const end = input.indexOf(END, at, 'latin1')
          if (end === -1) {
            this.#keep(input, at)
            return
          }
          this.#readHead(input.toString('latin1', at, end + 2))
          at = end + END.length
          break
        }
        case 'body':
        case 'chunk': {
          const taken = Math.min(this.#missing, input.length - at)
          if (this.#keepAnswer) this.#kept.push(Buffer.from(input.subarray(at, at + taken)))
          this.#missing -= taken
          this.#bodyBytes += taken
          at += taken
          if (this.#missing > 0) break
          if (this.#phase === 'body') this.#done(at < input.length)
          else this.#phase = 'chunk-size'
          break
        }
        case 'chunk-size':
        case 'trailer': {
          const end = input.indexOf('\r\n', at, 'latin1')
          if (end === -1) {
            this.#keep(input, at)
            return
          }
          const line = input.toString('latin1', at, end)
          at = end + 2
          if (this.#phase === 'trailer') {
            if (line === '') this.#done(at < input.length)
          } else if (line !== '') {
            // The empty line is the one that ends the chunk before.
            this.#missing = Number.parseInt(line, 16)
            if (Number.isNaN(this.#missing)) this.#fail('bad chunk size')
            else this.#phase = this.#missing === 0 ? 'trailer' : 'chunk'
          }
          break
        }
        default:
          this.#fail('bytes that nobody asked for')
          return
      }
    }
  }

  #readHead(head: string): void {
    if (!head.startsWith('HTTP/1.1 ')) {
      this.#fail('not an HTTP/1.1 response')
      return
    }
    this.#status = Number(head.slice(9, 12))
    if (this.#keepAnswer) this.#head = head.trimEnd()
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)
    if (length !== null) {
      this.#missing = Number(length[1])
      this.#phase = 'body'
      if (this.#missing === 0) this.#done(false)
    } else if (/\r\ntransfer-encoding: *chunked/i.test(head)) {
      this.#phase = 'chunk-size'
    } else {
      this.#fail('a response without a length')
    }
  }

  /** The buffer that was read into is used again for the next read, so what is kept has to be copied. */
  #keep(input: Buffer, at: number): void {
    this.#rest = Buffer.from(input.subarray(at))
  }

  #done(extra: boolean): void {
    if (extra) {
      this.#fail('bytes after the end of a response')
      return
    }
    this.#phase = 'idle'
    this.onAnswer(
      this.#keepAnswer
        ? { status: this.#status, bodyBytes: this.#bodyBytes, head: this.#head, body: Buffer.concat(this.#kept) }
        : { status: this.#status, bodyBytes: this.#bodyBytes },
    )
  }
}

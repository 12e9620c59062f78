import { once } from 'node:events'
import { createServer, type RequestListener, type Server, type ServerOptions } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { Writable } from 'node:stream'
import { onTestFinished } from 'vitest'

/** A stream that keeps what it is given, and tells when a line has come. */
export class Lines extends Writable {
  text = ''
  #waiting: { count: number; resolve: () => void }[] = []

  constructor() {
    super({ decodeStrings: false })
  }

  get all(): string[] {
    return this.text.split('\n').slice(0, -1)
  }

  get objects(): Record<string, unknown>[] {
    return this.all.map((line) => JSON.parse(line) as Record<string, unknown>)
  }

  /** Resolves with that many lines, as soon as they are there. */
  async until(count: number): Promise<string[]> {
    if (this.all.length < count) await new Promise<void>((resolve) => this.#waiting.push({ count, resolve }))
    return this.all
  }

  /** The only line so far, parsed. */
  async one(): Promise<Record<string, unknown>> {
    await this.until(1)
    return this.objects[0]!
  }

  override _write(chunk: string, _encoding: string, done: () => void): void {
    this.text += chunk
    const there = this.all.length
    const ready = this.#waiting.filter((waiter) => there >= waiter.count)
    this.#waiting = this.#waiting.filter((waiter) => there < waiter.count)
    for (const waiter of ready) waiter.resolve()
    done()
  }
}

/** Starts a server for one test. */
export async function serve(
  listener: RequestListener,
  options: ServerOptions = {},
): Promise<{ server: Server; port: number; url: string }> {
  const server = createServer(options, listener)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { server, port, url: `http://127.0.0.1:${port}` }
}

/** Sends bytes on a connection of its own, and resolves with the answer once the server has closed it. */
export async function sendRaw(port: number, bytes: string | Buffer): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  let answer = ''
  socket.setEncoding('latin1')
  socket.on('data', (chunk: string) => {
    answer += chunk
  })
  // A server that refuses a request may reset the connection; the answer so far is what counts.
  socket.on('error', () => {})
  // A text stands for bytes: each character is one.
  socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
  await once(socket, 'close')
  return answer
}

/** The warnings of this process while `run` goes on. */
export async function warningsDuring(run: () => Promise<unknown>): Promise<(Error & { code?: string })[]> {
  const warnings: Error[] = []
  const listen = (warning: Error): void => {
    warnings.push(warning)
  }
  process.on('warning', listen)
  try {
    await run()
    // Warnings are emitted on the next tick.
    await new Promise((resolve) => setImmediate(resolve))
  } finally {
    process.off('warning', listen)
  }
  return warnings
}

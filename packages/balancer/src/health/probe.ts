import http, { type IncomingMessage } from 'node:http'
import https, { type RequestOptions } from 'node:https'
import { isIP } from 'node:net'
import type { Target } from '@postern/contracts'
import type { ResolvedHealth } from './options.ts'

/** What one probe came to. Plain data. */
export interface ProbeResult {
  readonly healthy: boolean
  /** True when there was an HTTP answer, whatever it said. */
  readonly answered: boolean
  /** False when no connection could be made. */
  readonly connected: boolean
  /** Status of the answer; undefined when there was none. */
  readonly status: number | undefined
  /** Why it is not healthy, for the operator: `ECONNREFUSED`, `timeout`, `status 503`. Undefined when it is. */
  readonly fault: string | undefined
  /** When it ended, in milliseconds since the Unix epoch. */
  readonly atMs: number
  readonly durationMs: number
}

/** More of a body is neither read nor looked at. */
const MAX_BODY_BYTES = 65_536

/**
 * Asks a target once, over a connection of its own: that it still accepts connections is a part of what is asked. Keeps
 * no process alive.
 *
 * @param signal ends it early; then it has failed as `closed`
 */
export function probe(target: Target, options: ResolvedHealth, signal: AbortSignal): Promise<ProbeResult> {
  return new Promise((resolve) => new Probe(target, options, signal, resolve))
}

class Probe {
  readonly #options: ResolvedHealth
  readonly #signal: AbortSignal
  readonly #resolve: (result: ProbeResult) => void
  #request: http.ClientRequest | undefined = undefined
  readonly #timer: NodeJS.Timeout
  readonly #startedAtMs = performance.now()
  readonly #onAbort = (): void => this.#fail('closed')
  #connected = false
  #response: IncomingMessage | undefined = undefined
  #done = false

  constructor(target: Target, options: ResolvedHealth, signal: AbortSignal, resolve: (result: ProbeResult) => void) {
    this.#options = options
    this.#signal = signal
    this.#resolve = resolve
    this.#timer = setTimeout(() => this.#fail('timeout'), options.timeoutMs).unref()
    if (signal.aborted) this.#onAbort()
    else signal.addEventListener('abort', this.#onAbort, { once: true })
    try {
      this.#send(target)
    } catch (error) {
      // A key or certificate that cannot be read is found only now.
      this.#fail(codeOf(error))
    }
  }

  #send(target: Target): void {
    if (this.#done) return
    this.#request = requestOf(target, this.#options)
      .on('socket', (socket) => {
        socket.unref()
        socket.once(target.secure ? 'secureConnect' : 'connect', () => {
          this.#connected = true
        })
      })
      .on('response', (response) => this.#onResponse(response))
      .on('error', (error) => this.#fail(codeOf(error)))
      // An answer that Node does not take for one, such as 101, ends without a word.
      .on('close', () => this.#fail('no answer'))
    this.#request.end()
  }

  #onResponse(response: IncomingMessage): void {
    this.#connected = true
    this.#response = response
    response.on('error', () => this.#fail('incomplete answer'))
    const status = response.statusCode!
    const isExpected = this.#options.expectStatus.some(([from, to]) => status >= from && status <= to)
    if (!isExpected) {
      this.#fail(`status ${status}`)
      return
    }
    const chunks: Buffer[] = []
    let bytes = 0
    response
      .on('data', (chunk: Buffer) => {
        chunks.push(chunk)
        bytes += chunk.length
        if (bytes >= MAX_BODY_BYTES) this.#judge(chunks)
      })
      .on('end', () => this.#judge(chunks))
  }

  #judge(chunks: readonly Buffer[]): void {
    const expected = this.#options.expectBody
    if (expected !== undefined) {
      const body = Buffer.concat(chunks).toString('utf8', 0, MAX_BODY_BYTES)
      const isExpected = typeof expected === 'string' ? body.includes(expected) : body.search(expected) !== -1
      if (!isExpected) {
        this.#fail('body')
        return
      }
    }
    this.#end(true, undefined)
  }

  #fail(fault: string): void {
    this.#end(false, fault)
  }

  #end(healthy: boolean, fault: string | undefined): void {
    if (this.#done) return
    this.#done = true
    clearTimeout(this.#timer)
    this.#signal.removeEventListener('abort', this.#onAbort)
    this.#request?.destroy()
    const status = this.#response?.statusCode
    this.#resolve(
      Object.freeze({
        healthy,
        answered: status !== undefined,
        connected: this.#connected,
        status,
        fault,
        atMs: Date.now(),
        durationMs: performance.now() - this.#startedAtMs,
      }),
    )
  }
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? 'error'
}

function requestOf(target: Target, options: ResolvedHealth): http.ClientRequest {
  const url = new URL(target.origin)
  // Without the brackets of an IPv6 address, which a connection does not take.
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const to: RequestOptions = {
    // A new connection, closed behind the answer.
    agent: false,
    method: options.method,
    path: options.path,
    headers: { 'user-agent': 'postern-health', accept: '*/*', ...options.headers, host: options.host ?? target.host },
    host,
  }
  if (target.socketPath === undefined) to.port = options.port ?? (url.port || (target.secure ? 443 : 80))
  else to.socketPath = target.socketPath
  if (!target.secure) return http.request(to)
  // As the proxy connects: the name of the URL, unless the target says another. Addresses have no SNI (RFC 6066 §3).
  const servername = target.tls?.servername ?? (isIP(host) === 0 ? host : '')
  return https.request({ ...to, ...(target.tls as RequestOptions | undefined), servername })
}

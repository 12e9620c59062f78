import type { ServerResponse } from 'node:http'
import type { Transform } from 'node:stream'
import type { Exchange } from '@postern/contracts'
import type { AttemptRun } from './attempt.ts'
import { allowedTrailers, mergeWithEarlier } from './message/response-head.ts'
import type { ResponseHeaders } from './transport/transport.ts'

/**
 * The client's side of an exchange: writes head, body and trailers with back-pressure, and cuts the connection where an
 * answer cannot be finished, so that a short body never looks whole.
 */
export class ClientAnswer {
  readonly #exchange: Exchange
  readonly #res: ServerResponse
  /** Bytes that the announced Content-Length has left; -1 when there is none. */
  #left = -1
  /** Trailers were announced; only then may they follow. */
  #announced = false
  #ended = false
  #transform: Transform | undefined = undefined
  #draining = false

  constructor(exchange: Exchange, res: ServerResponse) {
    this.#exchange = exchange
    this.#res = res
  }

  /**
   * Writes the head.
   *
   * @param transform the stream that the body goes through; takes the announced length away
   * @returns the error when the head cannot be written as it is; then nothing was sent
   */
  head(
    status: number,
    statusText: string,
    headers: ResponseHeaders,
    trailers: readonly string[] | undefined,
    transform: Transform | undefined,
    attempt: AttemptRun,
    maxTransformBytes: number,
  ): Error | undefined {
    const res = this.#res
    const bodiless = this.#exchange.request.method === 'HEAD' || status === 204 || status === 304
    if (transform !== undefined) {
      // Another body: its length, its ranges and its strong validator are not known any more (RFC 9110 §8.8.1).
      delete headers['content-length']
      delete headers['accept-ranges']
      delete headers['content-md5']
      delete headers.digest
      delete headers['content-digest']
      const etag = headers.etag
      if (typeof etag === 'string' && !etag.startsWith('W/')) headers.etag = `W/${etag}`
    }
    const length = headers['content-length']
    if (trailers !== undefined && length === undefined && !bodiless && this.#exchange.request.httpVersionMinor > 0) {
      headers.trailer = trailers.join(', ')
      this.#announced = true
    }
    mergeWithEarlier(res, headers)
    try {
      res.writeHead(status, statusText, headers)
    } catch (error) {
      for (const name in headers) if (!res.headersSent) res.removeHeader(name)
      return error as Error
    }
    if (bodiless) return undefined
    if (length !== undefined) this.#left = Number(length)
    if (transform !== undefined) this.#pipe(transform, attempt, maxTransformBytes)
    // The head goes out with the first bytes of the body, or alone when these do not follow at once.
    process.nextTick(flushHead, res)
    return undefined
  }

  data(chunk: Buffer, attempt: AttemptRun): void {
    if (this.#transform !== undefined) {
      if (!this.#transform.write(chunk)) {
        attempt.pause()
        this.#transform.once('drain', () => attempt.resume())
      }
      return
    }
    this.#exchange.responseBodyBytes += chunk.length
    if (this.#left !== -1) {
      this.#left -= chunk.length
      if (this.#left < 0) {
        this.#break(new Error('the body is longer than the length that was announced'), attempt)
        return
      }
      if (this.#left === 0) {
        this.#ended = true
        this.#res.end(chunk)
        return
      }
    }
    if (!this.#res.write(chunk)) this.#waitForDrain(attempt)
  }

  end(trailers: ResponseHeaders, attempt: AttemptRun): void {
    if (this.#ended) return
    this.#ended = true
    if (this.#left > 0) {
      this.#break(new Error('the body is shorter than the length that was announced'), attempt)
      return
    }
    if (this.#transform !== undefined) {
      this.#transform.end()
      return
    }
    const allowed = allowedTrailers(trailers)
    if (allowed !== undefined && this.#announced) this.#res.addTrailers(asTrailers(allowed))
    this.#res.end()
  }

  /** Ends the connection so that the client sees that the answer is not whole. */
  cut(): void {
    const res = this.#res
    this.#transform?.destroy()
    const socket = res.socket
    // A body that ends with the connection would look whole behind a plain close: only a reset tells.
    if (socket !== null && !res.chunkedEncoding && this.#left === -1 && 'resetAndDestroy' in socket) {
      socket.resetAndDestroy()
    }
    res.destroy()
  }

  #waitForDrain(attempt: AttemptRun): void {
    attempt.pause()
    if (this.#draining) return
    this.#draining = true
    this.#res.once('drain', () => {
      this.#draining = false
      attempt.resume()
    })
  }

  #pipe(transform: Transform, attempt: AttemptRun, maxBytes: number): void {
    this.#transform = transform
    const res = this.#res
    let total = 0
    transform.on('data', (chunk: Buffer | string) => {
      const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
      total += bytes.length
      if (total > maxBytes) {
        transform.destroy(new Error(`the transformed body grew over ${maxBytes} bytes`))
        return
      }
      this.#exchange.responseBodyBytes += bytes.length
      if (!res.write(bytes)) {
        transform.pause()
        res.once('drain', () => transform.resume())
      }
    })
    transform.on('end', () => res.end())
    transform.on('error', (error) => this.#break(error, attempt))
    // Destroyed by the app it tells neither end nor error; left alone behind a client that has gone it would keep
    // whatever it holds.
    transform.on('close', () => {
      if (!transform.readableEnded) this.#break(new Error('the transform was destroyed'), attempt)
    })
    res.once('close', () => transform.destroy())
  }

  /** Ends an answer that the app's own edits have spoilt. The attempt may be over while a transform still writes. */
  #break(error: Error, attempt: AttemptRun): void {
    if (!attempt.done) {
      attempt.fail('proxy_internal_error', error)
      return
    }
    if (this.#res.destroyed) return
    const { totalMs = 0 } = attempt
    this.#exchange.failure ??= { type: 'proxy_internal_error', phase: 'body', side: 'gateway', totalMs, cause: error }
    this.cut()
  }
}

const NOTHING = Buffer.alloc(0)

function flushHead(res: ServerResponse): void {
  // Not flushHeaders(): that writes the head as UTF-8, and bytes above 0x7f in its values would become two.
  if (!res.writableEnded && !res.destroyed) res.write(NOTHING)
}

function asTrailers(trailers: ResponseHeaders): [string, string][] {
  const lines: [string, string][] = []
  for (const name in trailers) for (const value of [trailers[name]!].flat()) lines.push([name, value])
  return lines
}

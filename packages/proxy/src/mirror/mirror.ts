import { inspect } from 'node:util'
import { type Exchange, isFailure, type Outcome, warnOnce } from '@postern/contracts'
import { mirrorDropped, mirrorSettled } from '../channels.ts'
import { editQuery, editRequestHeaders } from '../message/edits.ts'
import type { ConnectionSettings, Transport, Upstream } from '../transport/transport.ts'
import { BodyCopy } from './body-copy.ts'
import { type MirrorCopy, type MirrorCopyOwner, type MirrorDrop, type MirrorHead, MirrorRun } from './mirror-copy.ts'
import type { MirrorFailure, ResolvedMirrorOptions } from './options.ts'

/** A request as it was made for the upstream; not kept and not changed. */
export interface MirroredRequest {
  readonly method: string
  /** Origin-form, with the query; without a target's base path. */
  readonly path: string
  /** Name, value, name, value, …; without framing and connection headers. */
  readonly headers: readonly string[]
  /** `'stream'`: it is still to come from the client, and the copy is fed with it. */
  readonly body: Buffer | 'stream' | undefined
  /** Announced length of the body; undefined: unknown. */
  readonly contentLength: number | undefined
  /** Token of the protocol to upgrade to; such requests are not copied. */
  readonly upgrade: string | undefined
}

/** What became of the copies of a mirror. */
export interface MirrorStats {
  /** Copies that were sent. */
  readonly sent: number
  /** Requests that were to be copied and were not: over the budget, over the body limit, or broken off. */
  readonly dropped: number
  /** Copies that the mirror did not answer: refused, broken off, or too late. */
  readonly failed: number
  /** Copies that the mirror answered, whatever the status. */
  readonly answered: number
  /** Copies under way, those included whose body is still coming. */
  readonly inFlight: number
}

/**
 * Sends copies of requests to a target of its own, over connections of its own. The request itself never waits for its
 * copy and never fails by it: whatever the mirror does ends in the counts, a channel and `onError`.
 */
export class Mirror implements MirrorCopyOwner {
  readonly #options: ResolvedMirrorOptions
  readonly #upstream: Upstream
  readonly #active = new Set<MirrorRun>()
  #sent = 0
  #dropped = 0
  #failed = 0
  #answered = 0
  #closed = false

  /** @param settings those of the proxy; bounds of the mirror's own come first */
  constructor(options: ResolvedMirrorOptions, transport: Transport, settings: ConnectionSettings) {
    this.#options = options
    const { connectMs } = settings
    this.#upstream = transport.connect(options.target, {
      ...settings,
      maxConnections: options.maxInFlight,
      // A copy that has run out of time must not go on waiting for its connection.
      connectMs: connectMs === 0 ? options.timeoutMs : Math.min(connectMs, options.timeoutMs),
    })
  }

  get stats(): MirrorStats {
    return {
      sent: this.#sent,
      dropped: this.#dropped,
      failed: this.#failed,
      answered: this.#answered,
      inFlight: this.#active.size,
    }
  }

  /**
   * Copies a request, if its turn has come. A copy whose body is there, or that has none, is on its way behind this
   * call.
   *
   * @returns what the client's body is to be shown to; undefined when there is nothing to be shown
   */
  begin(exchange: Exchange, request: MirroredRequest): MirrorCopy | undefined {
    try {
      return this.#begin(exchange, request)
    } catch (error) {
      warnOnce('POSTERN_MIRROR_THREW', `a request was not mirrored: ${inspect(error)}`)
      return undefined
    }
  }

  /** Cuts the copies under way, makes no more, and closes the connections. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true
    for (const copy of [...this.#active]) copy.cut()
    await this.#upstream.destroy()
  }

  onCopySent(): void {
    this.#sent++
  }

  onCopySettled(copy: MirrorRun, outcome: Outcome): void {
    this.#active.delete(copy)
    const { target, onError } = this.#options
    const exchange = copy.original
    if (mirrorSettled.hasSubscribers) mirrorSettled.publish({ exchange, target, outcome })
    if (!isFailure(outcome)) {
      this.#answered++
      return
    }
    this.#failed++
    if (onError !== undefined) tell(onError, { exchange, target, failure: outcome })
  }

  onCopyDropped(copy: MirrorRun, reason: MirrorDrop): void {
    this.#active.delete(copy)
    this.#drop(copy.original, reason)
  }

  #begin(exchange: Exchange, request: MirroredRequest): MirrorCopy | undefined {
    const { methods, share, random, maxBodyBytes, maxInFlight, timeoutMs } = this.#options
    if (this.#closed || request.upgrade !== undefined || !methods.has(request.method)) return undefined
    if (share < 1 && !(random() < share)) return undefined
    const { body } = request
    const streamed = body === 'stream'
    const knownBytes = Buffer.isBuffer(body) ? body.length : streamed ? request.contentLength : undefined
    if (knownBytes !== undefined && knownBytes > maxBodyBytes) return this.#drop(exchange, 'body_too_large')
    if (this.#active.size >= maxInFlight) return this.#drop(exchange, 'over_budget')
    const gathered = streamed ? new BodyCopy(knownBytes, maxBodyBytes) : body
    const copy = new MirrorRun(this, this.#upstream, timeoutMs, exchange, this.#head(request), gathered)
    this.#active.add(copy)
    if (streamed) {
      // Whoever feeds it may end without a word; its place must not be lost.
      exchange.observe(copy)
      return copy
    }
    copy.send()
    return undefined
  }

  #head(request: MirroredRequest): MirrorHead {
    const { target, headerEdits, queryEdits } = this.#options
    const headers = request.headers.slice()
    editRequestHeaders(headers, headerEdits)
    const mark = request.path.indexOf('?')
    const path = mark === -1 ? request.path : request.path.slice(0, mark)
    const query = mark === -1 ? '' : editQuery(request.path.slice(mark), queryEdits)
    const { basePath } = target
    return {
      method: request.method,
      path: (path === '/' && basePath !== '' ? basePath : basePath + path) + query,
      headers,
    }
  }

  #drop(exchange: Exchange, reason: MirrorDrop): undefined {
    this.#dropped++
    if (mirrorDropped.hasSubscribers) mirrorDropped.publish({ exchange, target: this.#options.target, reason })
  }
}

/** Calls a function of the app whose faults are nobody's but its own. */
function tell(onError: (failure: MirrorFailure) => void, failure: MirrorFailure): void {
  try {
    const result: unknown = onError(failure)
    if (result instanceof Promise) result.catch(warnOfListener)
  } catch (error) {
    warnOfListener(error)
  }
}

function warnOfListener(error: unknown): void {
  warnOnce('POSTERN_MIRROR_LISTENER_THREW', `the onError of a mirror failed, which it never should: ${inspect(error)}`)
}

import type { CacheVerdict } from '@postern/contracts'
import { responseStored } from '../channels.ts'
import type { RequestFacts } from '../request-facts.ts'
import { evaluate, notModifiedFields } from '../rules/conditional.ts'
import { fieldValue } from '../rules/field-list.ts'
import { ageOf, ttlOf } from '../rules/freshness.ts'
import { combine } from '../rules/partial.ts'
import { reuseOf } from '../rules/reuse.ts'
import type { ReceivedResponse } from '../rules/storing.ts'
import { matchesVary } from '../rules/vary.ts'
import type { StoredHead, StoredResponse } from '../stored-response.ts'
import { BodyLog, type LogReader } from './body-log.ts'
import { ClientSide } from './client-side.ts'
import { whenThere } from './guarded-store.ts'
import type { PurgeNotes } from './purge-notes.ts'
import { applyEdits, clientFields } from './stored-answer.ts'
import type { Turn } from './turn.ts'
import { forwarded, note, tell } from './verdict.ts'

/** A response on its way into the store, and to all who share it. */
export class StoringBody {
  readonly head: StoredHead
  readonly #log: BodyLog
  readonly #turn: Turn
  readonly #stored: readonly StoredResponse[]
  readonly #maxBytes: number
  /** Announced length; -1 when there is none. */
  readonly #announcedBytes: number
  /** The reader whose request this is; undefined when its client has another answer. */
  #first: LogReader | undefined = undefined
  #pendingBytes = 0
  #isStoring = true

  /**
   * @param stored what was stored behind the key when the request was sent: a partial response may be completed
   * @param onSpace told when more may come
   */
  constructor(
    turn: Turn,
    stored: readonly StoredResponse[],
    head: StoredHead,
    received: ReceivedResponse,
    onSpace: () => void,
  ) {
    this.#turn = turn
    this.#stored = stored
    this.head = head
    const { options, state } = turn
    this.#maxBytes = Math.min(options.maxObjectBytes, state.store.store.maxObjectBytes)
    const length = turn.facts.method === 'HEAD' ? undefined : fieldValue(received.headers, 'content-length')
    this.#announcedBytes = length === undefined || !/^[0-9]{1,15}$/.test(length) ? -1 : Number(length)
    this.#log = new BodyLog(this.#announcedBytes, onSpace)
  }

  /** By what it announces, it will not be stored. */
  get isTooLarge(): boolean {
    return this.#announcedBytes > this.#maxBytes
  }

  /** Its length was announced, so that it is known when it is whole. */
  get hasLength(): boolean {
    return this.#announcedBytes !== -1
  }

  /** False once it is known that it will not be stored. */
  get isStoring(): boolean {
    return this.#isStoring
  }

  get wantsMore(): boolean {
    return this.#log.wantsMore
  }

  /** How many bytes have come. */
  get bytes(): number {
    return this.#log.bytes
  }

  /** How many read it beside the first. */
  get readers(): number {
    return this.#log.readers - (this.#first === undefined || this.#first.hasEnded ? 0 : 1)
  }

  /** Adds the client whose request brought it. Its head was written. */
  readFirst(client: ClientSide): LogReader {
    this.#first = this.#log.read(client)
    return this.#first
  }

  /** True when a request may be answered with it (RFC 9111 §4: as if it were stored already). */
  mayServe(facts: RequestFacts, nowMs: number): boolean {
    return (
      this.#log.isWhole &&
      this.head.parts === undefined &&
      this.head.method !== 'HEAD' &&
      matchesVary(this.head, facts) &&
      reuseOf(this.head, facts, nowMs) === 'fresh'
    )
  }

  /** Answers another request with it, from the beginning. */
  serve(turn: Turn): void {
    const { exchange, facts, options, res } = turn
    const { head } = this
    if (exchange.closed) return
    const nowMs = options.clock.wallNow()
    const client = new ClientSide(res)
    const verdict: CacheVerdict = {
      ...forwarded(turn.fwd, undefined),
      ttlS: ttlOf(head, nowMs),
      collapsed: true,
    }
    const isWhole = evaluate(facts, head) === 'send'
    const shown = clientFields(head.headers, options)
    const fields = isWhole ? shown : notModifiedFields(shown)
    if (isWhole) applyEdits(fields, exchange)
    fields.push('age', ageOf(head, nowMs))
    if (isWhole && this.#announcedBytes !== -1) fields.push('content-length', String(this.#announcedBytes))
    tell(exchange, isWhole ? verdict : { ...verdict, fwdStatus: head.status }, fields, options)
    client.head(isWhole ? head.status : 304, isWhole ? head.statusText : undefined, fields)
    if (!isWhole || facts.method === 'HEAD') {
      client.end()
      turn.missed()
      return
    }
    const reader = this.#log.read(client)
    turn.reads(reader)
    reader.begin()
    turn.missed()
  }

  /** @returns false when nobody wants more for now */
  append(chunk: Uint8Array): boolean {
    if (this.#turn.facts.method === 'HEAD') return true
    this.#reserve(chunk.length)
    return this.#log.append(chunk)
  }

  /** @returns false when the content is not as long as was announced: it is not whole */
  end(chunk: Uint8Array | undefined): boolean {
    const last = this.#turn.facts.method === 'HEAD' ? undefined : chunk
    if (last !== undefined) this.#reserve(last.length)
    const bytes = this.#log.bytes + (last?.length ?? 0)
    if (this.#announcedBytes !== -1 && bytes !== this.#announcedBytes) return false
    this.#log.end(last)
    return true
  }

  /** Nobody gets the rest. */
  cut(): void {
    this.#free()
    this.#log.cut()
  }

  /**
   * Stores what has come.
   *
   * @param purges those that came while it was on its way; more may come until the store has it
   * @param done called when the store has it, or will not
   */
  commit(purges: PurgeNotes, done: () => void): void {
    if (!this.#isStoring || purges.cover(this.head) || !this.#fitsItsParts()) {
      this.#notStored()
      done()
      return
    }
    const body = this.#log.content()
    this.#put(this.#united({ ...this.head, bodyBytes: this.#log.bytes, body }), purges, done)
  }

  /** A partial response must have what its Content-Range says, or bytes would stand in the wrong place. */
  #fitsItsParts(): boolean {
    const { parts } = this.head
    if (parts === undefined) return true
    let bytes = 0
    for (const { first, last } of parts) bytes += last - first + 1
    return bytes === this.#log.bytes
  }

  /** Completed by the parts of it that are stored already, as far as these are at hand (RFC 9111 §3.4). */
  #united(response: StoredResponse): StoredResponse {
    if (response.parts === undefined) return response
    for (const old of this.#stored) {
      if (old.parts === undefined || old.body === undefined || old.partition !== response.partition) continue
      const united = combine(old, response)
      if (united !== undefined) return united
    }
    return response
  }

  #put(response: StoredResponse, purges: PurgeNotes, done: () => void): void {
    const { state, facts, options } = this.#turn
    whenThere(state.store.put(facts.key, response), (isStored) => {
      this.#free()
      if (isStored !== true) this.#notStored()
      else if (purges.cover(response)) {
        state.store.remove(facts.key, response.id)
        this.#notStored()
      } else {
        state.counts.stored++
        if (responseStored.hasSubscribers) {
          responseStored.publish({ cache: options.name, uri: facts.uri, response, updated: false })
        }
      }
      done()
    })
  }

  /** Counts what is kept, and keeps nothing any more where it is too much. */
  #reserve(bytes: number): void {
    if (!this.#isStoring) return
    const { state, options } = this.#turn
    this.#pendingBytes += bytes
    state.pendingBytes += bytes
    if (this.#pendingBytes <= this.#maxBytes && state.pendingBytes <= options.maxPendingBytes) return
    this.#notStored()
    this.#log.release()
  }

  #notStored(): void {
    this.#free()
    const { exchange } = this.#turn
    if (exchange.cache?.stored === true) note(exchange, { ...exchange.cache, stored: false })
  }

  #free(): void {
    if (!this.#isStoring) return
    this.#isStoring = false
    this.#turn.state.pendingBytes -= this.#pendingBytes
  }
}
